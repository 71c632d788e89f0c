/** Durable publishes per second at the primary, beside Verdaccio, which does not sync. */
import type { Bench, Context, Row } from '../bench.js'
import { startCairn } from '../rig/cairn.js'
import { load } from '../rig/load.js'
import { startVerdaccio } from '../rig/verdaccio.js'
import { median, pairs, percentile } from '../statistics.js'

export const publishes: Bench = {
  name: 'publish',
  title: 'durable npm publishes/s with 8 clients, beside Verdaccio',
  run,
}

const WHAT = 'durable publishes/s, 8 clients, 20 kB packages ÷ Verdaccio'
const CLIENTS = 8
const TARBALL_BYTES = 20_000
/** Bodies that are made beforehand; a run that uses them up ends early. */
const MOST = 4000
const VERSIONS_PER_PACKAGE = 4

async function run(context: Context): Promise<Row[]> {
  const cairn = await startCairn(context.rig, { nodes: 1 })
  const verdaccio = await startVerdaccio(context.rig, context.say)
  if ('missing' in verdaccio) return [{ what: WHAT, skipped: verdaccio.missing }]
  const latencies: number[] = []
  let round = 0
  const shape = {
    clients: CLIENTS,
    tarballBytes: TARBALL_BYTES,
    versionsPerPackage: VERSIONS_PER_PACKAGE,
    maxSeconds: context.quick ? 2 : 5,
  }
  const ours = async () => {
    const at = { url: cairn.primary, registry: '/repository/npm-local', authorization: cairn.rest.authorization }
    const report = await load('publish', { ...shape, ...at, count: MOST, prefix: `bench-${round++}` })
    latencies.push(percentile(report.ms, 0.99))
    return report.count / report.seconds
  }
  const theirs = async () => {
    const at = { url: verdaccio.url, registry: '' }
    const report = await load('publish', { ...shape, ...at, count: MOST, prefix: `bench-${round++}` })
    return report.count / report.seconds
  }
  const measured = await pairs(context.quick ? 2 : 5, ours, theirs)
  return [
    {
      what: WHAT,
      value: median(measured.ratios),
      unit: 'x',
      must: { be: 'at least', value: 5 },
      raw: {
        'Cairn publishes/s': measured.ours,
        'Verdaccio publishes/s': measured.theirs,
        ratio: measured.ratios,
        'Cairn p99 ms': latencies,
      },
      notes: [
        `Real publish documents with tarballs of about 20 kB, ${VERSIONS_PER_PACKAGE} versions of each package. Verdaccio ${verdaccio.version} checks no credentials and does not sync; Cairn checks a token, syncs blob and log, and replicates to one node meanwhile.`,
      ],
    },
  ]
}
