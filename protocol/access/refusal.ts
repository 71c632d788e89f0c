/**
 * What somebody is told who may not do something. Who is anonymous hears that credentials might help, since many clients send
 * theirs only when asked; for others, what may not be seen does not exist, and only who sees it hears that it is forbidden.
 */

import { RegistryError } from '../errors.js'
import type { HttpRequest } from '../http/request.js'
import type { Principal } from '../ports.js'
import type { Action, RepositoryRecord } from '../records.js'
import type { Gate } from './gate.js'

const STALE_RETRY_SECONDS = 30

/** Throws unless the principal may do it: `missing`, `unauthenticated` or `forbidden`; `unavailable` if it may, but not now. */
export function demand(
  gate: Gate,
  principal: Principal,
  action: Action,
  repository: RepositoryRecord,
  path?: string,
): void {
  const decision = gate.decide(principal, action, repository, path)
  if (decision.allowed) return
  if (decision.stale) throw tooOld(decision.reason)
  throw gate.sees(principal, repository)
    ? refusal(gate, principal, decision.reason)
    : unseen(gate, principal, repository.key)
}

/** As `demand`, for what is known about artifacts without their bytes. */
export function demandLook(gate: Gate, principal: Principal, repository: RepositoryRecord, path?: string): void {
  if (gate.looks(principal, repository, path)) return
  const audits = gate.decide(principal, 'audit', repository, path).stale
  demand(gate, principal, audits ? 'audit' : 'read', repository, path)
}

/** For lists: one in which everything is left out would look as if there were nothing. Throws `unavailable`. */
export function refuseStale(gate: Gate, repository: RepositoryRecord): void {
  const stale = gate.stale(repository)
  if (stale !== undefined) throw tooOld(stale)
}

/** Of what is known here; `reason` says since when. */
export function tooOld(reason: string): RegistryError {
  return new RegistryError('unavailable', reason, { code: 'stale', retryAfter: STALE_RETRY_SECONDS })
}

/** The same sentence whether the repository is hidden or was never there. */
export function noRepository(key: string): RegistryError {
  return new RegistryError('missing', `There is no repository ${key} that you may see`, { code: 'repository_missing' })
}

/** Of a repository that somebody does not see, or that was never there. */
export function unseen(gate: Gate, principal: Principal, key: string): RegistryError {
  const error = noRepository(key)
  return principal === gate.anonymous ? refusal(gate, principal, error.message) : error
}

export function refusal(gate: Gate, principal: Principal, reason: string): RegistryError {
  return principal === gate.anonymous
    ? new RegistryError('unauthenticated', 'This needs credentials')
    : new RegistryError('forbidden', reason)
}

/**
 * Browsers say where a request comes from; programs say nothing. A page of another origin must not act with the credentials
 * that a browser remembers for this one.
 */
export function refuseCrossSite({ headers, origin }: HttpRequest): void {
  const site = headers.get('sec-fetch-site')
  const from = headers.get('origin')
  const foreign =
    (site !== undefined && site !== 'same-origin' && site !== 'none') || (from !== undefined && from !== origin)
  if (foreign)
    throw new RegistryError('forbidden', 'A page of another origin must not change anything here', {
      code: 'cross_site',
    })
}
