/** The data directory of the embedded Postgres, made once: complete or not there at all. */
import { randomBytes } from 'node:crypto'
import { chmod, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RegistryError } from '../../protocol/errors.js'
import { startFailure } from './failure.js'
import type { Launcher } from './launcher.js'
import { run } from './run.js'
import { USER } from './url.js'

const INITDB_MS = 120_000

/** The password of the data, which is made when there is none. */
export async function ensureData(home: string, launcher: Launcher, initdb: string): Promise<string> {
  const data = join(home, 'data')
  const passwordFile = join(home, 'password')
  const version = await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => undefined)
  if (version === undefined) return await initialise(home, launcher, initdb)
  if (Number(version) !== launcher.major)
    throw new RegistryError(
      'invalid',
      `The database in ${data} was made by Postgres ${version.trim()}, and this is Postgres ${launcher.major}; start the version of Cairn that made it`,
    )
  return (await readFile(passwordFile, 'utf8')).trim()
}

async function initialise(home: string, launcher: Launcher, initdb: string): Promise<string> {
  const fresh = join(home, 'data.new')
  const passwordFile = join(home, 'password')
  await rm(fresh, { recursive: true, force: true })
  const password = randomBytes(24).toString('base64url')
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flush: true })
  await chmod(passwordFile, 0o600)
  await launcher.own(passwordFile)
  const options = [
    '-D',
    fresh,
    '-U',
    USER,
    '--encoding=UTF8',
    '--locale=C',
    '--auth=scram-sha-256',
    '--data-checksums',
    `--pwfile=${passwordFile}`,
  ]
  const made = await run(launcher.command(initdb, options), INITDB_MS)
  if (made.code !== 0) {
    await rm(fresh, { recursive: true, force: true })
    throw startFailure(made.output, home, undefined)
  }
  await rename(fresh, join(home, 'data'))
  await syncDirectory(home)
  return password
}

async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
