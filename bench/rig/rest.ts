/** What benches do at the primary as its administrator: repositories, tokens, files, metrics. */
import { until } from './until.js'

export interface Rest {
  /** An Authorization header's value, of an API token. */
  readonly authorization: string
  /** A hosted one, unless `more` says otherwise. */
  createRepository(key: string, format: string, isPublic: boolean, more?: Record<string, unknown>): Promise<void>
  /** A new node's join token. */
  joinToken(name: string): Promise<string>
  put(path: string, body: Uint8Array): Promise<void>
  send(method: string, path: string, body: Uint8Array, type?: string): Promise<void>
  /** No node fetches what nobody asked it for; each has heard of that when it returns. */
  onDemand(): Promise<void>
}

const DEADLINE_MS = 120_000

/** Logs in with the password and makes a token that outlasts the bench. */
export async function signIn(url: string, password: string, username = 'admin'): Promise<Rest> {
  const session = await post(url, '/api/v1/auth/login', { username, password })
  const bearer = `Bearer ${text(session, 'access_token')}`
  const made = await post(url, '/api/v1/auth/tokens', { name: 'bench', scopes: ['*'], expires_in_days: 2 }, bearer)
  const authorization = `Bearer ${text(made, 'value')}`
  const send: Rest['send'] = async (method, path, body, type = 'application/octet-stream') => {
    const headers = { authorization, 'content-type': type }
    await checked(await fetch(url + path, { method, headers, body, signal: AbortSignal.timeout(DEADLINE_MS) }))
  }
  return {
    authorization,
    createRepository: async (key, format, isPublic, more = {}) => {
      const draft = { key, name: key, format, repo_type: 'local', is_public: isPublic, ...more }
      await post(url, '/api/v1/repositories', draft, authorization)
    },
    joinToken: async (name) => text(await post(url, '/api/v1/edge-nodes', { name }, authorization), 'join_token'),
    put: (path, body) => send('PUT', path, body),
    send,
    onDemand: () => onDemand(url, authorization),
  }
}

async function onDemand(url: string, authorization: string): Promise<void> {
  const nodes = `${url}/api/v1/edge-nodes`
  const list = async () =>
    JSON.parse((await get(nodes, { authorization })).body.toString('utf8')) as { items: NodeItem[] }
  for (const { id } of (await list()).items) {
    const headers = { authorization, 'content-type': 'application/json' }
    await checked(await fetch(`${nodes}/${id}`, { method: 'PATCH', headers, body: '{"sync_policies":[]}' }))
  }
  const since = new Date().toISOString()
  const heard = async () => (await list()).items.every((node) => (node.last_heartbeat ?? '') > since)
  await until(heard, { what: 'every node hearing of its policies', deadlineMs: 60_000, everyMs: 100 })
}

interface NodeItem {
  id: string
  last_heartbeat: string | null
}

export async function publishDocument(
  url: string,
  path: string,
  authorization: string,
  body: Uint8Array,
): Promise<void> {
  const headers = { 'content-type': 'application/json', ...(authorization === '' ? {} : { authorization }) }
  await checked(await fetch(url + path, { method: 'PUT', headers, body, signal: AbortSignal.timeout(DEADLINE_MS) }))
}

/** The sum of a metric's samples; undefined when there is none. */
export async function metric(url: string, name: string): Promise<number | undefined> {
  const body = await checked(await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(DEADLINE_MS) }))
  const samples = body.split('\n').filter((line) => line.startsWith(name) && /^[ {]/.test(line.slice(name.length)))
  if (samples.length === 0) return undefined
  return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

/** Body and time of a GET that must answer 200. */
export async function get(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ body: Buffer; ms: number; headers: Headers }> {
  const startedAt = performance.now()
  const reply = await fetch(url, { headers, signal: AbortSignal.timeout(DEADLINE_MS) })
  const body = Buffer.from(await reply.arrayBuffer())
  if (reply.status !== 200) throw new Error(`${url} answered ${reply.status}: ${body.toString('utf8', 0, 300)}`)
  return { body, ms: performance.now() - startedAt, headers: reply.headers }
}

async function post(url: string, path: string, body: unknown, authorization?: string): Promise<unknown> {
  const headers = { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) }
  const signal = AbortSignal.timeout(DEADLINE_MS)
  return JSON.parse(
    await checked(await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body), signal })),
  ) as unknown
}

async function checked(reply: Response): Promise<string> {
  const body = await reply.text()
  if (!reply.ok) throw new Error(`${reply.url} answered ${reply.status}: ${body.slice(0, 300)}`)
  return body
}

function text(value: unknown, field: string): string {
  const found = typeof value === 'object' && value !== null ? Reflect.get(value, field) : undefined
  return typeof found === 'string' ? found : ''
}
