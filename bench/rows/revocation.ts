/** How long until what was revoked is refused at every node. */
import type { Bench, Context, Row } from '../bench.js'
import { startCairn } from '../rig/cairn.js'
import { load } from '../rig/load.js'
import { percentile } from '../statistics.js'

export const revocation: Bench = {
  name: 'revocation',
  title: 'time until a revoked right is refused by every one of 8 nodes',
  run,
}

const NODES = 8

async function run({ rig, quick }: Context): Promise<Row[]> {
  const cairn = await startCairn(rig, { nodes: NODES })
  await cairn.meshed()
  await cairn.rest.createRepository('bench-closed', 'generic', false)
  await cairn.rest.put('/repository/bench-closed/file', Buffer.alloc(1000, 'x'))
  await cairn.settled()
  const { refusedMs } = await load('revoke', {
    primary: cairn.primary,
    nodes: cairn.edges,
    authorization: cairn.rest.authorization,
    repository: 'bench-closed',
    file: 'file',
    rounds: quick ? 5 : 50,
    deadlineMs: 10_000,
  })
  const all = Object.values(refusedMs).flat()
  return [
    {
      what: 'a revocation in force at every one of 8 nodes, p99',
      value: percentile(all, 0.99),
      unit: 'ms',
      must: { be: 'at most', value: 2000 },
      raw: {
        ...Object.fromEntries(Object.entries(refusedMs).map(([way, ms]) => [`${way}, ms`, ms])),
        'p50 and p99, ms': [percentile(all, 0.5), percentile(all, 0.99)],
      },
      notes: [
        'A token revoked, a grant removed, a user taken out of a group, a user disabled, in turn. The figure counts from sending it; each node is asked again a millisecond after its last answer.',
      ],
    },
  ]
}
