/**
 * Token scopes: `*` is all that the user may, otherwise `action` or `action:pattern`, the pattern being a glob over repository
 * keys. `admin` includes the other actions. Scopes only ever narrow.
 */
import { matches } from '../glob.js'
import type { Action } from '../records.js'

const GRAMMAR = /^(?:\*|(?:read|write|delete|admin)(?::[a-z0-9._*-]{1,63})?)$/

export function isScope(text: string): boolean {
  return GRAMMAR.test(text)
}

export function scopesCover(scopes: readonly string[], action: Action, repository: string): boolean {
  return scopes.some((scope) => {
    const { action: granted, pattern } = parse(scope)
    return includes(granted, action) && matches(pattern, repository)
  })
}

/** Do the scopes leave what concerns the whole system: users, nodes, repositories' creation. */
export function scopesAdminister(scopes: readonly string[]): boolean {
  return scopes.some((scope) => scope === '*' || scope === 'admin' || scope === 'admin:*')
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
  if (!includes(b.action, a.action)) return false
  return b.pattern === '*' || a.pattern === b.pattern || (!a.pattern.includes('*') && matches(b.pattern, a.pattern))
}

function includes(granted: string, action: string): boolean {
  return granted === '*' || granted === 'admin' || granted === action
}

function parse(scope: string): { action: string; pattern: string } {
  const colon = scope.indexOf(':')
  return colon < 0
    ? { action: scope, pattern: '*' }
    : { action: scope.slice(0, colon), pattern: scope.slice(colon + 1) }
}
