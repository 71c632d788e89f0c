/** The pages' way to the accounts. Every log-in, log-out and refusal is in the audit trail. */
import type { Console } from '../admin/console.js'
import { RegistryError } from '../protocol/errors.js'
import type { HttpRequest } from '../protocol/http/request.js'
import type { Metadata, Principal } from '../protocol/ports.js'
import type { UserRecord } from '../protocol/records.js'
import type { Audit } from './accounts/audit.js'
import type { PrimaryAccounts } from './accounts.js'
import type { Providers } from './identity/providers.js'

export interface ConsoleParts {
  accounts: PrimaryAccounts
  audit: Audit
  metadata: Pick<Metadata, 'access'>
  providers: Pick<Providers, 'starts' | 'logoutPath' | 'handle'>
}

export function consoleOf({ accounts, audit, metadata, providers }: ConsoleParts): Console {
  const { console: sessions, steps, passkeys } = accounts
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
    way: (request) => providers.handle(request),
    // Only names that exist: people type passwords into the wrong field.
    enter: ({ username, password }, request, next) =>
      audited(metadata.access('user', username)?.name ?? 'anonymous', 'console.login', request, () =>
        accounts.enter(username, password, request, next),
      ),
    leave: (request, { principal, session }) =>
      audited(principal.name, 'console.logout', request, async () => {
        const origin = session && (await sessions.originOf(principal.name, session.id))
        const left = await sessions.leave(request)
        const onward = origin && providers.logoutPath(origin)
        return onward === undefined ? left : { ...left, headers: { ...left.headers, location: onward } }
      }),
    second: (ticket, code, request) =>
      audited(accounts.entry.userOf(ticket) ?? 'anonymous', 'console.second_factor', request, () =>
        accounts.entry.second(ticket, code, request),
      ),
    demandOwn: (request, visitor, token) => sessions.demandOwn(request, visitor, token),
    demandFresh: (visitor) => sessions.demandFresh(visitor),
    sessions: (user) => sessions.list(user),
    hasSecondFactor: (user) => steps.factor.has(user),
    beginSecondFactor: (_, { principal }) => steps.factor.begin(principal.name),
    confirmSecondFactor: (request, { principal }, code) =>
      audited(principal.name, 'second_factor.set_up', request, () =>
        accounts.enrol(userOf(principal), code, request.remote),
      ),
    removeSecondFactor: (request, { principal }, code) =>
      audited(principal.name, 'second_factor.remove', request, () =>
        steps.remove(userOf(principal), code, request.remote),
      ),
    passkeys: (user) => passkeys.list(user),
    passkeyOptions: async ({ origin }, visitor) => {
      if (!visitor) return passkeys.begin(origin)
      await sessions.demandFresh(visitor)
      return passkeys.beginNew(userOf(visitor.principal), origin)
    },
    addPasskey: (request, visitor, response, name) =>
      audited(visitor.principal.name, 'passkey.add', request, async () => {
        await sessions.demandFresh(visitor)
        return passkeys.add(userOf(visitor.principal), request.origin, response, name)
      }),
    removePasskey: (request, visitor, id) =>
      audited(visitor.principal.name, 'passkey.remove', request, async () => {
        await sessions.demandFresh(visitor)
        return passkeys.remove(visitor.principal.name, id)
      }),
    enterByPasskey: async (request, response, next) =>
      audited((await passkeys.claimed(response)) ?? 'anonymous', 'console.login', request, () =>
        passkeys.enter(request, response, next),
      ),
    end: (request, { principal }, id) =>
      audited(principal.name, 'console.end_session', request, () => sessions.end(principal.name, id)),
  }
}

function userOf({ user }: Principal): UserRecord {
  if (!user) throw new RegistryError('unauthenticated', 'Only a user has a second factor')
  return user
}
