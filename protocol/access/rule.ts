/**
 * The order of rules behind every decision, pure. What speaks for or against somebody in a repository are sources: grants, roles in
 * its project, its being public. A rule is what is left of them when principal, action and repository are known; the path decides
 * the rest:
 *
 *     1. What a deny covers is denied; for an administrator of the system, only what one to the token covers.
 *     2. What everybody may is allowed, whatever a token's scopes are.
 *     3. What the token's scopes do not cover is denied.
 *     4. What an administrator, or somebody by a grant or a role, may is allowed.
 *     5. Everything else is denied.
 *
 * A question without a path is about the repository as a whole: a deny of a part denies it, and an allow of a part does not allow it.
 */
import { matchesAny } from '../glob.js'
import type { Decision, Metadata, Principal } from '../ports.js'
import type { Action, GrantRecord, Membership, ProjectRecord, RepositoryRecord, Subject } from '../records.js'
import { beginsWith, both, disjoint, literal } from './path.js'
import { actionsOf } from './roles.js'
import { scopedPaths } from './scope.js'

/** What a decision asks of a repository. */
export type Ruled = Pick<RepositoryRecord, 'key' | 'public' | 'project'>

export interface Source {
  effect: 'allow' | 'deny'
  actions: readonly Action[]
  /** '' is all. */
  path: string
  subject: Subject
  role?: string | undefined
  by: 'grant' | 'project' | 'public' | 'administrator'
  /** Of the grant, or the project's key. */
  id?: string
}

interface Part {
  path: string
  decision: Decision
}

/** A decision where the path makes no difference. */
export type Rule = { decision: Decision } | PathRule

interface PathRule {
  decision: undefined
  denies: Part[]
  /** What everybody may. */
  open: Part[]
  /** Paths that the token's scopes leave. */
  scopes: string[]
  allows: Part[]
  outOfScope: Decision
  closed: Decision
}

export interface RuleContext {
  metadata: Pick<Metadata, 'access' | 'grantsTo'>
  /** Whether anonymous may do what everybody may. */
  anonymousReads: boolean
}

export const NODE_PRINCIPAL = 'node:'
/** Before the key of an identity provider: its own account, as which it provisions users. Nobody's name has a colon. */
export const PROVIDER_PRINCIPAL = 'provider:'
const ANONYMOUS: Subject = { kind: 'user', name: 'anonymous' }
/** Only grants for every repository match it: what may be done to it may be done everywhere. */
export const EVERYWHERE: Ruled = { key: '*', public: false }

const WHOLE = ['']

export function ruleFor(principal: Principal, action: Action, repository: Ruled, context: RuleContext): Rule {
  const { key } = repository
  const { name, user, token } = principal
  if (isNode(principal)) return { decision: forNode(principal, action, key, context.metadata) }
  const administers = new Because(true, () => `${name} is an administrator.`)
  if (user?.admin && !token) return { decision: administers }
  const rule: PathRule = {
    decision: undefined,
    denies: [],
    open: [],
    scopes: token ? scopedPaths(token.scopes, action, key) : WHOLE,
    allows: user?.admin ? [{ path: '', decision: administers }] : [],
    outOfScope: no(() => `The token's scopes do not include ${action} on ${key}.`),
    closed: no(() => `No grant lets ${name} ${action} ${key}.`),
  }
  for (const source of sourcesOf(principal, repository, context)) {
    if (!speaksOf(source, action)) continue
    const part = { path: source.path, decision: decisionBy(source, action, key) }
    if (source.effect === 'deny') rule.denies.push(part)
    else if (isEverybody(source.subject)) rule.open.push(part)
    else rule.allows.push(part)
  }
  return isSettled(rule) ? { decision: decideBy(rule, undefined) } : rule
}

export function decideBy(rule: Rule, path: string | undefined): Decision {
  if (rule.decision) return rule.decision
  const { denies, open, scopes, allows, outOfScope, closed } = rule
  const denied = denies.find((part) => path === undefined || beginsWith(path, part.path))
  if (denied) return denied.decision
  const covers = (pattern: string) => (path === undefined ? pattern === '' : beginsWith(path, pattern))
  const allowed = open.find((part) => covers(part.path))
  if (allowed) return allowed.decision
  if (!scopes.some(covers)) return outOfScope
  return allows.find((part) => covers(part.path))?.decision ?? closed
}

/** May it be allowed on some path. */
export function isEver(rule: Rule): boolean {
  if (rule.decision) return rule.decision.allowed
  return rule.open.length > 0 || (rule.allows.length > 0 && rule.scopes.length > 0)
}

/** What every path that may be allowed begins with one of; [''] is any path. */
export function reachOf(rule: Rule): string[] {
  if (rule.decision) return rule.decision.allowed ? WHOLE : []
  const { open, scopes, allows } = rule
  const narrowed = allows.flatMap((part) => scopes.map((scope) => both(literal(part.path), literal(scope))))
  return disjoint([...open.map((part) => literal(part.path)), ...narrowed.filter((prefix) => prefix !== undefined)])
}

function isNode({ name, user, token }: Principal): boolean {
  return user === undefined && token === undefined && name.startsWith(NODE_PRINCIPAL)
}

/** Everything that is said about a principal in a repository, whatever the action. */
export function sourcesOf({ name, user, token }: Principal, repository: Ruled, context: RuleContext): Source[] {
  const { metadata, anonymousReads } = context
  const found: Source[] = anonymousReads || user ? byPublic(repository) : []
  const take = (subject: Subject, allows: boolean, denies: boolean) => {
    for (const grant of metadata.grantsTo(subject, repository.key))
      if (grant.effect === 'deny' ? denies : allows) found.push(byGrant(grant, metadata))
  }
  if (!user) {
    take(ANONYMOUS, anonymousReads, true)
    return found
  }
  // What is denied to anonymous is denied to nobody else.
  take(ANONYMOUS, true, false)
  // A token never does more than its user.
  if (token) take({ kind: 'token', name: token.id }, false, true)
  take({ kind: 'user', name }, true, !user.admin)
  for (const group of user.groups) take({ kind: 'group', name: group }, true, !user.admin)
  const project = repository.project === undefined ? undefined : metadata.access('project', repository.project)
  if (project)
    for (const membership of membershipsIn(project, subjectsOf({ name, user })))
      found.push(byMembership(membership, project.key, metadata))
  return found
}

/** Of each project, its members' roles by kind and name. */
const roles = new WeakMap<ProjectRecord, Map<string, Membership[]>>()

export function membershipsIn(project: ProjectRecord, subjects: readonly Subject[]): Membership[] {
  let known = roles.get(project)
  if (!known) {
    known = new Map()
    for (const member of project.members) {
      const key = `${member.kind}\0${member.name}`
      known.set(key, [...(known.get(key) ?? []), member])
    }
    roles.set(project, known)
  }
  return subjects.flatMap(({ kind, name }) => known.get(`${kind}\0${name}`) ?? [])
}

/** The principal's own name and its groups. */
export function subjectsOf({ name, user }: Pick<Principal, 'name' | 'user'>): Subject[] {
  return [{ kind: 'user', name }, ...(user?.groups ?? []).map((group): Subject => ({ kind: 'group', name: group }))]
}

/** Everybody can be let read, write and delete, no more. */
export function isForEverybody(actions: readonly Action[]): boolean {
  return !actions.some((action) => action === 'admin' || action === 'audit')
}

export function isEverybody({ kind, name }: Subject): boolean {
  return kind === ANONYMOUS.kind && name === ANONYMOUS.name
}

export function byGrant(
  { id, subject, path, actions, denied = [], role, effect }: GrantRecord,
  metadata: Pick<Metadata, 'access'>,
): Source {
  const listed = effect === 'deny' ? denied : actions
  const named = role === undefined ? listed : actionsOf(role, metadata)
  return { effect: effect ?? 'allow', actions: named, path, subject, role, by: 'grant', id }
}

function byMembership({ kind, name, role }: Membership, project: string, metadata: Pick<Metadata, 'access'>): Source {
  return {
    effect: 'allow',
    actions: actionsOf(role, metadata),
    path: '',
    subject: { kind, name },
    role,
    by: 'project',
    id: project,
  }
}

/** An allowed `admin` includes the other actions; a denied one is itself alone. */
export function speaksOf({ effect, actions }: Source, action: Action): boolean {
  return actions.includes(action) || (effect === 'allow' && actions.includes('admin'))
}

/** One sentence, about whatever it is asked of. */
export function sentenceOf({ effect, actions, subject, role, by, id, path }: Source): string {
  const who = `${subject.kind} ${subject.name}`
  const where = path === '' ? '' : ` where the path begins with ${path}`
  if (by === 'administrator') return `${who} is an administrator.`
  if (by === 'public') return 'Everybody may read it.'
  if (by === 'project') return `${who} is ${role} in project ${id}.`
  const what = role === undefined ? actions.join(', ') : `what a ${role} does`
  return `Grant ${id} ${effect === 'deny' ? 'forbids' : 'lets'} ${who}: ${what}${where}.`
}

function byPublic(repository: Ruled): Source[] {
  return repository.public ? [{ effect: 'allow', actions: ['read'], path: '', subject: ANONYMOUS, by: 'public' }] : []
}

function decisionBy(source: Source, action: Action, key: string): Decision {
  return new Because(source.effect === 'allow', () => {
    const { effect, subject, role, by, id, path } = source
    const what = path === '' ? key : `this path of ${key}`
    if (by === 'public') return `Everybody may read ${key}.`
    if (by === 'project') return `As ${role} in project ${id}, ${subject.kind} ${subject.name} may ${action} ${what}.`
    const says = effect === 'deny' ? 'denies' : 'includes'
    return `A grant to ${subject.kind} ${subject.name} ${says} ${action} on ${what}.`
  })
}

/** Does every path lead to the same decision. */
function isSettled({ denies, open, scopes, allows }: PathRule): boolean {
  if (denies.some(isWhole)) return true
  if (denies.length > 0) return false
  if (open.some(isWhole) || (scopes.includes('') && allows.some(isWhole))) return true
  return open.length === 0 && (allows.length === 0 || scopes.length === 0)
}

function isWhole({ path }: Part): boolean {
  return path === ''
}

/** A node may hold what its record names. It never writes: what clients send through it carries their own credentials. */
function forNode({ name }: Principal, action: Action, key: string, metadata: Pick<Metadata, 'access'>): Decision {
  const record = metadata.access('node', name.slice(NODE_PRINCIPAL.length))
  if (!record || record.revoked) return no(() => 'The node is no member of the fleet.')
  if (action !== 'read') return no(() => 'Nodes only read.')
  const covered = matchesAny(record.repositories, key)
  return new Because(covered, () => `Node ${record.name} may ${covered ? '' : 'not '}hold ${key}.`)
}

/** Most decisions are never told the reason of. */
class Because implements Decision {
  readonly allowed: boolean
  readonly #say: () => string

  constructor(allowed: boolean, say: () => string) {
    this.allowed = allowed
    this.#say = say
  }

  get reason(): string {
    return this.#say()
  }
}

function no(say: () => string): Decision {
  return new Because(false, say)
}
