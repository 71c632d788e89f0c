/**
 * Who may expect which answer. It knows rights as sentences and nothing of the gate's code: wherever the program differs from it, one of
 * the two is wrong.
 */
import type { Action } from '../../protocol/records.js'

/** What is said for somebody, or against: below a beginning of paths, '' being all. */
export interface Sentence {
  /** `anonymous`, or a user, group, project role or token by its name. */
  who: string
  not?: true
  does: readonly Action[]
  where: string
  below?: string
}

/** `invalid`: brings credentials that are none (any more). */
export interface Asker {
  name: string
  is: 'anonymous' | 'invalid' | 'user' | 'administrator' | 'node'
  /** Whom sentences are about that count for the asker. */
  as: readonly string[]
  /** Of a token that narrows. */
  scopes?: readonly Pick<Sentence, 'does' | 'where' | 'below'>[] | undefined
}

export interface Place {
  key: string
  public?: boolean
  /** Too little is known of it here. */
  stale?: boolean
}

/** All sentences there are, and beginnings of paths of which each of them covers some. */
export interface World {
  sentences: readonly Sentence[]
  paths: readonly string[]
}

export function may({ sentences }: World, asker: Asker, action: Action, place: Place, path?: string): boolean {
  const covers = ({ below = '' }: { below?: string }) => (path === undefined ? below === '' : path.startsWith(below))
  const fits = ({ does, where }: Pick<Sentence, 'does' | 'where'>) =>
    where === place.key && (does.includes(action) || does.includes('admin'))
  const said = sentences.filter(({ who, where }) => where === place.key && asker.as.includes(who))
  const denied = said.some(
    (one) =>
      one.not &&
      one.does.includes(action) &&
      (one.who !== 'anonymous' || asker.is === 'anonymous') &&
      (path === undefined || covers(one)),
  )
  if (asker.is === 'administrator' && asker.scopes === undefined) return true
  if (denied) return false
  const allowed = said.filter((one) => !one.not && fits(one) && covers(one))
  if ((place.public && action === 'read' && asker.is !== 'node') || allowed.some(({ who }) => who === 'anonymous'))
    return true
  if (asker.scopes?.some((scope) => fits(scope) && covers(scope)) === false) return false
  return asker.is === 'administrator' || allowed.length > 0
}

export function sees(world: World, asker: Asker, place: Place): boolean {
  const actions: Action[] = ['read', 'write', 'delete', 'admin', 'audit']
  return world.paths.some((path) => actions.some((action) => may(world, asker, action, place, path)))
}

/** `anyone` who brings no wrong credentials; `user`: who is known and reads; `see`: any right on any path; `list`: reads on any. */
export type Need = Action | 'anyone' | 'user' | 'see' | 'list'

export interface Question {
  need: Need
  place: Place
  path: string | undefined
  /** Only the primary can do it, and it cannot be reached. */
  unreachable: boolean
}

/** `hidden`: exactly as if there were no such repository. */
export type Answer = 'answered' | 'challenged' | 'forbidden' | 'hidden' | 'unavailable'

/** Of a protocol whose clients send credentials only when challenged. */
export function expected(world: World, asker: Asker, { need, place, path, unreachable }: Question): Answer {
  const refused = asker.is === 'anonymous' ? 'challenged' : undefined
  if (asker.is === 'invalid') return 'challenged'
  if (need !== 'anyone' && !sees(world, asker, place)) return refused ?? 'hidden'
  if (unreachable) return 'unavailable'
  if (need === 'anyone' || need === 'see') return 'answered'
  const action = need === 'user' || need === 'list' ? 'read' : need
  const paths = need === 'list' ? world.paths : [path]
  const allowed = paths.some((one) => may(world, asker, action, place, one))
  if (allowed && place.stale) return 'unavailable'
  return allowed && !(need === 'user' && refused) ? 'answered' : (refused ?? 'forbidden')
}
