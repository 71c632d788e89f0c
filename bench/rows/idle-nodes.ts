/** What a node that does nothing costs the primary. */
import type { Bench, Context, Row } from '../bench.js'
import { office } from '../rig/office.js'
import { cpuSeconds } from '../rig/proc.js'
import { pause } from '../rig/until.js'

export const idleNodes: Bench = {
  name: 'idle-nodes',
  title: "the primary's processor time per idle node",
  run,
}

const NODES = 16
/** What a start leaves to do is over by then. */
const SETTLE_MS = 60_000

async function run({ rig, quick, say }: Context): Promise<Row[]> {
  const seconds = quick ? 20 : 120
  const used: number[] = []
  for (const nodes of [0, NODES]) {
    const { primary } = await office(rig, { nodes })
    say(`idle with ${nodes} nodes for ${seconds + SETTLE_MS / 1000} s`)
    await pause(SETTLE_MS)
    const cpu = async () => (await cpuSeconds(primary.process.pid)) ?? Number.NaN
    const [before, startedAt] = [await cpu(), performance.now()]
    await pause(seconds * 1000)
    used.push((((await cpu()) - before) / (performance.now() - startedAt)) * 100_000)
  }
  const [alone = Number.NaN, withAll = Number.NaN] = used
  return [
    {
      what: "the primary's processor time per idle node",
      value: (withAll - alone) / NODES,
      unit: '% of a core',
      must: { be: 'below', value: 0.1 },
      raw: { 'primary alone, %': [alone], [`primary of ${NODES} nodes, %`]: [withAll] },
      notes: [`Over ${seconds} s, from /proc, a minute after the last node joined; Postgres is not in it.`],
    },
  ]
}
