/** The end of each log-in by a provider: the account, the trail, the console's session. */
import { RegistryError } from '../../protocol/errors.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import type { Identity } from './identity.js'
import type { ProviderParts } from './provider.js'

/** Throws `forbidden` for somebody who is not let in. */
export async function signIn(
  { federation, console, audit }: Pick<ProviderParts, 'federation' | 'console' | 'audit'>,
  identity: Identity,
  request: HttpRequest,
  next: string,
  /** What the provider calls its own session. */
  providerSession?: string,
): Promise<Reply> {
  const record = (who: string, outcome: string) =>
    audit({
      who,
      action: 'console.login',
      subject: request.path,
      outcome,
      requestId: request.id,
      remote: request.remote,
      detail: { provider: identity.provider, subject: identity.subject },
    })
  const known = (await federation.accountOf(identity.provider, identity.subject)) ?? 'anonymous'
  try {
    const user = await federation.admit(identity)
    const reply = await console.open(user, request, { method: identity.provider, next, providerSession })
    await record(user.name, 'ok')
    return reply
  } catch (error) {
    await record(known, error instanceof RegistryError ? error.code : 'internal')
    throw error
  }
}
