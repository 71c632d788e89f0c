/** A request as handlers see it, without a server: for tests of what is above HTTP. */
import type { Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'

export interface Sent {
  headers?: Record<string, string>
  /** A string goes as it is, anything else as JSON. */
  body?: unknown
  remote?: string
}

export const ORIGIN = 'http://registry.test'
let requests = 0

export function requestOf(
  method: string,
  target: string,
  { headers = {}, body, remote = '192.0.2.1' }: Sent = {},
): HttpRequest {
  const [path = '', query = ''] = target.split('?', 2)
  const bytes = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const type: [string, string][] =
    body === undefined || typeof body === 'string' ? [] : [['content-type', 'application/json']]
  return {
    id: `test-${++requests}`,
    method,
    path,
    query,
    headers: new Map([...type, ...Object.entries(headers)]),
    length: bytes?.length ?? 0,
    body: once(bytes),
    signal: new AbortController().signal,
    remote,
    origin: ORIGIN,
  }
}

export async function bodyOf({ body }: Reply): Promise<Buffer> {
  if (body === undefined) return Buffer.alloc(0)
  if (typeof body === 'string' || body instanceof Uint8Array) return Buffer.from(body)
  const chunks: Buffer[] = []
  for await (const chunk of 'read' in body ? body.read() : body) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

async function* once(bytes: Uint8Array | undefined): AsyncIterable<Uint8Array> {
  if (bytes) yield bytes
}
