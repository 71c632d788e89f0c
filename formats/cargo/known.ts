/** A crate or version that is there, or a sentence for one that is not. A crate is found under every spelling of its name. */
import { RegistryError } from '../../protocol/errors.js'
import type { Package, Version } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { type Line, readLine } from './line.js'
import { idOf } from './name.js'
import { keyOf } from './version.js'

/** Throws `missing` for a crate without versions. */
export async function knownCrate(repository: Repository, name: string): Promise<Package> {
  const entry = await repository.package(idOf(name))
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
  const entry = await repository.version(idOf(name), keyOf(version))
  const line = entry && readLine(entry.meta)
  if (!entry || line?.vers !== version)
    throw new RegistryError('missing', `There is no version ${version} of ${name} here`, { code: 'version_missing' })
  return { entry, line }
}
