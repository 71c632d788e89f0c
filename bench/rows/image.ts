/** How fast a node gives out an image, beside distribution: the manifest by tag, and a layer of 100 MiB from its cache. */
import type { Bench, Context, Row } from '../bench.js'
import { imageOf, MANIFEST_TYPE, pushImage } from '../load/image.js'
import { Cost, pairCount, rate, SHARING, sizeText } from '../rate.js'
import { startCairn } from '../rig/cairn.js'
import { DISTRIBUTION_MISSING, startDistribution } from '../rig/distribution.js'
import { load } from '../rig/load.js'
import { cpuSeconds } from '../rig/proc.js'
import { get } from '../rig/rest.js'
import { wrkMissing } from '../rig/wrk.js'
import { median, pairs } from '../statistics.js'

export const image: Bench = {
  name: 'image',
  title: 'requests/s for an OCI manifest by tag and MB/s of a 100 MiB layer at a node, beside distribution',
  run,
}

const MANIFEST = 'OCI manifest by tag at a node ÷ distribution'
const LAYER = '100 MiB OCI layer at a node ÷ distribution'
const LAYER_BYTES = 100 * 1024 * 1024
/** What docker sends, in short. */
const ACCEPT = { accept: `${MANIFEST_TYPE}, application/vnd.oci.image.index.v1+json` }

interface Place {
  url: string
  name: string
  pid: number
}

async function run(context: Context): Promise<Row[]> {
  const distribution = await startDistribution(context.rig)
  if (!distribution) return [MANIFEST, LAYER].map((what) => ({ what, skipped: DISTRIBUTION_MISSING }))
  const cairn = await startCairn(context.rig, { nodes: 1 })
  await cairn.rest.createRepository('images', 'oci', true)
  const many = imageOf(10, 1024)
  const heavy = imageOf(1, LAYER_BYTES)
  const ours = { url: cairn.edges[0] ?? '', name: 'images', pid: await cairn.nodePid(0) }
  const theirs = { url: distribution.url, name: 'images', pid: distribution.process.pid }
  for (const [name, made] of Object.entries({ many, heavy })) {
    const { primary: url, rest } = cairn
    await pushImage({ url, name: `images/${name}`, authorization: rest.authorization }, made, 1)
    await pushImage({ url: theirs.url, name: `images/${name}` }, made, 1)
  }
  await cairn.settled()
  const digest = heavy.layers[0]?.digest ?? ''
  const rows = [await manifests(context, ours, theirs)]
  for (const connections of [1, 4]) rows.push(await layers(context, { ours, theirs, digest, connections }))
  return rows
}

async function manifests(context: Context, ours: Place, theirs: Place): Promise<Row> {
  const missing = await wrkMissing()
  if (missing) return { what: MANIFEST, skipped: missing }
  const at = ({ url, name }: Place) => `${url}/v2/${name}/many/manifests/latest`
  const { body } = await get(at(ours), ACCEPT)
  if (!body.equals((await get(at(theirs), ACCEPT)).body)) throw new Error('the two manifests are not the same')
  const cost = new Cost(ours.pid)
  const measured = await pairs(
    pairCount(context),
    () => cost.of(() => rate(at(ours), context, ACCEPT)),
    () => rate(at(theirs), context, ACCEPT),
  )
  return {
    what: `${MANIFEST}, ${sizeText(body.length)}`,
    value: median(measured.ratios),
    unit: 'x',
    must: { be: 'at least', value: 20 },
    raw: {
      'node requests/s': measured.ours,
      'distribution requests/s': measured.theirs,
      ratio: measured.ratios,
      'node CPU µs/request': cost.microseconds,
    },
    notes: [
      SHARING,
      'An image of ten layers; distribution keeps blob descriptors in memory and asks nobody who it is.',
    ],
  }
}

async function layers(
  context: Context,
  { ours, theirs, digest, connections }: { ours: Place; theirs: Place; digest: string; connections: number },
): Promise<Row> {
  const each = (context.quick ? 8 : 24) / connections
  const processor: Record<'ours' | 'theirs', number[]> = { ours: [], theirs: [] }
  const speed = async ({ url, name, pid }: Place, used: number[]) => {
    const target = { url, path: `/v2/${name}/heavy/blobs/${digest}` }
    const clients = [{ count: connections }]
    const before = (await cpuSeconds(pid)) ?? Number.NaN
    const report = await load('drain', { targets: [target], clients, requestsEach: each, maxMs: 60_000 })
    if (report.bytes !== LAYER_BYTES * each * connections) throw new Error(`${url}: not all layers were whole`)
    used.push((((await cpuSeconds(pid)) ?? Number.NaN) - before) / (report.bytes / 1e9))
    return report.bytes / 1e6 / report.seconds
  }
  // Into the cache of the node, and of the system.
  await speed(ours, [])
  await speed(theirs, [])
  const measured = await pairs(
    pairCount(context),
    () => speed(ours, processor.ours),
    () => speed(theirs, processor.theirs),
  )
  return {
    what: `${LAYER}, ${connections} ${connections === 1 ? 'connection' : 'connections'}`,
    value: median(measured.ratios),
    unit: 'x',
    must: { be: 'at least', value: 0.9 },
    raw: {
      'node MB/s': measured.ours,
      'distribution MB/s': measured.theirs,
      ratio: measured.ratios,
      'node CPU s/GB': processor.ours,
      'distribution CPU s/GB': processor.theirs,
    },
    notes: ['Own client in a process of its own that throws the bytes away; client and server share the cores.'],
  }
}
