/**
 * Who may expect which answer. It knows rights as sentences and nothing of the gate's code: wherever the program differs from it, one of
 * the two is wrong.
 */
import type { Action } from '../../protocol/records.js'

/** `invalid`: brings credentials that are none (any more). `rights`: what remains of grants and a token's scopes, by repository. */
export interface Asker {
  name: string
  is: 'anonymous' | 'invalid' | 'user' | 'administrator'
  rights: Readonly<Record<string, readonly Action[]>>
}

/** `anyone` who brings no wrong credentials; `user`: somebody known; `see`: any right in the repository. */
export type Need = Action | 'see' | 'anyone' | 'user' | 'administrator'

export interface Question {
  need: Need
  repository?: { key: string; public: boolean }
  /** Only the primary can do it, and it cannot be reached. */
  unreachable?: boolean
  /** The protocol's clients send credentials only when challenged. */
  challenges?: boolean
}

/** `hidden`: exactly as if there were no such repository. */
export type Answer = 'answered' | 'challenged' | 'forbidden' | 'hidden' | 'unavailable'

export function expected(asker: Asker, { need, repository, unreachable, challenges }: Question): Answer {
  const isAnonymous = asker.is === 'anonymous'
  const may = (action: Action) =>
    asker.is === 'administrator' ||
    (repository !== undefined &&
      ((action === 'read' && repository.public) || asker.rights[repository.key]?.includes(action) === true))
  const sees = may('read') || (repository !== undefined && (asker.rights[repository.key]?.length ?? 0) > 0)
  if (asker.is === 'invalid') return 'challenged'
  if (repository && !sees && need !== 'anyone') return isAnonymous && challenges ? 'challenged' : 'hidden'
  if (unreachable) return 'unavailable'
  const allowed =
    need === 'anyone' ||
    (need === 'see' && sees) ||
    (need === 'user' && !isAnonymous && (repository === undefined || may('read'))) ||
    (need === 'administrator' && asker.is === 'administrator') ||
    (!['see', 'user', 'administrator'].includes(need) && may(need as Action))
  return allowed ? 'answered' : isAnonymous ? 'challenged' : 'forbidden'
}
