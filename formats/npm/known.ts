/** A package that is there, or npm's own word for one that is not. */
import { RegistryError } from '../../protocol/errors.js'
import type { Package, Version } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'

/** Throws `missing` for a package without versions. */
export async function knownPackage(repository: Repository, name: string): Promise<Package> {
  const entry = await repository.package(name)
  if (!entry || entry.versions === 0) throw noPackage(name)
  return entry
}

export function noPackage(name: string): RegistryError {
  return new RegistryError('missing', `There is no package ${name} here`, { code: 'package_missing' })
}

export async function allVersions(repository: Repository, name: string): Promise<Map<string, Version>> {
  const versions = new Map<string, Version>()
  for await (const version of repository.versions(name)) versions.set(version.version, version)
  return versions
}
