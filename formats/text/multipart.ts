/**
 * Reads multipart/form-data (RFC 7578) as its bytes arrive: parts come one after the other, each with its body as a stream.
 * Nothing but a part's header and what could be the beginning of a delimiter is ever held.
 */
import { RegistryError } from '../../protocol/errors.js'
import { type Disposition, parseDisposition } from './disposition.js'

export interface Part extends Disposition {
  /** To be read before the next part is asked for; what is left is skipped. A chunk is valid until the next one is asked for. */
  body: AsyncIterable<Uint8Array>
}

export interface MultipartLimits {
  parts: number
  /** Bytes of one part's header. */
  header: number
}

/** The boundary that a Content-Type names. Throws `invalid` for any other type than multipart/form-data. */
export function boundaryOf(contentType: string | undefined): string {
  const [, quoted, plain] =
    /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]+)"|([^\s;"]+))\s*(?:;|$)/i.exec(contentType ?? '') ?? []
  const boundary = quoted ?? plain ?? ''
  // RFC 2046 section 5.1.1
  if (!/^[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]$/.test(boundary))
    throw new RegistryError('invalid', 'The body must be a form: multipart/form-data with a boundary')
  return boundary
}

/** Throws `invalid`, and what the body throws. */
export async function* readParts(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
  limits: MultipartLimits,
): AsyncGenerator<Part, void, undefined> {
  const reader = new Reader(body, boundary, limits.header)
  let count = 0
  try {
    while (await reader.next()) {
      if (++count > limits.parts) throw broken(`has more than ${limits.parts} parts`)
      yield { ...parseDisposition(await reader.header()), body: reader.content() }
    }
    await reader.end()
  } finally {
    await reader.close()
  }
}

/** Of what stands before the first delimiter or behind the last one. */
const AROUND_LIMIT = 64 * 1024
/** Of the blanks that may follow a delimiter. */
const PADDING_LIMIT = 256

class Reader {
  readonly #body: AsyncIterator<Uint8Array>
  readonly #delimiter: Buffer
  readonly #headerLimit: number
  /** What has arrived and was not taken. It begins as if a line had just ended: the first delimiter may open the body. */
  #buffer: Buffer = Buffer.from('\r\n')
  #isInside = true
  #isFirst = true
  #ended = false

  constructor(body: AsyncIterable<Uint8Array>, boundary: string, headerLimit: number) {
    this.#body = body[Symbol.asyncIterator]()
    this.#delimiter = Buffer.from(`\r\n--${boundary}`)
    this.#headerLimit = headerLimit
  }

  /** Goes to the next part; false: there is none. */
  async next(): Promise<boolean> {
    let skipped = 0
    for await (const chunk of this.content()) {
      skipped += chunk.length
      if (this.#isFirst && skipped > AROUND_LIMIT) throw broken('does not begin with its boundary')
    }
    this.#isFirst = false
    while (this.#buffer.length < 2) if (!(await this.#more())) throw broken('ends inside a boundary')
    if (this.#buffer.toString('latin1', 0, 2) === '--') return false
    const padding = await this.#until('\r\n', PADDING_LIMIT)
    if (!/^[ \t]*$/.test(padding)) throw broken('holds its boundary inside a part')
    this.#isInside = true
    return true
  }

  async header(): Promise<string> {
    // A part without any header has its empty line at once.
    while (this.#buffer.length < 2) if (!(await this.#more())) throw broken('ends inside a header')
    if (this.#buffer.toString('latin1', 0, 2) === '\r\n') throw broken('has a part without a name')
    return this.#until('\r\n\r\n', this.#headerLimit)
  }

  /** Up to the next delimiter, which is taken too. */
  async *content(): AsyncGenerator<Uint8Array, void, undefined> {
    while (this.#isInside) {
      const at = this.#buffer.indexOf(this.#delimiter)
      const size = at >= 0 ? at : Math.max(0, this.#buffer.length - this.#delimiter.length + 1)
      const piece = this.#buffer.subarray(0, size)
      this.#buffer = this.#buffer.subarray(at >= 0 ? at + this.#delimiter.length : size)
      if (at >= 0) this.#isInside = false
      if (piece.length > 0) yield piece
      if (at < 0 && !(await this.#more())) throw broken('ends inside a part')
    }
  }

  /** What follows the last delimiter means nothing, but there is an end to it. */
  async end(): Promise<void> {
    let size = this.#buffer.length
    for (let next = await this.#body.next(); !next.done; next = await this.#body.next()) {
      size += next.value.length
      if (size > AROUND_LIMIT) throw broken('goes on behind its last boundary')
    }
    this.#ended = true
  }

  async close(): Promise<void> {
    if (!this.#ended) await this.#body.return?.()
  }

  async #until(end: string, limit: number): Promise<string> {
    let at = this.#buffer.indexOf(end)
    while (at < 0) {
      if (this.#buffer.length > limit) throw broken('has a header that is too long')
      if (!(await this.#more())) throw broken('ends inside a header')
      at = this.#buffer.indexOf(end)
    }
    if (at > limit) throw broken('has a header that is too long')
    const text = this.#buffer.toString('utf8', 0, at)
    this.#buffer = this.#buffer.subarray(at + end.length)
    return text
  }

  /** The rest is copied first: the next chunk may overwrite it. */
  async #more(): Promise<boolean> {
    const rest = Buffer.from(this.#buffer)
    const next = await this.#body.next()
    if (next.done) {
      this.#ended = true
      return false
    }
    this.#buffer = Buffer.concat([rest, next.value])
    return true
  }
}

function broken(how: string): RegistryError {
  return new RegistryError('invalid', `The form ${how}`, { code: 'invalid_form' })
}
