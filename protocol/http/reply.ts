/**
 * A reply is a value. HEAD, ranges, conditional requests, compression and backpressure are applied to it in one place
 * (conditional.ts, server.ts); handlers only say what the whole answer to a plain GET is.
 */
import type { Bytes } from '../ports.js'

export interface Reply {
  status: number
  /** Names in lowercase. `etag` and `last-modified` make it conditional; a Bytes body makes it seekable. */
  headers: Record<string, string>
  /** A string is UTF-8. An AsyncIterable is sent chunked, as it comes. */
  body?: string | Uint8Array | Bytes | AsyncIterable<Uint8Array>
}

export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Reply {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) }
}

export function text(value: string, status = 200, headers: Record<string, string> = {}): Reply {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers }, body: value }
}

export function empty(status = 204, headers: Record<string, string> = {}): Reply {
  return { status, headers }
}
