/** What the lock files of npm, pnpm and Yarn have in common: what they say about one version, and where it comes from. */
import type { LockContent, Locked, Platform } from '../../../protocol/lock.js'
import { promisedBy } from '../integrity.js'

export interface Entry {
  name: string
  version: string
  /** Where it came from; '': the registry. */
  resolved: string
  /** Subresource integrity; '': not known. */
  integrity: string
  /** As in package.json: empty for all, '!' in front for all others. */
  os: readonly string[]
  cpu: readonly string[]
}

/** Sorts entries into what a registry has and what comes from elsewhere; without those that the platform does not want. */
export function contentOf(entries: Iterable<Entry>, platform: Platform | undefined): LockContent {
  const content: LockContent = { locked: [], elsewhere: [] }
  for (const entry of entries) {
    if (platform && !(wants(entry.os, osOf(platform)) && wants(entry.cpu, cpuOf(platform)))) continue
    const locked = lockedBy(entry)
    if (locked) content.locked.push(locked)
    else content.elsewhere.push(`${entry.name} (${entry.resolved || entry.version})`)
  }
  return content
}

/** {address of a registry, whichever}/{package}/-/{file}.tgz */
const TARBALL = /^https?:\/\/(?:[^/]+\/)+?((?:@[^/]+(?:\/|%2f))?[^/@]+)\/-\/[^/]+\.tgz(?:[?#].*)?$/i
const VERSION = /^\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?$/

function lockedBy({ name, version, resolved, integrity }: Entry): Locked | undefined {
  if (!VERSION.test(version)) return undefined
  const named = TARBALL.exec(resolved)?.[1]
  // Some registries have tarballs at other paths; a Git repository's archive has no hash.
  if (resolved !== '' && named === undefined && !(/^https?:/.test(resolved) && integrity !== '')) return undefined
  const sums = strongest(integrity, /#([0-9a-f]{40})$/.exec(resolved)?.[1])
  return { package: named?.replace(/%2f/i, '/') ?? name, version, files: [{ sums }] }
}

function strongest(integrity: string, shasum: string | undefined): string[] {
  const { sha512, sha256, sha1 } = promisedBy({ integrity, shasum }) ?? {}
  if (sha512) return [`sha512:${sha512}`]
  if (sha256) return [`sha256:${sha256}`]
  return sha1 ? [`sha1:${sha1}`] : []
}

function wants(listed: readonly string[], value: string): boolean {
  if (listed.includes(`!${value}`)) return false
  const only = listed.filter((each) => !each.startsWith('!'))
  return only.length === 0 || only.includes(value) || only.includes('any')
}

/** Node's words for OCI's. */
function osOf({ os }: Platform): string {
  return os === 'windows' ? 'win32' : os
}

function cpuOf({ architecture }: Platform): string {
  return { amd64: 'x64', 386: 'ia32' }[architecture] ?? architecture
}
