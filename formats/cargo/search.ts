/**
 * GET /api/v1/crates?q&per_page&page: over names, descriptions and keywords. All words must be found. The work of one search is
 * bounded: beyond so many crates it answers from the ones it has seen.
 */
import { setImmediate } from 'node:timers/promises'
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { Package } from '../../protocol/records.js'
import { idOf } from './name.js'
import { type Notes, readNotes } from './notes.js'
import { summaryOf } from './summary.js'

const PAGE = 500
const MAX_SCANNED = 50_000
const MAX_MATCHES = 10_000
const MAX_SHOWN = 100
const DEFAULT_SHOWN = 10
const MAX_QUERY = 512

export async function search(call: Call<unknown>): Promise<Reply> {
  const asked = new URLSearchParams(call.request.query)
  const shown = count(asked.get('per_page'), DEFAULT_SHOWN, MAX_SHOWN)
  const from = (count(asked.get('page'), 1, MAX_MATCHES) - 1) * shown
  const matches = await find(call, wordsOf(asked.get('q') ?? ''))
  const crates = []
  for (const { entry, notes } of matches.slice(from, from + shown)) crates.push(await summaryOf(call, entry, notes))
  return json({ crates, meta: { total: matches.length } }, 200, { 'cache-control': 'no-store' })
}

interface Match {
  entry: Package
  notes: Notes
  /** Lower is better. */
  rank: number
}

function wordsOf(query: string): string[] {
  return query.slice(0, MAX_QUERY).toLowerCase().split(/\s+/).filter(Boolean)
}

async function find(call: Call<unknown>, words: string[]): Promise<Match[]> {
  const matches: Match[] = []
  let after: string | undefined
  for (let scanned = 0; scanned < MAX_SCANNED && matches.length < MAX_MATCHES; scanned += PAGE) {
    call.request.signal.throwIfAborted()
    const page = await call.repository.packages({ limit: PAGE, ...(after === undefined ? {} : { after }) })
    for (const entry of page) {
      const match = matchOf(entry, words)
      if (match && call.may('read', entry.name)) matches.push(match)
    }
    if (page.length < PAGE) break
    after = page.at(-1)?.name
    await setImmediate()
  }
  return matches.sort((a, b) => a.rank - b.rank || (a.entry.name < b.entry.name ? -1 : 1))
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

function count(asked: string | null, otherwise: number, most: number): number {
  return asked !== null && /^[1-9]\d{0,8}$/.test(asked) ? Math.min(Number(asked), most) : otherwise
}
