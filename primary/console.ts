/** The pages' way to the accounts. Every log-in, log-out and refusal is in the audit trail. */
import type { Console } from '../admin/console.js'
import { RegistryError } from '../protocol/errors.js'
import type { HttpRequest } from '../protocol/http/request.js'
import type { Metadata } from '../protocol/ports.js'
import type { Audit } from './accounts/audit.js'
import type { PrimaryAccounts } from './accounts.js'
import type { Providers } from './identity/providers.js'

export interface ConsoleParts {
  accounts: PrimaryAccounts
  audit: Audit
  metadata: Pick<Metadata, 'access'>
  providers: Pick<Providers, 'starts' | 'logoutPath'>
}

export function consoleOf({ accounts, audit, metadata, providers }: ConsoleParts): Console {
  const sessions = accounts.console
  const audited = async <T>(who: string, action: string, request: HttpRequest, work: () => Promise<T>): Promise<T> => {
    const record = (outcome: string) =>
      audit.record({
        who,
        action,
        subject: request.path,
        outcome,
        requestId: request.id,
        remote: request.remote,
        detail: {},
      })
    let result: T
    try {
      result = await work()
    } catch (error) {
      if (!(error instanceof RegistryError && error.kind === 'throttled'))
        await record(error instanceof RegistryError ? error.code : 'internal')
      throw error
    }
    await record('ok')
    return result
  }
  return {
    providers: () => providers.starts(),
    // Only names that exist: people type passwords into the wrong field.
    enter: ({ username, password }, request, next) =>
      audited(metadata.access('user', username)?.name ?? 'anonymous', 'console.login', request, () =>
        accounts.enter(username, password, request, next),
      ),
    leave: (request, { principal, session }) =>
      audited(principal.name, 'console.logout', request, async () => {
        const own = (await sessions.list(principal.name)).find(({ id }) => id === session?.id)
        const left = await sessions.leave(request)
        const onward = own && providers.logoutPath(own.method)
        return onward === undefined ? left : { ...left, headers: { ...left.headers, location: onward } }
      }),
    demandOwn: (request, visitor, token) => sessions.demandOwn(request, visitor, token),
    sessions: (user) => sessions.list(user),
    end: (request, { principal }, id) =>
      audited(principal.name, 'console.end_session', request, () => sessions.end(principal.name, id)),
  }
}
