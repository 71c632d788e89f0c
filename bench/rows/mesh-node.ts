/** First byte of a large cold blob from a peer, and memory of a node while much swarms through it. */
import { randomBytes } from 'node:crypto'
import type { Bench, Context, Row } from '../bench.js'
import { load } from '../rig/load.js'
import { office } from '../rig/office.js'
import { memory } from '../rig/proc.js'
import { median } from '../statistics.js'

export const meshNode: Bench = {
  name: 'mesh-node',
  title: 'first byte of a cold 1 GiB blob from a peer; memory of a node while 10 GiB swarm through it',
  run,
}

const MIB = 1024 * 1024
const GIB = 1024 * MIB
const NODES = 3

async function run({ rig, quick, say }: Context): Promise<Row[]> {
  // The cache holds a part of what passes, so that eviction runs as well.
  const fleet = await office(rig, { nodes: NODES, env: { CAIRN_CACHE_BYTES: '3GiB' } })
  const rounds = quick ? 2 : 10
  const firsts: number[] = []
  for (let at = 0; at < rounds; at++) {
    const path = `${fleet.base}/large/${at}.bin`
    await fleet.rest.put(path, randomBytes(quick ? GIB / 4 : GIB))
    await fleet.settled()
    const [has, cold, other] = fleet.nodes.map(({ url }) => url)
    await drain([has ?? ''], path)
    const { answers } = await load('firstByte', { requests: [{ url: cold ?? '', path }] })
    firsts.push(answers[0]?.firstByteMs ?? Number.NaN)
    await drain([cold ?? '', other ?? ''], path)
    say(`blob ${at + 1} of ${rounds}: first byte after ${firsts.at(-1)?.toFixed(0)} ms`)
  }
  const peaks = await Promise.all(fleet.nodes.map(async ({ process }) => (await memory(process.pid)).peak / MIB))
  return [
    {
      what: 'first byte of a cold 1 GiB blob from a peer on the same network',
      value: median(firsts),
      unit: 'ms',
      must: { be: 'at most', value: 100 },
      raw: { 'first byte, ms': firsts },
      notes: ['Loopback; the peer has the blob, the node sees it for the first time.'],
    },
    {
      what: `memory of a node while ${rounds} ${quick ? 'blobs of 256 MiB' : 'GiB'} swarm through it`,
      value: Math.max(...peaks),
      unit: 'MiB',
      must: { be: 'at most', value: 256 },
      raw: { 'high-water mark by node, MiB': peaks },
      notes: ["The kernel's high-water mark since the node started."],
    },
  ]
}

async function drain(urls: readonly string[], path: string): Promise<void> {
  const targets = urls.map((url) => ({ url, path }))
  const report = await load('drain', { targets, clients: [{ count: urls.length }], requestsEach: 1, maxMs: 110_000 })
  if (report.requests !== urls.length) throw new Error('a client was not served whole')
}
