/**
 * Blobs in files (layout.ts draws them): the primary's content store, and the bottom of a node's cache. A blob is durable when
 * writing returns, and no byte leaves that was not checked against the blob's record. It keeps no count and evicts nothing.
 */

import { LEAF_BYTES, leafCount, pieceLevel } from '../merkle.js'
import type { Blobs, Bytes, Upload, WriteOptions } from '../ports.js'
import type { Digest, Held, Stored } from '../records.js'
import { Buffers, READ_BYTES, WRITE_BYTES } from './buffers.js'
import type { Sync } from './descriptor.js'
import { openBytes, type Reading } from './disk-bytes.js'
import { type Damage, Healing, type Repair } from './healing.js'
import { Partial } from './partial.js'
import type { Piece } from './piece.js'
import { Running } from './running.js'
import { Shelf, type ShelfEntry } from './shelf.js'
import { Trees } from './trees.js'
import { Trust } from './trust.js'
import { Uploads } from './uploads.js'
import { receive } from './writing.js'

export interface DiskBlobsOptions {
  /** What X-Cairn-Source says of bytes from here. Default `cache`; the primary says `primary`. */
  source?: Bytes['source']
  /** Where right bytes come from when those on disk are damaged. Default: nowhere. */
  repair?: Repair
  /** Default 30 s, for one question. */
  repairTimeoutMs?: number
  /** Told of damage, healed or not. */
  onDamage?: (damage: Damage) => void
  /** For how long a verified blob whose file is unchanged is read without hashing. Default 1 h. */
  reverifyMs?: number
  /** Memory for trees, 64 bytes a leaf. Default 32 MiB: 32 GiB of blobs. */
  treeBytes?: number
  /** Milliseconds since 1970, by the clock that dates files. */
  now?: () => number
  /** Makes bytes and names durable. A test makes it fail. */
  sync?: Sync
}

export class DiskBlobs implements Blobs {
  readonly #shelf: Shelf
  readonly #buffers = new Buffers(WRITE_BYTES)
  readonly #running = new Running()
  readonly #reading: Reading
  readonly #uploads: Uploads

  /** One process at a time uses the folder. */
  constructor(folder: string, options: DiskBlobsOptions = {}) {
    this.#shelf = new Shelf(folder, options.sync)
    this.#reading = {
      shelf: this.#shelf,
      trust: new Trust({ reverifyMs: options.reverifyMs ?? 3_600_000, now: options.now ?? Date.now }),
      trees: new Trees(this.#shelf, options.treeBytes ?? 32 * 1024 * 1024),
      healing: new Healing(this.#shelf, this.#buffers, {
        ...(options.repair && { repair: options.repair }),
        repairTimeoutMs: options.repairTimeoutMs ?? 30_000,
        onDamage: options.onDamage ?? (() => undefined),
      }),
      buffers: new Buffers(READ_BYTES),
      source: options.source ?? 'cache',
    }
    this.#uploads = new Uploads(this.#shelf, this.#buffers, (work) => this.#running.run(work))
  }

  /** Makes the folders and removes what a crash left half-done. */
  async start(): Promise<void> {
    await this.#shelf.start()
  }

  /** Waits for writes that run. Bytes that are being read can be read to their end. */
  async close(): Promise<void> {
    await this.#running.close()
    await this.#shelf.close()
  }

  async open(file: Held | Stored, scope: string): Promise<Bytes> {
    return openBytes(this.#reading, file, scope)
  }

  /** Its bytes, each of them hashed and healed, whether or not that was done before. Throws `unavailable`, `corrupt`. */
  async *check(stored: Stored, scope: string, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    this.#reading.trust.forget(stored.root)
    const bytes = await this.open(stored, scope)
    yield* bytes.read(undefined, signal)
  }

  async has(digest: Digest): Promise<boolean> {
    return this.#shelf.has(digest)
  }

  async write(body: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<Stored> {
    return this.#running.run(() => receive(this.#shelf, this.#buffers, body, options))
  }

  async begin(id?: string): Promise<Upload> {
    return this.#uploads.begin(id)
  }

  async resume(id: string): Promise<Upload | undefined> {
    return this.#uploads.resume(id)
  }

  /** Removes uploads that nobody has added to since `beforeMs`; returns how many. */
  async expireUploads(beforeMs: number): Promise<number> {
    return this.#uploads.expire(beforeMs)
  }

  /**
   * False when there is none, or when it was written at or after `writtenBeforeMs`: a writer of bytes that are already there makes
   * them young again, so a collector that passes the start of its grace period never takes a blob that was just acknowledged.
   */
  async delete(digest: Digest, writtenBeforeMs?: number): Promise<boolean> {
    return this.#running.run(() => this.#shelf.remove(digest, writtenBeforeMs))
  }

  /** In no order; for scrubbing, collecting, and a cache that starts. */
  list(): AsyncIterable<ShelfEntry> {
    return this.#shelf.list()
  }

  /** Bytes of all blobs and trees. Reads every folder: whoever needs it often keeps count. */
  async used(): Promise<number> {
    return this.#shelf.used()
  }

  /** Leaf hashes, 32 bytes each, checked against the root. Throws `corrupt`, `unavailable`. */
  async leaves(stored: Stored): Promise<Uint8Array> {
    return stored.size === 0 ? new Uint8Array(0) : (await this.#reading.trees.get(stored)).leaves
  }

  /** A verified piece for a peer, in memory of its own. Throws `invalid` when it is none, `corrupt`, `unavailable`. */
  async piece(stored: Stored, firstLeaf: number, count: number, scope = '', signal?: AbortSignal): Promise<Piece> {
    pieceLevel(firstLeaf, count, leafCount(stored.size))
    const start = firstLeaf * LEAF_BYTES
    const end = Math.min(start + count * LEAF_BYTES, stored.size)
    const source = await this.open(stored, scope)
    const bytes = Buffer.allocUnsafeSlow(end - start)
    let filled = 0
    for await (const chunk of source.read({ start, end }, signal)) {
      bytes.set(chunk, filled)
      filled += chunk.length
    }
    const tree = await this.#reading.trees.get(stored)
    return { bytes, proof: tree.proof(firstLeaf, count) }
  }

  /** A blob to be filled piece by piece; the caller closes it. */
  async partial(stored: Stored): Promise<Partial> {
    return this.#running.run(() => Partial.create(this.#shelf, stored))
  }
}
