/** Blobs in memory, for tests. What an upload holds survives as long as this object, which plays the part of the disk. */
import { randomBytes } from 'node:crypto'
import { RegistryError } from '../errors.js'
import type { Blobs, Bytes, Upload, WriteOptions } from '../ports.js'
import type { Digest, HashName, Stored } from '../records.js'
import { bounded } from './bounded.js'
import { HeldBytes } from './disk-bytes.js'
import { Hasher } from './hashing.js'
import { isUploadId } from './layout.js'
import { missing } from './trees.js'

export class MemoryBlobs implements Blobs {
  readonly #blobs = new Map<string, Uint8Array>()
  readonly #uploads = new Map<string, Uint8Array[]>()

  async open(file: Stored): Promise<Bytes> {
    const bytes = this.#blobs.get(file.digest)
    if (!bytes) throw missing(file)
    return new HeldBytes(bytes, 'cache')
  }

  async has(digest: Digest): Promise<boolean> {
    return this.#blobs.has(digest)
  }

  async write(body: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<Stored> {
    const chunks: Uint8Array[] = []
    for await (const chunk of bounded(body, options.limit, options.signal)) chunks.push(Uint8Array.from(chunk))
    return this.#keep(chunks, options.hashes)
  }

  async begin(id = randomBytes(16).toString('hex')): Promise<Upload> {
    if (!isUploadId(id))
      throw new RegistryError('invalid', 'An upload is named by 1 to 64 lowercase hexadecimal digits')
    if (this.#uploads.has(id)) throw new RegistryError('conflict', 'An upload of this name has already begun')
    this.#uploads.set(id, [])
    return this.#upload(id)
  }

  async resume(id: string): Promise<Upload | undefined> {
    return this.#uploads.has(id) ? this.#upload(id) : undefined
  }

  #upload(id: string): Upload {
    const chunks = (): Uint8Array[] => {
      const held = this.#uploads.get(id)
      if (!held) throw new RegistryError('missing', 'There is no such upload')
      return held
    }
    return {
      id,
      get offset() {
        return sizeOf(chunks())
      },
      append: async (body: AsyncIterable<Uint8Array>, options: WriteOptions) => {
        const before = chunks().length
        try {
          for await (const chunk of bounded(body, options.limit - sizeOf(chunks()), options.signal))
            chunks().push(Uint8Array.from(chunk))
        } catch (error) {
          if (error instanceof RegistryError && error.kind === 'too_large') chunks().splice(before)
          throw error
        }
        return sizeOf(chunks())
      },
      commit: async (options: { hashes?: readonly HashName[] }) => {
        const stored = this.#keep(chunks(), options.hashes)
        this.#uploads.delete(id)
        return stored
      },
      abort: async () => {
        this.#uploads.delete(id)
      },
    }
  }

  #keep(chunks: Uint8Array[], hashes: readonly HashName[] = []): Stored {
    const hasher = new Hasher(hashes)
    for (const chunk of chunks) hasher.update(chunk)
    const { stored } = hasher.finish()
    this.#blobs.set(stored.digest, Buffer.concat(chunks))
    return stored
  }
}

function sizeOf(chunks: Uint8Array[]): number {
  return chunks.reduce((size, chunk) => size + chunk.length, 0)
}
