/** What a proposal may be refused for besides its rows: a lost optimistic lock, and the repository's quota. */
import { RegistryError } from '../errors.js'
import type { Proposal } from '../ledger.js'
import type { Metadata } from '../ports.js'
import type { RepositoryRecord } from '../records.js'
import type { Batch } from './batch.js'
import type { Rules } from './reduce.js'
import { type RowKey, rowKey } from './rows.js'

export function rulesOf({ redeploy }: Proposal, repository: RepositoryRecord | undefined): Rules {
  return {
    redeploy: redeploy ?? repository?.redeploy ?? true,
    immutableTags: repository?.immutableTags ?? [],
  }
}

/** The rows that a proposal's own conditions are about. */
export function conditionKeys({ scope, unchanged, present = [] }: Proposal): RowKey[] {
  const versions = present.map(({ package: name, version }) => rowKey('version', scope, name, version))
  return unchanged ? [...versions, rowKey('package', scope, unchanged.package)] : versions
}

/** Throws `missing` unless all versions that a proposal relies on are there. */
export async function refuseIfAbsent({ scope, present = [] }: Proposal, batch: Batch): Promise<void> {
  for (const { package: name, version } of present) {
    const row = await batch.before(rowKey('version', scope, name, version))
    if (!row || row.removedAt) throw new RegistryError('missing', `${name}@${version} was removed meanwhile`)
  }
}

/** Throws `conflict` when a package changed since the writer read it. */
export function refuseIfChanged(unchanged: { package: string; last: number }, last: number): void {
  if (last !== unchanged.last)
    throw new RegistryError(
      'conflict',
      `${unchanged.package} was changed by somebody else meanwhile; read it again and retry`,
    )
}

/** Limits that hold for what is written to a repository, each over the scopes that count: its own and its project's. */
export function quotasOf(
  repository: RepositoryRecord | undefined,
  metadata: Pick<Metadata, 'access' | 'repositories'>,
): { quota: number; scopes: string[]; whose: string }[] {
  if (!repository) return []
  const { quota, scope, project: key } = repository
  const own = quota === undefined ? [] : [{ quota, scopes: [scope], whose: 'repository' }]
  const project = key === undefined ? undefined : metadata.access('project', key)
  if (project?.quota === undefined) return own
  const scopes = metadata.repositories().flatMap((one) => (one.project === key ? [one.scope] : []))
  return [...own, { quota: project.quota, scopes, whose: 'project' }]
}

/** Throws `over_quota` when a repository or project would grow beyond its quota. Shrinking is always allowed. */
export function checkQuota(quota: number, used: number, grows: number, whose: string): void {
  if (grows > 0 && used > quota)
    throw new RegistryError('over_quota', `The ${whose}'s quota of ${quota} bytes does not hold ${used} bytes`, {
      code: 'quota_exceeded',
    })
}
