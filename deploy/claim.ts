/**
 * A part's own data directory, while the part runs: only one process at a time, and only data of this version. Beside it:
 *
 *     <data>.pid          process id, while it runs (a killed one leaves it; the next start sees that it is stale)
 *     <data>/version      'cairn primary 1': whose data, and of which layout
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { alive, commandLine } from '../primary/postgres/process.js'
import { RegistryError } from '../protocol/errors.js'

export type PartName = 'primary' | 'node'

export interface Claim {
  /** Removes the pid file. */
  release(): Promise<void>
}

const LAYOUT = 1
/** `npm start` runs `cairn up` in its own process. */
const PROGRAM = /\bcairn(\.js)?\b|\bstart\.mjs\b/
/** What a file system puts into a fresh volume by itself. */
const IGNORED = ['lost+found', '.DS_Store']

/** Throws `unavailable` when a part runs on the data already, `invalid` when the data is not what this program can use. */
export async function claim(data: string, part: PartName): Promise<Claim> {
  try {
    await mkdir(data, { recursive: true, mode: 0o700 })
    await writePid(pidFileOf(data), data)
    try {
      await checkVersion(data, part)
    } catch (error) {
      await rm(pidFileOf(data), { force: true })
      throw error
    }
    return { release: () => rm(pidFileOf(data), { force: true }) }
  } catch (error) {
    throw folderError(error, data)
  }
}

export function pidFileOf(data: string): string {
  return `${data}.pid`
}

/** For `up`, which owns a whole directory of parts: `<dir>/up.pid`. */
export async function claimFolder(dir: string): Promise<Claim> {
  const name = join(dir, 'up')
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    await writePid(pidFileOf(name), name)
    return { release: () => rm(pidFileOf(name), { force: true }) }
  } catch (error) {
    throw folderError(error, dir)
  }
}

/** Process id of the part that runs on this data, if one does. */
export async function runningOn(data: string): Promise<number | undefined> {
  const text = await readFile(pidFileOf(data), 'utf8').catch(() => '')
  const pid = /^\d{1,10}\n?$/.test(text) ? Number(text) : 0
  if (pid <= 0 || pid === process.pid || !alive(pid)) return undefined
  const line = await commandLine(pid)
  // The number may belong to another program by now; where that cannot be told, caution wins.
  return line === undefined || PROGRAM.test(line) ? pid : undefined
}

/** One sentence for what a file system refuses. */
function folderError(error: unknown, path: string): unknown {
  if (error instanceof RegistryError) return error
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return unavailable(`The disk that holds ${path} is full; free some space and start again`, error)
  if (code === 'EACCES' || code === 'EPERM')
    return unavailable(
      `${path} cannot be written to by this user; start Cairn as its owner or choose another directory with --data`,
      error,
    )
  if (code === 'EROFS') return unavailable(`${path} lies on a disk that is read-only`, error)
  if (code === 'ENOTDIR' || code === 'EEXIST')
    return new RegistryError('invalid', `${path} is not a directory`, { cause: error })
  return error
}

async function writePid(path: string, data: string): Promise<void> {
  for (;;) {
    try {
      await writeFile(path, `${process.pid}\n`, { flag: 'wx' })
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const pid = await runningOn(data)
    if (pid !== undefined)
      throw unavailable(
        `Cairn runs on ${data.replace(/\/up$/, '')} already, as process ${pid}; end that first (kill ${pid})`,
        undefined,
      )
    await rm(path, { force: true })
  }
}

async function checkVersion(data: string, part: PartName): Promise<void> {
  const path = join(data, 'version')
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) {
    const found = (await readdir(data)).filter((name) => !IGNORED.includes(name) && name !== 'version.new')
    if (found.length > 0)
      throw new RegistryError(
        'invalid',
        `${data} holds something that Cairn has not made (${found[0]}); choose another directory with --data`,
      )
    await writeFile(`${path}.new`, `cairn ${part} ${LAYOUT}\n`, { flush: true })
    await rename(`${path}.new`, path)
    return
  }
  const [, owner, layout] = /^cairn (primary|node) (\d+)\s*$/.exec(text) ?? []
  if (owner === undefined) throw new RegistryError('invalid', `${path} is damaged: it does not say what the data is`)
  if (owner !== part)
    throw new RegistryError(
      'invalid',
      `${data} holds the data of a ${owner}, not of a ${part}; choose another directory with --data`,
    )
  if (Number(layout) !== LAYOUT)
    throw new RegistryError(
      'invalid',
      `The data in ${data} is of version ${layout}, and this program knows version ${LAYOUT}; start the version of Cairn that made it`,
    )
}

function unavailable(sentence: string, cause: unknown): RegistryError {
  return new RegistryError('unavailable', sentence, cause === undefined ? {} : { cause })
}
