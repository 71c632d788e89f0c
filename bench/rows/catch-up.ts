/** What it costs a node to come to where the log is: from its beginning, after an absence, and with records that its disk lost. */
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { openAlone } from '../../node/replica/database.js'
import type { Bench, Context, Row } from '../bench.js'
import { type Cairn, startCairn, up } from '../rig/cairn.js'
import { fill } from '../rig/fill.js'
import { metric } from '../rig/rest.js'
import { Rig } from '../rig/rig.js'
import { until } from '../rig/until.js'

export const catchUp: Bench = {
  name: 'catch-up',
  title: 'records/s and bytes of a node that is behind, or lost records (1 million with --full)',
  run,
}

const CHANGED = 1000
const DAMAGED = 1000
const FOLLOW_MS = 30 * 60_000

async function run({ rig, quick, full, say }: Context): Promise<Row[]> {
  const records = quick ? 10_000 : full ? 1_000_000 : 100_000
  const cairn = await startCairn(rig, { nodes: 1 })
  const before = (await metric(cairn.primary, 'cairn_log_number')) ?? 0
  await cairn.process.stop()
  const primary = join(cairn.dir, 'primary')
  say(`${records} records`)
  const size = await fill(primary, 'npm-local', 0, records)
  const first = await follow(cairn, before + records, before)
  say(`${CHANGED} more`)
  const changed = await fill(primary, 'npm-local', records, records + CHANGED)
  const again = await follow(cairn, before + records + CHANGED)
  say(`${CHANGED} more, ${DAMAGED} lost`)
  const last = await fill(primary, 'npm-local', records + CHANGED, records + 2 * CHANGED)
  await lose(join(cairn.dir, 'node-1', 'replica', 'records'), before + records)
  const mended = await follow(cairn, before + records + 2 * CHANGED, undefined, DAMAGED)
  const own = (size / records) * DAMAGED + last
  const of = records.toLocaleString('en-US')
  return [
    {
      what: `catch-up of ${of} records, records/s`,
      value: records / first.seconds,
      unit: '/s',
      must: { be: 'at least', value: 20_000 },
      raw: { seconds: [first.seconds] },
      notes: ['From the first of them to the last, primary and node on the same cores, from the primary.'],
    },
    {
      what: `catch-up of ${of} records, bytes ÷ the records' own`,
      value: first.bytes / size,
      unit: 'x',
      must: { be: 'at most', value: 1.3 },
      raw: { bytes: [first.bytes], own: [size] },
      notes: ['Of answers about the log, as the node counts them; their own: bodies and salts.'],
    },
    {
      what: `rejoin after ${CHANGED} changes among ${of}, bytes ÷ the changes' own`,
      value: again.bytes / changed,
      unit: 'x',
      must: { be: 'at most', value: 2 },
      raw: { bytes: [again.bytes], own: [changed] },
      notes: ['The node was down meanwhile.'],
    },
    {
      what: `the same with ${DAMAGED} random records lost at the node, bytes ÷ the own of both`,
      value: mended.bytes / own,
      unit: 'x',
      must: { be: 'at most', value: 4 },
      raw: { bytes: [mended.bytes], own: [own], seconds: [mended.seconds] },
      notes: ['Entries of the log, deleted from the LevelDB of the node while it was down.'],
    },
  ]
}

/** Starts everything, and ends it when the node has all, and has put back as many as it lost. `from`: where the clock starts. */
async function follow(
  cairn: Cairn,
  number: number,
  from?: number,
  lost = 0,
): Promise<{ seconds: number; bytes: number }> {
  const rig = new Rig()
  try {
    let beganAt = performance.now()
    await up(rig, cairn)
    const edge = cairn.edges[0] ?? ''
    const at = async () => (await metric(edge, 'cairn_log_number')) ?? 0
    if (from !== undefined) {
      await until(async () => (await at()) > from, { what: 'the first records', deadlineMs: 60_000, everyMs: 20 })
      beganAt = performance.now()
    }
    await until(async () => (await at()) >= number, {
      what: `the node having ${number}`,
      deadlineMs: FOLLOW_MS,
      everyMs: 50,
    })
    const seconds = (performance.now() - beganAt) / 1000
    const mended = async () => ((await metric(edge, 'cairn_log_mended_total')) ?? 0) >= lost
    await until(mended, { what: `the node having ${lost} entries again`, deadlineMs: FOLLOW_MS, everyMs: 200 })
    return { seconds, bytes: (await metric(edge, 'cairn_log_received_bytes_total')) ?? Number.NaN }
  } finally {
    await rig.close()
  }
}

async function lose(folder: string, below: number): Promise<void> {
  const db = await openAlone(folder)
  const keys: string[] = []
  for await (const key of db.keys({ gt: 'log', lt: 'log\u0001' })) keys.push(key)
  const chosen = new Set<string>()
  while (chosen.size < Math.min(DAMAGED, keys.length)) chosen.add(keys[randomInt(Math.min(below, keys.length))] ?? '')
  await db.batch([...chosen].map((key) => ({ type: 'del' as const, key })))
  await db.close()
}
