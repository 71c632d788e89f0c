/**
 * What `cairn login` remembers: one API token per registry, in `~/.config/cairn/credentials.json` (or below XDG_CONFIG_HOME),
 * mode 0600.
 *
 *     { "http://127.0.0.1:8080": { "username": "admin", "token": "cairn_…", "id": "…" } }
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { RegistryError } from '../protocol/errors.js'
import { record } from './client.js'

export interface Credential {
  username: string
  token: string
  /** Of the token, to revoke it. */
  id: string
}

export interface Home {
  environment: Readonly<Record<string, string | undefined>>
  home: string
}

function credentialsPath({ environment, home }: Home): string {
  return join(environment.XDG_CONFIG_HOME || join(home, '.config'), 'cairn', 'credentials.json')
}

export async function credentialFor(origin: string, home: Home): Promise<Credential | undefined> {
  return (await readAll(credentialsPath(home)))[origin]
}

/** undefined forgets it. */
export async function remember(origin: string, credential: Credential | undefined, home: Home): Promise<void> {
  const path = credentialsPath(home)
  const { [origin]: _, ...others } = await readAll(path)
  const all = credential === undefined ? others : { ...others, [origin]: credential }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFile(`${path}.new`, `${JSON.stringify(all, null, 2)}\n`, { mode: 0o600, flush: true })
  await rename(`${path}.new`, path)
}

async function readAll(path: string): Promise<Record<string, Credential>> {
  const text = await readFile(path, 'utf8').catch(() => '{}')
  const entries = Object.entries(record(parse(text, path)))
  return Object.fromEntries(entries.flatMap(([origin, value]) => (isCredential(value) ? [[origin, value]] : [])))
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new RegistryError('invalid', `${path} is not valid JSON; remove it and log in again`, { cause })
  }
}

function isCredential(value: unknown): value is Credential {
  const { username, token, id } = record(value)
  return typeof username === 'string' && typeof token === 'string' && typeof id === 'string'
}
