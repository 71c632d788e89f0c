/**
 * GET /api/v1/crates?q&per_page&page: over names, descriptions and keywords. All words must be found.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { Package } from '../../protocol/records.js'
import { countOf, MAX_MATCHES, type Ranked, rankedPackages } from '../search/ranked.js'
import { idOf } from './name.js'
import { type Notes, readNotes } from './notes.js'
import { summaryOf } from './summary.js'

const MAX_SHOWN = 100
const DEFAULT_SHOWN = 10
const MAX_QUERY = 512

export async function search(call: Call<unknown>): Promise<Reply> {
  if (call.repository.record.type === 'remote')
    throw new RegistryError('missing', `${call.repository.key} offers what its upstream does: search there`)
  const asked = new URLSearchParams(call.request.query)
  const shown = countOf(asked.get('per_page'), DEFAULT_SHOWN, 1, MAX_SHOWN)
  const from = (countOf(asked.get('page'), 1, 1, MAX_MATCHES) - 1) * shown
  const words = wordsOf(asked.get('q') ?? '')
  const matches = await rankedPackages(call, (entry) => matchOf(entry, words))
  const crates = []
  for (const { entry, notes } of matches.slice(from, from + shown)) crates.push(await summaryOf(call, entry, notes))
  return json({ crates, meta: { total: matches.length } }, 200, { 'cache-control': 'no-store' })
}

interface Match extends Ranked {
  notes: Notes
}

function wordsOf(query: string): string[] {
  return query.slice(0, MAX_QUERY).toLowerCase().split(/\s+/).filter(Boolean)
}

function matchOf(entry: Package, words: string[]): Match | undefined {
  const notes = entry.versions === 0 ? undefined : readNotes(entry)
  if (!notes) return undefined
  const keywords = notes.about.keywords.map((keyword) => keyword.toLowerCase())
  const about = `${notes.about.description.toLowerCase()} ${keywords.join(' ')}`
  let rank = 0
  for (const word of words) {
    const id = idOf(word)
    if (entry.name === id) continue
    if (entry.name.startsWith(id)) rank += 1
    else if (entry.name.includes(id)) rank += 2
    else if (about.includes(word)) rank += keywords.includes(word) ? 3 : 4
    else return undefined
  }
  return { entry, notes, rank }
}
