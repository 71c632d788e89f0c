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
  /** `*`: everywhere. */
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
  const isHere = ({ where }: { where: string }) => where === '*' || where === place.key
  const fits = (one: Pick<Sentence, 'does' | 'where'>) =>
    isHere(one) && (one.does.includes(action) || one.does.includes('admin'))
  const said = sentences.filter((one) => isHere(one) && asker.as.includes(one.who))
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

/** `anyone` who brings no wrong credentials; `user`: who is known and reads; `look`: reads or audits; `list`: does so on any path. */
export type Need = Action | 'anyone' | 'user' | 'see' | 'look' | 'list'

export interface Question {
  need: Need
  place: Place
  path: string | undefined
  /** Only the primary can do it, and it cannot be reached. */
  unreachable?: boolean
  /** Of a protocol whose clients send credentials only when challenged. */
  challenges?: boolean
}

/** `hidden`: exactly as if there were no such repository. */
export type Answer = 'answered' | 'challenged' | 'forbidden' | 'hidden' | 'unavailable'

export function expected(world: World, asker: Asker, question: Question): Answer {
  const { need, place, path, unreachable, challenges } = question
  const isAnonymous = asker.is === 'anonymous'
  if (asker.is === 'invalid') return 'challenged'
  if (need !== 'anyone' && !sees(world, asker, place)) return isAnonymous && challenges ? 'challenged' : 'hidden'
  if (unreachable) return 'unavailable'
  if (need === 'anyone' || need === 'see') return 'answered'
  const actions: Action[] = need === 'look' ? ['read', 'audit'] : need === 'user' || need === 'list' ? ['read'] : [need]
  const paths = need === 'list' ? world.paths : [path]
  const allowed = paths.some((one) => actions.some((action) => may(world, asker, action, place, one)))
  if (allowed && place.stale) return 'unavailable'
  if (allowed && !(need === 'user' && isAnonymous)) return 'answered'
  return isAnonymous ? 'challenged' : 'forbidden'
}

/** What concerns no repository. */
export type Standing = 'anyone' | 'authenticated' | 'auditor' | 'administrator'

export function stands(world: World, asker: Asker, standing: Standing): Answer {
  if (asker.is === 'invalid') return 'challenged'
  const isUser = asker.is === 'user' || asker.is === 'administrator'
  const administers = asker.is === 'administrator' && may(world, asker, 'admin', EVERYWHERE)
  const stood = {
    anyone: true,
    authenticated: isUser,
    auditor: isUser && (administers || may(world, asker, 'audit', EVERYWHERE)),
    administrator: administers,
  }
  if (stood[standing]) return 'answered'
  return asker.is === 'anonymous' ? 'challenged' : 'forbidden'
}

const EVERYWHERE: Place = { key: '*' }
