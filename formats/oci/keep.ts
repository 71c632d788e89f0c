/**
 * Records bytes under names that follow from them. What was removed before comes back by being pushed again: its bytes are the same,
 * whoever pushes them.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import type { Manifest, Step, Stored, VersionKey } from '../../protocol/records.js'
import type { Writable } from '../../protocol/repository.js'
import { blobPath, blobsOf } from './name.js'

type Keeping = Pick<Call<unknown>, 'repository' | 'principal'>

export interface Together {
  /** What is to happen together with it. */
  before?: Step[]
  after?: Step[]
  /** What must be there. */
  present?: VersionKey[]
}

export async function keep(
  call: Keeping,
  target: Writable,
  manifest: Manifest,
  { before = [], after = [], present = [] }: Together = {},
): Promise<void> {
  const { package: name, version, meta } = manifest
  const commit = (steps: Step[]) => target.commit(steps, call.principal, undefined, present)
  try {
    await commit([...before, { kind: 'publish', manifest }, ...after])
  } catch (error) {
    if (!(error instanceof RegistryError) || error.kind !== 'conflict' || error.code === 'tag_immutable') throw error
    // Somebody else pushed the same at the same time, or it was removed and lies in its grave.
    const isThere = (await call.repository.version(name, version)) !== undefined
    const revive: Step[] = [
      { kind: 'restore', package: name, version },
      { kind: 'amend', package: name, version, meta },
    ]
    const steps = isThere ? after : [...before, ...revive, ...after]
    if (steps.length > 0) await commit(steps)
  }
}

/** A blob of an image, from now on found by its digest. */
export async function keepBlob(
  call: Keeping,
  target: Writable,
  { name, digest, stored }: { name: string; digest: string; stored: Stored },
): Promise<void> {
  const path = blobPath(name, digest)
  if (await call.repository.file(path)) return
  const { digest: sha256, size, root, hashes } = stored
  await keep(call, target, {
    package: blobsOf(name),
    version: digest,
    files: [{ path, digest: sha256, size, root, hashes }],
    meta: '{}',
    publishedAt: target.now(),
  })
}
