/**
 * Trusted publishing as PyPI has it, for twine, uv and the publishing action: at the root of the host, whatever the path of the
 * repository. What is minted is sent as the password of `__token__`.
 *
 *     GET  /_/oidc/audience                → {audience}
 *     POST /_/oidc/mint-token   {token}    → {success, token}, or {message, errors}
 */
import { RegistryError } from '../../protocol/errors.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import { statusOf } from '../../protocol/http/status.js'
import type { RootCall } from '../../protocol/root.js'
import { readJson } from '../text/body.js'
import { isObject } from '../text/json.js'

const BODY_LIMIT = 64 * 1024
const NO_STORE = { 'cache-control': 'no-store' }

export async function readAudience({ request }: RootCall): Promise<Reply> {
  return json({ audience: request.origin }, 200, NO_STORE)
}

export async function mintToken({ request, accounts, forward }: RootCall): Promise<Reply> {
  if (forward) return forward(request)
  const sent = await readJson(request, BODY_LIMIT)
  if (!isObject(sent) || typeof sent.token !== 'string') throw new RegistryError('invalid', 'The body needs "token"')
  try {
    const { value } = await accounts.exchange(sent.token, request)
    return json({ success: true, token: value }, 200, NO_STORE)
  } catch (error) {
    if (!(error instanceof RegistryError) || statusOf(error) >= 500) throw error
    const { code, message } = error
    return json({ success: false, message, errors: [{ code, description: message }] }, statusOf(error), NO_STORE)
  }
}
