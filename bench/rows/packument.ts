/** How fast a node answers a packument that it has rendered before: beside nginx, beside Verdaccio, and with a token. */
import type { Bench, Context, Measured, Row } from '../bench.js'
import { PackageMaker } from '../load/npm-package.js'
import { besideNginx, NGINX_MISSING, pairCount, rate, sizeText } from '../rate.js'
import { type Cairn, startCairn } from '../rig/cairn.js'
import { startNginx } from '../rig/nginx.js'
import { get, publishDocument } from '../rig/rest.js'
import { startVerdaccio } from '../rig/verdaccio.js'
import { wrkMissing } from '../rig/wrk.js'
import { median, pairs } from '../statistics.js'

export const packument: Bench = {
  name: 'packument',
  title: 'requests/s for a cached packument at a node, beside nginx and Verdaccio, and with a token',
  run,
}

const PACKUMENT = 'cached packument at a node'
const NGINX = `${PACKUMENT} ÷ nginx`
const VERDACCIO = `${PACKUMENT} ÷ Verdaccio`
const PRIVATE = 'private packument with token ÷ public'
/** The whole document of one version is about 2 KiB, of sixteen about 20 KiB. */
const SIZES = [
  { name: 'small-package', versions: 1 },
  { name: 'large-package', versions: 16 },
]

async function run(context: Context): Promise<Row[]> {
  const missing = await wrkMissing()
  if (missing) return [NGINX, VERDACCIO, PRIVATE].map((what) => ({ what, skipped: missing }))
  const cairn = await startCairn(context.rig, { nodes: 1 })
  await cairn.rest.createRepository('bench-private', 'npm', false)
  for (const registry of ['npm-local', 'bench-private'])
    await fill(cairn.primary, `/repository/${registry}`, cairn.rest.authorization)
  await cairn.settled()
  return [
    ...(await staticFile(context, cairn)),
    ...(await besideVerdaccio(context, cairn)),
    await withToken(context, cairn),
  ]
}

async function fill(url: string, registry: string, authorization: string): Promise<void> {
  const maker = new PackageMaker(2000)
  for (const { name, versions } of SIZES)
    for (let i = 0; i < versions; i++)
      await publishDocument(url, `${registry}/${name}`, authorization, maker.publish(name, `1.${i}.0`))
}

async function staticFile(context: Context, cairn: Cairn): Promise<Row[]> {
  const nginx = await startNginx(context.rig)
  if (!nginx) return [{ what: NGINX, skipped: NGINX_MISSING }]
  const rows: Row[] = []
  for (const { name } of SIZES) {
    const url = `${cairn.edges[0]}/repository/npm-local/${name}`
    rows.push(await besideNginx(context, { cairn, nginx }, { what: PACKUMENT, url }))
  }
  return rows
}

async function besideVerdaccio(context: Context, cairn: Cairn): Promise<Row[]> {
  const verdaccio = await startVerdaccio(context.rig, context.say)
  if ('missing' in verdaccio) return [{ what: VERDACCIO, skipped: verdaccio.missing }]
  await fill(verdaccio.url, '', '')
  const rows: Row[] = []
  for (const { name } of SIZES) {
    const ours = `${cairn.edges[0]}/repository/npm-local/${name}`
    const theirs = `${verdaccio.url}/${name}`
    const sizes = { ours: (await get(ours)).body.length, theirs: (await get(theirs)).body.length }
    const measured = await pairs(
      pairCount(context),
      () => rate(ours, context),
      () => rate(theirs, context),
    )
    rows.push({
      ...row(`${VERDACCIO}, ${sizeText(sizes.ours)}`, measured.ratios, 20),
      raw: { 'node requests/s': measured.ours, 'Verdaccio requests/s': measured.theirs, ratio: measured.ratios },
      notes: [`Verdaccio ${verdaccio.version}, the same package published to it: ${sizeText(sizes.theirs)}.`],
    })
  }
  return rows
}

async function withToken(context: Context, cairn: Cairn): Promise<Row> {
  const url = (key: string) => `${cairn.edges[0]}/repository/${key}/small-package`
  const headers = { Authorization: cairn.rest.authorization }
  const measured = await pairs(
    pairCount(context),
    () => rate(url('bench-private'), context, headers),
    () => rate(url('npm-local'), context),
  )
  return {
    ...row(PRIVATE, measured.ratios, 0.85),
    raw: { 'private requests/s': measured.ours, 'public requests/s': measured.theirs, ratio: measured.ratios },
    notes: ['The token is sent, looked up and decided upon with every request; the public side sends none.'],
  }
}

function row(what: string, ratios: number[], atLeast: number): Omit<Measured, 'raw' | 'notes'> {
  return { what, value: median(ratios), unit: 'x', must: { be: 'at least', value: atLeast } }
}
