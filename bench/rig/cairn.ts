/** Cairn as a user starts it: `cairn up` in a directory of its own, on free ports, every part a process. */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Child, start } from './child.js'
import { freeBase } from './ports.js'
import { killFamily } from './proc.js'
import { get, metric, type Rest, signIn } from './rest.js'
import type { Rig } from './rig.js'
import { untilReady } from './served.js'
import { until } from './until.js'

export interface CairnOptions {
  nodes: number
  env?: Record<string, string>
}

/** Where it lies; the same place can be started again. */
export interface Site {
  dir: string
  port: number
  nodes: number
  primary: string
  /** URLs of the nodes, in order. */
  edges: string[]
  env: NodeJS.ProcessEnv
  password: string
}

export interface Cairn extends Site {
  process: Child
  rest: Rest
  /** Process id of node `i`, counted from 0. */
  nodePid(i: number): Promise<number>
  primaryPid(): Promise<number>
  /** Waits until all nodes have applied what the primary has. */
  settled(deadlineMs?: number): Promise<void>
  /** Waits until every node has a connection to every other. */
  meshed(): Promise<void>
}

export const PROGRAM = fileURLToPath(new URL('../../deploy/cairn.js', import.meta.url))

const START_MS = 120_000

async function site(rig: Rig, { nodes, env = {} }: CairnOptions): Promise<Site> {
  const dir = join(await rig.directory(), 'data')
  const port = await freeBase(nodes + 1)
  const password = randomBytes(12).toString('hex')
  const url = (i: number) => `http://127.0.0.1:${port + i}`
  return {
    dir,
    port,
    nodes,
    primary: url(0),
    edges: Array.from({ length: nodes }, (_, i) => url(i + 1)),
    env: { ...process.env, CAIRN_ADMIN_PASSWORD: password, CAIRN_LOG_LEVEL: 'warn', ...env },
    password,
  }
}

/** Returns when every part answers /ready. */
export async function up(rig: Rig, { dir, port, nodes, primary, edges, env }: Site): Promise<Child> {
  rig.onClose(() => killFamily(dir))
  const args = [PROGRAM, 'up', '--nodes', String(nodes), '--port', String(port), '--data', dir]
  const child = await start(rig, process.execPath, args, { env })
  await untilReady(
    child,
    [primary, ...edges].map((url) => `${url}/ready`),
    START_MS,
  )
  return child
}

export async function startCairn(rig: Rig, options: CairnOptions): Promise<Cairn> {
  const place = await site(rig, options)
  const child = await up(rig, place)
  await repositoriesExist(place)
  const rest = await signIn(place.primary, place.password)
  const cairn: Cairn = {
    ...place,
    process: child,
    rest,
    nodePid: (i) => pidFrom(join(place.dir, `node-${i + 1}.pid`)),
    primaryPid: () => pidFrom(join(place.dir, 'primary.pid')),
    settled: (deadlineMs = 60_000) => settled(place, deadlineMs),
    meshed: () => meshed(place),
  }
  await rest.onDemand()
  await cairn.settled()
  return cairn
}

async function repositoriesExist({ primary }: Site): Promise<void> {
  const present = async () => {
    const { body } = await get(`${primary}/api/v1/repositories`)
    const listed = body.toString('utf8')
    return listed.includes('"npm-local"') && listed.includes('"generic-local"')
  }
  await until(present, { what: 'the quickstart repositories existing', deadlineMs: 30_000 })
}

async function settled({ primary, edges }: Site, deadlineMs: number): Promise<void> {
  const number = (await metric(primary, 'cairn_log_number')) ?? Number.NaN
  for (const edge of edges) {
    const caughtUp = async () => ((await metric(edge, 'cairn_log_number')) ?? 0) >= number
    await until(caughtUp, { what: `${edge} reaching change ${number}`, deadlineMs })
  }
}

async function meshed({ edges }: Site): Promise<void> {
  for (const edge of edges) {
    const all = async () => ((await metric(edge, 'cairn_peers')) ?? 0) >= edges.length - 1
    await until(all, { what: `${edge} meeting ${edges.length - 1} peers`, deadlineMs: 60_000, everyMs: 200 })
  }
}

async function pidFrom(path: string): Promise<number> {
  const pid = Number((await readFile(path, 'utf8')).trim())
  if (!Number.isInteger(pid) || pid <= 0) throw new Error(`${path} holds no process id`)
  return pid
}
