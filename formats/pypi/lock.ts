/**
 * Lock files of pip, uv and Poetry. They list every file of a version, for all machines; all of them are wanted, or those that a
 * platform can use: its wheels, wheels for any, and source archives. With each goes the metadata that lies beside it (PEP 658).
 */
import type { Lock, Locked, LockedFile, Needed, Platform } from '../../protocol/lock.js'
import type { Version } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { readRequirements } from './lock/requirements.js'
import { readTomlLock } from './lock/toml-lock.js'
import { metadataPath } from './name.js'

export const lock: Lock = {
  names: 'requirements.txt with hashes, uv.lock, poetry.lock, pylock.toml',
  files: [
    { name: /.*\.(?:txt|in)/, read: readRequirements },
    { name: /(?:uv|poetry).*\.lock|pylock.*\.toml/, read: readTomlLock },
  ],
  find,
}

/** A file of a version as the index lists it. */
interface Listed {
  path: string
  name: string
  /** undefined: the upstream does not tell. */
  sha256: string | undefined
}

async function find(
  repository: Repository,
  { package: name, version, files }: Locked,
  platform?: Platform,
): Promise<Needed[] | undefined> {
  const known = await repository.version(name, version)
  if (!known) return undefined
  const listed = listedIn(known)
  const wanted = files.length === 0 ? listed.map(({ name: file }) => ({ name: file, sums: [] })) : files
  const paired = wanted.map((file) => pair(file, listed))
  const suited = platform
    ? paired.filter(({ name: file, path }) => path !== undefined && suits(file, platform))
    : paired
  const beside = new Set(known.files.map(({ path }) => path))
  const needed = suited.flatMap((file) => [file, ...metadataOf(file, beside)])
  return needed.length > 0 ? needed : [{ name: `${name} ${version} for this platform`, path: undefined, sums: [] }]
}

function listedIn({ files }: Version): Listed[] {
  return files.flatMap((file) => {
    const name = file.path.slice(file.path.lastIndexOf('/') + 1)
    if (!/\.(?:whl|tar\.gz|zip)$/.test(name)) return []
    return [{ path: file.path, name, sha256: 'offered' in file ? file.promised?.sha256 : file.digest }]
  })
}

function pair({ name, sums }: LockedFile, listed: readonly Listed[]): Needed {
  const found = listed.find((file) =>
    name === undefined ? sums.includes(`sha256:${file.sha256}`) : file.name.toLowerCase() === name.toLowerCase(),
  )
  return { name: found?.name ?? name ?? sums[0] ?? '', path: found?.path, sums }
}

function metadataOf({ name, path }: Needed, beside: ReadonlySet<string>): Needed[] {
  if (path === undefined || !name.endsWith('.whl') || !beside.has(metadataPath(path))) return []
  return [{ name: metadataPath(name), path: metadataPath(path), sums: [] }]
}

/** The words that wheels have for operating systems and processors (PEP 425 and what followed it). */
const SYSTEMS: Readonly<Record<string, RegExp>> = { linux: /linux/, darwin: /^macosx/, windows: /^win/ }
const PROCESSORS: Readonly<Record<string, RegExp>> = {
  amd64: /(?:x86_64|amd64|universal2?|intel)$/,
  arm64: /(?:aarch64|arm64|universal2)$/,
  386: /(?:i686|i386|win32)$/,
  arm: /armv\d+l$/,
}

function suits(file: string, { os, architecture }: Platform): boolean {
  if (!file.endsWith('.whl')) return true
  const tags = file.slice(file.lastIndexOf('-') + 1, -'.whl'.length).split('.')
  return tags.some(
    (tag) => tag === 'any' || (SYSTEMS[os]?.test(tag) === true && PROCESSORS[architecture]?.test(tag) === true),
  )
}
