/** Lists and searches of somebody who may see one artifact in a hundred, beside those of an administrator. */
import { join } from 'node:path'
import type { Bench, Context, Row } from '../bench.js'
import { type Cairn, startCairn, up } from '../rig/cairn.js'
import { fill } from '../rig/fill.js'
import { get, signIn } from '../rig/rest.js'
import { median, pairs } from '../statistics.js'

export const searches: Bench = {
  name: 'search',
  title: 'lists and searches over 100,000 artifacts for a user who may see 1 % of them',
  run,
}

const ARTIFACTS = 100_000
const VERSIONS_PER_PACKAGE = 100
const PAIRS = 15
const KEY = 'many'
const QUESTIONS = [
  [`/api/v1/repositories/${KEY}/artifacts?limit=100`, 'a list'],
  ['/api/v1/search/artifacts?name=filled&limit=100', 'a search that most names fit'],
  ['/api/v1/search/artifacts?version=1.50.0&limit=100', 'a search that one artifact in a hundred fits'],
  [`/repository/${KEY}/-/v1/search?text=filled&size=20`, "npm's own search"],
] as const

async function run({ rig, quick, say }: Context): Promise<Row[]> {
  const cairn = await startCairn(rig, { nodes: 0 })
  await cairn.rest.createRepository(KEY, 'npm', false)
  const count = quick ? ARTIFACTS / 10 : ARTIFACTS
  await grantSome(cairn, count / VERSIONS_PER_PACKAGE)
  await cairn.process.stop()
  say('filling the repository')
  await fill(join(cairn.dir, 'primary'), KEY, 0, count)
  await up(rig, cairn)
  const user = await signIn(cairn.primary, cairn.password, USER)
  const rows: Row[] = []
  for (const [path, what] of QUESTIONS) {
    const as = (authorization: string) => async () => (await get(cairn.primary + path, { authorization })).ms
    await as(user.authorization)()
    await as(cairn.rest.authorization)()
    const { ours, theirs, ratios } = await pairs(
      quick ? 3 : PAIRS,
      as(user.authorization),
      as(cairn.rest.authorization),
    )
    rows.push({
      what: `${what} at the primary: who may see 1 % of ${count.toLocaleString('en-US')} artifacts ÷ an administrator`,
      value: median(ratios),
      unit: 'x',
      must: { be: 'at most', value: 2 },
      raw: { 'user, ms': ours, 'administrator, ms': theirs },
      notes: ['One repository; the user has a grant for each of ten packages of a hundred versions, by its path.'],
    })
  }
  return rows
}

const USER = 'narrow'

async function grantSome({ rest, password }: Cairn, packages: number): Promise<void> {
  const post = (path: string, body: object) =>
    rest.send('POST', `/api/v1/${path}`, Buffer.from(JSON.stringify(body)), 'application/json')
  await post('users', { username: USER, password })
  // Names of the same length, so that none begins another, and not those that an administrator's page begins with.
  const seen = packages / 100
  for (let i = 0; i < seen; i++) {
    const path = `filled-${packages / 10 + Math.floor((i * 0.9 * packages) / seen)}`
    await post('grants', { user: USER, repository: KEY, path, actions: ['read'] })
  }
}
