/**
 * Reads a JSON document of which a few strings are too long to hold: `{under: {NAME: {field: "…"}}}`. Those strings are given
 * out while the body is still arriving, everything else is collected, with "" in their place. It follows structure only; what
 * it returns is still to be parsed, and a document that is not JSON fails there at the latest.
 */
import { RegistryError } from '../../protocol/errors.js'

export interface Streamed {
  /** Key of the outermost object, and of the innermost: `_attachments` and `data`. */
  under: string
  field: string
  /** Whether a name's string is to be streamed; otherwise it is collected. */
  wanted: (name: string) => boolean
  /**
   * Called for each such string, in the order of the document. A chunk is valid until the next one is asked for. What it does
   * not read is skipped; what it throws ends the scan.
   */
  take: (name: string, text: AsyncIterable<Uint8Array>) => Promise<void>
}

export interface ScanOptions extends Streamed {
  /** Bytes of what is collected; more throws `too_large`. */
  limit: number
}

/** The collected document, as UTF-8. Throws `invalid`, `too_large`, and what the body or `take` throws. */
export async function scanJson(body: AsyncIterable<Uint8Array>, options: ScanOptions): Promise<Buffer> {
  return new Scan(body, options).run()
}

const MAX_DEPTH = 200
/** Keys are followed down to here: under, name, field. */
const FOLLOWED = 3
const QUOTE = 0x22
const BACKSLASH = 0x5c

class Scan {
  readonly #body: AsyncIterator<Uint8Array>
  readonly #options: ScanOptions
  #chunk: Uint8Array = new Uint8Array(0)
  #at = 0
  readonly #collected: Buffer[] = []
  #size = 0
  #depth = 0
  /** By depth, as far as keys are followed. */
  readonly #isObject: boolean[] = []
  readonly #path: string[] = []
  #atKey = false
  #inString = false
  #escaped = false
  /** Raw text of the key that is being read, when it matters. */
  #key: Buffer[] | undefined
  #streaming = false

  constructor(body: AsyncIterable<Uint8Array>, options: ScanOptions) {
    this.#body = body[Symbol.asyncIterator]()
    this.#options = options
  }

  async run(): Promise<Buffer> {
    let ended = false
    try {
      while (await this.#next()) while (this.#scan()) await this.#stream()
      ended = true
      if (this.#depth > 0) throw broken('ends before it is complete')
      return Buffer.concat(this.#collected, this.#size)
    } finally {
      if (!ended) await this.#body.return?.()
    }
  }

  async #next(): Promise<boolean> {
    const next = await this.#body.next()
    if (next.done) return false
    this.#chunk = next.value
    this.#at = 0
    return true
  }

  /** Goes through the chunk. True: it stands behind the opening quote of a string that is to be streamed. */
  #scan(): boolean {
    const chunk = this.#chunk
    const from = this.#at
    let at = from
    while (at < chunk.length) {
      if (this.#inString) {
        at = this.#string(at)
        continue
      }
      switch (chunk[at++]) {
        case QUOTE:
          if (this.#beginString()) {
            this.#collect(from, at)
            this.#at = at
            return true
          }
          break
        case 0x7b: // {
          this.#open(true)
          break
        case 0x5b: // [
          this.#open(false)
          break
        case 0x7d: // }
        case 0x5d: // ]
          this.#atKey = false
          if (--this.#depth < 0) throw broken('has a bracket too many')
          break
        case 0x3a: // :
          this.#atKey = false
          break
        case 0x2c: // ,
          this.#atKey = this.#depth <= FOLLOWED && this.#isObject[this.#depth] === true
          break
      }
    }
    this.#collect(from, at)
    this.#at = at
    return false
  }

  #open(isObject: boolean): void {
    if (++this.#depth > MAX_DEPTH) throw broken(`is nested deeper than ${MAX_DEPTH} levels`)
    if (this.#depth <= FOLLOWED) this.#isObject[this.#depth] = isObject
    this.#atKey = isObject
  }

  #beginString(): boolean {
    const depth = this.#depth
    if (depth === FOLLOWED && !this.#atKey && this.#isWanted()) return true
    this.#inString = true
    const matters = depth === 1 || (depth <= FOLLOWED && this.#path[1] === this.#options.under)
    if (this.#atKey && matters) this.#key = []
    return false
  }

  #isWanted(): boolean {
    const [, under, name, field] = this.#path
    const objects = this.#isObject[1] && this.#isObject[2] && this.#isObject[FOLLOWED]
    return (
      objects === true &&
      under === this.#options.under &&
      field === this.#options.field &&
      this.#options.wanted(name ?? '')
    )
  }

  /** Returns where the string ends, or the end of the chunk. */
  #string(from: number): number {
    const chunk = this.#chunk
    let at = from
    for (; at < chunk.length; at++) {
      const byte = chunk[at]
      if (this.#escaped) this.#escaped = false
      else if (byte === BACKSLASH) this.#escaped = true
      else if (byte === QUOTE) {
        this.#inString = false
        break
      }
    }
    if (this.#key) this.#readKey(this.#key, Buffer.from(chunk.subarray(from, at)))
    return this.#inString ? at : at + 1
  }

  #readKey(parts: Buffer[], part: Buffer): void {
    parts.push(part)
    if (this.#inString) return
    const raw = Buffer.concat(parts).toString('utf8')
    this.#path[this.#depth] = raw.includes('\\') ? resolveEscapes(raw) : raw
    this.#key = undefined
  }

  async #stream(): Promise<void> {
    this.#streaming = true
    await this.#options.take(this.#path[2] ?? '', this.#text())
    while (this.#streaming) for await (const _ of this.#text());
  }

  /** The string's text, escapes resolved, up to its closing quote. */
  async *#text(): AsyncGenerator<Uint8Array, void, undefined> {
    while (this.#streaming) {
      if (this.#at === this.#chunk.length && !(await this.#next())) throw broken('ends inside a string')
      const rest = this.#chunk.subarray(this.#at)
      const quote = rest.indexOf(QUOTE)
      const text = quote < 0 ? rest : rest.subarray(0, quote)
      const backslash = text.indexOf(BACKSLASH)
      const plain = backslash < 0 ? text : text.subarray(0, backslash)
      this.#at += plain.length
      // The quote behind an escape may belong to it, so the escape is read first.
      if (backslash < 0 && quote >= 0) this.#endOfString()
      if (plain.length > 0) yield plain
      if (backslash >= 0) yield await this.#escape()
    }
  }

  /** The closing quote stays in what is collected: with the opening one it makes the "" that stands for the string. */
  #endOfString(): void {
    this.#streaming = false
    this.#collect(this.#at, this.#at + 1)
    this.#at++
  }

  async #escape(): Promise<Uint8Array> {
    let raw = String.fromCharCode(await this.#byte(), await this.#byte())
    if (raw === '\\u') for (let i = 0; i < 4; i++) raw += String.fromCharCode(await this.#byte())
    return Buffer.from(resolveEscapes(raw))
  }

  async #byte(): Promise<number> {
    while (this.#at === this.#chunk.length) if (!(await this.#next())) throw broken('ends inside a string')
    return this.#chunk[this.#at++] ?? 0
  }

  #collect(from: number, to: number): void {
    if (to === from) return
    this.#size += to - from
    if (this.#size > this.#options.limit)
      throw new RegistryError('too_large', `The document is larger than ${this.#options.limit} bytes`)
    this.#collected.push(Buffer.from(this.#chunk.subarray(from, to)))
  }
}

function resolveEscapes(raw: string): string {
  try {
    return String(JSON.parse(`"${raw}"`))
  } catch {
    throw broken('holds an escape that means nothing')
  }
}

function broken(how: string): RegistryError {
  return new RegistryError('invalid', `The body is not JSON: it ${how}`, { code: 'invalid_json' })
}
