/** How fast an image of 1 GiB is pushed, beside distribution. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Bench, Context, Row } from '../bench.js'
import { pairCount } from '../rate.js'
import { startCairn } from '../rig/cairn.js'
import { DISTRIBUTION_MISSING, startDistribution } from '../rig/distribution.js'
import { load } from '../rig/load.js'
import { cpuSeconds } from '../rig/proc.js'
import { median, pairs } from '../statistics.js'

export const pushes: Bench = {
  name: 'push',
  title: 'MB/s of pushing a 1 GiB image of ten layers, beside distribution',
  run,
}

const WHAT = 'push of a 1 GiB image of 10 layers ÷ distribution'
const LAYERS = 10
const LAYER_BYTES = Math.floor(1024 ** 3 / LAYERS)
/** As docker does. */
const AT_ONCE = 5

async function run(context: Context): Promise<Row[]> {
  const distribution = await startDistribution(context.rig)
  if (!distribution) return [{ what: WHAT, skipped: DISTRIBUTION_MISSING }]
  const cairn = await startCairn(context.rig, { nodes: 1 })
  await cairn.rest.createRepository('images', 'oci', true)
  const primary = await cairn.primaryPid()
  const processor: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] }
  let round = 0
  const speed = async (registry: { url: string; authorization?: string }, pid: number, used: number[]) => {
    await synced()
    const before = (await cpuSeconds(pid)) ?? Number.NaN
    const shape = { layers: LAYERS, layerBytes: LAYER_BYTES, atOnce: AT_ONCE }
    const { bytes, seconds } = await load('push', { ...registry, ...shape, name: `images/pushed-${round++}` })
    used.push(((await cpuSeconds(pid)) ?? Number.NaN) - before)
    return bytes / 1e6 / seconds
  }
  const { authorization } = cairn.rest
  const measured = await pairs(
    pairCount(context),
    () => speed({ url: cairn.primary, authorization }, primary, processor.ours),
    () => speed({ url: distribution.url }, distribution.process.pid, processor.theirs),
  )
  return [
    {
      what: WHAT,
      value: median(measured.ratios),
      unit: 'x',
      must: { be: 'at least', value: 0.8 },
      raw: {
        'primary MB/s': measured.ours,
        'distribution MB/s': measured.theirs,
        ratio: measured.ratios,
        'primary processor s': processor.ours,
        'distribution processor s': processor.theirs,
      },
      notes: [
        `Own client, ${AT_ONCE} layers at a time, each HEAD, POST, one PATCH and PUT; every image is new and incompressible. The system's buffers are synced before each push.`,
      ],
    },
  ]
}

/** What one side left to be written would be waited for by the other. */
async function synced(): Promise<void> {
  await promisify(execFile)('sync')
}
