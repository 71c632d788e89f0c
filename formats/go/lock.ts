/**
 * go.sum: of some versions the whole module, of others (that only their requirements were read of) the go.mod alone. Its hashes are
 * of what is in a zip file, so that they are compared only by whoever has the bytes.
 */
import { collect } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Lock, LockContent, Locked, Needed } from '../../protocol/lock.js'
import type { Stored } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { type Asked, asked, pathOf } from './address.js'
import { isPublishedHere, readEntry } from './entry.js'
import { goModSum, inspect } from './inspect.js'

export const lock: Lock = {
  names: 'go.sum, go.work.sum',
  files: [{ name: /go(?:\.work)?.*\.sum/, read: readGoSum }],
  find,
  sum,
}

const LINE = /^(\S+) (v\S+?)(\/go\.mod)? (h1:[A-Za-z0-9+/]{43}=)$/
const GO_MOD_LIMIT = 16 * 1024 * 1024

function readGoSum(source: string): LockContent {
  const locked: Locked[] = []
  for (const [i, line] of source.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue
    const [, module, version, goMod, hash] = LINE.exec(line.trim()) ?? []
    if (module === undefined || version === undefined || hash === undefined)
      throw new RegistryError('invalid', `Line ${i + 1} is none of a go.sum`)
    locked.push({ package: module, version, files: [{ name: goMod ? 'mod' : 'zip', sums: [hash] }] })
  }
  return { locked, elsewhere: [] }
}

/** An upstream has versions that it does not list, so files are looked for under the paths that they have everywhere. */
async function find(repository: Repository, { package: module, version, files }: Locked): Promise<Needed[]> {
  const needed = (kind: Asked['kind'], sums: string[]): Needed => {
    const path = pathOf(module, version, kind)
    return { name: path, path, sums }
  }
  const wanted = files.flatMap(({ name, sums }) => (name === 'zip' || name === 'mod' ? [needed(name, sums)] : []))
  const isWhole = files.some(({ name }) => name === 'zip')
  // What is rendered from a record needs no file.
  return isWhole && !(await publishedHere(repository, module, version)) ? [...wanted, needed('info', [])] : wanted
}

async function publishedHere(repository: Repository, module: string, version: string): Promise<boolean> {
  try {
    const found = await repository.version(module, version)
    return found !== undefined && isPublishedHere(found.meta)
  } catch (error) {
    if (error instanceof RegistryError && error.kind === 'unavailable') return false
    throw error
  }
}

async function sum(
  repository: Repository,
  { path, file }: { path: string; file: Stored },
  signal: AbortSignal,
): Promise<string> {
  const at = path.indexOf('/@v/')
  const what = asked(path.slice(0, at), path.slice(at + '/@v/'.length))
  if (!what) throw new RegistryError('invalid', `${path} is no file of a module`)
  const known = await repository.version(what.module, what.version)
  const entry = known?.files.some((each) => 'digest' in each && each.digest === file.digest)
    ? readEntry(known.meta)
    : undefined
  const kept = what.kind === 'zip' ? entry?.sum : entry?.goModSum
  if (kept) return kept
  const bytes = await repository.open({ path, ...file })
  if (what.kind !== 'zip') return goModSum(await collect(bytes.read(undefined, signal), GO_MOD_LIMIT))
  return (await inspect(bytes, `${what.module}@${what.version}/`, signal)).sum
}
