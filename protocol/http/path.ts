/**
 * Turns a raw request path into the one spelling that routes, records and decisions see: percent-decoded exactly once,
 * without '.', '..', empty, NUL or control-character segments. What could mean two things to two readers is refused.
 * '%2F' becomes a '/', so an encoded and a plain slash lead to the same decision.
 */
import { RegistryError } from '../errors.js'

export interface ParsedPath {
  /** Begins with '/', decoded. A trailing '/' is kept. */
  path: string
  /** Without the empty one that a trailing '/' would make. */
  segments: string[]
  trailingSlash: boolean
}

/** Bytes, as sent. */
const MAX_PATH = 4096
/** Bytes of one segment, decoded: what file systems, tar and zip readers can all carry. */
const MAX_SEGMENT = 255

/** `raw` is a request path without its query. Throws `invalid`. */
export function parsePath(raw: string): ParsedPath {
  if (raw.length > MAX_PATH) throw refused(`The path is longer than ${MAX_PATH} bytes`)
  if (!raw.startsWith('/')) throw refused('The path does not begin with a slash')
  if (UNSENDABLE.test(raw)) throw refused('The path holds a character that must be percent-encoded')
  const path = raw.includes('%') ? decode(raw) : raw
  const trailingSlash = path.length > 1 && path.endsWith('/')
  const segments = path === '/' ? [] : path.slice(1, trailingSlash ? -1 : undefined).split('/')
  for (const segment of segments) check(segment)
  return { path, segments, trailingSlash }
}

// RFC 3986: none of these may stand in a path unencoded. '#' would be a fragment, which clients never send.
const UNSENDABLE = /[^\x21-\x7e]|[#?\\]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const FORBIDDEN = /[\0-\x1f\x7f-\x9f\\]/

function decode(raw: string): string {
  try {
    // Refuses truncated and non-hexadecimal escapes, overlong forms, lone surrogates and any other invalid UTF-8.
    return decodeURIComponent(raw)
  } catch (cause) {
    throw refused('The path has a percent-escape that is not valid UTF-8', cause)
  }
}

function check(segment: string): void {
  if (segment === '') throw refused('The path has an empty segment')
  if (segment === '.' || segment === '..') throw refused('The path has a relative segment')
  if (FORBIDDEN.test(segment)) throw refused('The path holds a backslash or a control character')
  if (segment.length > MAX_SEGMENT || (segment.length * 3 > MAX_SEGMENT && Buffer.byteLength(segment) > MAX_SEGMENT))
    throw refused(`A segment of the path is longer than ${MAX_SEGMENT} bytes`)
}

function refused(message: string, cause?: unknown): RegistryError {
  return new RegistryError('invalid', message, { code: 'invalid_path', cause })
}
