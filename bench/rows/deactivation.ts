/** How long until whom a company's provider deactivated is refused at every node. */
import type { Bench, Context, Row } from '../bench.js'
import { startCairn } from '../rig/cairn.js'
import { load } from '../rig/load.js'
import { percentile } from '../statistics.js'

export const deactivation: Bench = {
  name: 'deactivation',
  title: 'time until a user deactivated by SCIM is refused by every one of 8 nodes',
  run,
}

const NODES = 8

async function run({ rig, quick }: Context): Promise<Row[]> {
  const cairn = await startCairn(rig, { nodes: NODES })
  await cairn.meshed()
  await cairn.rest.createRepository('bench-closed', 'generic', false)
  await cairn.rest.put('/repository/bench-closed/file', Buffer.alloc(1000, 'x'))
  await cairn.settled()
  const { refusedMs } = await load('deactivate', {
    primary: cairn.primary,
    nodes: cairn.edges,
    authorization: cairn.rest.authorization,
    repository: 'bench-closed',
    file: 'file',
    rounds: quick ? 5 : 100,
    deadlineMs: 10_000,
  })
  return [
    {
      what: 'a user deactivated by SCIM refused at every one of 8 nodes, p99',
      value: percentile(refusedMs, 0.99),
      unit: 'ms',
      must: { be: 'at most', value: 2000 },
      raw: { 'each, ms': refusedMs, 'p50 and p99, ms': [percentile(refusedMs, 0.5), percentile(refusedMs, 0.99)] },
      notes: [
        'An API token of the user, asked with at each node again a millisecond after its last answer. The figure counts from sending the PATCH.',
      ],
    },
  ]
}
