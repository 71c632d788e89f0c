/** May the bytes under a path change at the upstream: where the repository says so, or the ecosystem does. */
import type { Format } from '../../protocol/format.js'
import type { RepositoryRecord } from '../../protocol/records.js'

export function isMutable(repository: RepositoryRecord, format: Format, path: string): boolean {
  return repository.redeploy || format.upstream?.mutable?.(path) === true
}
