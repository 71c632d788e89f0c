/** Real clients installing large trees of other people's packages: through a node that has nothing, again, and straight from the upstream. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { formats } from '../../formats/index.js'
import type { Bench, Context, Row } from '../bench.js'
import { cargo } from '../projects/cargo.js'
import { npm } from '../projects/npm.js'
import { pip } from '../projects/pip.js'
import type { Locked, Project } from '../projects/project.js'
import { pairCount } from '../rate.js'
import { startCairn } from '../rig/cairn.js'
import { Rig } from '../rig/rig.js'
import { median, pairs } from '../statistics.js'

export const installs: Bench = {
  name: 'install',
  title: 'large installs through a cold node and a warm one, beside the upstream directly',
  run,
}

const PROJECTS = [npm, pip, cargo]
const KEY = 'install-remote'

async function run(context: Context): Promise<Row[]> {
  const rows: Row[] = []
  for (const project of PROJECTS) rows.push(...(await measure(context, project)))
  return rows
}

async function measure(context: Context, project: Project): Promise<Row[]> {
  const { rig, say } = context
  const folder = await rig.directory()
  say(`${project.name}: making the lock file`)
  const isRemote = formats.some(({ name, upstream }) => name === project.format && upstream !== undefined)
  const locked = isRemote ? await project.lock(folder) : { missing: `${project.format} has no remote repositories` }
  const names = (count: string) =>
    ['cold', 'warm'].map((state) => `${project.name}, ${count}through a ${state} node ÷ straight from the upstream`)
  if ('missing' in locked) return names('').map((what) => ({ what, skipped: locked.missing }))
  const [coldName = '', warmName = ''] = names(`${locked.packages} packages, `)
  const warm: number[] = []
  const cold = await pairs(
    pairCount(context),
    () => throughNode(context, project, locked, warm),
    async () => {
      const seconds = await timed(rig, locked, undefined)
      say(`${project.name}: direct ${seconds.toFixed(1)} s`)
      return seconds
    },
  )
  const direct = cold.theirs
  const warmRatios = warm.map((seconds, i) => seconds / (direct[i] ?? Number.NaN))
  return [
    {
      what: coldName,
      value: median(cold.ratios),
      unit: 'x',
      must: { be: 'at most', value: 1.3 },
      raw: { 'cold node s': cold.ours, 'direct s': direct, ratio: cold.ratios },
      notes: ['A new primary and node each time, the client with an empty cache each time.'],
    },
    {
      what: warmName,
      value: median(warmRatios),
      unit: 'x',
      must: { be: 'below', value: 1 },
      raw: { 'warm node s': warm, 'direct s': direct, ratio: warmRatios },
      notes: ['Right after the cold one, the client with an empty cache again.'],
    },
  ]
}

/** Seconds of the first install; those of a second one are added to `warm`. */
async function throughNode(context: Context, project: Project, locked: Locked, warm: number[]): Promise<number> {
  const rig = new Rig()
  context.rig.onClose(() => rig.close())
  try {
    // Where an index leads its clients may be an address of one's own network, too.
    const env = { CAIRN_UPSTREAM_ALLOW: '0.0.0.0/0,::/0' }
    const cairn = await startCairn(rig, { nodes: 1, env })
    const remote = { repo_type: 'remote', upstream_url: locked.upstream }
    await cairn.rest.createRepository(KEY, project.format, true, remote)
    await cairn.settled()
    const url = `${cairn.edges[0]}/repository/${KEY}`
    const cold = await timed(rig, locked, url)
    warm.push(await timed(rig, locked, url))
    context.say(`${project.name}: cold ${cold.toFixed(1)} s, warm ${warm.at(-1)?.toFixed(1)} s`)
    return cold
  } finally {
    await rig.close()
  }
}

async function timed(rig: Rig, locked: Locked, url: string | undefined): Promise<number> {
  const empty = join(await rig.directory(), 'project')
  await mkdir(empty)
  const startedAt = performance.now()
  await locked.install(empty, url)
  return (performance.now() - startedAt) / 1000
}
