/**
 * The order of rules behind every decision, pure. A rule is what remains when principal, action and repository are known:
 * a decision, or (where some grant is for a path only) a list of grants that the path decides between.
 */
import { matchesAny } from '../glob.js'
import type { Decision, Metadata, Principal } from '../ports.js'
import type { Action, GrantRecord, RepositoryRecord } from '../records.js'
import { type GrantIndex, grantCovers } from './grants.js'
import { scopesCover } from './scope.js'

export type Rule = { decision: Decision } | { grants: GrantRecord[]; allowed: Decision; denied: Decision }

export interface RuleContext {
  metadata: Pick<Metadata, 'access' | 'repositories'>
  grants: GrantIndex
  /** Whether a public repository may be read without credentials. */
  anonymousReads: boolean
}

export const NODE_PRINCIPAL = 'node:'

export function ruleFor(
  principal: Principal,
  action: Action,
  repository: RepositoryRecord,
  context: RuleContext,
): Rule {
  const { key } = repository
  const { user, token } = principal
  if (isNode(principal)) return { decision: forNode(principal, action, repository, context.metadata) }
  if (action === 'read' && repository.public && (user || context.anonymousReads))
    return allow(`Everybody may read ${key}.`)
  if (token && !scopesCover(token.scopes, action, key))
    return deny(`The token's scopes do not include ${action} on ${key}.`)
  if (user?.admin) return allow(`${user.name} is an administrator.`)
  return fromGrants(principal, action, repository, context.grants)
}

export function decideBy(rule: Rule, path: string | undefined): Decision {
  if ('decision' in rule) return rule.decision
  // Without a path the question is about the repository as a whole, which a grant for a path does not answer.
  const covered = path !== undefined && rule.grants.some((grant) => grantCovers(grant, path))
  return covered ? rule.allowed : rule.denied
}

export function isNode({ name, user, token }: Principal): boolean {
  return user === undefined && token === undefined && name.startsWith(NODE_PRINCIPAL)
}

function fromGrants(principal: Principal, action: Action, { key }: RepositoryRecord, index: GrantIndex): Rule {
  const grants = index.of(principal, key, action)
  const whole = grants.find((grant) => grant.path === '')
  if (whole) return allow(`A grant to ${whole.subject.kind} ${whole.subject.name} includes ${action} on ${key}.`)
  const denied = { allowed: false, reason: `No grant lets ${principal.name} ${action} ${key}.` }
  if (grants.length === 0) return { decision: denied }
  return { grants, allowed: { allowed: true, reason: `A grant for this path of ${key} includes ${action}.` }, denied }
}

/** A node may hold what its record names. It never writes: what clients send through it carries their own credentials. */
function forNode(
  { name }: Principal,
  action: Action,
  repository: RepositoryRecord,
  metadata: RuleContext['metadata'],
): Decision {
  const record = metadata.access('node', name.slice(NODE_PRINCIPAL.length))
  if (!record || record.revoked) return { allowed: false, reason: 'The node is no member of the fleet.' }
  if (action !== 'read') return { allowed: false, reason: 'Nodes only read.' }
  const covered = matchesAny(record.repositories, repository.key)
  return { allowed: covered, reason: `Node ${record.name} may ${covered ? '' : 'not '}hold ${repository.key}.` }
}

function allow(reason: string): Rule {
  return { decision: { allowed: true, reason } }
}

function deny(reason: string): Rule {
  return { decision: { allowed: false, reason } }
}
