/**
 * Status line and headers of a reply. A value that could split the response, a name that is none, is refused with an
 * exception before a byte is written. Headers that are frozen are checked and laid out once and remembered.
 */
import { STATUS_CODES } from 'node:http'
import type { Outlet } from './outlet.js'
import type { Reply } from './reply.js'

/** Throws TypeError; `reply.headers` was made by this program, so that is a bug and becomes a 500. */
export function checkHeaders(headers: Reply['headers']): void {
  if (laidOut.has(headers)) return
  for (const name in headers) checkHeader(name, headers[name] ?? '')
}

/** Call inside a cork, after `checkHeaders`. */
export function writeHead(out: Outlet, reply: Reply, requestId: string): void {
  out.writeStatus(statusLine(reply.status))
  out.writeHeader('x-request-id', requestId)
  // Everything else in one call, the values being laid out as the library would: a call costs more than the bytes.
  out.writeHeader('x-content-type-options', layOut(reply.headers))
}

/** The value of x-content-type-options, and behind it '\r\nname: value' for each. */
function layOut(headers: Reply['headers']): string {
  const known = laidOut.get(headers)
  if (known !== undefined) return known
  let lines = 'nosniff'
  for (const name in headers) if (!OWN.has(name)) lines += `\r\n${name}: ${headers[name]}`
  if (isPage(headers)) lines += `\r\ncontent-security-policy: ${PAGE_POLICY}`
  if (Object.isFrozen(headers)) laidOut.set(headers, lines)
  return lines
}

/** A page that did not say what it may do may do nothing. */
function isPage(headers: Reply['headers']): boolean {
  return headers['content-type']?.startsWith('text/html') === true && headers['content-security-policy'] === undefined
}

const PAGE_POLICY = "default-src 'none'; frame-ancestors 'none'"

const laidOut = new WeakMap<Reply['headers'], string>()

/** Written by this layer, from what it knows. */
const OWN = new Set([
  'connection',
  'content-length',
  'date',
  'keep-alive',
  'transfer-encoding',
  'x-content-type-options',
  'x-request-id',
])

function checkHeader(name: string, value: unknown): void {
  if (!NAME.test(name)) throw new TypeError(`Not a name for a header: ${JSON.stringify(name)}`)
  // The value is not repeated: it may be a secret.
  if (typeof value !== 'string' || UNSENDABLE.test(value)) throw new TypeError(`The value of ${name} cannot be sent`)
}

const NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const UNSENDABLE = /[\0-\x08\x0a-\x1f\x7f]/

function statusLine(status: number): string {
  return STATUS_LINES.get(status) ?? `${status} Unknown`
}

const STATUS_LINES = new Map(Object.entries(STATUS_CODES).map(([code, phrase]) => [Number(code), `${code} ${phrase}`]))
