/** Remote repositories: what a popular cold object costs the upstream, and what an upstream that hangs costs those who read what is held. */
import { randomBytes } from 'node:crypto'
import { bytes, hang, type ScriptedUpstream, scriptedUpstream, tagged } from '../../test/support/upstream.js'
import type { Bench, Context, Row } from '../bench.js'
import { PackageMaker } from '../load/npm-package.js'
import { pairCount } from '../rate.js'
import { type Cairn, startCairn } from '../rig/cairn.js'
import { load } from '../rig/load.js'
import { get, publishDocument } from '../rig/rest.js'
import { median, pairs, percentile } from '../statistics.js'

export const upstreams: Bench = {
  name: 'upstream',
  title: 'upstream requests for a popular cold object, and reads of what is held while the upstream hangs',
  run,
}

const MIB = 1024 * 1024
const NODES = 4
const CLIENTS = 50
const PACKAGES = 20
/** Clients that wait for what is not held, while others read what is. */
const WAITING = 20

async function run(context: Context): Promise<Row[]> {
  const upstream = await scriptedUpstream()
  context.rig.onClose(() => upstream.close())
  const cairn = await startCairn(context.rig, { nodes: NODES, env: { CAIRN_UPSTREAM_ALLOW: '127.0.0.1' } })
  const draft = { repo_type: 'remote', upstream_url: upstream.url, metadata_ttl_seconds: 1 }
  await cairn.rest.createRepository('remote-files', 'generic', true, draft)
  await cairn.rest.createRepository('remote-npm', 'npm', true, draft)
  await cairn.settled()
  await cairn.meshed()
  return [await popular(context, cairn, upstream), await hanging(context, cairn, upstream)]
}

async function popular({ quick }: Context, cairn: Cairn, upstream: ScriptedUpstream): Promise<Row> {
  const counts: number[] = []
  const seconds: number[] = []
  const size = 16 * MIB
  for (let round = 0; round < (quick ? 2 : 5); round++) {
    const path = `/popular-${round}.bin`
    upstream.answer(path, bytes(randomBytes(size)))
    const targets = cairn.edges.map((url) => ({ url, path: `/repository/remote-files${path}` }))
    const clients = [{ count: NODES * CLIENTS }]
    const report = await load('drain', { targets, clients, requestsEach: 1, maxMs: 120_000 })
    if (report.bytes !== NODES * CLIENTS * size) throw new Error('not all clients got the whole object')
    counts.push(upstream.count(path))
    seconds.push(report.seconds)
  }
  return {
    what: `upstream requests for a cold object, ${NODES} nodes × ${CLIENTS} clients at once`,
    value: Math.max(...counts),
    unit: 'x',
    must: { be: 'at most', value: 1 },
    raw: { 'upstream requests': counts, 'seconds until all had all of it': seconds },
    notes: [`Objects of ${size / MIB} MiB that no node has seen; the most of all rounds.`],
  }
}

/** All of it is older than its time to live all the while, so that a healthy upstream is asked again and again, too. */
async function hanging(context: Context, cairn: Cairn, upstream: ScriptedUpstream): Promise<Row> {
  const names = Array.from({ length: PACKAGES }, (_, i) => `held-${i}`)
  const documents = await packuments(cairn, names)
  const edge = cairn.edges[0] ?? ''
  const answer = (isUp: boolean) => {
    for (const [name, body] of documents)
      upstream.answer(`/${name}`, isUp ? tagged(body, { 'content-type': 'application/json' }) : hang)
  }
  answer(true)
  for (const name of names) await get(`${edge}/repository/remote-npm/${name}`)
  const targets = names.map((name) => ({ url: edge, path: `/repository/remote-npm/${name}` }))
  const p99 = async () => {
    const requestsEach = context.quick ? 200 : 1000
    const report = await load('drain', { targets, clients: [{ count: 8 }], requestsEach, maxMs: 60_000 })
    return percentile(
      report.answers.map(({ ms }) => ms),
      0.99,
    )
  }
  let cold = 0
  const whileItHangs = async () => {
    answer(false)
    const given = new AbortController()
    const waiting = Array.from({ length: WAITING }, () => {
      upstream.answer(`/cold-${cold}`, hang)
      return fetch(`${edge}/repository/remote-npm/cold-${cold++}`, { signal: given.signal }).catch(() => undefined)
    })
    const figure = await p99()
    given.abort()
    await Promise.all(waiting)
    answer(true)
    return figure
  }
  await p99()
  const measured = await pairs(pairCount(context), whileItHangs, p99)
  return {
    what: 'reads of held packuments while the upstream hangs, p99 ÷ healthy',
    value: median(measured.ratios),
    unit: 'x',
    must: { be: 'at most', value: 1.5 },
    raw: { 'hanging, p99 ms': measured.ours, 'healthy, p99 ms': measured.theirs, ratio: measured.ratios },
    notes: [
      `8 clients, ${PACKAGES} packages that are older than their time to live; while it hangs ${WAITING} others wait for packages that are not held.`,
    ],
  }
}

/** As a registry gives them out: this one. */
async function packuments(cairn: Cairn, names: string[]): Promise<Map<string, Buffer>> {
  const maker = new PackageMaker(2000)
  const found = new Map<string, Buffer>()
  for (const name of names) {
    const path = `/repository/npm-local/${name}`
    for (const version of ['1.0.0', '1.1.0'])
      await publishDocument(cairn.primary, path, cairn.rest.authorization, maker.publish(name, version))
    found.set(name, (await get(cairn.primary + path, { 'accept-encoding': 'identity' })).body)
  }
  return found
}
