/** Builds of a snapshot version: which there are, in order, and which of them has the newest file of a kind. */
import type { Version } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { type Entry, readEntry } from './entry.js'
import { type ArtifactPath, type Build, buildOf, isSnapshot, pathInBuild } from './layout.js'

export interface SnapshotBuild {
  version: Version
  build: Build
  entry: Entry
}

/** Newest first. */
export async function buildsOf(repository: Repository, name: string, base: string): Promise<SnapshotBuild[]> {
  return (await allBuilds(repository, name)).get(base) ?? []
}

/** By snapshot version, newest first. */
export async function allBuilds(repository: Repository, name: string): Promise<Map<string, SnapshotBuild[]>> {
  const all = new Map<string, SnapshotBuild[]>()
  for await (const version of repository.versions(name)) {
    const [entry, build] = [readEntry(version.meta), buildOf(version.version)]
    if (!entry || !build || !isSnapshot(entry.base)) continue
    const builds = all.get(entry.base)
    if (builds) builds.push({ version, build, entry })
    else all.set(entry.base, [{ version, build, entry }])
  }
  for (const builds of all.values()) builds.sort((a, b) => -compareBuilds(a.build, b.build))
  return all
}

/**
 * The path of the newest build's file that a path without a build stands for. Builds whose POM has not arrived are seen only by
 * whoever is sending them.
 */
export async function newestPath(
  repository: Repository,
  asked: ArtifactPath,
  { alsoHidden = false } = {},
): Promise<string | undefined> {
  for (const { version, entry } of await buildsOf(repository, asked.package, asked.base)) {
    if (entry.packaging === undefined && !alsoHidden) continue
    const path = pathInBuild(asked, version.version)
    if (version.files.some((file) => file.path === path)) return path
  }
  return undefined
}

function compareBuilds(a: Build, b: Build): number {
  return a.timestamp === b.timestamp ? a.number - b.number : a.timestamp < b.timestamp ? -1 : 1
}
