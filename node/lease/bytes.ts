/** A node's bytes with those that were received here: these are read from their own store, where alone they may be. */
import type { DiskBlobs } from '../../protocol/blobs/disk.js'
import type { Blobs, Bytes, Upload, WriteOptions } from '../../protocol/ports.js'
import type { Digest, Held, Stored } from '../../protocol/records.js'

export class ReceivedBlobs implements Blobs {
  readonly #received: DiskBlobs
  readonly #others: Pick<Blobs, 'open' | 'has' | 'settled'>
  readonly #here = new Set<Digest>()

  constructor(received: DiskBlobs, others: Pick<Blobs, 'open' | 'has' | 'settled'>) {
    this.#received = received
    this.#others = others
  }

  async start(): Promise<void> {
    for await (const { digest } of this.#received.list()) this.#here.add(digest)
  }

  async open(file: Held | Stored, scope: string): Promise<Bytes> {
    if (!this.#here.has(file.digest)) return this.#others.open(file, scope)
    if (await this.#received.has(file.digest)) return this.#received.open(file, scope)
    this.#here.delete(file.digest)
    return this.#others.open(file, scope)
  }

  async has(digest: Digest): Promise<boolean> {
    return this.#here.has(digest) || this.#others.has(digest)
  }

  async settled(digest: Digest): Promise<void> {
    await this.#others.settled?.(digest)
  }

  async write(body: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<Stored> {
    return this.#noted(await this.#received.write(body, options))
  }

  async begin(id?: string): Promise<Upload> {
    return this.#upload(await this.#received.begin(id))
  }

  async resume(id: string): Promise<Upload | undefined> {
    const upload = await this.#received.resume(id)
    return upload && this.#upload(upload)
  }

  #upload(upload: Upload): Upload {
    return {
      id: upload.id,
      get offset() {
        return upload.offset
      },
      append: (body, options) => upload.append(body, options),
      commit: async (options) => this.#noted(await upload.commit(options)),
      abort: () => upload.abort(),
    }
  }

  #noted(stored: Stored): Stored {
    this.#here.add(stored.digest)
    return stored
  }
}
