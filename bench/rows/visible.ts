/** How long until a publish can be read at every node. */
import type { Bench, Context, Row } from '../bench.js'
import { startCairn } from '../rig/cairn.js'
import { load } from '../rig/load.js'
import { percentile } from '../statistics.js'

export const visibility: Bench = {
  name: 'visible',
  title: 'time until a publish is visible at every one of 8 nodes',
  run,
}

const NODES = 8

async function run({ rig, quick }: Context): Promise<Row[]> {
  const cairn = await startCairn(rig, { nodes: NODES })
  await cairn.meshed()
  const { publishes } = await load('visible', {
    primary: cairn.primary,
    nodes: cairn.edges,
    registry: '/repository/npm-local',
    authorization: cairn.rest.authorization,
    count: quick ? 40 : 200,
    tarballBytes: 20_000,
    prefix: 'visible',
    pauseMs: 50,
    deadlineMs: 10_000,
  })
  const sinceSent = publishes.map(({ visibleMs }) => Math.max(...visibleMs))
  const sinceAcknowledged = publishes.map(({ visibleMs, acknowledgedMs }) =>
    Math.max(0, Math.max(...visibleMs) - acknowledgedMs),
  )
  return [
    {
      what: 'a publish visible at every one of 8 nodes, p99',
      value: percentile(sinceSent, 0.99),
      unit: 'ms',
      must: { be: 'at most', value: 250 },
      raw: {
        'since it was sent, ms': sinceSent,
        'since it was acknowledged, ms': sinceAcknowledged,
        'p50 and p99 since it was sent, ms': [percentile(sinceSent, 0.5), percentile(sinceSent, 0.99)],
        'p50 and p99 since it was acknowledged, ms': [
          percentile(sinceAcknowledged, 0.5),
          percentile(sinceAcknowledged, 0.99),
        ],
      },
      notes: [
        'The figure counts from sending the publish. After its acknowledgement each node is asked again a millisecond after its last answer.',
      ],
    },
  ]
}
