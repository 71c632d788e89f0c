/** How long everything takes to start with data present, and what it costs when nobody asks for anything. */
import type { Bench, Context, Row } from '../bench.js'
import { startCairn, up } from '../rig/cairn.js'
import { load } from '../rig/load.js'
import { commandLine, cpuSeconds, family } from '../rig/proc.js'
import { Rig } from '../rig/rig.js'
import { pause } from '../rig/until.js'
import { median } from '../statistics.js'

export const startAndIdle: Bench = {
  name: 'start',
  title: 'start of everything with data present, and idle processor time',
  run,
}

const NODES = 2
const PUBLISHES = 400

async function run({ rig, quick, say }: Context): Promise<Row[]> {
  const cairn = await startCairn(rig, { nodes: NODES })
  await load('publish', {
    url: cairn.primary,
    registry: '/repository/npm-local',
    authorization: cairn.rest.authorization,
    clients: 8,
    count: PUBLISHES,
    tarballBytes: 20_000,
    prefix: 'present',
    versionsPerPackage: 4,
  })
  await cairn.settled()
  await cairn.process.stop()
  const seconds: number[] = []
  for (let i = 0; i < (quick ? 2 : 5); i++) {
    const attempt = new Rig()
    try {
      const startedAt = performance.now()
      await up(attempt, cairn)
      seconds.push((performance.now() - startedAt) / 1000)
    } finally {
      await attempt.close()
    }
  }
  await up(rig, cairn)
  return [startRow(seconds), ...(await idle(cairn.dir, quick ? 10 : 30, say))]
}

/** What a start leaves to do is over by then; the memory that it took is tidied up last. */
const SETTLE_MS = 90_000

function startRow(seconds: number[]): Row {
  return {
    what: 'start of everything with data present',
    value: median(seconds),
    unit: 's',
    must: { be: 'below', value: 5 },
    raw: { seconds },
    notes: [
      `From the start of \`cairn up\` until primary and ${NODES} nodes answer /ready; Postgres was stopped before. ${PUBLISHES} versions present.`,
    ],
  }
}

async function idle(dir: string, seconds: number, say: (sentence: string) => void): Promise<Row[]> {
  say(`idle for ${seconds + SETTLE_MS / 1000} s`)
  await pause(SETTLE_MS)
  const before = await usage(dir)
  const startedAt = performance.now()
  await pause(seconds * 1000)
  const after = await usage(dir)
  const passed = (performance.now() - startedAt) / 1000
  const percent = new Map<string, number[]>()
  for (const [pid, { cpu, name }] of after) {
    const used = ((cpu - (before.get(pid)?.cpu ?? 0)) / passed) * 100
    percent.set(name, [...(percent.get(name) ?? []), used])
  }
  const sums = [...percent].map(([name, values]) => ({ name, value: values.reduce((sum, value) => sum + value, 0) }))
  const worst = sums.reduce((a, b) => (b.value > a.value ? b : a), { name: '', value: 0 })
  return [
    {
      what: `idle processor time of the busiest part (${worst.name})`,
      value: worst.value,
      unit: '% of a core',
      must: { be: 'below', value: 1 },
      raw: {
        'all together, % of a core': [sums.reduce((sum, { value }) => sum + value, 0)],
        ...Object.fromEntries(sums.map(({ name, value }) => [`${name}, %`, [value]])),
      },
      notes: [
        `Over ${seconds} s, from /proc; Postgres with all of its processes is one part. The clock's grain is 10 ms: ${(1 / seconds).toFixed(2)} %.`,
      ],
    },
  ]
}

async function usage(dir: string): Promise<Map<number, { cpu: number; name: string }>> {
  const found = new Map<number, { cpu: number; name: string }>()
  for (const pid of await family(dir)) {
    const cpu = await cpuSeconds(pid)
    if (cpu !== undefined) found.set(pid, { cpu, name: partOf(await commandLine(pid), dir) })
  }
  return found
}

function partOf(command: string, dir: string): string {
  if (/postgres/.test(command.split(' ')[0] ?? '')) return 'postgres'
  if (/cairn\.js up\b/.test(command)) return 'up'
  return new RegExp(`${dir}/([\\w-]+)`).exec(command)?.[1] ?? (command.split(' ')[0] || 'unnamed')
}
