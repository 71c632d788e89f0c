/**
 * Token scopes: `*` is all that the user may, `scim` that an identity provider's own account may provision users (nothing else); otherwise `action`, `action:pattern` (a glob over repository keys) or
 * `action:pattern/path` (paths that begin with it, as in grants). `admin` includes the other actions. Scopes only ever narrow.
 */
import { matches } from '../glob.js'
import type { Action } from '../records.js'
import { beginsWith } from './path.js'

const GRAMMAR = /^(?:\*|scim|(?:read|write|delete|admin|audit)(?::[a-z0-9._*-]{1,63}(?:\/[^\s\p{Cc}\\]{0,200})?)?)$/u

/** To provision users, for an identity provider's own account. */
export const PROVISIONING = 'scim'

interface Scope {
  action: string
  pattern: string
  /** '' is all. */
  path: string
}

export function isScope(text: string): boolean {
  return GRAMMAR.test(text)
}

/** The paths on which scopes leave an action: '' among them is every path, none at all is nowhere. */
export function scopedPaths(scopes: readonly string[], action: Action, repository: string): string[] {
  return scopes
    .map(parse)
    .filter((scope) => includes(scope.action, action) && matches(scope.pattern, repository))
    .map(({ path }) => path)
}

/** Do the scopes leave what concerns the whole system: users, nodes, repositories' creation. */
export function scopesAdminister(scopes: readonly string[]): boolean {
  return scopes.some((scope) => scope === '*' || scope === 'admin' || scope === 'admin:*')
}

/** Do the scopes leave an identity provider's own account what it is there for. */
export function scopesProvision(scopes: readonly string[]): boolean {
  return scopes.some((scope) => scope === '*' || scope === PROVISIONING)
}

/** Is every one of `wanted` covered by `held`, so that a token cannot make a stronger one. */
export function scopesWithin(wanted: readonly string[], held: readonly string[]): boolean {
  return wanted.every((scope) => held.some((other) => within(scope, other)))
}

/** Conservative: of two patterns with stars, only equal ones are known to cover each other. */
function within(scope: string, other: string): boolean {
  if (other === '*') return true
  if (scope === '*') return false
  const a = parse(scope)
  const b = parse(other)
  return includes(b.action, a.action) && patternWithin(a.pattern, b.pattern) && pathWithin(a.path, b.path)
}

function patternWithin(pattern: string, other: string): boolean {
  return other === '*' || pattern === other || (!pattern.includes('*') && matches(other, pattern))
}

function pathWithin(path: string, other: string): boolean {
  return path === other || (path.includes('*') ? other === '' : beginsWith(path, other))
}

function includes(granted: string, action: string): boolean {
  return granted === '*' || granted === 'admin' || granted === action
}

function parse(scope: string): Scope {
  const [, action = '', pattern = '*', path = ''] = /^([^:]*)(?::([^/]*)(?:\/(.*))?)?$/su.exec(scope) ?? []
  return { action, pattern, path }
}
