/**
 * Records bytes under names that follow from them. What was removed before comes back by being pushed again: its bytes are the same,
 * whoever pushes them.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import type { Manifest, Step, Stored } from '../../protocol/records.js'
import type { Writable } from '../../protocol/repository.js'
import { blobPath, blobsOf } from './name.js'

type Keeping = Pick<Call<unknown>, 'repository' | 'principal'>

/** `more`: what is to happen together with it. */
export async function keep(call: Keeping, target: Writable, manifest: Manifest, more: Step[] = []): Promise<void> {
  const { package: name, version, meta } = manifest
  try {
    await target.commit([{ kind: 'publish', manifest }, ...more], call.principal)
  } catch (error) {
    if (!(error instanceof RegistryError) || error.kind !== 'conflict') throw error
    // Somebody else pushed the same at the same time, or it was removed and lies in its grave.
    const isThere = (await call.repository.version(name, version)) !== undefined
    const revive: Step[] = [
      { kind: 'restore', package: name, version },
      { kind: 'amend', package: name, version, meta },
    ]
    const steps = isThere ? more : [...revive, ...more]
    if (steps.length > 0) await target.commit(steps, call.principal)
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
