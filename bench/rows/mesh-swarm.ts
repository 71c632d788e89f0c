/** Eight cold nodes on slow links want one blob at once: copies, time, waste; and the same with the busiest of them killed. */
import { randomBytes } from 'node:crypto'
import type { Bench, Context, Row } from '../bench.js'
import type { DrainReport } from '../load/drain.js'
import { load } from '../rig/load.js'
import { network } from '../rig/network.js'
import { type Office, office, type Part } from '../rig/office.js'
import { cpuSeconds } from '../rig/proc.js'
import { metric } from '../rig/rest.js'
import { pause } from '../rig/until.js'
import { median } from '../statistics.js'

export const meshSwarm: Bench = {
  name: 'mesh-swarm',
  title: '8 cold nodes on links of 100 Mbit/s fetch one 256 MiB blob at once; the same while the busiest is killed',
  run,
}

const NODES = 8
const MBIT = 100
const BLOB_BYTES = 256 * 1024 * 1024
/** As the nodes cut a blob of that size. */
const PIECES = 512
/** Size ÷ rate, and the time that the last piece takes to reach everybody. */
const BOUND_S = (BLOB_BYTES / ((MBIT * 1e6) / 8)) * (1 + Math.floor(Math.log2(NODES)) / PIECES)
const BYTES_PER_SECOND = String((MBIT * 1e6) / 8)
const LIMITED = { CAIRN_UPLOAD_RATE: BYTES_PER_SECOND, CAIRN_DOWNLOAD_RATE: BYTES_PER_SECOND }
const SENT = 'cairn_peer_sent_bytes_total'
const DEADLINE_MS = 240_000

async function run({ rig, quick, say }: Context): Promise<Row[]> {
  const hosts = await network(rig, { hosts: NODES + 1, mbit: MBIT })
  const shaped = !('missing' in hosts)
  const fleet = await office(rig, { nodes: NODES, ...(shaped ? { hosts } : { env: LIMITED }) })
  const how = shaped
    ? 'Every node and the primary in a network namespace of its own.'
    : `The nodes limit themselves, the primary does not (${hosts.missing}).`
  const rounds = quick ? 1 : 5
  const whole: Round[] = []
  for (let at = 0; at < rounds; at++) {
    say(`round ${at + 1}: ${NODES} nodes`)
    whole.push(await round(fleet, `${at}.bin`, fleet.nodes))
    say(`  ${whole.at(-1)?.seconds.toFixed(1)} s, ${whole.at(-1)?.copies.toFixed(3)} copies`)
  }
  const undisturbed = median(whole.map(({ seconds }) => seconds))
  const killed: number[] = []
  // One node less every time: three of eight at most.
  for (let at = 0, left = fleet.nodes; at < Math.min(rounds, 3); at++) {
    const { seconds, busiest } = await roundWithDeath(fleet, `killed-${at}.bin`, left)
    killed.push(seconds)
    left = left.filter((node) => node !== busiest)
    say(`${seconds.toFixed(1)} s without the busiest`)
  }
  return [...rows(whole, how), rowKilled(killed, undisturbed)]
}

interface Round {
  /** Until the last node's client had everything. */
  seconds: number
  /** Bytes of bodies out of the primary ÷ size. */
  copies: number
  /** By node, bytes of pieces and bodies beyond the size ÷ size. */
  waste: number[]
  /** By node, everything that came over its link ÷ size: headers, TLS and control included. */
  wire: number[]
  /** By node, processor time in seconds. */
  cpu: number[]
}

async function round(fleet: Office, name: string, nodes: readonly Part[]): Promise<Round> {
  const path = `${fleet.base}/${name}`
  await fleet.rest.put(path, randomBytes(BLOB_BYTES))
  await fleet.settled()
  await pause(1000)
  const before = await counted(fleet, nodes)
  const targets = nodes.map(({ url }) => ({ url, path }))
  const clients = [{ count: nodes.length }]
  const report = await load('drain', { targets, clients, requestsEach: 1, maxMs: DEADLINE_MS }, DEADLINE_MS + 10_000)
  if (report.requests !== nodes.length)
    throw new Error(`only ${report.requests} of ${nodes.length} clients were served`)
  const after = await counted(fleet, nodes)
  return {
    seconds: report.seconds,
    copies: (after.primary - before.primary) / BLOB_BYTES,
    waste: nodes.map((_, at) => ((after.received[at] ?? 0) - (before.received[at] ?? 0)) / BLOB_BYTES - 1),
    cpu: nodes.map((_, at) => (after.cpu[at] ?? 0) - (before.cpu[at] ?? 0)),
    wire: nodes.map((_, at) => ((after.wire[at] ?? 0) - (before.wire[at] ?? 0)) / BLOB_BYTES),
  }
}

async function published(fleet: Office, name: string, nodes: readonly Part[]): Promise<string> {
  const path = `${fleet.base}/${name}`
  await fleet.rest.put(path, randomBytes(BLOB_BYTES))
  await fleet.settled(nodes)
  return path
}

async function drained(nodes: readonly Part[], path: string): Promise<DrainReport> {
  const targets = nodes.map(({ url }) => ({ url, path }))
  const clients = [{ count: nodes.length }]
  const report = await load('drain', { targets, clients, requestsEach: 1, maxMs: DEADLINE_MS }, DEADLINE_MS + 10_000)
  if (report.requests !== nodes.length)
    throw new Error(`only ${report.requests} of ${nodes.length} clients were served`)
  return report
}

async function counted(fleet: Office, nodes: readonly Part[]) {
  const of = async (url: string, name: string) => (await metric(url, name)) ?? Number.NaN
  return {
    primary: await of(fleet.primary.url, 'cairn_fleet_blob_bytes_total'),
    received: await Promise.all(
      nodes.map(
        async ({ url }) =>
          (await of(url, 'cairn_peer_received_bytes_total')) + (await of(url, 'cairn_primary_received_bytes_total')),
      ),
    ),
    cpu: await Promise.all(nodes.map(async ({ process }) => (await cpuSeconds(process.pid)) ?? Number.NaN)),
    wire: await Promise.all(nodes.map(async ({ host }) => (await host?.counted())?.received ?? Number.NaN)),
  }
}

function rows(rounds: readonly Round[], how: string): Row[] {
  const seconds = rounds.map((each) => each.seconds)
  const copies = rounds.map((each) => each.copies)
  const waste = rounds.map((each) => Math.max(...each.waste))
  const raw = {
    'seconds until the last has it': seconds,
    'copies from the primary': copies,
    'bytes of pieces beyond the size ÷ size, the worst node': waste,
    'processor time, all nodes, s': rounds.map((each) => each.cpu.reduce((sum, one) => sum + one, 0)),
    'bytes on the link ÷ size, the worst node': rounds.map((each) => Math.max(...each.wire)),
  }
  const what = `${NODES} cold nodes, 256 MiB at once, ${MBIT} Mbit/s`
  const notes = [
    `${how} The bound is ${BOUND_S.toFixed(2)} s: size/rate × (1 + ⌊log2 N⌋/pieces), by payload. The first round is of processes that have just started. Large packets pass the cables whole, so headers of small ones are not in the figure of the link.`,
  ]
  return [
    {
      what: `${what}: bytes out of the primary ÷ size`,
      value: median(copies),
      unit: 'x',
      must: { be: 'at most', value: 1.1 },
      raw,
      notes,
    },
    {
      what: `${what}: the last node's time ÷ the pipeline bound`,
      value: median(seconds) / BOUND_S,
      unit: 'x',
      must: { be: 'at most', value: 1.5 },
      raw,
      notes,
    },
    {
      what: `${what}: bytes received beyond the size, of the worst node`,
      value: median(waste),
      unit: 'x',
      must: { be: 'at most', value: 0.02 },
      raw,
      notes,
    },
  ]
}

/** Halfway through the node that has sent most is killed; all others' clients must get everything. */
async function roundWithDeath(
  fleet: Office,
  name: string,
  nodes: readonly Part[],
): Promise<{ seconds: number; busiest: Part }> {
  const path = await published(fleet, name, nodes)
  const sent = () => Promise.all(nodes.map(async ({ url }) => (await metric(url, SENT)) ?? 0))
  const before = await sent()
  const each = nodes.map((node) => ({ node, drained: drained([node], path).catch((error: unknown) => error) }))
  await pause(BOUND_S * 500)
  const since = (await sent()).map((bytes, at) => bytes - (before[at] ?? 0))
  const busiest = nodes[since.indexOf(Math.max(...since))]
  if (!busiest) throw new Error('there is no busiest node')
  process.kill(busiest.process.pid, 'SIGKILL')
  const reports = await Promise.all(each.filter(({ node }) => node !== busiest).map((one) => one.drained))
  const seconds = reports.map((report) => {
    if (report instanceof Error) throw report
    return (report as DrainReport).seconds
  })
  return { seconds: Math.max(...seconds), busiest }
}

function rowKilled(seconds: readonly number[], undisturbed: number): Row {
  return {
    what: 'the busiest peer killed in the middle: time ÷ undisturbed',
    value: median(seconds) / undisturbed,
    unit: 'x',
    must: { be: 'at most', value: 1.3 },
    raw: { 'seconds until the last has it': [...seconds] },
    notes: ['A client of another node that is not served whole would be an error of the bench: there was none.'],
  }
}
