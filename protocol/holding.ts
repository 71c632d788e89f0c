/**
 * What of a lock file is here, and bringing here what is not: by the ordinary reads of a repository, so that whatever decides about
 * those decides here too.
 */
import { createHash } from 'node:crypto'
import { RegistryError } from './errors.js'
import { agrees, algorithmOf, type Lock, type Locked, type Needed, type Platform } from './lock.js'
import type { Blobs } from './ports.js'
import type { FileRecord } from './records.js'
import type { Repository } from './repository.js'

export interface Holding {
  repository: Repository
  lock: Lock
  platform: Platform | undefined
  blobs: Pick<Blobs, 'has' | 'settled'>
  signal: AbortSignal
}

/** `held`: its bytes are here. `fetched`: they came here now. `differs`: they are not those that the lock file means. */
export type State = 'held' | 'fetched' | 'missing' | 'differs'

export interface FileState {
  name: string
  state: State
  /** Bytes; undefined: not known. */
  size?: number
  /** A sentence: why it is neither held nor fetched. */
  reason?: string
}

export interface Found {
  package: string
  version: string
  files: FileState[]
  /** A sentence: why nothing is known of the version. */
  reason?: string
}

/** What the repository could serve of it: for what could be served with nobody to ask, give it `Repository.held`. */
export function look(holding: Holding, locked: Locked): Promise<Found> {
  return each(holding, locked, (needed, path) => present(holding, needed, path))
}

/** The same once everything was read that can be. */
export function bring(holding: Holding, locked: Locked): Promise<Found> {
  return each(holding, locked, (needed, path) => fetched(holding, needed, path))
}

async function each(
  { repository, lock, platform }: Holding,
  locked: Locked,
  of: (needed: Needed, path: string) => Promise<FileState>,
): Promise<Found> {
  const { package: name, version } = locked
  try {
    const needed = await lock.find(repository, locked, platform)
    if (!needed) return { package: name, version, files: [], reason: `${repository.key} does not list it` }
    const files: FileState[] = []
    for (const one of needed) files.push(await stateOf(repository, one, of))
    return { package: name, version, files }
  } catch (error) {
    return { package: name, version, files: [], reason: sentenceOf(error) }
  }
}

async function stateOf(
  { key }: Repository,
  needed: Needed,
  of: (needed: Needed, path: string) => Promise<FileState>,
): Promise<FileState> {
  const { name, path } = needed
  if (path === undefined) return { name, state: 'missing', reason: `${key} lists no such file` }
  try {
    return await of(needed, path)
  } catch (error) {
    return { name, state: 'missing', reason: sentenceOf(error) }
  }
}

async function present({ repository, blobs }: Holding, { name, sums }: Needed, path: string): Promise<FileState> {
  const file = await repository.file(path)
  if (!file) return { name, state: 'missing', reason: `There is no record of it in ${repository.key}` }
  const { size } = file
  if (agrees(file, sums) === false) return differs(name, file)
  if (await isHere(blobs, file)) return { name, state: 'held', size }
  return { name, state: 'missing', size, reason: 'Its bytes are not here' }
}

async function fetched(holding: Holding, { name, sums }: Needed, path: string): Promise<FileState> {
  const { repository, blobs, signal } = holding
  const found = await (repository.arrive ? repository.arrive(path) : repository.file(path))
  const file = found && ('digest' in found ? found : await found.done)
  if (!file) return { name, state: 'missing', reason: `There is no ${path} in ${repository.key}` }
  const { size } = file
  const agreed = agrees(file, sums)
  if (agreed === false) return differs(name, file)
  const before = await isHere(blobs, file)
  if (!before) await drain(repository, file, signal)
  if (agreed === undefined && !(await isAmong(holding, file, sums))) return differs(name, file)
  if (before) return { name, state: 'held', size }
  await blobs.settled?.(file.digest)
  if (await isHere(blobs, file)) return { name, state: 'fetched', size }
  return { name, state: 'missing', size, reason: 'It was read, and there is no room to keep it' }
}

async function isHere(blobs: Holding['blobs'], { size, digest }: FileRecord): Promise<boolean> {
  return size === 0 || blobs.has(digest)
}

/** Reading it is what keeps it. */
async function drain(repository: Repository, file: FileRecord, signal: AbortSignal): Promise<void> {
  for await (const _ of (await repository.open(file)).read(undefined, signal)) signal.throwIfAborted()
}

/** For hashes that no record has. */
async function isAmong(holding: Holding, file: FileRecord, sums: readonly string[]): Promise<boolean> {
  const { repository, lock, signal } = holding
  if (lock.sum) return sums.includes(await lock.sum(repository, { path: file.path, file }, signal))
  for (const algorithm of new Set(sums.map(algorithmOf))) {
    const hash = createHash(algorithm)
    for await (const chunk of (await repository.open(file)).read(undefined, signal)) hash.update(chunk)
    if (sums.includes(`${algorithm}:${hash.digest('hex')}`)) return true
  }
  return false
}

function differs(name: string, { size, digest }: FileRecord): FileState {
  return { name, state: 'differs', size, reason: `It has other bytes than the lock file says (sha256 ${digest})` }
}

function sentenceOf(error: unknown): string {
  if (error instanceof RegistryError) return error.message
  throw error
}
