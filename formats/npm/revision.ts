/** `_rev`: CouchDB's word for what an optimistic lock compares. It is the number of the newest change to the package. */
import { RegistryError } from '../../protocol/errors.js'
import type { Package } from '../../protocol/records.js'

export function revisionOf(last: number): string {
  return `${last}-0`
}

/** Throws `conflict` unless the client has seen the newest change. */
export function checkRevision(entry: Package, revision: unknown): void {
  if (revision !== revisionOf(entry.last))
    throw new RegistryError('conflict', `${entry.name} was changed meanwhile; read it again and retry`, {
      code: 'stale_revision',
    })
}
