/** What administrators may choose for a repository: which versions it takes, and which builds of snapshots it keeps. */
import { RegistryError } from '../../protocol/errors.js'
import type { Setting } from '../../protocol/format.js'
import type { RepositoryRecord } from '../../protocol/records.js'
import { isSnapshot } from './layout.js'

const DAY_MS = 86_400_000

export const SETTINGS: Readonly<Record<string, Setting>> = {
  version_policy: {
    description: 'Which versions can be deployed; mixed if not chosen',
    values: ['release', 'snapshot', 'mixed'],
  },
  snapshot_keep_builds: {
    description:
      'How many builds of a snapshot version are kept in any case, the newest; 1 if only the days are chosen',
    values: { from: 1, to: 100_000 },
  },
  snapshot_keep_days: {
    description: 'For how many days the others are kept; not at all if only the number is chosen',
    values: { from: 0, to: 36_500 },
  },
}

/** Throws `invalid`. `base`: as in `ArtifactPath`. */
export function checkVersionPolicy({ key, settings = {} }: RepositoryRecord, base: string): void {
  const { version_policy: policy } = settings
  if (policy === (isSnapshot(base) ? 'release' : 'snapshot'))
    throw new RegistryError('invalid', `${key} takes ${policy}s only, and ${base} is none`, { code: 'version_policy' })
}

export interface Retention {
  builds: number
  ms: number
}

/** undefined: everything is kept. */
export function retentionOf({ settings = {} }: RepositoryRecord): Retention | undefined {
  const { snapshot_keep_builds: builds, snapshot_keep_days: days } = settings
  if (builds === undefined && days === undefined) return undefined
  return { builds: Number(builds ?? 1), ms: Number(days ?? 0) * DAY_MS }
}
