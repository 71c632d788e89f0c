/**
 * Trusted publishing: `npm publish` in a CI job sends the job's OpenID token and publishes with what it gets. npm asks at the root of
 * the host, whatever the path of the registry.
 *
 *     POST /-/npm/v1/oidc/token/exchange/package/{package}   Authorization: Bearer {id token}   → {token}
 */
import { RegistryError } from '../../protocol/errors.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { RootCall } from '../../protocol/root.js'

const BEARER = /^Bearer +([\w.-]+) *$/i

export async function exchangeToken({ request, accounts, forward }: RootCall): Promise<Reply> {
  if (forward) return forward(request)
  const token = BEARER.exec(request.headers.get('authorization') ?? '')?.[1]
  if (token === undefined) throw new RegistryError('unauthenticated', 'A token of the CI system is needed')
  const { value } = await accounts.exchange(token, request)
  return json({ token: value }, 201, { 'cache-control': 'no-store' })
}
