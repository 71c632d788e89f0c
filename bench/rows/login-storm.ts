/** What others notice of a log-in storm: two hundred clients that come with passwords at the same moment. */
import { setTimeout } from 'node:timers/promises'
import type { Bench, Context, Row } from '../bench.js'
import { Connection } from '../load/connection.js'
import { type Cairn, startCairn } from '../rig/cairn.js'
import { load } from '../rig/load.js'
import { get } from '../rig/rest.js'
import { median, pairs, percentile } from '../statistics.js'

export const loginStorm: Bench = {
  name: 'login-storm',
  title: 'time of other requests at the primary while 200 clients log in with passwords',
  run,
}

const CLIENTS = 200
const PAUSE_MS = 4
const FILE_BYTES = 256 * 1024
const USERS = 20
const PASSWORD = 'a password of the bench, 2026'

async function run(context: Context): Promise<Row[]> {
  // The storm comes from one address.
  const cairn = await startCairn(context.rig, { nodes: 0, env: { CAIRN_LOGINS_PER_MINUTE: '0' } })
  const usernames = Array.from({ length: USERS }, (_, i) => `storm-${i}`)
  for (const username of usernames) {
    const user = Buffer.from(JSON.stringify({ username, password: PASSWORD }))
    await cairn.rest.send('POST', '/api/v1/users', user, 'application/json')
  }
  await cairn.rest.put('/repository/generic-local/storm.bin', Buffer.alloc(FILE_BYTES, 7))
  const path = '/repository/generic-local/storm.bin'
  await get(cairn.primary + path)
  const entered: number[] = []
  const refused: number[] = []
  const seconds = context.quick ? 3 : 6
  const quiet = () => watched(cairn, path, seconds)
  const stormy = async () => {
    const storm = load('storm', { url: cairn.primary, clients: CLIENTS, usernames, password: PASSWORD, seconds })
    const [p99, report] = await Promise.all([watched(cairn, path, seconds), storm])
    entered.push(report.entered / seconds)
    refused.push(report.refused / seconds)
    return p99
  }
  await quiet()
  const measured = await pairs(context.quick ? 2 : 5, stormy, quiet)
  return [
    {
      what: 'p99 of reads at the primary in a log-in storm of 200 clients ÷ quiet',
      value: median(measured.ratios),
      unit: 'x',
      must: { be: 'at most', value: 1.5 },
      raw: {
        'p99 in the storm, ms': measured.ours,
        'p99 when quiet, ms': measured.theirs,
        ratio: measured.ratios,
        'log-ins/s': entered,
        'refused/s': refused,
      },
      notes: [
        `A file of ${FILE_BYTES / 1024} KiB is read every ${PAUSE_MS} ms; clients that are told to wait (429) come back when they were told to.`,
      ],
    },
  ]
}

/** p99 of the time that a read takes, in ms. */
async function watched({ primary }: Cairn, path: string, seconds: number): Promise<number> {
  const connection = new Connection(primary)
  const times: number[] = []
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    const startedAt = performance.now()
    const { status } = await connection.request({ path })
    if (status !== 200) throw new Error(`${path} answered ${status}`)
    times.push(performance.now() - startedAt)
    await setTimeout(PAUSE_MS)
  }
  connection.close()
  return percentile(times, 0.99)
}
