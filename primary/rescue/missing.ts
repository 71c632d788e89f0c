/**
 * Blobs that records name and the content store has not are asked of the nodes, piece by piece, each checked against its record. What
 * no node gave is listed.
 */

import type pg from 'pg'
import type { DiskBlobs } from '../../protocol/blobs/disk.js'
import { deadline } from '../../protocol/deadline.js'
import { LEAF_BYTES } from '../../protocol/merkle.js'
import type { Metadata } from '../../protocol/ports.js'
import type { Digest, Stored } from '../../protocol/records.js'
import { MOST_WANTED_LEAVES } from '../../protocol/wire/wanted.js'
import type { Asking } from '../fleet/asking.js'

export interface MissingOptions {
  pool: Pick<pg.Pool, 'query'>
  blobs: Pick<DiskBlobs, 'has' | 'write'>
  asking: Pick<Asking, 'ask' | 'again'>
  metadata: Pick<Metadata, 'scope'>
}

export interface Fetched {
  /** Blobs that records name. */
  blobs: number
  /** Of them, those that came from nodes just now. */
  fetched: number
  missing: MissingBlob[]
}

export interface MissingBlob {
  digest: string
  /** Bytes. */
  size: number
  /** Where it is recorded; key of the repository, and path. */
  at: { repository: string; path: string }[]
  /** A remote repository can fetch it again. */
  upstream: boolean
}

interface Named {
  digest: Digest
  places: { scope: string; path: string; value: string }[]
}

const PAGE = 500
const AT_ONCE = 16
/** For one piece. */
const PIECE_MS = 10_000
const PIECE_BYTES = MOST_WANTED_LEAVES * LEAF_BYTES

export async function fetchMissing(options: MissingOptions, onProgress: (done: Fetched) => void): Promise<Fetched> {
  const done: Fetched = { blobs: 0, fetched: 0, missing: [] }
  let after = ''
  for (;;) {
    const page = await named(options.pool, after)
    const queue = [...page]
    const work = async () => {
      for (let one = queue.shift(); one; one = queue.shift()) await settle(options, one, done)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    onProgress(done)
    const last = page.at(-1)
    if (!last || page.length < PAGE) return done
    after = last.digest
  }
}

async function settle({ blobs, asking, metadata }: MissingOptions, one: Named, done: Fetched): Promise<void> {
  const places = one.places.filter(({ scope }) => metadata.scope(scope))
  if (places.length === 0) return
  done.blobs++
  if (await blobs.has(one.digest)) return
  // A node gives it for a repository that it may hold.
  for (const [scope, { value }] of new Map(places.map((place) => [place.scope, place]))) {
    const stored = JSON.parse(value) as Stored
    asking.again(one.digest)
    const written = await blobs.write(pieces(stored, scope, asking), { limit: stored.size }).catch(() => undefined)
    if (written?.digest !== one.digest) continue
    done.fetched++
    return
  }
  const stored = JSON.parse(places[0]?.value ?? '{}') as Stored
  const at = places.map(({ scope, path }) => ({ repository: metadata.scope(scope)?.key ?? '', path }))
  const upstream = places.some(({ scope }) => metadata.scope(scope)?.type === 'remote')
  done.missing.push({ digest: one.digest, size: stored.size, at, upstream })
}

async function* pieces(stored: Stored, scope: string, asking: Pick<Asking, 'ask'>): AsyncGenerator<Uint8Array, void> {
  for (let start = 0; start < stored.size; start += PIECE_BYTES) {
    const end = Math.min(start + PIECE_BYTES, stored.size)
    const bytes = await asking.ask(stored, scope, start, end, deadline(PIECE_MS))
    if (!bytes) throw new Error('no node gave a piece')
    yield bytes
  }
}

/** Blobs that something visible refers to, in order of their digests. */
async function named(pool: Pick<pg.Pool, 'query'>, after: string): Promise<Named[]> {
  const { rows } = await pool.query<{ digest: Digest; scopes: string[]; paths: string[]; values: string[] }>(
    `select digest, array_agg(scope order by scope, name) as scopes, array_agg(name order by scope, name) as paths,
            array_agg(value order by scope, name) as values
     from (select digest, scope, name, value from record
           where kind = 'file' and until is null and digest > $1 and value::json ->> 'removedAt' is null
           union all select listing_digest, scope, name, value::json ->> 'blob' from record
           where kind = 'listing' and until is null and listing_digest > $1) as found
     group by digest order by digest limit ${PAGE}`,
    [after],
  )
  return rows.map(({ digest, scopes, paths, values }) => ({
    digest,
    places: scopes.map((scope, i) => ({ scope, path: paths[i] ?? '', value: values[i] ?? '{}' })),
  }))
}
