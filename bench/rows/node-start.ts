/** How long a node takes to start with many records, as a curve. */
import { join } from 'node:path'
import type { Bench, Context, Row } from '../bench.js'
import { type Cairn, PROGRAM, startCairn, up } from '../rig/cairn.js'
import { start } from '../rig/child.js'
import { fill } from '../rig/fill.js'
import { metric } from '../rig/rest.js'
import { Rig } from '../rig/rig.js'
import { untilReady } from '../rig/served.js'
import { until } from '../rig/until.js'
import { median } from '../statistics.js'

export const nodeStart: Bench = {
  name: 'node-start',
  title: 'start of a node with up to 100,000 records (1 million with --full)',
  run,
}

const RECORDS = [1000, 10_000, 100_000, 1_000_000]
const STARTS = 3
const FOLLOW_MS = 20 * 60_000

async function run({ rig, quick, full, say }: Context): Promise<Row[]> {
  const cairn = await startCairn(rig, { nodes: 1 })
  await cairn.process.stop()
  const counts = RECORDS.filter((count) => count <= (quick ? 10_000 : full ? 1_000_000 : 100_000))
  const curve: number[] = []
  const raw: Record<string, number[]> = {}
  let present = 0
  for (const count of counts) {
    say(`${count} records`)
    await fill(join(cairn.dir, 'primary'), 'npm-local', present, count)
    present = count
    const measured = await measure(cairn, count)
    curve.push(median(measured.starts))
    raw[`${count} records: start, s`] = measured.starts
    raw[`${count} records: following the new ones, s`] = [measured.followed]
  }
  const [least = 0, most = 0] = [counts[0], counts.at(-1)]
  return [
    {
      what: `start of a node with ${most.toLocaleString('en-US')} records ÷ with ${least.toLocaleString('en-US')}`,
      value: (curve.at(-1) ?? Number.NaN) / (curve[0] ?? Number.NaN),
      unit: 'x',
      must: { be: 'at most', value: Math.log(most) / Math.log(least) },
      raw: { ...raw, 'curve of medians, s': curve },
      notes: [
        'From the start of the process until /ready, the primary running. A record is one published version with its file, 100 versions to a package, written through the ledger without bytes.',
        `The bound is what log n allows: log ${most} ÷ log ${least}.`,
      ],
    },
  ]
}

/** Everything is up in the end of its own rig, and down again when this returns. */
async function measure(cairn: Cairn, count: number): Promise<{ starts: number[]; followed: number }> {
  const rig = new Rig()
  try {
    const beganAt = performance.now()
    await up(rig, cairn)
    const edge = cairn.edges[0] ?? ''
    const applied = async () => ((await metric(edge, 'cairn_log_number')) ?? 0) >= count
    await until(applied, { what: `the node applying ${count} records`, deadlineMs: FOLLOW_MS, everyMs: 100 })
    const followed = (performance.now() - beganAt) / 1000
    await end(await cairn.nodePid(0))
    const starts: number[] = []
    for (let i = 0; i < STARTS; i++) starts.push(await startOnce(cairn, edge))
    return { starts, followed }
  } finally {
    await rig.close()
  }
}

async function startOnce(cairn: Cairn, url: string): Promise<number> {
  const rig = new Rig()
  try {
    const startedAt = performance.now()
    const args = [PROGRAM, 'node', '--data', join(cairn.dir, 'node-1'), '--port', String(cairn.port + 1)]
    const child = await start(rig, process.execPath, args, { env: cairn.env })
    await untilReady(child, [`${url}/ready`], 120_000)
    return (performance.now() - startedAt) / 1000
  } finally {
    await rig.close()
  }
}

async function end(pid: number): Promise<void> {
  process.kill(pid, 'SIGTERM')
  const gone = async () => {
    try {
      process.kill(pid, 0)
      return false
    } catch {
      return true
    }
  }
  await until(gone, { what: `process ${pid} ending`, deadlineMs: 30_000 })
}
