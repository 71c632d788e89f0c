/** How fast a node sends a large file from its cache, beside nginx with sendfile. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bench, Context, Row } from '../bench.js'
import { publishOfRandomBytes } from '../load/npm-package.js'
import { startCairn } from '../rig/cairn.js'
import { load } from '../rig/load.js'
import { startNginx } from '../rig/nginx.js'
import { get, publishDocument } from '../rig/rest.js'
import { median, pairs } from '../statistics.js'

export const tarball: Bench = {
  name: 'tarball',
  title: 'MB/s of a 100 MiB tarball from the cache of a node, beside nginx with sendfile',
  run,
}

const WHAT = '100 MiB tarball from cache ÷ nginx with sendfile'
const MIB = 1024 * 1024
const CONTENT_BYTES = 100 * MIB

async function run(context: Context): Promise<Row[]> {
  const nginx = await startNginx(context.rig)
  if (!nginx) return [{ what: WHAT, skipped: 'nginx is not installed (Debian: apt-get install nginx)' }]
  const cairn = await startCairn(context.rig, { nodes: 1 })
  const edge = cairn.edges[0] ?? ''
  await publishDocument(
    cairn.primary,
    '/repository/npm-local/heavy',
    cairn.rest.authorization,
    publishOfRandomBytes('heavy', '1.0.0', CONTENT_BYTES),
  )
  const path = '/repository/npm-local/heavy/-/heavy-1.0.0.tgz'
  const bytes = (await get(cairn.primary + path)).body
  await cairn.rest.put('/repository/generic-local/heavy.tgz', bytes)
  await cairn.settled()
  await writeFile(join(nginx.root, 'heavy.tgz'), bytes)
  const rows: Row[] = []
  for (const { name, file } of [
    { name: 'npm tarball', file: path },
    { name: 'generic file', file: '/repository/generic-local/heavy.tgz' },
  ]) {
    await get(edge + file)
    for (const connections of [1, 4])
      rows.push(
        await measure(
          context,
          `${name}, ${plural(connections)}`,
          connections,
          { url: edge, path: file },
          { url: nginx.url, path: '/heavy.tgz' },
        ),
      )
  }
  return rows
}

interface Target {
  url: string
  path: string
}

async function measure(
  context: Context,
  name: string,
  connections: number,
  ours: Target,
  theirs: Target,
): Promise<Row> {
  const each = (context.quick ? 8 : 24) / connections
  const speed = async (target: Target) => {
    const report = await load('drain', {
      targets: [target],
      clients: [{ count: connections }],
      requestsEach: each,
      maxMs: 60_000,
    })
    if (report.requests !== each * connections)
      throw new Error(`${target.url}: only ${report.requests} of ${each * connections} answers were complete`)
    return report.bytes / 1e6 / report.seconds
  }
  const measured = await pairs(
    context.quick ? 2 : 5,
    () => speed(ours),
    () => speed(theirs),
  )
  return {
    what: `${WHAT}, ${name}`,
    value: median(measured.ratios),
    unit: 'x',
    must: { be: 'at least', value: 0.9 },
    raw: { 'node MB/s': measured.ours, 'nginx MB/s': measured.theirs, ratio: measured.ratios },
    notes: ['Own client in a process of its own that throws the bytes away; client and server share the cores.'],
  }
}

function plural(connections: number): string {
  return connections === 1 ? '1 connection' : `${connections} connections`
}
