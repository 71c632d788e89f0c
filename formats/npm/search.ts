/**
 * GET /-/v1/search?text&size&from, over names, descriptions, keywords and maintainers.
 * Without a clock there is no "popular": better names come first.
 */
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { Package } from '../../protocol/records.js'
import { countOf, MAX_MATCHES, type Ranked, rankedPackages } from '../search/ranked.js'
import { isObject, own } from '../text/json.js'
import { readEntry } from './entry.js'
import { unscoped } from './name.js'
import { type Notes, readNotes, text } from './notes.js'
import { tagsOf } from './tags.js'

const MAX_SIZE = 250
const DEFAULT_SIZE = 20
const MAX_TEXT = 512

export async function search(call: Call<unknown>): Promise<Reply> {
  const asked = new URLSearchParams(call.request.query)
  const size = countOf(asked.get('size'), DEFAULT_SIZE, 0, MAX_SIZE)
  const from = countOf(asked.get('from'), 0, 0, MAX_MATCHES)
  const query = parseQuery((asked.get('text') ?? '').slice(0, MAX_TEXT))
  const matches = await rankedPackages(call, (entry) => matchOf(entry, query))
  const shown = matches.slice(from, from + size)
  const objects = []
  for (const match of shown) objects.push(await describe(call, match))
  return json({ objects: objects.filter((one) => one !== undefined), total: matches.length }, 200, {
    'cache-control': 'no-store',
  })
}

interface Match extends Ranked {
  notes: Notes
}

/** All words must be found. Qualifiers as npm has them: `keywords:a,b`, `scope:s`, `author:` and `maintainer:`. */
interface Query {
  words: string[]
  keywords: string[]
  scopes: string[]
  people: string[]
}

function parseQuery(asked: string): Query {
  const query: Query = { words: [], keywords: [], scopes: [], people: [] }
  for (const term of asked.toLowerCase().split(/\s+/).filter(Boolean)) {
    const [, qualifier, value = ''] = /^(keywords|scope|author|maintainer):(.+)$/.exec(term) ?? []
    if (qualifier === 'keywords') query.keywords.push(...value.split(',').filter(Boolean))
    else if (qualifier === 'scope') query.scopes.push(`@${value.replace(/^@/, '')}/`)
    else if (qualifier !== undefined) query.people.push(value)
    // What npm knows and this does not (`not:`, `boost-exact:`) must not hide everything.
    else if (!/^(?:not|is|boost-exact|quality-weight|popularity-weight|maintenance-weight):/.test(term))
      query.words.push(term)
  }
  return query
}

function matchOf(entry: Package, { words, keywords, scopes, people }: Query): Match | undefined {
  const name = entry.name.toLowerCase()
  if (entry.versions === 0 || (scopes.length > 0 && !scopes.some((scope) => name.startsWith(scope)))) return undefined
  const notes = readNotes(entry)
  const ownKeywords = notes.keywords.map((keyword) => keyword.toLowerCase())
  if (!keywords.every((keyword) => ownKeywords.includes(keyword))) return undefined
  if (!people.every((person) => notes.maintainers.some((one) => one.name.toLowerCase() === person))) return undefined
  const about = `${notes.description.toLowerCase()} ${ownKeywords.join(' ')}`
  if (!words.every((word) => name.includes(word) || about.includes(word))) return undefined
  return { entry, notes, rank: rankOf(name, words, ownKeywords) }
}

function rankOf(name: string, words: string[], keywords: string[]): number {
  const bare = unscoped(name)
  let sum = 0
  for (const word of words) {
    if (name === word || bare === word) continue
    if (bare.startsWith(word)) sum += 1
    else if (name.includes(word)) sum += 2
    else sum += keywords.includes(word) ? 3 : 4
  }
  return sum
}

async function describe({ repository }: Call<unknown>, { entry, notes, rank }: Match) {
  const { name } = entry
  const latest = own(await tagsOf(repository, name), 'latest')
  const version = latest === undefined ? undefined : await repository.version(name, latest)
  if (!version) return undefined
  const shown = readEntry(version.meta)
  const maintainers = notes.maintainers.map((one) => ({ username: one.name, email: one.email ?? '' }))
  const publisher = isObject(shown._npmUser)
    ? { username: text(shown._npmUser.name), email: text(shown._npmUser.email) }
    : maintainers[0]
  const score = 1 / (1 + rank)
  return {
    package: {
      name,
      scope: name.startsWith('@') ? name.slice(1, name.indexOf('/')) : 'unscoped',
      version: version.version,
      description: notes.description,
      keywords: notes.keywords,
      date: version.publishedAt,
      author: shown.author,
      license: shown.license,
      links: linksOf(shown),
      publisher,
      maintainers,
    },
    score: { final: score, detail: { quality: score, popularity: score, maintenance: score } },
    searchScore: score,
  }
}

function linksOf({ homepage, repository, bugs }: Record<string, unknown>): Record<string, string> {
  const links = {
    homepage: text(homepage),
    repository: text(isObject(repository) ? repository.url : repository),
    bugs: text(isObject(bugs) ? bugs.url : bugs),
  }
  return Object.fromEntries(Object.entries(links).filter(([, url]) => url !== ''))
}
