/** Walks forward over bytes that arrive in chunks: takes some, passes some on, skips some. Never holds more than one chunk. */
import { brokenZip } from './zip-range.js'

export class ByteCursor {
  /** Of the next byte. */
  position: number
  readonly #chunks: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array(0)

  constructor(chunks: AsyncIterable<Uint8Array>, position: number) {
    this.#chunks = chunks[Symbol.asyncIterator]()
    this.position = position
  }

  /** A copy of the next bytes. Throws `invalid` where there are not so many. */
  async take(size: number): Promise<Buffer> {
    const taken = Buffer.alloc(size)
    let at = 0
    for await (const chunk of this.part(size)) {
      taken.set(chunk, at)
      at += chunk.length
    }
    return taken
  }

  /** The next bytes as they come; each chunk is good until the next one is asked for. */
  async *part(size: number): AsyncGenerator<Uint8Array, void, undefined> {
    for (let left = size; left > 0; ) {
      const chunk = await this.#next(left)
      left -= chunk.length
      yield chunk
    }
  }

  async skipTo(position: number): Promise<void> {
    if (position < this.position) throw brokenZip('has entries that overlap')
    while (this.position < position) await this.#next(position - this.position)
  }

  async close(): Promise<void> {
    await this.#chunks.return?.()
  }

  async #next(most: number): Promise<Uint8Array> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#chunks.next()
      if (done) throw brokenZip('ends inside an entry')
      this.#rest = value
    }
    const chunk = this.#rest.subarray(0, most)
    this.#rest = this.#rest.subarray(chunk.length)
    this.position += chunk.length
    return chunk
  }
}
