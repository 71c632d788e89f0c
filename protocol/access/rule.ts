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

export interface Rule {
  /** Where the path makes no difference. */
  decision: Decision | undefined
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
export const ANONYMOUS: Subject = { kind: 'user', name: 'anonymous' }
/** Only grants for every repository match it: what may be done to it may be done everywhere. */
export const EVERYWHERE: Ruled = { key: '*', public: false }

const WHOLE = ['']

export function ruleFor(principal: Principal, action: Action, repository: Ruled, context: RuleContext): Rule {
  const { key } = repository
  const { name, user, token } = principal
  const closed = no(`No grant lets ${name} ${action} ${key}.`)
  const rule: Rule = {
    decision: isNode(principal) ? forNode(principal, action, key, context.metadata) : undefined,
    denies: [],
    open: [],
    scopes: token ? scopedPaths(token.scopes, action, key) : WHOLE,
    allows: user?.admin ? [{ path: '', decision: yes(`${name} is an administrator.`) }] : [],
    outOfScope: no(`The token's scopes do not include ${action} on ${key}.`),
    closed,
  }
  if (rule.decision) return rule
  for (const source of sourcesOf(principal, repository, context)) {
    if (!speaksOf(source, action)) continue
    const part = { path: source.path, decision: decisionBy(source, action, key) }
    if (isDeny(source)) rule.denies.push(part)
    else if (isEverybody(source.subject)) rule.open.push(part)
    else rule.allows.push(part)
  }
  return { ...rule, decision: whateverThePath(rule) }
}

export function decideBy(rule: Rule, path: string | undefined): Decision {
  const { decision, denies, open, scopes, allows, outOfScope, closed } = rule
  if (decision) return decision
  const denied = denies.find((part) => path === undefined || beginsWith(path, part.path))
  if (denied) return denied.decision
  const covers = (pattern: string) => (path === undefined ? pattern === '' : beginsWith(path, pattern))
  const allowed = open.find((part) => covers(part.path))
  if (allowed) return allowed.decision
  if (!scopes.some(covers)) return outOfScope
  return allows.find((part) => covers(part.path))?.decision ?? closed
}

/** May it be allowed on some path. */
export function isEver({ decision, open, scopes, allows }: Rule): boolean {
  return decision ? decision.allowed : open.length > 0 || (allows.length > 0 && scopes.length > 0)
}

/** What every path that may be allowed begins with one of; [''] is any path. */
export function reachOf({ decision, open, scopes, allows }: Rule): string[] {
  if (decision) return decision.allowed ? WHOLE : []
  const narrowed = allows.flatMap((part) => scopes.map((scope) => both(literal(part.path), literal(scope))))
  return disjoint([...open.map((part) => literal(part.path)), ...narrowed.filter((prefix) => prefix !== undefined)])
}

export function isNode({ name, user, token }: Principal): boolean {
  return user === undefined && token === undefined && name.startsWith(NODE_PRINCIPAL)
}

/** Everything that is said about a principal in a repository, whatever the action. */
export function sourcesOf(principal: Principal, repository: Ruled, context: RuleContext): Source[] {
  const { user, token } = principal
  const { metadata, anonymousReads } = context
  const grants = (subject: Subject) =>
    metadata.grantsTo(subject, repository.key).map((grant) => byGrant(grant, metadata))
  const own = subjectsOf(principal)
  // A token never does more than its user.
  const narrowing = token ? grants({ kind: 'token', name: token.id }).filter(isDeny) : []
  const personal = own.flatMap(grants).filter((source) => !(user?.admin && isDeny(source)))
  const given = [...narrowing, ...personal, ...byProject(own, repository, metadata)]
  if (!user) return anonymousReads ? [...byPublic(repository), ...given] : given.filter(isDeny)
  // What is denied to anonymous is denied to nobody else.
  return [...byPublic(repository), ...grants(ANONYMOUS).filter((source) => !isDeny(source)), ...given]
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

export function isEverybody({ kind, name }: Subject): boolean {
  return kind === ANONYMOUS.kind && name === ANONYMOUS.name
}

export function isDeny({ effect }: Pick<Source, 'effect'>): boolean {
  return effect === 'deny'
}

export function byGrant(
  { id, subject, path, actions, role, effect }: GrantRecord,
  metadata: Pick<Metadata, 'access'>,
): Source {
  const named = role === undefined ? actions : actionsOf(role, metadata)
  return { effect: effect ?? 'allow', actions: named, path, subject, role, by: 'grant', id }
}

export function byMembership(
  { kind, name, role }: Membership,
  project: string,
  metadata: Pick<Metadata, 'access'>,
): Source {
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

export function byPublic(repository: Ruled): Source[] {
  return repository.public ? [{ effect: 'allow', actions: ['read'], path: '', subject: ANONYMOUS, by: 'public' }] : []
}

function byProject(
  subjects: readonly Subject[],
  { project: key }: Ruled,
  metadata: Pick<Metadata, 'access'>,
): Source[] {
  const project = key === undefined ? undefined : metadata.access('project', key)
  if (!project) return []
  return membershipsIn(project, subjects).map((membership) => byMembership(membership, project.key, metadata))
}

function decisionBy(source: Source, action: Action, key: string): Decision {
  const { effect, subject, role, by, id, path } = source
  const what = path === '' ? key : `this path of ${key}`
  if (by === 'public') return yes(`Everybody may read ${key}.`)
  if (by === 'project')
    return yes(`As ${role} in project ${id}, ${subject.kind} ${subject.name} may ${action} ${what}.`)
  const says = `A grant to ${subject.kind} ${subject.name} ${effect === 'deny' ? 'denies' : 'includes'} ${action} on ${what}.`
  return { allowed: effect === 'allow', reason: says }
}

function whateverThePath(rule: Rule): Decision | undefined {
  const { denies, open, scopes, allows } = rule
  const whole = denies.find(({ path }) => path === '')
  if (whole) return whole.decision
  const parts = [...denies, ...open, ...(scopes.length === 0 ? [] : allows)]
  const everywhere = open.some(({ path }) => path === '') || (isWhole(scopes) && allows.some(({ path }) => path === ''))
  return parts.length === 0 || (everywhere && denies.length === 0) ? decideBy(rule, undefined) : undefined
}

function isWhole(paths: readonly string[]): boolean {
  return paths.includes('')
}

/** A node may hold what its record names. It never writes: what clients send through it carries their own credentials. */
function forNode({ name }: Principal, action: Action, key: string, metadata: Pick<Metadata, 'access'>): Decision {
  const record = metadata.access('node', name.slice(NODE_PRINCIPAL.length))
  if (!record || record.revoked) return no('The node is no member of the fleet.')
  if (action !== 'read') return no('Nodes only read.')
  const covered = matchesAny(record.repositories, key)
  return { allowed: covered, reason: `Node ${record.name} may ${covered ? '' : 'not '}hold ${key}.` }
}

function yes(reason: string): Decision {
  return { allowed: true, reason }
}

function no(reason: string): Decision {
  return { allowed: false, reason }
}
