/**
 * Search over the files of all repositories that somebody may read. It needs nothing but what is replicated, so that a node answers
 * it too; the work of one page is bounded, and `next` goes on where it stopped. Virtual repositories are left out: their members
 * are searched.
 */
import { z } from 'zod'
import type { Gate } from '../access/gate.js'
import { refuseStale } from '../access/refusal.js'
import { RegistryError } from '../errors.js'
import { matches } from '../glob.js'
import type { Metadata, Page, Principal } from '../ports.js'
import type { Digest, FileRecord, RepositoryRecord } from '../records.js'
import type { Repository } from '../repository.js'
import { visibleFiles } from './artifacts.js'
import { after, limit } from './page.js'

/** Where a digest is recorded, visible files only. */
export type Holders = (digest: Digest) => Promise<{ scope: string; path: string }[]>

const MAX_READS = 20

const term = z.string().min(1).max(1024).optional()
export const searchQuery = z.strictObject({
  name: term.meta({ description: 'Package name: a part of it, or a pattern with "*"' }),
  version: term.meta({ description: 'Exact' }),
  path: term.meta({ description: 'Beginning of the path, or a pattern with "*"' }),
  checksum: z
    .string()
    .regex(
      /^(?:(?:sha256|sha1|sha512|md5):)?[0-9A-Fa-f]{32,128}$/,
      'must be a hexadecimal MD5, SHA-1, SHA-256 or SHA-512',
    )
    .optional(),
  repository: z.string().max(64).optional(),
  after,
  limit,
})
export type SearchQuery = z.output<typeof searchQuery>

export interface Found {
  key: string
  file: FileRecord
}

interface Searched {
  metadata: Metadata
  gate: Gate
  /** As the principal sees it. */
  open: (record: RepositoryRecord, principal: Principal) => Repository
  holders?: Holders
}

/** Throws `invalid` for a cursor that this did not give out, and for a search without any term. */
export async function searchArtifacts(
  over: Searched,
  principal: Principal,
  query: SearchQuery,
): Promise<{ found: Found[]; next: string | null }> {
  if (!query.name && !query.version && !query.path && !query.checksum)
    throw new RegistryError('invalid', 'Search for a name, version, path or checksum')
  const wanted = filterOf(query)
  const repositories = over.metadata
    .repositories()
    .filter(
      (record) =>
        record.type !== 'virtual' &&
        (query.repository ?? record.key) === record.key &&
        over.gate.sees(principal, record),
    )
  // Of many, what may not be told now is left out.
  if (query.repository !== undefined) for (const record of repositories) refuseStale(over.gate, record)
  const digest = digestOf(query.checksum)
  if (digest && over.holders) return byDigest(over, principal, repositories, digest, wanted, query.limit)
  return scan(over, principal, repositories, query, wanted)
}

/** A digest is in few places, which one page holds. */
async function byDigest(
  over: Searched,
  principal: Principal,
  repositories: RepositoryRecord[],
  digest: Digest,
  wanted: (file: FileRecord) => boolean,
  most: number,
) {
  const found: Found[] = []
  for (const { scope, path } of (await over.holders?.(digest)) ?? []) {
    const record = repositories.find((one) => one.scope === scope)
    if (!record || !over.gate.looks(principal, record, path)) continue
    // As a list shows it: no origin is asked.
    const [file] = await over.open(record, principal).files({ prefix: path, limit: 1 })
    if (file?.path === path && wanted(file)) found.push({ key: record.key, file })
    if (found.length === most) break
  }
  return { found, next: null }
}

async function scan(
  over: Searched,
  principal: Principal,
  repositories: RepositoryRecord[],
  query: SearchQuery,
  wanted: (file: FileRecord) => boolean,
) {
  const start = decodeCursor(query.after)
  const prefix = query.path?.split('*', 1)[0] ?? ''
  const found: Found[] = []
  let readsLeft = MAX_READS
  for (const record of repositories) {
    if (record.key < start.key) continue
    const from = record.key === start.key ? start.path : undefined
    if (found.length === query.limit || readsLeft === 0) return { found, next: encodeCursor(record.key, from) }
    const opened = over.open(record, principal)
    const source = {
      files: (page: Page) => {
        readsLeft--
        return opened.files(page)
      },
    }
    const readable = (path: string, file: FileRecord) => wanted(file) && over.gate.looks(principal, record, path)
    const page = await visibleFiles(
      source,
      { prefix, after: from, limit: query.limit - found.length, reach: over.gate.reach(principal, record) },
      readable,
      readsLeft,
    )
    found.push(...page.files.map((file) => ({ key: record.key, file })))
    if (page.next !== null) return { found, next: encodeCursor(record.key, page.next) }
  }
  return { found, next: null }
}

function filterOf({ name, version, path, checksum }: SearchQuery): (file: FileRecord) => boolean {
  const part = name?.toLowerCase()
  const glob = part?.includes('*') ? part : `*${part}*`
  const pathGlob = path?.includes('*') ? path : `${path}*`
  const sum = checksum?.toLowerCase().replace(/^\w+:/, '')
  return (file) =>
    (part === undefined || matches(glob, file.package.toLowerCase())) &&
    (version === undefined || file.version === version) &&
    (path === undefined || matches(pathGlob, file.path)) &&
    (sum === undefined || [file.digest, file.hashes.sha1, file.hashes.sha512, file.hashes.md5].includes(sum))
}

function digestOf(checksum: string | undefined): Digest | undefined {
  const sum = checksum?.toLowerCase().replace(/^sha256:/, '')
  return sum !== undefined && /^[0-9a-f]{64}$/.test(sum) ? (sum as Digest) : undefined
}

function encodeCursor(key: string, path: string | undefined): string {
  return Buffer.from(JSON.stringify(path === undefined ? [key] : [key, path])).toString('base64url')
}

function decodeCursor(cursor: string | undefined): { key: string; path: string | undefined } {
  if (cursor === undefined) return { key: '', path: undefined }
  const shape = z.tuple([z.string()], z.string())
  try {
    const [key, path] = shape.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')))
    return { key, path }
  } catch (cause) {
    throw new RegistryError('invalid', '"after" is not the "next" of an earlier page', { cause })
  }
}
