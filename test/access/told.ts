/** A request to one side, without a server, and everything that its reply tells. */
import type { Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import { bodyOf, requestOf } from '../support/request.js'

export interface Way {
  method: string
  headers: Record<string, string>
  body?: string | Uint8Array | undefined
}

export interface Told {
  status: number
  challenged: boolean
  /** Status, headers and body, but for the repository's key and the request's number. */
  text: string
}

export function asking({ method, headers, body }: Way, url: string, authorization: string | undefined): HttpRequest {
  const sent = authorization === undefined ? headers : { ...headers, authorization }
  const request = requestOf(method, url, { headers: sent })
  if (body === undefined) return request
  const bytes = Buffer.from(body)
  return { ...request, body: whole(bytes), length: bytes.length }
}

export async function told({ id, method }: HttpRequest, reply: Reply, key: string): Promise<Told> {
  const body = method === 'HEAD' ? '' : (await bodyOf(reply)).toString('latin1')
  const headers = Object.entries(reply.headers).sort(([a], [b]) => (a < b ? -1 : 1))
  const text = `${reply.status} ${JSON.stringify(headers)} ${body}`.replaceAll(key, 'KEY').replaceAll(id, 'ID')
  return { status: reply.status, challenged: 'www-authenticate' in reply.headers, text }
}

async function* whole(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes
}
