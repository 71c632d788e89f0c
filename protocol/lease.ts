/** Leases: which names one node alone gives, and until when. Prefixes are literal, so that overlap can be decided. */
import { both } from './access/path.js'
import { RegistryError } from './errors.js'
import type { Metadata } from './ports.js'
import type { LeaseRecord } from './records.js'

type Records = Pick<Metadata, 'access' | 'accessAll'>

/** How far a node's clock may have fallen behind since it last heard the time. */
export const DRIFT_MS = 300_000

/** The lease that is not closed and has the name. */
export function leaseOn(scope: string, name: string, metadata: Records): LeaseRecord | undefined {
  return metadata.accessAll('lease').find((lease) => !lease.closed && lease.scope === scope && covers(lease, name))
}

export function covers({ prefixes }: Pick<LeaseRecord, 'prefixes'>, name: string): boolean {
  return prefixes.some((prefix) => name.startsWith(prefix))
}

/** Did an operator give up what was taken of a name at that time. */
export function isVoided({ voided = [] }: LeaseRecord, name: string, at: string): boolean {
  return voided.some((one) => name.startsWith(one.prefix) && at < one.at)
}

/** Another one that is not closed, and has a name that this one has too. */
export function overlapping({ id, scope, prefixes }: LeaseRecord, metadata: Records): LeaseRecord | undefined {
  const meets = (other: LeaseRecord) => other.prefixes.some((a) => prefixes.some((b) => both(a, b) !== undefined))
  return metadata
    .accessAll('lease')
    .find((other) => other.id !== id && !other.closed && other.scope === scope && meets(other))
}

/** Throws `conflict`, with where to go. */
export function refuseLeased({ id, node, until }: LeaseRecord, metadata: Records, names: string): never {
  const name = metadata.access('node', node)?.name ?? node
  throw new RegistryError(
    'conflict',
    `${names} is on lease to node ${name} until ${until}: publish there, or end lease ${id} (cairn lease end)`,
    { code: 'leased' },
  )
}
