/** What kinds of body a reply can have, told apart in one place. */
import type { Bytes } from '../ports.js'
import type { Reply } from './reply.js'

type Body = NonNullable<Reply['body']>

export function isWhole(body: Body): body is string | Uint8Array {
  return typeof body === 'string' || body instanceof Uint8Array
}

/** Bytes have `read` too, so a stream that is both is taken as a stream. */
export function isStream(body: Body): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && Symbol.asyncIterator in body
}

/** Undefined when only the end of the body will tell. */
export function sizeOf(body: Reply['body']): number | undefined {
  if (body === undefined) return 0
  if (typeof body === 'string') return Buffer.byteLength(body)
  if (body instanceof Uint8Array) return body.byteLength
  return isStream(body) ? undefined : body.size
}

/** Larger bodies are not handed to the library whole: it would copy what a slow client does not take. */
const COPY_LIMIT = 64 * 1024

/** In memory, and small enough to be copied for a slow client. */
export function isSmall({ body }: Reply): boolean {
  return body === undefined || (isWhole(body) && body.length <= COPY_LIMIT)
}

/** Of a body in memory. */
export function bytesOf({ body }: Reply): Uint8Array {
  if (body instanceof Uint8Array) return body
  return Buffer.from(typeof body === 'string' ? body : '')
}

/** A part of Bytes, as Bytes. `end` is exclusive. */
export function slice(bytes: Bytes, start: number, end: number): Bytes {
  return {
    size: end - start,
    source: bytes.source,
    read: (range, signal) =>
      bytes.read({ start: start + (range?.start ?? 0), end: range === undefined ? end : start + range.end }, signal),
  }
}
