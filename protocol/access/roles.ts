/** Names for sets of actions. The built-in ones cannot be changed; one's own are records. */
import type { Metadata } from '../ports.js'
import type { Action } from '../records.js'

export const ACTIONS: readonly Action[] = ['read', 'write', 'delete', 'admin', 'audit']

export const BUILT_IN_ROLES: ReadonlyMap<string, { description: string; actions: readonly Action[] }> = new Map([
  ['reader', { description: 'Reads', actions: ['read'] }],
  ['developer', { description: 'Reads and publishes', actions: ['read', 'write'] }],
  ['maintainer', { description: 'Reads, publishes and removes', actions: ['read', 'write', 'delete'] }],
  ['admin', { description: 'Everything, configuration included', actions: ACTIONS }],
  ['auditor', { description: 'Sees configuration and what is known about artifacts, no bytes', actions: ['audit'] }],
] as const)

/** Of a role that is not there, none. */
export function actionsOf(role: string, metadata: Pick<Metadata, 'access'>): readonly Action[] {
  return BUILT_IN_ROLES.get(role)?.actions ?? metadata.access('role', role)?.actions ?? []
}
