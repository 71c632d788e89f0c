/** Memory of a node while much goes through it, with slow clients among the readers. */

import { randomBytes } from 'node:crypto'
import type { Bench, Context, Row } from '../bench.js'
import { startCairn } from '../rig/cairn.js'
import { load } from '../rig/load.js'
import { memory } from '../rig/proc.js'

export const rss: Bench = {
  name: 'rss',
  title: 'resident memory of a node, 10 GiB through it by 64 clients, a quarter of them slow',
  run,
}

const MIB = 1024 * 1024
const FILES = 12
const FILE_BYTES = 64 * MIB
const FAST = 48
const SLOW = 16
const SLOW_BYTES_PER_SECOND = 3 * MIB
const SAMPLE_MS = 100
const MAX_MS = 90_000

async function run({ rig, quick }: Context): Promise<Row[]> {
  const cairn = await startCairn(rig, { nodes: 1 })
  const paths = Array.from({ length: FILES }, (_, i) => `/repository/generic-local/rss/${i}.bin`)
  for (const path of paths) await cairn.rest.put(path, randomBytes(FILE_BYTES))
  await cairn.settled()
  const pid = await cairn.nodePid(0)
  const atRest = await memory(pid)
  const samples = new Samples(pid)
  const report = await load('drain', {
    targets: paths.map((path) => ({ url: cairn.edges[0] ?? '', path })),
    clients: [{ count: FAST }, { count: SLOW, pace: SLOW_BYTES_PER_SECOND }],
    totalBytes: (quick ? 2 : 10) * 1024 * MIB,
    maxMs: MAX_MS,
  })
  await samples.close()
  const after = await memory(pid)
  return [
    {
      what: `RSS of a node, ${(report.bytes / 1024 / MIB).toFixed(1)} GiB through it by ${FAST + SLOW} clients`,
      value: after.peak / MIB,
      unit: 'MiB',
      must: { be: 'at most', value: 256 },
      raw: {
        'RSS before, MiB': [atRest.rss / MIB],
        'RSS sampled, MiB': samples.bytes.map((bytes) => bytes / MIB),
        'RSS after, MiB': [after.rss / MIB],
        'MiB/s': [report.bytes / MIB / report.seconds],
        seconds: [report.seconds],
      },
      notes: [
        `The figure is the kernel's high-water mark since the node started. ${FILES} files of ${FILE_BYTES / MIB} MiB, cold at first; ${SLOW} clients read ${SLOW_BYTES_PER_SECOND / MIB} MiB/s each.`,
        ...(report.seconds * 1000 >= MAX_MS ? ['It was ended by its time limit.'] : []),
      ],
    },
  ]
}

class Samples {
  readonly bytes: number[] = []
  readonly #timer: NodeJS.Timeout
  #sampling: Promise<void> = Promise.resolve()

  constructor(pid: number) {
    this.#timer = setInterval(() => {
      this.#sampling = this.#sampling.then(async () => {
        this.bytes.push((await memory(pid)).rss)
      })
    }, SAMPLE_MS)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#sampling
  }
}
