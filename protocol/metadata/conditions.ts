/** What a proposal may be refused for besides its rows: a lost optimistic lock, another's lease, and the repository's quota. */
import { RegistryError } from '../errors.js'
import { isVoided, leaseOn, overlapping, refuseLeased } from '../lease.js'
import type { Proposal } from '../ledger.js'
import type { Metadata } from '../ports.js'
import type { Change, Held, RepositoryRecord, Step } from '../records.js'
import type { Batch } from './batch.js'
import { type Rules, touched } from './reduce.js'
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

/**
 * Throws `conflict` for names that a node has on lease, unless it is what that node took, and for a lease that overlaps another one.
 * Judged where the log is written, so that of a lease and a publish one comes first.
 */
export async function refuseIfLeased(
  { scope, returned }: Proposal,
  group: { change: Change }[],
  metadata: Pick<Metadata, 'access' | 'accessAll'>,
  batch: Batch,
): Promise<void> {
  for (const { change } of group) {
    if (change.kind === 'access' && change.subject === 'lease' && change.record) {
      const other = change.record.closed ? undefined : overlapping(change.record, metadata)
      if (other) refuseLeased(other, metadata, `${change.record.prefixes.map((prefix) => `${prefix}*`).join(', ')}`)
    }
    const name = touched(change)
    const lease = name === undefined ? undefined : leaseOn(scope, name, metadata)
    if (lease && returned && isVoided(lease, name ?? '', change.at))
      throw new RegistryError('conflict', `${name} was given up by an operator`, { code: 'voided' })
    if (lease?.id === returned?.id) continue
    if (lease) refuseLeased(lease, metadata, name ?? '')
    throw new RegistryError('conflict', `${name} is not on lease any more`, { code: 'lease_closed' })
  }
  if (!returned) return
  const newest = (await batch.before(rowKey('returned', scope, returned.id)))?.number ?? 0
  if (returned.number === newest) throw new RegistryError('conflict', 'This is here already', { code: 'returned' })
  if (returned.number < newest)
    throw new RegistryError('conflict', 'What was taken later is here already', { code: 'out_of_order' })
}

/** The blobs that must be there for steps: those that get names, and those of versions that come back. */
export async function filesOf(scope: string, steps: readonly Step[], before: Pick<Batch, 'before'>): Promise<Held[]> {
  const files = await Promise.all(
    steps.map(async (step) => {
      if (step.kind === 'publish') return step.manifest.files
      if (step.kind === 'add') return step.files
      if (step.kind !== 'restore') return []
      return (await before.before(rowKey('version', scope, step.package, step.version)))?.files ?? []
    }),
  )
  return files.flat().filter((file): file is Held => !('offered' in file))
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
