/**
 * Removes builds of snapshots that are neither among the newest of their version nor young, as the repository's settings say. A
 * build whose POM has not arrived may still be arriving: it is let be, and counts for none.
 */
import type { Principal } from '../../protocol/ports.js'
import type { Step } from '../../protocol/records.js'
import type { Repository, Writable } from '../../protocol/repository.js'
import { type Retention, retentionOf } from './policy.js'
import { allBuilds } from './snapshot.js'

const PAGE = 500

export async function upkeep(repository: Repository, by: Principal): Promise<void> {
  const { target, record } = repository
  const retention = retentionOf(record)
  if (!target || !retention) return
  for (let after: string | undefined; ; ) {
    const packages = await repository.packages({ limit: PAGE, ...(after === undefined ? {} : { after }) })
    for (const { name } of packages) {
      const steps = await surplus(repository, target, name, retention)
      if (steps.length > 0) await target.commit(steps, by)
    }
    after = packages.at(-1)?.name
    if (packages.length < PAGE) return
  }
}

async function surplus(
  repository: Repository,
  target: Writable,
  name: string,
  { builds: most, ms }: Retention,
): Promise<Step[]> {
  const before = new Date(Date.parse(target.now()) - ms).toISOString()
  const steps: Step[] = []
  for (const builds of (await allBuilds(repository, name)).values())
    for (const { version } of builds.filter(({ entry }) => entry.packaging !== undefined).slice(most))
      if (version.publishedAt <= before) steps.push({ kind: 'remove', package: name, version: version.version })
  return steps
}
