/** A primary and nodes, each on a host of its own (network.ts), or all on this one where there are none. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { PROGRAM } from './cairn.js'
import { type Child, start } from './child.js'
import type { Host } from './network.js'
import { freeBase } from './ports.js'
import { killFamily } from './proc.js'
import { metric, type Rest, signIn } from './rest.js'
import type { Rig } from './rig.js'
import { untilReady } from './served.js'
import { until } from './until.js'

export interface OfficeOptions {
  nodes: number
  /** The primary's first, then the nodes'. */
  hosts?: readonly Host[]
  env?: NodeJS.ProcessEnv
}

export interface Part {
  /** As clients of the bench reach it. */
  url: string
  process: Child
  host: Host | undefined
}

export interface Office {
  primary: Part
  nodes: Part[]
  rest: Rest
  /** Of a public repository for files. */
  base: string
  /** Waits until these nodes, by default all, have applied what the primary has. */
  settled(nodes?: readonly Part[]): Promise<void>
}

const REPOSITORY = 'files'
const READY_MS = 120_000

export async function office(rig: Rig, { nodes, hosts = [], env = {} }: OfficeOptions): Promise<Office> {
  const dir = join(await rig.directory(), 'data')
  rig.onClose(() => killFamily(dir))
  const password = randomBytes(12).toString('hex')
  const port = hosts.length > 0 ? 8080 : await freeBase(nodes + 1)
  const environment = { ...process.env, CAIRN_LOG_LEVEL: 'warn', CAIRN_ADMIN_PASSWORD: password, ...env }
  const run = async (at: number, args: readonly string[]): Promise<Part> => {
    const host = hosts[at]
    const own = ['--data', join(dir, String(at)), '--port', String(port + at), '--host', host ? '0.0.0.0' : '127.0.0.1']
    const [command = '', ...rest] = [...(host?.prefix ?? []), process.execPath, PROGRAM, ...args, ...own]
    const child = await start(rig, command, rest, { env: environment })
    const url = `http://${host?.side ?? '127.0.0.1'}:${port + at}`
    await untilReady(child, [`${url}/ready`], READY_MS)
    return { url, process: child, host }
  }
  const address = hosts[0]?.address ?? '127.0.0.1'
  const primary = await run(0, ['primary', '--fleet-host', address, '--fleet-url', address])
  const rest = await signIn(primary.url, password)
  await rest.createRepository(REPOSITORY, 'generic', true)
  const parts: Part[] = []
  for (let at = 1; at <= nodes; at++) {
    const token = await rest.joinToken(`node-${at}`)
    parts.push(await run(at, ['node', '--join', token, '--mesh-host', hosts[at]?.address ?? '127.0.0.1']))
  }
  const made = {
    primary,
    nodes: parts,
    rest,
    base: `/repository/${REPOSITORY}`,
    settled: (some: readonly Part[] = parts) => settled(primary, some),
  }
  await made.settled()
  for (const { url } of parts) {
    const all = async () => ((await metric(url, 'cairn_peers')) ?? 0) >= nodes - 1
    await until(all, { what: `${url} meeting ${nodes - 1} peers`, deadlineMs: 60_000, everyMs: 200 })
  }
  return made
}

async function settled(primary: Part, nodes: readonly Part[]): Promise<void> {
  const number = (await metric(primary.url, 'cairn_log_number')) ?? Number.NaN
  for (const { url } of nodes) {
    const caughtUp = async () => ((await metric(url, 'cairn_log_number')) ?? 0) >= number
    await until(caughtUp, { what: `${url} reaching change ${number}`, deadlineMs: 60_000 })
  }
}
