/** A crate or version that is there, or a sentence for one that is not. A crate is found under every spelling of its name. */
import { RegistryError } from '../../protocol/errors.js'
import type { Package, Version } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { type Line, readLine } from './line.js'
import { keyOf } from './version.js'

/** Throws `missing` for a crate without versions. */
export async function knownCrate(repository: Repository, name: string): Promise<Package> {
  const entry = await repository.package(name.toLowerCase())
  if (!entry || entry.versions === 0)
    throw new RegistryError('missing', `There is no crate ${name} here`, { code: 'crate_missing' })
  return entry
}

/** Throws `missing`. Build metadata must be named as it was published. */
export async function knownVersion(
  repository: Repository,
  name: string,
  version: string,
): Promise<{ entry: Version; line: Line }> {
  const found = await findVersion(repository, name, version)
  if (found) return found
  throw new RegistryError('missing', `There is no version ${version} of ${name} here`, { code: 'version_missing' })
}

export async function findVersion(
  repository: Repository,
  name: string,
  version: string,
): Promise<{ entry: Version; line: Line } | undefined> {
  // Of old crates in other registries there are versions that only build metadata tells apart.
  for (const key of new Set([keyOf(version), version])) {
    const entry = await repository.version(name.toLowerCase(), key)
    const line = entry && readLine(entry.meta)
    if (entry && line?.vers === version) return { entry, line }
  }
  return undefined
}
