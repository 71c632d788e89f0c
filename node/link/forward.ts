/**
 * A request that changes something goes through to the primary as it is, body streamed; the reply waits until this node has
 * applied the change, so that a client reads its own write where it wrote. Cut off: 503 with Retry-After.
 */
import { peek } from '../../protocol/http/peek.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import type { Position } from '../../protocol/records.js'
import { ORIGIN_HEADER, POSITION_HEADER } from '../../protocol/wire/identity.js'
import type { Link } from './link.js'

/** RFC 9110 section 7.6.1, and what this hop decides anew. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'expect',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'forwarded',
  'x-cairn-node',
  ORIGIN_HEADER,
])
const OWN_WRITE_MS = 10_000

export interface ForwardOptions {
  link: Link
  reached: (position: Position, timeoutMs: number) => Promise<boolean>
}

export async function forward(request: HttpRequest, { link, reached }: ForwardOptions): Promise<Reply> {
  const headers: Record<string, string> = {
    [ORIGIN_HEADER]: request.origin,
    'x-request-id': request.id,
    'x-forwarded-for': request.remote,
  }
  for (const [name, value] of request.headers) if (!HOP_BY_HOP.has(name)) headers[name] = value
  const hasBody = request.length !== 0 && (request.length !== undefined || request.headers.has('transfer-encoding'))
  const target = request.query === '' ? request.path : `${request.path}?${request.query}`
  const reply = await link.request(request.method, target, {
    headers,
    signal: request.signal,
    // A client that sends nothing must not hold a connection to the primary, which would take it for a fault and end it.
    ...(hasBody ? { body: await peek(request.body) } : {}),
  })
  const position = parsePosition(reply.headers[POSITION_HEADER])
  const seen = position === undefined || reply.status >= 400 || (await reached(position, OWN_WRITE_MS))
  return {
    status: reply.status,
    headers: {
      ...kept(reply.headers),
      'x-cairn-source': 'primary',
      ...(seen ? {} : { warning: '199 - "not applied at this node yet"' }),
    },
    body: reply.body,
  }
}

function kept(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const out: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || HOP_BY_HOP.has(name) || name === 'content-length' || name === 'x-request-id') continue
    out[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return out
}

function parsePosition(header: string | string[] | undefined): Position | undefined {
  const match = /^(\d{1,9})\.(\d{1,15})$/.exec(String(header ?? ''))
  return match ? { epoch: Number(match[1]), number: Number(match[2]) } : undefined
}
