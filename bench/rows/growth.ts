/** What a publish costs in a package that has many versions already, as a curve. */
import type { Bench, Context, Row } from '../bench.js'
import { type Cairn, startCairn } from '../rig/cairn.js'
import { load } from '../rig/load.js'
import { get } from '../rig/rest.js'
import { median } from '../statistics.js'

export const growth: Bench = {
  name: 'growth',
  title: 'cost of a publish into a package with up to 10,000 versions',
  run,
}

const VERSIONS = [10, 100, 1000, 10_000]
const ROUNDS = 5
const SAMPLES = 10
const NAME = 'growing'

async function run({ rig, quick, say }: Context): Promise<Row[]> {
  const cairn = await startCairn(rig, { nodes: 1 })
  const raw: Record<string, number[]> = {}
  const curve: number[] = []
  const publishMs: number[] = []
  const indexMs: number[] = []
  let present = 0
  const counts = quick ? VERSIONS.slice(0, 3) : VERSIONS
  for (const count of counts) {
    say(`${count} versions`)
    if (count > present) await publishMany(cairn, NAME, count - present, present, 8)
    const { here, elsewhere } = await beside(cairn, count)
    present = count + here.length
    const read = await indexAfterPublish(cairn, present)
    present += read.length
    curve.push(median(here) / median(elsewhere))
    publishMs.push(median(here))
    indexMs.push(median(read.map(({ ms }) => ms)))
    raw[`${count} versions: publish, ms`] = here
    raw[`${count} versions: publish of a new package, ms`] = elsewhere
    raw[`${count} versions: first packument after a publish at the node, ms`] = read.map(({ ms }) => ms)
    raw[`${count} versions: packument, MiB`] = [(read[0]?.bytes ?? 0) / 1024 ** 2]
  }
  const [least = 0, most = 0] = [counts[0], counts.at(-1)]
  const ratio = (values: number[]) => (values.at(-1) ?? Number.NaN) / (values[0] ?? Number.NaN)
  return [
    {
      what: `publish into ${most.toLocaleString('en-US')} versions ÷ into ${least}`,
      value: ratio(curve),
      unit: 'x',
      must: { be: 'at most', value: Math.log(most) / Math.log(least) },
      raw: { ...raw, 'curve of medians, ms': publishMs, 'the same ÷ publish of a new package': curve },
      notes: [
        'One client, small tarballs. Each cost is divided by that of new packages in the same seconds: a slow moment is no growth.',
        `The bound is what log n allows: log ${most} ÷ log ${least}.`,
      ],
    },
    {
      what: `first packument after a publish, ${most.toLocaleString('en-US')} versions ÷ ${least}`,
      value: ratio(indexMs),
      unit: 'x',
      raw: { 'curve of medians, ms': indexMs },
      notes: ['Shown only: the document itself grows with n, and it is rendered and sent whole when it has changed.'],
    },
  ]
}

async function publishMany(
  cairn: Cairn,
  prefix: string,
  count: number,
  firstVersion: number,
  clients: number,
  versionsPerPackage = count,
): Promise<number[]> {
  const at = { url: cairn.primary, registry: '/repository/npm-local', authorization: cairn.rest.authorization }
  const { ms } = await load('publish', {
    ...at,
    clients,
    count,
    tarballBytes: 1000,
    prefix,
    versionsPerPackage,
    firstVersion,
  })
  return ms
}

/** Publishes into the package, and as often into new ones, by turns. */
async function beside(cairn: Cairn, present: number): Promise<{ here: number[]; elsewhere: number[] }> {
  const here: number[] = []
  const elsewhere: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    here.push(...(await publishMany(cairn, NAME, SAMPLES, present + here.length, 1)))
    elsewhere.push(...(await publishMany(cairn, `other-${present}-${round}`, SAMPLES, 0, 1, 1)))
  }
  return { here, elsewhere }
}

/** Publishes one more, and reads the whole packument at the node, five times. */
async function indexAfterPublish(cairn: Cairn, firstVersion: number): Promise<{ ms: number; bytes: number }[]> {
  const read: { ms: number; bytes: number }[] = []
  for (let i = 0; i < 5; i++) {
    await publishMany(cairn, NAME, 1, firstVersion + i, 1)
    await cairn.settled()
    const { ms, body } = await get(`${cairn.edges[0]}/repository/npm-local/${NAME}-0`, {
      'accept-encoding': 'identity',
    })
    read.push({ ms, bytes: body.length })
  }
  return read
}
