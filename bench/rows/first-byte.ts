/** How long the first byte takes at a node that has nothing, through the mesh and without one. */
import { randomBytes } from 'node:crypto'
import type { Bench, Context, Row } from '../bench.js'
import { type Cairn, startCairn } from '../rig/cairn.js'
import { load } from '../rig/load.js'
import { median } from '../statistics.js'

export const firstBytes: Bench = {
  name: 'first-byte',
  title: 'time to the first byte at a cold node through the mesh, beside the primary directly',
  run,
}

const MIB = 1024 * 1024
const NODES = 3
const SIZES = [
  { bytes: MIB, count: 40, quick: 10 },
  { bytes: 64 * MIB, count: 7, quick: 3 },
]

async function run({ rig, quick }: Context): Promise<Row[]> {
  const mesh = await startCairn(rig, { nodes: NODES })
  const lone = await startCairn(rig, { nodes: 1 })
  await mesh.meshed()
  const rows: Row[] = []
  for (const { bytes, count, quick: few } of SIZES)
    rows.push(...(await measure(mesh, lone, bytes, quick ? few : count)))
  return rows
}

/**
 * Each figure of blobs that no other figure has touched. A blob at the third node is warm at the first, so that peers have it;
 * at the lone node it can come from the primary only.
 */
async function measure(mesh: Cairn, lone: Cairn, bytes: number, count: number): Promise<Row[]> {
  const paths = Array.from({ length: count }, (_, i) => `/repository/generic-local/first-byte/${bytes}-${i}.bin`)
  for (const path of paths) {
    await mesh.rest.put(path, randomBytes(bytes))
    await lone.rest.put(path, randomBytes(bytes))
  }
  await mesh.settled()
  await lone.settled()
  await timed(mesh.edges[0], paths)
  // Interleaved one by one: the third node through the mesh, the primary itself, and the node without peers.
  const requests = paths.flatMap((path) => [
    { url: mesh.edges[2] ?? '', path },
    { url: mesh.primary, path },
    { url: lone.edges[0] ?? '', path },
  ])
  const { answers } = await load('firstByte', { requests })
  const every = (offset: number) => answers.filter((_, i) => i % 3 === offset).map((answer) => answer.firstByteMs)
  const [peers, direct, alone] = [every(0), every(1), every(2)]
  const sources = [...new Set(answers.filter((_, i) => i % 3 === 0).map((answer) => answer.source))].join(', ')
  const raw = {
    'cold node, peers have it, ms': peers,
    'client at the primary, ms': direct,
    'cold node without peers, from the primary, ms': alone,
  }
  const size = `${bytes / MIB} MiB`
  return [
    {
      what: `first byte at a cold node through the mesh ÷ cold node directly from the primary, ${size}`,
      value: median(peers) / median(alone),
      unit: 'x',
      must: { be: 'at most', value: 2 },
      raw,
      notes: [
        `Medians of ${count} blobs that each node sees for the first time; the mesh's bytes came from: ${sources}.`,
      ],
    },
    {
      what: `first byte at a cold node through the mesh ÷ a client at the primary itself, ${size}`,
      value: median(peers) / median(direct),
      unit: 'x',
      raw,
      notes: ['On one machine the way to the primary costs nothing, so this is the hardest form of the comparison.'],
    },
  ]
}

async function timed(url: string | undefined, paths: readonly string[]): Promise<void> {
  await load('firstByte', { requests: paths.map((path) => ({ url: url ?? '', path })) })
}
