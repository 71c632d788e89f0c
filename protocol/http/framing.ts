/**
 * Refuses requests whose framing two readers could understand differently (RFC 9112, sections 3.2, 6.3 and 11.2): that is
 * how one request is smuggled inside another. The library below lets several of them through.
 */
export interface Fault {
  status: 400 | 417 | 431 | 501
  detail: string
}

/** Headers of which a second one makes the request ambiguous, even when both are equal. */
export const SINGLE: ReadonlySet<string> = new Set(['authorization', 'content-length', 'host', 'transfer-encoding'])

export function faultOf(method: string, headers: ReadonlyMap<string, string>): Fault | undefined {
  if (!METHODS.has(method) && !TOKEN.test(method)) return bad('The method is not a token of capital letters')
  const host = headers.get('host')
  if (host === undefined || !isAuthority(host)) return bad('The Host header is missing or not a host')
  const coding = headers.get('transfer-encoding')
  const length = headers.get('content-length')
  if (coding !== undefined) return codingFault(coding, length)
  if (length !== undefined && !LENGTH.test(length)) return bad('The Content-Length is not a number of bytes')
  const expect = headers.get('expect')
  if (expect !== undefined && expect.toLowerCase() !== '100-continue')
    return { status: 417, detail: 'Unknown expectation' }
  return undefined
}

const METHODS = new Set(['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS'])
/** Methods are case-sensitive (RFC 9110, 9.1), and all that are registered are written like this. */
const TOKEN = /^[A-Z][A-Z-]{0,31}$/
/** A name or address, and a port: nothing that could end up as markup or as another part of a URL. */
const AUTHORITY = /^(?:[A-Za-z0-9_.~-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/
/** Nearly all requests of a process name the same host. */
function isAuthority(host: string): boolean {
  if (host === lastHost) return true
  if (!AUTHORITY.test(host)) return false
  lastHost = host
  return true
}

let lastHost: string | undefined
/** Fifteen digits stay exact in a double: a petabyte is more than anyone sends. */
const LENGTH = /^\d{1,15}$/

function codingFault(coding: string, length: string | undefined): Fault | undefined {
  if (length !== undefined) return bad('There are both a Transfer-Encoding and a Content-Length')
  if (coding.toLowerCase() === 'chunked') return undefined
  return { status: 501, detail: 'The only transfer coding understood here is chunked' }
}

function bad(detail: string): Fault {
  return { status: 400, detail }
}
