/** What comes back with a manifest that is restored: the blobs that went with it. */
import { collect } from '../../protocol/chunks.js'
import type { FileRecord, Step } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { MANIFEST_LIMIT, parseManifest } from './manifest.js'
import { blobPath, manifestPath } from './name.js'

export async function restoredWith(repository: Repository, file: FileRecord): Promise<Step[]> {
  const { package: name, version, path } = file
  if (path !== manifestPath(name, version)) return []
  const bytes = await collect((await repository.open(file)).read(), MANIFEST_LIMIT)
  const steps: Step[] = []
  for (const digest of new Set(parseManifest(bytes, undefined).blobs.map((blob) => blob.digest))) {
    const blob = await repository.target?.restorable(blobPath(name, digest))
    if (blob) steps.push({ kind: 'restore', package: blob.package, version: blob.version })
  }
  return steps
}
