/**
 * Conditional and range requests (RFC 9110, sections 13 and 14), as a pure function from the whole answer to the one that
 * the client asked for. Only GET and HEAD: for a method that changes something the handler checks before it changes.
 */
import { RegistryError } from '../errors.js'
import { isStream, isWhole, sizeOf, slice } from './body.js'
import { gzipTag } from './compress.js'
import { rangeOf } from './range.js'
import type { Reply } from './reply.js'
import type { HttpRequest } from './request.js'
import { problem } from './status.js'

type Body = NonNullable<Reply['body']>
type Asked = Pick<HttpRequest, 'id' | 'method' | 'headers'>

export function conditional(request: Asked, reply: Reply): Reply {
  // "A server MUST ignore all received preconditions if its response to the same request without those conditions, prior
  // to processing the request content, would have been a status code other than a 2xx (Successful) or 412." (13.2.1)
  if (reply.status !== 200 || (request.method !== 'GET' && request.method !== 'HEAD')) return reply
  const outcome = evaluate(request.headers, reply.headers)
  if (outcome === 412) return failed(request)
  if (outcome === 304) return notModified(reply)
  const coded = codedTagHeld(request.headers, reply.headers)
  if (coded !== undefined) return notModified({ ...reply, headers: { ...reply.headers, etag: coded } })
  return ranged(request, reply)
}

/** The order of 13.2.2: each step is reached only when the ones before it are absent or true. */
function evaluate(asked: ReadonlyMap<string, string>, has: Reply['headers']): 200 | 304 | 412 {
  const match = asked.get('if-match')
  const unmodifiedSince = asked.get('if-unmodified-since')
  const noneMatch = asked.get('if-none-match')
  const modifiedSince = asked.get('if-modified-since')
  if (match !== undefined) {
    // "An origin server MUST use the strong comparison function when comparing entity tags for If-Match" (13.1.1)
    if (!listed(match, has.etag, strong)) return 412
  } else if (unmodifiedSince !== undefined) {
    // "A recipient MUST ignore the If-Unmodified-Since header field if the resource does not have a modification date
    // available", and when the value is not a valid HTTP-date (13.1.4)
    if (compareDates(has['last-modified'], unmodifiedSince) === 'newer') return 412
  }
  if (noneMatch !== undefined) {
    // "A recipient MUST use the weak comparison function when comparing entity tags for If-None-Match" (13.1.2)
    if (listed(noneMatch, has.etag, weak)) return 304
  } else if (modifiedSince !== undefined) {
    // "A recipient MUST ignore If-Modified-Since if the request contains an If-None-Match header field" (13.1.3)
    if (compareDates(has['last-modified'], modifiedSince) === 'not newer') return 304
  }
  return 200
}

/**
 * The tag of the gzip form, when the client says that it has that one and does not say which codings it takes now: "If no
 * Accept-Encoding header field is in the request, any content coding is considered acceptable by the user agent" (12.5.3).
 */
function codedTagHeld(asked: ReadonlyMap<string, string>, has: Reply['headers']): string | undefined {
  const held = asked.get('if-none-match')
  if (held === undefined || has.etag === undefined || asked.has('accept-encoding')) return undefined
  const coded = gzipTag(has.etag)
  return listed(held, coded, weak) ? coded : undefined
}

function ranged(request: Asked, reply: Reply): Reply {
  const { body } = reply
  if (body === undefined || isStream(body)) return reply
  const asked = request.headers.get('range')
  if (asked === undefined && isWhole(body)) return reply
  const seekable = { ...reply, headers: { ...reply.headers, 'accept-ranges': 'bytes' } }
  // "A server MUST ignore a Range header field received with a request method that is unrecognized or for which range
  // handling is not defined. For this specification, GET is the only method for which range handling is defined." (14.2)
  if (asked === undefined || request.method !== 'GET' || !stillCurrent(request.headers.get('if-range'), reply)) {
    return isWhole(body) ? reply : seekable
  }
  const size = sizeOf(body) ?? 0
  const range = rangeOf(asked, size)
  if (range === 'all') return seekable
  if (range === 'none') return unsatisfiable(request, size)
  const headers = { ...seekable.headers, 'content-range': `bytes ${range.start}-${range.end - 1}/${size}` }
  return { status: 206, headers, body: part(body, range) }
}

/** "A client MUST NOT generate an If-Range header field containing an entity tag that is marked as weak" (13.1.5). */
function stillCurrent(ifRange: string | undefined, reply: Reply): boolean {
  if (ifRange === undefined) return true
  const validator = ifRange.trim()
  const { etag, 'last-modified': modified } = reply.headers
  if (validator.startsWith('"') || validator.startsWith('W/')) return etag !== undefined && strong(validator, etag)
  // "If the HTTP-date validator provided exactly matches the Last-Modified field value" (13.1.5): not older, not newer.
  return modified !== undefined && Date.parse(validator) === Date.parse(modified)
}

function part(body: Body, range: { start: number; end: number }): Body {
  if (typeof body === 'string') return Buffer.from(body).subarray(range.start, range.end)
  if (body instanceof Uint8Array) return body.subarray(range.start, range.end)
  return isStream(body) ? body : slice(body, range.start, range.end)
}

/**
 * A 304 must carry the Content-Location, ETag, Vary, Cache-Control and Expires that the 200 would have had (15.4.5). What
 * describes the missing content is left out, everything else stays.
 */
function notModified(reply: Reply): Reply {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(reply.headers)) {
    if (!name.startsWith('content-') || name === 'content-location') headers[name] = value
  }
  return { status: 304, headers }
}

function failed(request: Asked): Reply {
  return problem(new RegistryError('precondition', 'What is here is not what the request requires'), request)
}

function unsatisfiable(request: Asked, size: number): Reply {
  const reply = problem(new RegistryError('range', `The range does not exist: there are ${size} bytes`), request)
  // "A server that generates a 416 response to a byte-range request SHOULD generate a Content-Range header field
  // specifying the current length of the selected representation" (15.5.17)
  return { ...reply, headers: { ...reply.headers, 'content-range': `bytes */${size}`, 'accept-ranges': 'bytes' } }
}

type Compare = (one: string, other: string) => boolean

/** '*' stands for anything at all, and something is here: the reply is a 200. */
function listed(list: string, etag: string | undefined, same: Compare): boolean {
  if (list.trim() === '*') return true
  if (etag === undefined) return false
  // An opaque tag may hold commas, so the list cannot be split at them.
  for (const [tag] of list.matchAll(/(?:W\/)?"[^"]*"/g)) if (same(tag, etag)) return true
  return false
}

function strong(one: string, other: string): boolean {
  return one === other && !one.startsWith('W/')
}

function weak(one: string, other: string): boolean {
  return opaque(one) === opaque(other)
}

function opaque(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag
}

function compareDates(modified: string | undefined, limit: string): 'newer' | 'not newer' | undefined {
  const [ours, theirs] = [Date.parse(modified ?? ''), Date.parse(limit)]
  if (Number.isNaN(ours) || Number.isNaN(theirs)) return undefined
  // HTTP dates have whole seconds.
  return Math.floor(ours / 1000) > Math.floor(theirs / 1000) ? 'newer' : 'not newer'
}
