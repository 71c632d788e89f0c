/**
 * Bytes of remote repositories at the primary, within a limit of their own: beyond it, those that were used least recently leave the
 * content store. Their records stay, so nodes that hold them serve them, and here they are fetched again, and must be what was
 * recorded. What hosted repositories or listings refer to, and what may change at its upstream, never leaves.
 */
import type pg from 'pg'
import type { DiskBlobs } from '../../protocol/blobs/disk.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Format } from '../../protocol/format.js'
import type { Arrival } from '../../protocol/kinds/arrival.js'
import type { Blobs, Bytes, Metadata, Origin, Upload, WriteOptions } from '../../protocol/ports.js'
import type { Change, Digest, Held, RepositoryRecord, Stored } from '../../protocol/records.js'
import { isMutable } from './mutable.js'

export interface RemoteBlobsParts {
  disk: DiskBlobs
  pool: Pick<pg.Pool, 'query'>
  metadata: Metadata
  formats: readonly Format[]
  /** Bytes; undefined: no limit. */
  limit: number | undefined
  nowMs: () => number
  onFault: (error: unknown) => void
}

interface Kept {
  size: number
  /** Whoever writes the same bytes after this time needs them for something else. */
  sinceMs: number
}

export class RemoteBlobs implements Blobs {
  readonly #parts: RemoteBlobsParts
  /** Least recently used first. */
  readonly #kept = new Map<Digest, Kept>()
  readonly #fetching = new Map<Digest, Promise<Arrival>>()
  #used = 0
  #evicting: Promise<void> | undefined
  #origin: Pick<Origin, 'fetch'> | undefined

  constructor(parts: RemoteBlobsParts) {
    this.#parts = parts
  }

  /** Where evicted bytes come from again. */
  fetchFrom(origin: Pick<Origin, 'fetch'>): void {
    this.#origin = origin
  }

  /** Takes account of what lies on disk: what was written first counts as used least recently. */
  async start(): Promise<void> {
    const { disk, pool, limit } = this.#parts
    if (limit === undefined) return
    const { rows } = await pool.query<{ digest: Digest }>(
      `select distinct digest from record where kind = 'file' and until is null and scope = any($1)`,
      [this.#scopes()],
    )
    const recorded = new Set(rows.map(({ digest }) => digest))
    const found: { digest: Digest; size: number; writtenAtMs: number }[] = []
    for await (const entry of disk.list()) if (recorded.has(entry.digest)) found.push(entry)
    for (const { digest, size, writtenAtMs } of found.sort((a, b) => a.writtenAtMs - b.writtenAtMs))
      this.#keep(digest, size, writtenAtMs + 1)
    this.#evict()
  }

  async close(): Promise<void> {
    await this.#evicting
  }

  /** To be told of every change. */
  note(change: Change): void {
    if (this.#parts.limit === undefined || this.#parts.metadata.scope(change.scope)?.type !== 'remote') return
    const files = change.kind === 'hold' ? [change.file] : change.kind === 'publish' ? change.manifest.files : []
    for (const file of files) if ('digest' in file) this.#keep(file.digest, file.size, this.#parts.nowMs())
    this.#evict()
  }

  async open(file: Held | Stored, scope: string): Promise<Bytes> {
    this.#touch(file.digest)
    try {
      return await this.#parts.disk.open(file, scope)
    } catch (error) {
      const record = this.#parts.metadata.scope(scope)
      const isAway = error instanceof RegistryError && error.kind === 'unavailable'
      if (!isAway || record?.type !== 'remote' || !('path' in file) || !this.#origin) throw error
      const arrival = await this.#again(record, file, this.#origin)
      return { size: file.size, source: 'upstream', read: (range, signal) => arrival.read(range, signal) }
    }
  }

  has(digest: Digest): Promise<boolean> {
    return this.#parts.disk.has(digest)
  }

  write(body: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<Stored> {
    return this.#parts.disk.write(body, options)
  }

  begin(id?: string): Promise<Upload> {
    return this.#parts.disk.begin(id)
  }

  resume(id: string): Promise<Upload | undefined> {
    return this.#parts.disk.resume(id)
  }

  leaves(stored: Stored): Promise<Uint8Array> {
    return this.#parts.disk.leaves(stored)
  }

  #again(record: RepositoryRecord, file: Held, origin: Pick<Origin, 'fetch'>): Promise<Arrival> {
    const running = this.#fetching.get(file.digest)
    if (running) return running
    const begun = this.#fetch(record, file, origin)
    const forget = () => void this.#fetching.delete(file.digest)
    this.#fetching.set(file.digest, begun)
    begun.then(({ done }) => done.then(forget, forget), forget)
    return begun
  }

  async #fetch(
    record: RepositoryRecord,
    { path, digest, size }: Held,
    origin: Pick<Origin, 'fetch'>,
  ): Promise<Arrival> {
    const recorded = await this.#parts.metadata.file(record.scope, path)
    const owner = async () => ({ version: recorded?.version ?? '', promised: { sha256: digest } })
    const wanted = { path, package: recorded?.package ?? path, owner, held: undefined }
    const found = await origin.fetch(record, wanted)
    if (!found || !('done' in found))
      throw new RegistryError('unavailable', `${path} is not held here any more, and its upstream does not have it`, {
        code: 'upstream_lost',
        retryAfter: 60,
      })
    const kept = () => {
      this.#keep(digest, size, this.#parts.nowMs())
      this.#evict()
    }
    found.done.then(kept, () => undefined)
    return found
  }

  #scopes(): string[] {
    const { metadata } = this.#parts
    return metadata.repositories().flatMap(({ type, scope }) => (type === 'remote' ? [scope] : []))
  }

  #keep(digest: Digest, size: number, sinceMs: number): void {
    if (this.#parts.limit === undefined) return
    this.#forget(digest)
    this.#kept.set(digest, { size, sinceMs })
    this.#used += size
  }

  #forget(digest: Digest): void {
    this.#used -= this.#kept.get(digest)?.size ?? 0
    this.#kept.delete(digest)
  }

  #touch(digest: Digest): void {
    const kept = this.#kept.get(digest)
    if (!kept) return
    this.#kept.delete(digest)
    this.#kept.set(digest, kept)
  }

  #evict(): void {
    const { limit = Number.POSITIVE_INFINITY, onFault } = this.#parts
    if (this.#used <= limit) return
    this.#evicting ??= this.#makeRoom(limit)
      .catch(onFault)
      .finally(() => {
        this.#evicting = undefined
      })
  }

  async #makeRoom(limit: number): Promise<void> {
    while (this.#used > limit) {
      const victims = this.#oldest(this.#used - limit)
      const mayGo = await this.#evictable([...victims.keys()])
      for (const [digest, { sinceMs }] of victims) {
        // What must stay is not of this cache alone, and counts no longer.
        this.#forget(digest)
        if (mayGo.has(digest)) await this.#parts.disk.delete(digest, sinceMs)
      }
    }
  }

  #oldest(bytes: number): Map<Digest, Kept> {
    const victims = new Map<Digest, Kept>()
    let excess = bytes
    for (const [digest, kept] of this.#kept) {
      if (excess <= 0) break
      victims.set(digest, kept)
      excess -= kept.size
    }
    return victims
  }

  async #evictable(digests: Digest[]): Promise<Set<Digest>> {
    const { pool, metadata, formats } = this.#parts
    const { rows } = await pool.query<{ digest: Digest; scope: string; name: string }>({
      name: 'evictable',
      text: `select digest, scope, name from record where kind = 'file' and until is null and digest = any($1)
             union all select listing_digest, '', '' from record where kind = 'listing' and until is null and listing_digest = any($1)`,
      values: [digests],
    })
    const staying = rows.filter(({ scope, name }) => {
      const record = metadata.scope(scope)
      const format = formats.find((one) => one.name === record?.format)
      return record?.type !== 'remote' || !format || isMutable(record, format, name)
    })
    const stay = new Set(staying.map(({ digest }) => digest))
    return new Set(digests.filter((digest) => !stay.has(digest)))
  }
}
