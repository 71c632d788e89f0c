/** One connection from node to node, unshaped, beside node:tls between the same two processes. */
import type { Bench, Context, Row } from '../bench.js'
import type { ChannelReport } from '../load/channel.js'
import { load } from '../rig/load.js'
import { median } from '../statistics.js'

export const meshChannel: Bench = {
  name: 'mesh-channel',
  title: 'pieces over one connection from node to node ÷ node:tls on loopback',
  run,
}

const BYTES = 2 * 1024 * 1024 * 1024

async function run({ quick }: Context): Promise<Row[]> {
  const reports: ChannelReport[] = []
  for (let at = 0; at < (quick ? 2 : 5); at++) reports.push(await load('channel', { bytes: quick ? BYTES / 4 : BYTES }))
  return [
    row(reports, 'transport', 'one connection peer to peer ÷ node:tls, transport alone', 0.8),
    row(reports, 'verified', 'one connection peer to peer ÷ node:tls, every piece verified into memory', 0.5),
  ]
}

function row(reports: readonly ChannelReport[], which: 'transport' | 'verified', what: string, least: number): Row {
  const mebibytes = (figures: number[]) => figures.map((figure) => figure / 1024 / 1024)
  return {
    what,
    value: median(reports.map((report) => report[which] / report.tls)),
    unit: 'x',
    must: { be: 'at least', value: least },
    raw: {
      'node:tls, MiB/s': mebibytes(reports.map(({ tls }) => tls)),
      'pieces, MiB/s': mebibytes(reports.map((report) => report[which])),
    },
    notes: ['Pieces of 1 MiB, 8 asked for at a time; all three one after the other between the same two processes.'],
  }
}
