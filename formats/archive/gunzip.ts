/**
 * Inflates gzip as its bytes arrive and hands the result on, within a number of bytes and a ratio: a bomb is refused while it
 * is still small. Short archives are inflated at their end in one go, which costs half; longer ones, or those that turn out to
 * be long inside, in pieces off the main thread, so that they never hold up other requests.
 */
import { createGunzip, type Gunzip, gunzipSync } from 'node:zlib'
import { RegistryError } from '../../protocol/errors.js'

export interface InflateLimits {
  /** Bytes that may come out in all. */
  bytes: number
  /** How many times more may come out than went in, once `ratioFrom` bytes came out. */
  ratio: number
  ratioFrom: number
}

const SHORT_BYTES = 64 * 1024
/** Inflating so much at once takes about 2 ms. */
const SHORT_INFLATED_BYTES = 1024 * 1024

/** Write in order, then `end`; close it in any case. `sink` gets bytes that are valid during the call. */
export class Inflater {
  readonly #sink: (bytes: Uint8Array) => void
  readonly #limits: InflateLimits
  /** What came so far, while it is short. */
  #short: Buffer[] | undefined = []
  #in = 0
  #stream: Stream | undefined

  constructor(sink: (bytes: Uint8Array) => void, limits: InflateLimits) {
    this.#sink = sink
    this.#limits = limits
  }

  /** Resolves when the chunk is used up. Throws `invalid`, and what `sink` threw. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#in += chunk.length
    if (!this.#short) return this.#stream?.write(chunk)
    this.#short.push(Buffer.from(chunk))
    if (this.#in > SHORT_BYTES) await this.#goOn(this.#short)
  }

  async end(): Promise<void> {
    if (this.#short && !this.#inflateShort(Buffer.concat(this.#short))) await this.#goOn(this.#short)
    await this.#stream?.end()
  }

  close(): void {
    this.#stream?.close()
  }

  async #goOn(chunks: Buffer[]): Promise<void> {
    this.#short = undefined
    this.#stream = new Stream(this.#sink, this.#limits)
    for (const chunk of chunks) await this.#stream.write(chunk)
  }

  /** False: it is too long inside to be inflated here. */
  #inflateShort(compressed: Buffer): boolean {
    const inflated = inflate(compressed, Math.min(SHORT_INFLATED_BYTES, this.#limits.bytes))
    if (inflated) this.#sink(inflated)
    return inflated !== undefined
  }
}

function inflate(compressed: Buffer, maxOutputLength: number): Buffer | undefined {
  try {
    return gunzipSync(compressed, { maxOutputLength, chunkSize: SHORT_BYTES })
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw broken(error)
  }
}

class Stream {
  readonly #gunzip: Gunzip = createGunzip({ chunkSize: SHORT_BYTES })
  readonly #sink: (bytes: Uint8Array) => void
  readonly #limits: InflateLimits
  readonly #ended: Promise<void>
  #in = 0
  #out = 0
  #failure: unknown

  constructor(sink: (bytes: Uint8Array) => void, limits: InflateLimits) {
    this.#sink = sink
    this.#limits = limits
    this.#ended = new Promise((resolve) => {
      this.#gunzip.once('close', resolve)
      this.#gunzip.once('end', resolve)
    })
    this.#gunzip.on('error', (error) => {
      this.#failure ??= broken(error)
    })
    this.#gunzip.on('data', (bytes: Uint8Array) => this.#give(bytes))
  }

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

function broken(cause: unknown): RegistryError {
  return new RegistryError('invalid', 'The archive is not whole gzip data', { cause, code: 'invalid_archive' })
}
