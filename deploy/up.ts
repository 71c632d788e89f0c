/**
 * `cairn up`: a primary and its nodes on one machine, each a process of its own. `up` starts what does not run, adopts what does,
 * and on Ctrl-C ends all of it, the embedded Postgres last. A part that dies is reported and not started again. Killed with -9,
 * `up` leaves its parts running; the next `up` adopts them.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { stopEmbedded } from '../primary/postgres/stop.js'
import { RegistryError } from '../protocol/errors.js'
import { claimFolder, runningOn } from './claim.js'
import type { Client } from './client.js'
import { endingSignals } from './signals.js'
import { type Child, end, kill, launch, untilReady } from './up/child.js'
import type { Plan, PlannedPart } from './up/plan.js'
import { demandFree } from './up/ports.js'
import { hasJoined, joinToken, localAdministrator, localToken, opens, quickstartRepositories } from './up/quickstart.js'
import type { Welcome } from './up/welcome.js'

export interface UpOptions {
  plan: Plan
  host: string
  /** Arguments for node before a part's own. */
  program: readonly string[]
  /** Set: the first password is the operator's. */
  adminPassword: string | undefined
  ready: (welcome: Welcome) => void
  /** One sentence about something that happened. */
  report: (sentence: string) => void
}

const NODE_END_MS = 20_000
const PRIMARY_END_MS = 90_000

/** Returns when everything has ended; throws when it could not start, after having ended what it started. */
export async function up(options: UpOptions): Promise<void> {
  const { plan, report } = options
  const ending = endingSignals()
  const stopping = new AbortController()
  void ending.first.then(() => stopping.abort(new RegistryError('unavailable', 'Interrupted')))
  const claimed = await claimFolder(plan.dir)
  const adopted = await runningParts(plan)
  const atOnce = ending.second.then(() => killAll(plan))
  let spared: PlannedPart[] = []
  try {
    await Promise.race([runAll(options, stopping.signal, ending.first), atOnce])
  } catch (error) {
    if (stopping.signal.aborted) return
    spared = adopted
    throw error
  } finally {
    if (stopping.signal.aborted) report('Ending; once more Ctrl-C ends at once')
    await Promise.race([endAll(plan, spared), atOnce])
    await claimed.release()
  }
}

async function runAll(options: UpOptions, signal: AbortSignal, ending: Promise<void>): Promise<void> {
  const startedMs = Date.now()
  const { plan, report } = options
  await demandPorts(plan, options.host)
  const password = await firstPassword(options)
  const failed = new AbortController()
  const administrator = startPrimary(options, password, signal)
  administrator.catch((error) => failed.abort(error))
  const either = AbortSignal.any([signal, failed.signal])
  // Those that have joined need no primary to start. All are waited for: what is started must be known when it is ended.
  const nodes = await Promise.allSettled(plan.nodes.map((node) => startNode(node, options, administrator, either)))
  const { primary, client } = await administrator
  const [repositories, shown] = await Promise.all([quickstartRepositories(client), confirmed(plan.primary, password)])
  const started = nodes.map((node) => (node.status === 'fulfilled' ? node.value : reject(node.reason)))
  const children = [primary, ...started].filter((child) => child !== undefined)
  const seconds = (Date.now() - startedMs) / 1000
  options.ready({ children, password: shown, repositories, program: options.program, logs: plan.logs, seconds })
  const ends = children.map(async ({ part, ended }) => {
    const how = await ended
    if (!signal.aborted) report(`${part.name} has ended (${how}); the others go on`)
  })
  await Promise.race([ending, Promise.all(ends)])
  if (!signal.aborted) throw new RegistryError('unavailable', 'Every part has ended')
}

async function startPrimary(
  { plan, program }: UpOptions,
  password: string | undefined,
  signal: AbortSignal,
): Promise<{ primary: Child; client: Client }> {
  const primary = await launch(plan.primary, program, password === undefined ? {} : { CAIRN_ADMIN_PASSWORD: password })
  await untilReady(primary, signal)
  return { primary, client: await localAdministrator(plan.primary) }
}

/** One that does not start is reported: the others are of use without it. */
async function startNode(
  node: PlannedPart,
  options: UpOptions,
  administrator: Promise<{ client: Client }>,
  signal: AbortSignal,
): Promise<Child | undefined> {
  const client = (await hasJoined(node)) ? undefined : (await administrator).client
  try {
    // One of them keeps all, so that nothing is lost to the others when the primary goes away before anybody asked for it.
    const join = client && (await joinToken(client, node, node === options.plan.nodes[0]))
    const child = await launch(node, options.program, join === undefined ? {} : { CAIRN_JOIN: join })
    await untilReady(child, signal)
    return child
  } catch (error) {
    if (signal.aborted || !(error instanceof RegistryError)) throw error
    options.report(error.message)
    return undefined
  }
}

function reject(error: unknown): never {
  throw error
}

async function demandPorts(plan: Plan, host: string): Promise<void> {
  for (const part of [plan.primary, ...plan.nodes])
    if ((await runningOn(part.data)) === undefined) await demandFree(host, [part.port, ...part.ports])
}

/** Generated here, since what the primary says goes into its log. */
async function firstPassword({ plan, adminPassword }: UpOptions): Promise<string | undefined> {
  if (adminPassword !== undefined || (await localToken(plan.primary)) !== undefined) return undefined
  return randomBytes(15).toString('base64url')
}

async function confirmed(primary: PlannedPart, password: string | undefined): Promise<string | undefined> {
  return password !== undefined && (await opens(primary, password)) ? password : undefined
}

async function runningParts(plan: Plan): Promise<PlannedPart[]> {
  const parts = [plan.primary, ...plan.nodes]
  const pids = await Promise.all(parts.map((part) => runningOn(part.data)))
  return parts.filter((_, i) => pids[i] !== undefined)
}

async function endAll(plan: Plan, spared: readonly PlannedPart[]): Promise<void> {
  const nodes = plan.nodes.filter((node) => !spared.includes(node))
  await Promise.all(nodes.map((node) => end(node, NODE_END_MS)))
  if (spared.includes(plan.primary)) return
  await end(plan.primary, PRIMARY_END_MS)
  // Left over when its primary was killed.
  await stopEmbedded(postgresOf(plan))
}

async function killAll(plan: Plan): Promise<void> {
  await Promise.all([plan.primary, ...plan.nodes].map(kill))
  await stopEmbedded(postgresOf(plan), { immediate: true })
}

function postgresOf(plan: Plan): string {
  return join(plan.primary.data, 'postgres')
}
