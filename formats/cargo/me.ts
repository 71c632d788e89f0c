/** Where `cargo login` sends people for a token, and who a token is. */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { json, type Reply, text } from '../../protocol/http/reply.js'

const NO_STORE = { 'cache-control': 'no-store' }

/** GET /me, for a person. */
export async function readMe({ principal, repository }: Call<unknown>): Promise<Reply> {
  const who = principal.user ? `You are ${principal.user.name}.` : 'You are not logged in.'
  const lines = [
    who,
    '',
    'A token for cargo is made on the registry page of the primary, by REST (POST /api/v1/auth/tokens) or with',
    '',
    '    cairn token create cargo',
    '',
    'Then type',
    '',
    `    cargo login --registry ${repository.key}`,
    '',
    'and paste the token.',
    '',
  ]
  return text(lines.join('\n'), 200, NO_STORE)
}

/** GET /api/v1/me, for a program. */
export async function readUser({ principal: { user } }: Call<unknown>): Promise<Reply> {
  if (!user) throw new RegistryError('unauthenticated', 'You are not logged in')
  return json({ user: { id: 1, login: user.name, name: null, email: user.email } }, 200, NO_STORE)
}
