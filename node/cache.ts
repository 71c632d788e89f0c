/**
 * The blobs that a node keeps, within a limit that holds under any load: room is reserved before a transfer starts, by evicting
 * what was used least recently, never what is pinned or being read. The order survives a restart in a small file (file times
 * cannot carry it: DiskBlobs trusts a verified file only while its times stand still):
 *
 *     <folder>/blobs, incoming, …   DiskBlobs
 *     <folder>/recent               digests, one a line, least recently used first; written once a minute when it changed, and at close
 */

import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DiskBlobs, type DiskBlobsOptions } from '../protocol/blobs/disk.js'
import type { Repair } from '../protocol/blobs/healing.js'
import type { Partial } from '../protocol/blobs/partial.js'
import { once } from '../protocol/chunks.js'
import { HASH_BYTES, leafCount } from '../protocol/merkle.js'
import type { Bytes } from '../protocol/ports.js'
import type { Digest, Held, Stored } from '../protocol/records.js'

export interface CacheOptions extends Omit<DiskBlobsOptions, 'repair'> {
  /** Bytes of blobs and trees, those that arrive included. */
  limit: number
  /** What could not be done in the background. */
  onFault?: (error: unknown) => void
}

/** Room for one blob. Ends with `keep` once the blob is there, or with `release`. */
export interface Reservation {
  /** Bytes of the blob. */
  readonly size: number
  keep(stored: Stored): void
  release(): void
}

const SAVE_MS = 60_000

export class Cache {
  readonly disk: DiskBlobs
  readonly limit: number
  readonly #recentPath: string
  readonly #onFault: (error: unknown) => void
  /** Size by digest, least recently used first. */
  readonly #sizes = new Map<Digest, number>()
  readonly #pins = new Map<Digest, number>()
  readonly #readers = new Map<Digest, number>()
  readonly #evictions = new Set<Promise<void>>()
  readonly #evicting = new Map<Digest, Promise<void>>()
  #repair: Repair | undefined
  #used = 0
  #evicted = 0
  #changed = false
  #saving: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined

  private constructor(folder: string, options: CacheOptions) {
    this.disk = new DiskBlobs(folder, {
      sync: unsynced,
      ...options,
      repair: async (...damage) => this.#repair?.(...damage),
    })
    this.limit = options.limit
    this.#recentPath = join(folder, 'recent')
    this.#onFault = options.onFault ?? (() => undefined)
  }

  static async open(folder: string, options: CacheOptions): Promise<Cache> {
    const cache = new Cache(folder, options)
    await cache.disk.start()
    await cache.#load()
    cache.#timer = setInterval(() => cache.#save(), SAVE_MS)
    cache.#timer.unref()
    return cache
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#evictions)
    this.#save()
    await this.#saving
    await this.disk.close()
  }

  /** Where right bytes come from when some are damaged. Until it is called: nowhere. */
  heal(repair: Repair): void {
    this.#repair = repair
  }

  /** Bytes that are taken or reserved. */
  get used(): number {
    return this.#used
  }

  /** Blobs evicted since the start. */
  get evicted(): number {
    return this.#evicted
  }

  get blobs(): number {
    return this.#sizes.size
  }

  digests(): Iterable<Digest> {
    return this.#sizes.keys()
  }

  has(digest: Digest): boolean {
    return this.#sizes.has(digest)
  }

  /** undefined when it is not here. Throws `corrupt` when it is damaged beyond repair; it is then not here any more. */
  async open(file: Held | Stored, scope: string): Promise<Bytes | undefined> {
    if (!this.has(file.digest)) return undefined
    this.#touch(file.digest)
    return this.#whileRead(file.digest, async () => {
      try {
        return this.#guarded(file.digest, await this.disk.open(file, scope))
      } catch (error) {
        this.#forget(file.digest)
        throw error
      }
    })
  }

  /** undefined when there can be no room: it is larger than the limit, or too much is pinned, read or arriving. */
  reserve(size: number): Reservation | undefined {
    const bytes = bytesOnDisk(size)
    if (!this.#makeRoom(bytes)) return undefined
    this.#used += bytes
    let open = true
    const end = (): boolean => {
      const was = open
      open = false
      return was
    }
    return {
      size,
      keep: (stored) => {
        if (!end()) return
        if (this.#sizes.has(stored.digest)) this.#used -= bytes
        this.#sizes.set(stored.digest, stored.size)
        this.#changed = true
      },
      release: () => {
        if (end()) this.#used -= bytes
      },
    }
  }

  /** A place for a transfer; call it with room reserved. */
  async partial(stored: Stored): Promise<Partial> {
    await this.#evicting.get(stored.digest)
    return this.disk.partial(stored)
  }

  /** Keeps a small verified blob. Without room it is not kept. */
  async keep(stored: Stored, bytes: Uint8Array): Promise<void> {
    if (this.has(stored.digest)) return
    const room = this.reserve(stored.size)
    try {
      await this.#evicting.get(stored.digest)
      if (!room) return
      await this.disk.write(once(bytes), { limit: stored.size })
      room.keep(stored)
    } finally {
      room?.release()
    }
  }

  /** Pinned blobs are never evicted. Pins are counted, need not be there yet, and do not survive a restart. */
  pin(digest: Digest): void {
    add(this.#pins, digest, 1)
  }

  unpin(digest: Digest): void {
    add(this.#pins, digest, -1)
  }

  /** Keeps the blob from being evicted while `read` runs. */
  async #whileRead<T>(digest: Digest, read: () => Promise<T>): Promise<T> {
    add(this.#readers, digest, 1)
    try {
      return await read()
    } finally {
      add(this.#readers, digest, -1)
    }
  }

  #guarded(digest: Digest, bytes: Bytes): Bytes {
    const readers = this.#readers
    return {
      size: bytes.size,
      source: bytes.source,
      read: async function* (range, signal) {
        add(readers, digest, 1)
        try {
          yield* bytes.read(range, signal)
        } finally {
          add(readers, digest, -1)
        }
      },
    }
  }

  /** Evicts until `bytes` fit. Evicts nothing when they cannot fit at all. */
  #makeRoom(bytes: number): boolean {
    let excess = this.#used + bytes - this.limit
    if (excess <= 0) return true
    const victims: Digest[] = []
    for (const [digest, size] of this.#sizes) {
      if (this.#pins.has(digest) || this.#readers.has(digest)) continue
      victims.push(digest)
      excess -= bytesOnDisk(size)
      if (excess <= 0) break
    }
    if (excess > 0) return false
    for (const digest of victims) this.#evict(digest)
    return true
  }

  #evict(digest: Digest): void {
    this.#evicted++
    this.#forget(digest)
  }

  /** Its room is free at once; its file goes right after. */
  #forget(digest: Digest): void {
    const size = this.#sizes.get(digest)
    if (size === undefined) return
    this.#sizes.delete(digest)
    this.#used -= bytesOnDisk(size)
    this.#changed = true
    const eviction = this.disk
      .delete(digest)
      .then(() => undefined, this.#onFault)
      .finally(() => {
        this.#evictions.delete(eviction)
        if (this.#evicting.get(digest) === eviction) this.#evicting.delete(digest)
      })
    this.#evictions.add(eviction)
    this.#evicting.set(digest, eviction)
  }

  #touch(digest: Digest): void {
    const size = this.#sizes.get(digest)
    if (size === undefined) return
    this.#sizes.delete(digest)
    this.#sizes.set(digest, size)
    this.#changed = true
  }

  /** What lies on disk, in the order that was remembered, the unknown by age after it; then what is too much goes. */
  async #load(): Promise<void> {
    const found: { digest: Digest; size: number; writtenAtMs: number }[] = []
    for await (const entry of this.disk.list()) found.push(entry)
    const text = await readFile(this.#recentPath, 'utf8').catch(() => '')
    const order = new Map(text.split('\n').map((digest, at) => [digest, at]))
    const place = (digest: Digest): number => order.get(digest) ?? Number.MAX_SAFE_INTEGER
    found.sort((a, b) => place(a.digest) - place(b.digest) || a.writtenAtMs - b.writtenAtMs)
    for (const { digest, size } of found) {
      this.#sizes.set(digest, size)
      this.#used += bytesOnDisk(size)
    }
    this.#makeRoom(0)
    await Promise.all(this.#evictions)
  }

  #save(): void {
    if (!this.#changed) return
    this.#changed = false
    const text = [...this.#sizes.keys()].join('\n')
    // Losing it costs a few wrong evictions: it is neither synced nor fatal.
    this.#saving = this.#saving
      .then(() => writeFile(`${this.#recentPath}.new`, text))
      .then(() => rename(`${this.#recentPath}.new`, this.#recentPath))
      .catch(this.#onFault)
  }
}

/** What the machine loses with its power is noticed when it is read, and fetched again. */
function unsynced(): Promise<void> {
  return Promise.resolve()
}

function bytesOnDisk(size: number): number {
  return size + leafCount(size) * HASH_BYTES
}

function add(counts: Map<Digest, number>, digest: Digest, by: number): void {
  const count = (counts.get(digest) ?? 0) + by
  if (count > 0) counts.set(digest, count)
  else counts.delete(digest)
}
