/**
 * Gathers chunks into 256 KiB buffers on their way to a file, so that one buffer is hashed and filled while the disk takes the
 * other. No file is made for a body that fits into one buffer until `end` is called: it may not be needed.
 */
import type { Buffers } from './buffers.js'
import { writeFully } from './descriptor.js'

export class Staging {
  readonly #buffers: Buffers
  readonly #create: () => Promise<number>
  #position: number
  #descriptor: number | undefined
  #buffer: Uint8Array
  #filled = 0
  #spare: Uint8Array | undefined
  #writing: Promise<void> | undefined
  #released = false

  /** Writes from `position` on, to the descriptor that `create` makes when it is first needed. */
  constructor(buffers: Buffers, create: () => Promise<number>, position = 0) {
    this.#buffers = buffers
    this.#create = create
    this.#position = position
    this.#buffer = buffers.take()
  }

  /** The whole body as long as nothing was written yet. */
  get whole(): Uint8Array | undefined {
    return this.#descriptor === undefined ? this.#buffer.subarray(0, this.#filled) : undefined
  }

  /** The chunk can be used again when it returns. */
  async push(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      if (this.#filled === this.#buffer.length) await this.#flush()
      const part = chunk.subarray(at, at + this.#buffer.length - this.#filled)
      this.#buffer.set(part, this.#filled)
      this.#filled += part.length
      at += part.length
    }
  }

  /** Everything is in the file, which the system may still hold in memory. */
  async end(): Promise<number> {
    const descriptor = await this.#flush()
    await this.#writing
    return descriptor
  }

  /** Last, in every case: waits for a write that still runs and gives the buffers back, once. */
  async release(): Promise<void> {
    await this.#writing?.catch(() => undefined)
    if (this.#released) return
    this.#released = true
    this.#buffers.give(this.#buffer)
    if (this.#spare) this.#buffers.give(this.#spare)
  }

  async #flush(): Promise<number> {
    this.#descriptor ??= await this.#create()
    await this.#writing
    const full = this.#buffer
    const written = writeFully(this.#descriptor, full.subarray(0, this.#filled), this.#position)
    // Awaited by the next flush, by end or by release; until then nobody listens, and that must not end the process.
    written.catch(() => undefined)
    this.#writing = written
    this.#position += this.#filled
    this.#buffer = this.#spare ?? this.#buffers.take()
    this.#spare = full
    this.#filled = 0
    return this.#descriptor
  }
}
