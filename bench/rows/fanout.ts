/** How often the bytes of one blob leave the primary when eight cold nodes want it at the same moment. */
import { randomBytes } from 'node:crypto'
import type { Bench, Context, Row } from '../bench.js'
import { type Cairn, startCairn } from '../rig/cairn.js'
import { load } from '../rig/load.js'
import { metric } from '../rig/rest.js'
import { median } from '../statistics.js'

export const fanout: Bench = {
  name: 'fanout',
  title: 'bytes that leave the primary when 8 cold nodes fetch one 256 MiB blob at once',
  run,
}

const WHAT = '8 cold nodes fetch one 256 MiB blob at once: bytes from the primary ÷ size'
const COUNTER = 'cairn_fleet_blob_bytes_total'
const NODES = 8
const BLOB_BYTES = 256 * 1024 * 1024
const DEADLINE_MS = 100_000

async function run({ rig, quick, say }: Context): Promise<Row[]> {
  const cairn = await startCairn(rig, { nodes: NODES })
  await cairn.meshed()
  const copies: number[] = []
  const seconds: number[] = []
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    say(`round ${round + 1}: 256 MiB to ${NODES} nodes`)
    const fetched = await fetchEverywhere(cairn, `/repository/generic-local/fanout/${round}.bin`)
    copies.push(fetched.copies)
    seconds.push(fetched.seconds)
  }
  return [
    {
      what: WHAT,
      value: median(copies),
      unit: 'x',
      must: { be: 'at most', value: 1.2 },
      raw: { 'copies from the primary': copies, 'seconds until all have it': seconds },
      notes: [
        `Counted by the primary (${COUNTER}): bodies of blobs, without leaf hashes. All ${NODES} nodes, their clients and the primary share the cores.`,
      ],
    },
  ]
}

async function fetchEverywhere(cairn: Cairn, path: string): Promise<{ copies: number; seconds: number }> {
  await cairn.rest.put(path, randomBytes(BLOB_BYTES))
  await cairn.settled()
  const before = await counted(cairn)
  const targets = cairn.edges.map((url) => ({ url, path }))
  const report = await load('drain', { targets, clients: [{ count: NODES }], requestsEach: 1, maxMs: DEADLINE_MS })
  if (report.requests !== NODES)
    throw new Error(`only ${report.requests} of ${NODES} nodes sent the whole blob within ${DEADLINE_MS / 1000} s`)
  return { copies: ((await counted(cairn)) - before) / BLOB_BYTES, seconds: report.seconds }
}

async function counted({ primary }: Cairn): Promise<number> {
  const bytes = await metric(primary, COUNTER)
  if (bytes === undefined) throw new Error(`the primary has no metric ${COUNTER}`)
  return bytes
}
