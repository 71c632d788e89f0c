/**
 * What lock files name, in words that all ecosystems share: versions, and of each the files that an installation may want, known by
 * name, by hash, or by both. Formats read lock files and find their files in a repository (`Format.lock`).
 */
import type { Stored } from './records.js'
import type { Repository } from './repository.js'

/** 'sha512:…' in lowercase hexadecimal, or an ecosystem's own, such as 'h1:…'. */
export type Sum = string

export interface LockedFile {
  /** As the ecosystem calls it; undefined: the lock file does not say. */
  name?: string | undefined
  /** One of them must be right. None: the lock file does not say. */
  sums: Sum[]
}

export interface Locked {
  /** As records name it. */
  package: string
  version: string
  files: LockedFile[]
}

export interface LockContent {
  locked: Locked[]
  /** What it names that no registry has: a Git repository, an address. */
  elsewhere: string[]
}

/** A kind of machine, in OCI's words. */
export interface Platform {
  /** 'linux', 'darwin', 'windows' */
  os: string
  /** 'amd64', 'arm64' */
  architecture: string
}

export interface LockFile {
  /** Which file names, whole. */
  readonly name: RegExp
  /** Pure. Leaves out what no machine of the platform wants, where the file tells. Throws `invalid`. */
  read(text: string, platform?: Platform): LockContent
}

/** A file of a repository that an installation wants. */
export interface Needed {
  /** For people. */
  name: string
  /** undefined: the repository lists no such file. */
  path: string | undefined
  sums: Sum[]
}

export interface Lock {
  /** Tried in order. */
  readonly files: readonly LockFile[]
  /** The same, in words: 'package-lock.json, yarn.lock'. */
  readonly names: string
  /**
   * The files of what is locked, of everything that an installation reads; undefined: the repository does not list the version.
   * Throws `unavailable` when that cannot be told.
   */
  find(repository: Repository, locked: Locked, platform?: Platform): Promise<Needed[] | undefined>
  /** Computes a hash that is this ecosystem's own. */
  sum?(repository: Repository, needed: { path: string; file: Stored }, signal: AbortSignal): Promise<Sum>
}

/** Are the bytes those that a lock file means: undefined when what is recorded of them does not tell. */
export function agrees(
  { digest, hashes }: Pick<Stored, 'digest' | 'hashes'>,
  sums: readonly Sum[],
): boolean | undefined {
  if (sums.length === 0) return true
  const recorded: Readonly<Record<string, string>> = { sha256: digest, ...hashes }
  const known = sums.filter((sum) => Object.hasOwn(recorded, algorithmOf(sum)))
  if (known.some((sum) => sum === `${algorithmOf(sum)}:${recorded[algorithmOf(sum)]}`)) return true
  return known.length === sums.length ? false : undefined
}

export function algorithmOf(sum: Sum): string {
  return sum.slice(0, sum.indexOf(':'))
}

/** 'linux/amd64'; undefined: it is not of that form. */
export function parsePlatform(text: string): Platform | undefined {
  const [, os, architecture] = /^([a-z0-9]+)\/([a-z0-9]+)$/.exec(text) ?? []
  return os === undefined || architecture === undefined ? undefined : { os, architecture }
}
