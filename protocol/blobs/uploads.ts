/**
 * Uploads in several requests: one file each in uploads/, whose length is how far it got. The hash state is kept in memory while
 * the process lives; after a restart the bytes on disk are hashed again, once, when the upload goes on. Relies on a file system
 * that never makes a file longer before its bytes are written (ext4, XFS, btrfs, ZFS, APFS: all but ext4's data=writeback).
 */
import { randomBytes } from 'node:crypto'
import { lstat, readdir } from 'node:fs/promises'
import { LRUCache } from 'lru-cache'
import { RegistryError } from '../errors.js'
import type { Upload, WriteOptions } from '../ports.js'
import type { HashName, Stored } from '../records.js'
import { bounded } from './bounded.js'
import type { Buffers } from './buffers.js'
import { closeFile, createFile, openFile, readFully, removeFile, statOf, truncateFile } from './descriptor.js'
import { Hasher } from './hashing.js'
import { isUploadId } from './layout.js'
import type { Shelf } from './shelf.js'
import { Staging } from './staging.js'
import { Temporary } from './temporary.js'

/** States kept between the requests of uploads that run at the same time; the others are hashed again. */
const STATES = 1000

export class Uploads {
  readonly #shelf: Shelf
  readonly #buffers: Buffers
  readonly #run: <T>(work: () => Promise<T>) => Promise<T>
  readonly #hashers = new LRUCache<string, Hasher>({ max: STATES })
  /** Uploads that a request works on at the moment, and how far they are durable. */
  readonly #busy = new Map<string, number>()

  constructor(shelf: Shelf, buffers: Buffers, run: <T>(work: () => Promise<T>) => Promise<T>) {
    this.#shelf = shelf
    this.#buffers = buffers
    this.#run = run
  }

  /** Throws `conflict` when the id is taken. */
  async begin(id = randomBytes(16).toString('hex')): Promise<Upload> {
    return this.#alone(id, async () => {
      const descriptor = await createFile(this.#shelf.layout.upload(id))
      if (descriptor === undefined) throw new RegistryError('conflict', 'An upload of this name has already begun')
      await closeFile(descriptor)
      await this.#shelf.folder(this.#shelf.layout.uploads).sync()
      this.#hashers.set(id, new Hasher())
      return new DiskUpload(this, id, 0)
    })
  }

  async resume(id: string): Promise<Upload | undefined> {
    const descriptor = await openFile(this.#shelf.layout.upload(id), 'write')
    if (descriptor === undefined) return undefined
    try {
      const running = this.#busy.get(id)
      if (running !== undefined) return new DiskUpload(this, id, running)
      // What a killed process wrote and did not sync counts, and the offset must be durable when it is told.
      if (!this.#hashers.has(id)) await this.#shelf.syncBytes(descriptor)
      return new DiskUpload(this, id, statOf(descriptor).size)
    } finally {
      await closeFile(descriptor)
    }
  }

  /** See Upload. When the body breaks off, what came of it stays; beyond its limit, or when the disk fails, nothing does. */
  async append(id: string, body: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<number> {
    return this.#alone(id, async () => {
      const descriptor = await this.#open(id)
      const before = statOf(descriptor).size
      this.#busy.set(id, before)
      try {
        const hasher = await this.#hasher(id, descriptor, options.hashes ?? [], options.signal)
        await this.#gather(descriptor, hasher, body, options)
        this.#hashers.set(id, hasher)
        return hasher.size
      } catch (error) {
        if (error instanceof BrokenOff) throw error.cause
        this.#hashers.delete(id)
        await truncateFile(descriptor, before)
        throw error
      } finally {
        await closeFile(descriptor)
      }
    })
  }

  async commit(id: string, hashes: readonly HashName[]): Promise<Stored> {
    return this.#alone(id, async () => {
      const file = new Temporary(this.#shelf.layout.upload(id), await this.#open(id))
      try {
        const { stored, leaves } = (await this.#hasher(id, file.descriptor, hashes)).finish()
        await this.#shelf.place(file, stored.digest, leaves)
        return stored
      } finally {
        this.#hashers.delete(id)
        file.close()
      }
    })
  }

  async abort(id: string): Promise<void> {
    await this.#alone(id, async () => {
      this.#hashers.delete(id)
      await removeFile(this.#shelf.layout.upload(id))
    })
  }

  /** Removes uploads that nobody has added to since `beforeMs` (milliseconds since 1970) and returns how many. */
  async expire(beforeMs: number): Promise<number> {
    let expired = 0
    for (const id of await readdir(this.#shelf.layout.uploads)) {
      const stat = isUploadId(id) ? await lstat(this.#shelf.layout.upload(id)).catch(() => undefined) : undefined
      if (!stat || stat.mtimeMs >= beforeMs || this.#busy.has(id)) continue
      await this.abort(id)
      expired++
    }
    return expired
  }

  /** Throws BrokenOff when the body failed; its bytes are then durable and in the hash state. */
  async #gather(
    descriptor: number,
    hasher: Hasher,
    body: AsyncIterable<Uint8Array>,
    options: WriteOptions,
  ): Promise<void> {
    const staging = new Staging(this.#buffers, async () => descriptor, hasher.size)
    let broken: BrokenOff | undefined
    try {
      for await (const chunk of untilBroken(bounded(body, options.limit - hasher.size, options.signal))) {
        if (chunk instanceof BrokenOff) broken = chunk
        else {
          hasher.update(chunk)
          await staging.push(chunk)
        }
      }
      await staging.end()
      await this.#shelf.syncBytes(descriptor)
    } finally {
      await staging.release()
    }
    if (broken) throw broken
  }

  /** The state of what is in the file: kept, or made again from the bytes. */
  async #hasher(id: string, descriptor: number, hashes: readonly HashName[], signal?: AbortSignal): Promise<Hasher> {
    const { size } = statOf(descriptor)
    const kept = this.#hashers.get(id)
    if (kept?.size === size && kept.has(hashes)) return kept
    const hasher = new Hasher(hashes)
    const buffer = this.#buffers.take()
    try {
      while (hasher.size < size) {
        signal?.throwIfAborted()
        const filled = await readFully(
          descriptor,
          buffer.subarray(0, Math.min(buffer.length, size - hasher.size)),
          hasher.size,
        )
        if (filled === 0) throw new RegistryError('corrupt', 'The bytes of an upload became fewer')
        hasher.update(buffer.subarray(0, filled))
      }
      return hasher
    } finally {
      this.#buffers.give(buffer)
    }
  }

  async #open(id: string): Promise<number> {
    const descriptor = await openFile(this.#shelf.layout.upload(id), 'write')
    if (descriptor === undefined) throw new RegistryError('missing', 'There is no such upload')
    return descriptor
  }

  /** Two requests that add to one upload at the same time would mix their bytes. */
  async #alone<T>(id: string, work: () => Promise<T>): Promise<T> {
    if (this.#busy.has(id)) throw new RegistryError('conflict', 'Another request is working on this upload')
    this.#busy.set(id, 0)
    try {
      return await this.#run(work)
    } finally {
      this.#busy.delete(id)
    }
  }
}

class DiskUpload implements Upload {
  readonly id: string
  readonly #uploads: Uploads
  #offset: number

  constructor(uploads: Uploads, id: string, offset: number) {
    this.#uploads = uploads
    this.id = id
    this.#offset = offset
  }

  get offset(): number {
    return this.#offset
  }

  async append(body: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<number> {
    this.#offset = await this.#uploads.append(this.id, body, options)
    return this.#offset
  }

  async commit(options: { hashes?: readonly HashName[] }): Promise<Stored> {
    return this.#uploads.commit(this.id, options.hashes ?? [])
  }

  async abort(): Promise<void> {
    await this.#uploads.abort(this.id)
  }
}

/** The body failed, not the disk: its cause goes to the caller. */
class BrokenOff extends Error {}

/** The chunks, and as the last one why there are no more. A body over its limit still throws: nothing of it is wanted. */
async function* untilBroken(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array | BrokenOff, void, undefined> {
  try {
    yield* body
  } catch (error) {
    if (error instanceof RegistryError && error.kind === 'too_large') throw error
    yield new BrokenOff('the body of an upload ended early', { cause: error })
  }
}
