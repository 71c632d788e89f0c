/**
 * The body of a publish: a length (32 bits, little end first), that many bytes of JSON, another length, that many bytes of the
 * .crate, and nothing more.
 */
import { RegistryError } from '../../protocol/errors.js'

const LENGTH_BYTES = 4

/** Call `document`, `length` and `rest` once each, in this order, then `close` in any case. */
export class Frames {
  readonly #body: AsyncIterator<Uint8Array>
  readonly #total: number
  /** What of the newest chunk was not taken. Good until the next chunk is asked for. */
  #chunk: Uint8Array = new Uint8Array(0)
  #ended = false

  /** `total`: bytes of the body, when they are announced. */
  constructor(body: AsyncIterable<Uint8Array>, total = Number.POSITIVE_INFINITY) {
    this.#body = body[Symbol.asyncIterator]()
    this.#total = total
  }

  /** Throws `too_large` before reading more than the limit. */
  async document(limit: number): Promise<Buffer> {
    const length = await this.length()
    if (length > limit) throw new RegistryError('too_large', `The metadata of a publish has at most ${limit} bytes`)
    return this.#exactly(length)
  }

  async length(): Promise<number> {
    const length = (await this.#exactly(LENGTH_BYTES)).readUInt32LE()
    if (length > this.#total) throw broken(`says that ${length} bytes follow, and is shorter than that`)
    return length
  }

  /** The next `length` bytes. Ends only when the body ends with them. A chunk is valid until the next one is asked for. */
  async *rest(length: number): AsyncGenerator<Uint8Array, void, undefined> {
    for (let left = length; left > 0; ) {
      const part = await this.#some(left)
      left -= part.length
      yield part
    }
    while (this.#chunk.length === 0) if (!(await this.#next())) return
    throw broken('goes on behind the crate')
  }

  /** Tells the body that nobody reads on. */
  async close(): Promise<void> {
    if (!this.#ended) await this.#body.return?.()
  }

  async #exactly(length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length)
    for (let filled = 0; filled < length; ) {
      const part = await this.#some(length - filled)
      bytes.set(part, filled)
      filled += part.length
    }
    return bytes
  }

  async #some(most: number): Promise<Uint8Array> {
    while (this.#chunk.length === 0) if (!(await this.#next())) throw broken('ends before it is complete')
    const part = this.#chunk.subarray(0, most)
    this.#chunk = this.#chunk.subarray(part.length)
    return part
  }

  async #next(): Promise<boolean> {
    const next = await this.#body.next()
    this.#ended = next.done === true
    if (next.done) return false
    this.#chunk = next.value
    return true
  }
}

function broken(how: string): RegistryError {
  return new RegistryError('invalid', `The body of the publish ${how}`, { code: 'invalid_frames' })
}
