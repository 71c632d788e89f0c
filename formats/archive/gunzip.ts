/**
 * Inflates gzip as its bytes arrive and hands the result on, within a number of bytes and a ratio: a bomb is refused while it
 * is still small. It works in pieces of 64 KiB off the main thread, so it never holds up other requests.
 */
import { createGunzip, type Gunzip } from 'node:zlib'
import { RegistryError } from '../../protocol/errors.js'

export interface InflateLimits {
  /** Bytes that may come out in all. */
  bytes: number
  /** How many times more may come out than went in, once `ratioFrom` bytes came out. */
  ratio: number
  ratioFrom: number
}

const PIECE_BYTES = 64 * 1024

/** Write in order, then `end`; close it in any case. `sink` gets bytes that are valid during the call. */
export class Inflater {
  readonly #gunzip: Gunzip
  readonly #sink: (bytes: Uint8Array) => void
  readonly #limits: InflateLimits
  #in = 0
  #out = 0
  #failure: unknown
  readonly #ended: Promise<void>

  constructor(sink: (bytes: Uint8Array) => void, limits: InflateLimits) {
    this.#sink = sink
    this.#limits = limits
    this.#gunzip = createGunzip({ chunkSize: PIECE_BYTES })
    this.#ended = new Promise((resolve) => {
      this.#gunzip.once('close', resolve)
      this.#gunzip.once('end', resolve)
    })
    this.#gunzip.on('error', (error) => {
      this.#failure ??= broken(error)
    })
    this.#gunzip.on('data', (bytes: Uint8Array) => this.#give(bytes))
  }

  /** Resolves when the chunk is used up. Throws `invalid`, and what `sink` threw. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#in += chunk.length
    await new Promise<void>((resolve) => this.#gunzip.write(chunk, () => resolve()))
    this.#check()
  }

  async end(): Promise<void> {
    this.#gunzip.end()
    await this.#ended
    this.#check()
  }

  close(): void {
    this.#gunzip.destroy()
  }

  #give(bytes: Uint8Array): void {
    if (this.#failure !== undefined) return
    this.#out += bytes.length
    try {
      if (this.#out > this.#limits.bytes) throw tooLarge(`more than ${this.#limits.bytes} bytes`)
      if (this.#out > this.#limits.ratioFrom + this.#in * this.#limits.ratio)
        throw tooLarge(`more than ${this.#limits.ratio} times its size`)
      this.#sink(bytes)
    } catch (error) {
      this.#failure = error
      this.#gunzip.destroy()
    }
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }
}

function tooLarge(how: string): RegistryError {
  return new RegistryError('invalid', `The archive unpacks to ${how}`, { code: 'archive_too_large' })
}

function broken(cause: Error): RegistryError {
  return new RegistryError('invalid', 'The archive is not whole gzip data', { cause, code: 'invalid_archive' })
}
