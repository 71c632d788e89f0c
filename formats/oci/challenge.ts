/**
 * Says where a token is to be had, and for what: WWW-Authenticate: Bearer realm="…",service="…",scope="repository:a/b:pull,push".
 * Docker asks the realm with the user's password; the realm must be an absolute URL that the client can reach.
 */
import type { HttpRequest } from '../../protocol/http/request.js'

export const TOKEN_PATH = '/v2/_token'

export function challenge(request: HttpRequest): string {
  const scopes = scopesOf(request)
  const scope = scopes.length === 0 ? '' : `,scope="${scopes.join(' ')}"`
  return `Bearer realm="${request.origin}${TOKEN_PATH}",service="${request.origin.replace(/^https?:\/\//, '')}"${scope}`
}

const ROUTE = /^\/v2\/([a-z0-9._/-]+)\/(?:manifests|blobs|tags|referrers)\//
const NAME = /^[a-z0-9._/-]{1,255}$/

function scopesOf({ path, method, query }: HttpRequest): string[] {
  const [, name] = ROUTE.exec(path) ?? []
  if (name === undefined) return []
  const from = new URLSearchParams(query).get('from') ?? ''
  const mounted = NAME.test(from) ? [`repository:${from}:pull`] : []
  return [`repository:${name}:${actions(method)}`, ...mounted]
}

function actions(method: string): string {
  if (method === 'GET' || method === 'HEAD') return 'pull'
  return method === 'DELETE' ? 'delete' : 'pull,push'
}
