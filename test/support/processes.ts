/** A primary and nodes as processes of their own, which can be killed, armed with a failpoint, and started again on their data. */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stopEmbedded } from '../../primary/postgres/stop.js'
import type { Failpoint } from '../../protocol/failpoint.js'
import type { NodeSettings, PrimarySettings } from '../../protocol/settings.js'
import { nodeAt, primaryAt, until } from './fleet.js'
import { hear, heard, keepSecrets } from './heard.js'

const START_MS = 60_000

/** One process, and the settings that it is started with each time. */
export class Part {
  readonly settings: PrimarySettings | NodeSettings
  readonly url: string
  readonly #kind: 'primary' | 'node'
  #child: ChildProcess | undefined
  #ended: Promise<void> = Promise.resolve()
  /** What its processes wrote, for when something fails. */
  output = ''

  constructor(kind: 'primary' | 'node', settings: PrimarySettings | NodeSettings) {
    this.#kind = kind
    this.settings = settings
    this.url = `http://${settings.host}:${settings.port}`
  }

  /** Resolves when it is ready. `crashAt`: the step at which this process is to die. */
  async start(crashAt?: Failpoint): Promise<void> {
    const env = { ...process.env, ...(crashAt === undefined ? {} : { CAIRN_FAILPOINT: `${crashAt}:crash` }) }
    const path = fileURLToPath(new URL('./part.js', import.meta.url))
    const child = fork(path, [this.#kind, JSON.stringify(this.settings)], {
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: [],
    })
    this.#child = child
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output = (this.output + text).slice(-1_000_000)
        hear(text)
      })
    this.#ended = new Promise((resolve) => child.once('close', () => resolve()))
    const ready = new Promise<void>((resolve) => child.once('message', () => resolve()))
    const deadline = new Promise<string>((resolve) => setTimeout(resolve, START_MS, 'was not ready in time').unref())
    const failure = await Promise.race([ready, this.#ended.then(() => 'ended before it was ready'), deadline])
    if (failure !== undefined) throw new Error(`the ${this.#kind} ${failure}: ${this.output}`)
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** How the newest process ended; undefined while it runs. */
  get exit(): string | undefined {
    return this.#child?.signalCode ?? this.#child?.exitCode?.toString()
  }

  /** Resolves when the newest process has ended, for whatever reason. */
  ended(): Promise<void> {
    return this.#ended
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child?.kill(signal)
    await this.#ended
  }
}

export interface ProcessFleet {
  dir: string
  primary: Part
  nodes: Part[]
  /** Authorization of an administrator, by an API token that lasts over restarts. */
  admin: string
  api(method: string, path: string, body?: unknown): Promise<unknown>
  /** Everything ends, the database too. */
  close(): Promise<void>
}

export interface ProcessFleetDraft {
  nodes?: number
  primary?: Partial<PrimarySettings>
  node?: Partial<NodeSettings>
}

/** Starts everything. */
export async function processFleet(draft: ProcessFleetDraft = {}): Promise<ProcessFleet> {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-parts-'))
  const primary = new Part('primary', await primaryAt(dir, { logLevel: heard?.level ?? 'error', ...draft.primary }))
  const nodes: Part[] = []
  const close = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.kill('SIGTERM')))
    await primary.kill('SIGTERM')
    await stopEmbedded(join(primary.settings.data, 'postgres'), { immediate: true })
    await rm(dir, { recursive: true, force: true })
  }
  try {
    await mkdir(primary.settings.data, { recursive: true })
    await primary.start()
    const admin = await localAdmin(primary)
    const api = (method: string, path: string, body?: unknown): Promise<unknown> =>
      call(primary.url + path, admin, method, body)
    for (let index = 0; index < (draft.nodes ?? 0); index++) {
      const { join_token } = (await api('POST', '/api/v1/edge-nodes', { name: `node-${index + 1}` })) as {
        join_token: string
      }
      const node = new Part('node', {
        ...(await nodeAt(dir, index, join_token)),
        logLevel: heard?.level ?? 'error',
        ...draft.node,
      })
      await mkdir(node.settings.data, { recursive: true })
      nodes.push(node)
      await node.start()
      await until(async () => (await fetch(`${node.url}/ready`)).status === 200)
    }
    return { dir, primary, nodes, admin, api, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function localAdmin(primary: Part): Promise<string> {
  return `Bearer ${(await readFile(join(primary.settings.data, 'local-admin-token'), 'utf8')).trim()}`
}

async function call(url: string, authorization: string, method: string, body: unknown): Promise<unknown> {
  keepSecrets(body)
  const reply = await fetch(url, {
    method,
    headers: { authorization, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await reply.text()
  if (!reply.ok) throw new Error(`${method} ${url}: ${reply.status} ${text}`)
  const json: unknown = text === '' ? undefined : JSON.parse(text)
  keepSecrets(json)
  return json
}
