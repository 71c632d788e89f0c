/** A lock file on this machine, as versions that a registry is asked about. */
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { formats } from '../../formats/index.js'
import { RegistryError } from '../../protocol/errors.js'
import type { LockContent, Locked, Platform } from '../../protocol/lock.js'

const MAX_BYTES = 64 * 1024 * 1024

export interface Reading {
  /** Of the repository that it is about. */
  format: string
  /** What it is called, if the path does not tell. */
  name?: string | undefined
  platform?: Platform | undefined
}

/** Throws `invalid` for a file that is none, `missing` for one that cannot be read. */
export async function readLockFile(path: string, { format, name, platform }: Reading): Promise<LockContent> {
  const lock = formats.find((each) => each.name === format)?.lock
  if (!lock) throw usage(`There are no lock files of the format ${format}`)
  const called = basename(name ?? path)
  const reader = lock.files.find((file) => new RegExp(`^(?:${file.name.source})$`).test(called))
  if (!reader)
    throw usage(`${called} is not called like a lock file of ${format} (${lock.names}); --as says what it is`)
  const content = reader.read(await readText(path), platform)
  return { ...content, locked: joined(content.locked) }
}

/** Lock files name one version several times: once for each place that needs it, or once for each file. */
function joined(locked: readonly Locked[]): Locked[] {
  const all = new Map<string, Locked>()
  for (const { package: name, version, files } of locked) {
    const key = `${name}\0${version}`
    const before = all.get(key)?.files ?? []
    const seen = new Set(before.map((file) => JSON.stringify(file)))
    const more = files.filter((file) => !seen.has(JSON.stringify(file)))
    all.set(key, { package: name, version, files: [...before, ...more] })
  }
  return [...all.values()]
}

async function readText(path: string): Promise<string> {
  const file = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    throw new RegistryError('missing', `${path} cannot be read (${cause.code ?? cause.message})`, { cause })
  })
  try {
    if ((await file.stat()).size > MAX_BYTES) throw usage(`${path} is larger than a lock file can be`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

function usage(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'usage' })
}
