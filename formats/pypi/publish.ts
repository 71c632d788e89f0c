/**
 * Gives an upload its name. A version is made of several files, each of which can be seen at once: the first one publishes the
 * version, the others are added to it. Uploads of one version at the same time take turns.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import type { Held, Step, Version } from '../../protocol/records.js'
import type { Writable } from '../../protocol/repository.js'
import { type Note, readEntry, writeEntry } from './entry.js'
import type { Distribution } from './filename.js'

export interface Publication {
  distribution: Distribution
  /** The distribution first, then what lies beside it. */
  files: Held[]
  note: Note
}

const ATTEMPTS = 20

/** False: the same bytes were there already. Throws `conflict` when others were. */
export async function publish(call: Call<unknown>, target: Writable, publication: Publication): Promise<boolean> {
  const { name, version } = publication.distribution
  for (let attempt = 1; ; attempt++) {
    const last = (await call.repository.package(name))?.last ?? 0
    if (await isThere(call, target, publication)) return false
    const steps = stepsFor(publication, await call.repository.version(name, version), target.now())
    try {
      await target.commit(steps, call.principal, { package: name, last })
      return true
    } catch (error) {
      if (!(error instanceof RegistryError) || error.kind !== 'conflict') throw error
      if (await isThere(call, target, publication)) return false
      // Somebody else's upload came between; unless nothing changed, and it is refused for good.
      const now = (await call.repository.package(name))?.last ?? 0
      if (now === last || attempt === ATTEMPTS) throw error
    }
  }
}

/** twine's --skip-existing goes by the status, others look for these words. */
export function taken(path: string): RegistryError {
  return new RegistryError(
    'conflict',
    `File already exists: ${path.slice(path.lastIndexOf('/') + 1)}, with other bytes; publish them under another version`,
    { code: 'path_taken' },
  )
}

async function isThere({ repository }: Call<unknown>, target: Writable, { files }: Publication): Promise<boolean> {
  const [file] = files
  const present = file && (await repository.file(file.path))
  if (!present) return false
  if (present.digest === file.digest) return true
  if (target.record.redeploy) return false
  throw taken(present.path)
}

function stepsFor({ distribution, files, note }: Publication, known: Version | undefined, now: string): Step[] {
  const { name, version, file } = distribution
  const before = known ? readEntry(known.meta) : { files: {} }
  const meta = writeEntry({ ...before, files: { ...before.files, [file]: note } })
  if (!known) {
    const manifest = { package: name, version, files, meta, publishedAt: now }
    return [{ kind: 'publish', manifest }]
  }
  return [
    { kind: 'add', package: name, version, files },
    { kind: 'amend', package: name, version, meta },
  ]
}
