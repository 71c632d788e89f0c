/**
 * Removes blobs that no record refers to: what was uploaded and then refused, and what was removed longer ago than it can be
 * restored. A blob is deleted only when it is unreferenced and older than the grace period; whoever stores the same bytes
 * again makes it young again, so nothing that was just acknowledged is ever taken.
 */
import type pg from 'pg'
import type { DiskBlobs } from '../protocol/blobs/disk.js'
import type { Digest } from '../protocol/records.js'

export interface CollectOptions {
  pool: Pick<pg.Pool, 'query'>
  blobs: Pick<DiskBlobs, 'list' | 'delete' | 'expireUploads'>
  graceMs: number
  /** How long a removed file keeps its bytes. */
  restoreMs: number
  nowMs: () => number
}

const BATCH = 500

/** How many blobs went. */
export async function collect(options: CollectOptions): Promise<number> {
  const before = options.nowMs() - options.graceMs
  await options.blobs.expireUploads(before)
  let removed = 0
  let batch: Digest[] = []
  for await (const { digest, writtenAtMs } of options.blobs.list()) {
    if (writtenAtMs < before) batch.push(digest)
    if (batch.length < BATCH) continue
    removed += await remove(options, batch, before)
    batch = []
  }
  return removed + (await remove(options, batch, before))
}

async function remove(
  { pool, blobs, restoreMs, nowMs }: CollectOptions,
  digests: Digest[],
  before: number,
): Promise<number> {
  if (digests.length === 0) return 0
  const { rows } = await pool.query<{ digest: Digest }>({
    name: 'unreferenced',
    text: `select d as digest from unnest($1::text[]) as t(d) where not exists (
             select from record where kind = 'file' and digest = t.d and until is null
               and (value::json ->> 'removedAt' is null or value::json ->> 'removedAt' > $2))
             and not exists (select from record where kind = 'listing' and listing_digest = t.d and until is null)`,
    values: [digests, new Date(nowMs() - restoreMs).toISOString()],
  })
  let removed = 0
  for (const { digest } of rows) if (await blobs.delete(digest, before)) removed++
  return removed
}
