/** What a virtual repository of five members adds to the time of an index that its member answers. */
import { bytes, scriptedUpstream } from '../../test/support/upstream.js'
import type { Bench, Context, Row } from '../bench.js'
import { PackageMaker } from '../load/npm-package.js'
import { type Cairn, startCairn } from '../rig/cairn.js'
import { load } from '../rig/load.js'
import { get, publishDocument } from '../rig/rest.js'
import { median, percentile } from '../statistics.js'

export const virtuals: Bench = {
  name: 'virtual',
  title: 'what a virtual repository of five members adds to a packument',
  run,
}

const NAME = 'large-package'
const VERSIONS = 16
const MEMBERS = 5
const MOST_MS = 2

/** The package is in the last member, so that all others are looked into. */
async function run(context: Context): Promise<Row[]> {
  const upstream = await scriptedUpstream()
  context.rig.onClose(() => upstream.close())
  const env = { CAIRN_UPSTREAM_ALLOW: '127.0.0.1' }
  const cairn = await startCairn(context.rig, { nodes: 1, env })
  const locals = Array.from({ length: MEMBERS }, (_, i) => `local-${i + 1}`)
  for (const key of locals) await cairn.rest.createRepository(key, 'npm', true)
  const maker = new PackageMaker(2000)
  const last = locals.at(-1) ?? ''
  for (let i = 0; i < VERSIONS; i++)
    await publishDocument(
      cairn.primary,
      `/repository/${last}/${NAME}`,
      cairn.rest.authorization,
      maker.publish(NAME, `1.${i}.0`),
    )
  const { body } = await get(`${cairn.primary}/repository/${last}/${NAME}`, { 'accept-encoding': 'identity' })
  upstream.answer(`/${NAME}`, bytes(body, { 'content-type': 'application/json' }))
  const remote = { repo_type: 'remote', upstream_url: upstream.url, metadata_ttl_seconds: 3600 }
  const remotes = ['remote-1', 'remote-2']
  for (const key of remotes) await cairn.rest.createRepository(key, 'npm', true, remote)
  await cairn.rest.createRepository('all-local', 'npm', true, { repo_type: 'virtual', members: locals })
  const mixed = [...locals.slice(0, MEMBERS - remotes.length), ...remotes]
  await cairn.rest.createRepository('with-remote', 'npm', true, { repo_type: 'virtual', members: mixed })
  await cairn.settled()
  return [
    await measure(context, cairn, { what: 'all hosted', key: 'all-local', beside: last }),
    await measure(context, cairn, { what: 'three hosted, two remote that hold it', key: 'with-remote', beside: last }),
  ]
}

async function measure(
  { quick }: Context,
  cairn: Cairn,
  { what, key, beside }: { what: string; key: string; beside: string },
): Promise<Row> {
  const at = (repository: string) => ({ url: cairn.edges[0] ?? '', path: `/repository/${repository}/${NAME}` })
  await sameVersions(at(key), at(beside))
  const count = quick ? 200 : 1000
  const requests = Array.from({ length: count }, () => [at(key), at(beside)]).flat()
  const { answers } = await load('firstByte', { requests })
  const every = (offset: number) => answers.filter((_, i) => i % 2 === offset).map(({ ms }) => ms)
  const [ours, theirs] = [every(0), every(1)]
  return {
    what: `virtual repository of ${MEMBERS} members, packument, median − hosted: ${what}`,
    value: median(ours) - median(theirs),
    unit: 'ms',
    must: { be: 'at most', value: MOST_MS },
    raw: {
      'virtual, ms': ours,
      'hosted, ms': theirs,
      'p99 of virtual and hosted, ms': [percentile(ours, 0.99), percentile(theirs, 0.99)],
    },
    notes: [
      `${count} requests to each side, one by one over one connection; ${VERSIONS} versions, in the last member.`,
    ],
  }
}

async function sameVersions(a: { url: string; path: string }, b: { url: string; path: string }): Promise<void> {
  const [one, other] = await Promise.all(
    [a, b].map(async ({ url, path }) => {
      const { body } = await get(url + path)
      const { versions } = JSON.parse(body.toString('utf8')) as { versions: Record<string, unknown> }
      return Object.keys(versions).join()
    }),
  )
  if (one !== other) throw new Error('the virtual repository does not answer with the versions of its member')
}
