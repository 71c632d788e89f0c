/** What a node serves while its primary is gone, beside a node whose primary is there. */
import type { Bench, Context, Row } from '../bench.js'
import { PackageMaker } from '../load/npm-package.js'
import { Cost, pairCount, rate, SHARING } from '../rate.js'
import { type Office, office } from '../rig/office.js'
import { publishDocument } from '../rig/rest.js'
import { wrkMissing } from '../rig/wrk.js'
import { median, pairs } from '../statistics.js'

export const offline: Bench = {
  name: 'offline',
  title: 'requests/s of a node whose primary was killed ÷ of one whose primary is there',
  run,
}

const WHAT = 'cached packument at a node that is cut off ÷ at one that is connected'
const PACKAGE = 'stone'
const REPOSITORIES = [
  { key: 'open', isPublic: true },
  { key: 'closed', isPublic: false },
]

async function run(context: Context): Promise<Row[]> {
  const missing = await wrkMissing()
  if (missing) return [{ what: WHAT, skipped: missing }]
  const connected = await filled(context)
  const cutOff = await filled(context)
  process.kill(cutOff.primary.process.pid, 'SIGKILL')
  await cutOff.primary.process.ended
  const rows: Row[] = []
  for (const { key, isPublic } of REPOSITORIES) rows.push(await compare(context, { connected, cutOff }, key, isPublic))
  return rows
}

async function filled({ rig }: Context): Promise<Office> {
  const fleet = await office(rig, { nodes: 1 })
  const { rest, primary } = fleet
  const maker = new PackageMaker(2000)
  for (const { key, isPublic } of REPOSITORIES) {
    await rest.createRepository(key, 'npm', isPublic)
    const path = `/repository/${key}/${PACKAGE}`
    await publishDocument(primary.url, path, rest.authorization, maker.publish(PACKAGE, '1.0.0'))
  }
  await fleet.settled()
  return fleet
}

async function compare(
  context: Context,
  { connected, cutOff }: { connected: Office; cutOff: Office },
  key: string,
  isPublic: boolean,
): Promise<Row> {
  const at = (fleet: Office) => `${fleet.nodes[0]?.url}/repository/${key}/${PACKAGE}`
  const headers = ({ rest }: Office) => (isPublic ? {} : { Authorization: rest.authorization })
  const measure = (fleet: Office) => rate(at(fleet), context, headers(fleet))
  for (const fleet of [connected, cutOff]) await measure(fleet)
  const cost = new Cost(cutOff.nodes[0]?.process.pid ?? 0)
  const measured = await pairs(
    pairCount(context),
    () => cost.of(() => measure(cutOff)),
    () => measure(connected),
  )
  return {
    what: `${WHAT}${isPublic ? '' : ', private, with token'}`,
    value: median(measured.ratios),
    unit: 'x',
    must: { be: 'at least', value: 0.95 },
    raw: {
      'cut off, requests/s': measured.ours,
      'connected, requests/s': measured.theirs,
      ratio: measured.ratios,
      'cut off, CPU µs/request': cost.microseconds,
    },
    notes: [SHARING],
  }
}
