/** A primary and nodes in this process, on free ports and in a folder that goes with them: what most tests talk to. */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageRoot } from '../../deploy/root.js'
import { startNode } from '../../node/main.js'
import type { Clock } from '../../node/replica/knowledge.js'
import { startPrimary } from '../../primary/main.js'
import type { NodeSettings, PrimarySettings, Running } from '../../protocol/settings.js'
import { heard, keepSecrets } from './heard.js'

export const ADMIN_PASSWORD = 'a password of the tests, 2026'
const VERSION = '0.0.0-test'
const LOGS = heard === undefined ? {} : { logTo: heard }
const PROGRAM = { root: packageRoot(), version: VERSION, ...LOGS }

export interface TestFleet {
  dir: string
  primaryUrl: string
  nodeUrls: string[]
  /** Authorization header of the administrator. */
  admin: string
  /** Ends the primary (its database too); `startPrimary` brings it back on the same ports. */
  stopPrimary(): Promise<void>
  startPrimary(): Promise<void>
  stopNode(index: number): Promise<void>
  startNode(index: number): Promise<void>
  /** JSON REST call at the primary as administrator; throws for a status of 400 and above. */
  api(method: string, path: string, body?: unknown): Promise<unknown>
  close(): Promise<void>
}

export interface FleetDraft {
  nodes?: number
  primary?: Partial<PrimarySettings>
  node?: Partial<NodeSettings>
  /** Of nodes, in order; default the machine's. */
  clocks?: Clock[]
}

export async function testFleet(draft: FleetDraft = {}): Promise<TestFleet> {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-fleet-'))
  const primarySettings = await primaryAt(dir, draft.primary)
  let primary: Running | undefined = await startPrimary(primarySettings, PROGRAM)
  const primaryUrl = primary.url
  const admin = await signIn(primaryUrl)
  const api = (method: string, path: string, body?: unknown) => call(primaryUrl, admin, method, path, body)
  const nodes: (Running | undefined)[] = []
  const settings: NodeSettings[] = []
  const program = (i: number) => {
    const clock = draft.clocks?.[i]
    return { version: VERSION, ...LOGS, ...(clock ? { clock } : {}) }
  }
  for (let i = 0; i < (draft.nodes ?? 0); i++) {
    const { join_token } = (await api('POST', '/api/v1/edge-nodes', { name: `node-${i + 1}` })) as {
      join_token: string
    }
    const own = { ...(await nodeAt(dir, i, join_token)), ...draft.node }
    settings.push(own)
    nodes.push(await startNode(own, program(i)))
  }
  const nodeUrls = nodes.map((node) => node?.url ?? '')
  const fleet: TestFleet = {
    dir,
    primaryUrl,
    nodeUrls,
    admin,
    api,
    stopPrimary: async () => {
      await primary?.close()
      primary = undefined
    },
    startPrimary: async () => {
      primary ??= await startPrimary(primarySettings, PROGRAM)
    },
    stopNode: async (index) => {
      await nodes[index]?.close()
      nodes[index] = undefined
    },
    startNode: async (index) => {
      const own = settings[index]
      if (own) nodes[index] ??= await startNode(own, program(index))
    },
    close: async () => {
      for (const node of nodes) await node?.close()
      await primary?.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
  await Promise.all(nodeUrls.map((url) => until(async () => (await fetch(`${url}/ready`)).status === 200)))
  return fleet
}

/** Asks until it is so. Throws after the deadline with what was asked. */
export async function until(condition: () => Promise<boolean>, deadlineMs = 20_000): Promise<void> {
  const end = Date.now() + deadlineMs
  for (;;) {
    if (await condition().catch(() => false)) return
    if (Date.now() > end) throw new Error(`not so after ${deadlineMs} ms: ${condition.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

export async function primaryAt(dir: string, settings: Partial<PrimarySettings> = {}): Promise<PrimarySettings> {
  return {
    data: join(dir, 'primary'),
    host: '127.0.0.1',
    port: await freePort(),
    publicUrls: [],
    trustedProxies: [],
    tls: undefined,
    logLevel: heard?.level ?? 'silent',
    rates: { logins: 0, api: 0, downloads: 0 },
    fleetPort: await freePort(),
    fleetHost: '127.0.0.1',
    fleetUrl: undefined,
    databaseUrl: undefined,
    adminPassword: ADMIN_PASSWORD,
    anonymous: true,
    secondFactor: 'optional',
    tokens: { days: 90, mostDays: 365 },
    passwordList: undefined,
    syslog: undefined,
    breakGlass: undefined,
    restoreDays: 30,
    reverifySeconds: 3600,
    scrubRate: 0,
    maxUploadBytes: 5 * 1024 ** 3,
    upstreamAllow: [],
    remoteCacheBytes: undefined,
    upstreams: {
      proxy: undefined,
      noProxy: [],
      ca: undefined,
      connectSeconds: 10,
      firstByteSeconds: 20,
      idleSeconds: 30,
      requestsPerSecond: undefined,
    },
    ...settings,
  }
}

export async function nodeAt(dir: string, index: number, joinToken: string): Promise<NodeSettings> {
  return {
    data: join(dir, `node-${index + 1}`),
    host: '127.0.0.1',
    port: await freePort(),
    publicUrls: [],
    trustedProxies: [],
    tls: undefined,
    logLevel: heard?.level ?? 'silent',
    rates: { logins: 0, api: 0, downloads: 0 },
    name: undefined,
    join: joinToken,
    cacheBytes: 1024 ** 3,
    meshHost: '127.0.0.1',
    meshPort: await freePort(),
    bulkPort: 0,
    site: undefined,
    uploadRate: undefined,
    downloadRate: undefined,
    linkRate: undefined,
    mdns: false,
    anonymous: true,
    reverifySeconds: 3600,
    scrubRate: 0,
    maxUploadBytes: 5 * 1024 ** 3,
  }
}

export async function signIn(url: string): Promise<string> {
  const reply = await fetch(`${url}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'admin', password: ADMIN_PASSWORD }),
  })
  keepSecrets({ password: ADMIN_PASSWORD })
  if (!reply.ok) throw new Error(`log-in failed: ${reply.status} ${await reply.text()}`)
  return `Bearer ${((await reply.json()) as { access_token: string }).access_token}`
}

async function call(url: string, authorization: string, method: string, path: string, body: unknown): Promise<unknown> {
  keepSecrets(body)
  const reply = await fetch(url + path, {
    method,
    headers: { authorization, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await reply.text()
  if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${text}`)
  const json: unknown = text === '' ? undefined : JSON.parse(text)
  keepSecrets(json)
  return json
}
