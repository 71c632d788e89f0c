/** What `up` asks of a primary that has just started, as its local administrator: join tokens, and a repository per format. */
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formats } from '../../formats/index.js'
import { RegistryError } from '../../protocol/errors.js'
import { IDENTITY_FILE, LOCAL_TOKEN_FILE } from '../../protocol/settings.js'
import { Client, record } from '../client.js'
import type { PlannedPart } from './plan.js'

export interface Quickstart {
  key: string
  format: string
  snippet: string
}

/** undefined for a primary that has never started on this data. */
export async function localToken(primary: PlannedPart): Promise<string | undefined> {
  const text = await readFile(join(primary.data, LOCAL_TOKEN_FILE), 'utf8').catch(() => undefined)
  return text?.trim() || undefined
}

export async function localAdministrator(primary: PlannedPart): Promise<Client> {
  const token = await localToken(primary)
  if (token === undefined)
    throw new RegistryError(
      'unavailable',
      `${join(primary.data, LOCAL_TOKEN_FILE)} is missing, so nothing can be set up at the primary`,
    )
  return new Client({ url: primary.url, token })
}

export async function hasJoined(node: PlannedPart): Promise<boolean> {
  return await access(join(node.data, IDENTITY_FILE)).then(
    () => true,
    () => false,
  )
}

/** A place in the fleet. One that `keepsAll` fetches whatever is published as soon as it hears of it. */
export async function joinToken(client: Client, node: PlannedPart, keepsAll: boolean): Promise<string> {
  const reply = record(await client.json('POST', '/api/v1/edge-nodes', { name: node.name }))
  if (typeof reply.join_token !== 'string') throw new RegistryError('upstream', 'The primary gave no join token')
  const everything = { repository: '*', mode: 'eager', include: [], exclude: [] }
  if (keepsAll) await client.json('PATCH', `/api/v1/edge-nodes/${reply.id}`, { sync_policies: [everything] })
  return reply.join_token
}

/** `{format}-local` for each format: made where it is missing, otherwise left as it is. */
export async function quickstartRepositories(client: Client): Promise<Quickstart[]> {
  const present = new Set<unknown>()
  for await (const repository of client.list('/api/v1/repositories?limit=1000')) present.add(repository.key)
  return await Promise.all(
    formats.map(async (format) => {
      const { name } = format
      const key = `${name}-local`
      if (!present.has(key)) await create(client, key, name)
      return { key, format: name, snippet: format.snippet({ base: `${client.url}/repository/${key}`, key }) }
    }),
  )
}

async function create(client: Client, key: string, format: string): Promise<void> {
  const draft = { key, format, repo_type: 'local', is_public: true, description: `Quickstart repository for ${format}` }
  try {
    await client.json('POST', '/api/v1/repositories', draft)
  } catch (error) {
    if (!(error instanceof RegistryError && error.kind === 'conflict')) throw error
  }
}

/** Is that the password. Said only then, since another start may have set another one. */
export async function opens(primary: PlannedPart, password: string): Promise<boolean> {
  const client = new Client({ url: primary.url, token: undefined })
  try {
    const session = record(await client.json('POST', '/api/v1/auth/login', { username: 'admin', password }))
    const signedIn = new Client({ url: primary.url, token: String(session.access_token) })
    await signedIn.json('POST', '/api/v1/auth/logout', { refresh_token: session.refresh_token })
    return true
  } catch (error) {
    if (error instanceof RegistryError && error.kind === 'unauthenticated') return false
    throw error
  }
}
