/** Cut off for longer than a repository allows: refused on every way to it, to peers too; and right again with the first news. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { FOR_EVER } from '../../primary/accounts/tokens.js'
import { type TestFleet, testFleet, until } from '../support/fleet.js'

const BOUND_SECONDS = 60
/** Of so many each node is the home of some. */
const PATHS = Array.from({ length: 16 }, (_, i) => `many/${i}.txt`)

/** The machine's clocks, moved. */
class Moved {
  wallBy = 0
  steadyBy = 0
  wallMs(): number {
    return Date.now() + this.wallBy
  }
  steadyMs(): number {
    return performance.now() + this.steadyBy
  }
  pass(seconds: number): void {
    this.wallBy += seconds * 1000
    this.steadyBy += seconds * 1000
  }
}

describe('a fleet that is cut off', { timeout: 180_000 }, () => {
  const clocks = [new Moved(), new Moved()]
  const [first, second] = clocks as [Moved, Moved]
  let fleet: TestFleet
  let reader: string
  let short: string

  before(async () => {
    // Nobody knows what time it is at the end, and a token that expires is none then.
    fleet = await testFleet({ nodes: 2, clocks, primary: { tokens: FOR_EVER } })
    const repository = (key: string, more: object) =>
      fleet.api('POST', '/api/v1/repositories', { key, format: 'generic', ...more })
    await repository('inner', { max_staleness_seconds: BOUND_SECONDS })
    await repository('unbounded', {})
    await repository('open', { is_public: true })
    await repository('all', { repo_type: 'virtual', members: ['inner', 'open'] })
    for (const key of ['inner', 'unbounded', 'open']) {
      await put(key, 'shared.txt', 'the same bytes')
      await put(key, `${key}.txt`, key)
    }
    for (const path of PATHS) await put('inner', path, path)
    reader = await token()
    short = await token({ expires_in_days: 1 })
    await settled()
  })
  after(() => fleet.close())

  async function put(key: string, path: string, body: string) {
    const init = { method: 'PUT', body, headers: { authorization: fleet.admin } }
    assert.equal((await fetch(`${fleet.primaryUrl}/repository/${key}/${path}`, init)).status, 201)
  }
  async function token(more: object = {}) {
    const draft = { name: 'reader', scopes: ['read'], ...more }
    return `Bearer ${((await fleet.api('POST', '/api/v1/auth/tokens', draft)) as { value: string }).value}`
  }
  const get = (node: number, path: string, authorization = reader) =>
    fetch(`${fleet.nodeUrls[node]}${path}`, { headers: { authorization } })
  const answer = async (node: number, path: string, authorization = reader) => {
    const reply = await get(node, path, authorization)
    const text = await reply.text()
    return reply.status === 503 ? `503 ${(JSON.parse(text) as { code: string }).code}` : reply.status
  }
  const settled = () =>
    until(async () => {
      const statuses = await Promise.all(
        [0, 1].map((node) => answer(node, '/api/v1/repositories/inner/artifacts/many/15.txt')),
      )
      return statuses.every((status) => status === 200)
    })

  const digest = createHash('sha256').update('inner').digest('hex')
  const ways = [
    '/repository/inner/inner.txt',
    '/repository/inner/',
    '/repository/inner/inner.txt.sha256',
    '/artifactory/inner/inner.txt',
    '/repository/all/inner.txt',
    '/api/v1/repositories/inner/artifacts',
    '/api/v1/repositories/inner/artifacts/inner.txt',
    '/api/v1/repositories/inner/download/inner.txt',
    '/api/v1/repositories/inner/proof/inner.txt',
    '/api/v1/search/artifacts?name=inner&repository=inner',
    `/api/v1/search/artifacts?checksum=${digest}&repository=inner`,
  ]
  const others = ['/repository/unbounded/shared.txt', '/repository/open/open.txt', '/repository/all/open.txt']
  const found = async (node: number) => {
    const { items } = (await (await get(node, '/api/v1/search/artifacts?path=shared.txt')).json()) as {
      items: { repository: string }[]
    }
    return items.map((item) => item.repository).sort()
  }

  it('takes only bounds that a node which reaches the primary always keeps, and from administrators', async () => {
    const change = (key: string, seconds: number | null) =>
      fleet.api('PATCH', `/api/v1/repositories/${key}`, { max_staleness_seconds: seconds })
    await assert.rejects(change('inner', 59), /400/)
    await assert.rejects(change('all', 60), /400 .*each member has its own/)
    assert.equal(((await change('unbounded', 600)) as Record<string, unknown>).max_staleness_seconds, 600)
    assert.equal(((await change('unbounded', null)) as Record<string, unknown>).max_staleness_seconds, null)
  })

  it('what was removed is gone at a node that keeps its bytes, also while another repository has the same', async () => {
    for (const key of ['inner', 'open']) assert.equal(await answer(0, `/repository/${key}/shared.txt`), 200)
    await fleet.api('DELETE', '/api/v1/repositories/inner/artifacts/shared.txt')
    await until(async () => (await answer(0, '/repository/inner/shared.txt')) === 404)
    assert.equal(await answer(0, '/repository/open/shared.txt'), 200)
    assert.equal(await answer(0, '/repository/inner/shared.txt'), 404)
    assert.equal(await answer(0, '/api/v1/repositories/inner/download/shared.txt'), 404)
    const rule = { blocked: [{ name: 'unbounded.txt', reason: 'bad' }] }
    assert.equal(await answer(0, '/repository/unbounded/unbounded.txt'), 200)
    await fleet.api('PATCH', '/api/v1/repositories/unbounded', rule)
    await until(async () => (await answer(0, '/repository/unbounded/unbounded.txt')) === 403)
  })

  it('serves until the bound, and nothing of the repository after it, on any way', async () => {
    for (const path of [...ways, ...others, ...PATHS.map((each) => `/repository/inner/${each}`)])
      assert.equal(await answer(0, path), 200, path)
    await fleet.stopPrimary()
    await until(async () => (await get(0, '/health')).headers.has('x-cairn-cut-off'))
    first.pass(BOUND_SECONDS - 40)
    for (const path of ways) assert.equal(await answer(0, path), 200, path)
    assert.deepEqual(await found(0), ['open', 'unbounded'])
    first.pass(40)
    for (const path of ways) assert.equal(await answer(0, path), '503 stale', path)
    const refused = await get(0, '/repository/inner/inner.txt')
    assert.ok(Number(refused.headers.get('retry-after')) > 0)
    assert.match(await refused.text(), /no news of the primary since 20\d\d-\d\d-\d\dT.*serves inner for 60 seconds/)
  })

  it('goes on with what has no bound, and with public members of a virtual repository', async () => {
    for (const path of others) assert.equal(await answer(0, path), 200, path)
    assert.deepEqual(await found(0), ['open', 'unbounded'])
    assert.equal(await answer(0, '/api/v1/repositories/inner'), 200)
  })

  it('gives peers no bytes either', async () => {
    const all = () => Promise.all(PATHS.map((path) => answer(1, `/repository/inner/${path}`)))
    const refused = (await all()).filter((status) => status !== 200)
    assert.deepEqual([...new Set(refused)], ['503 blob_unavailable'])
    first.pass(-BOUND_SECONDS)
    await until(async () => (await all()).every((status) => status === 200))
    first.pass(BOUND_SECONDS)
  })

  it('is not younger for a clock that is set back, running or off', async () => {
    first.wallBy -= 86_400_000
    assert.equal(await answer(0, '/repository/inner/inner.txt'), '503 stale')
    second.pass(10)
    await fleet.stopNode(1)
    second.wallBy -= 86_400_000
    await fleet.startNode(1)
    assert.equal(await answer(1, '/repository/inner/many/0.txt'), '503 stale')
  })

  it('lets no token live longer than it was issued for', async () => {
    assert.equal(await answer(0, '/repository/open/open.txt', short), 200)
    first.pass(86_400)
    assert.equal(await answer(0, '/repository/open/open.txt', short), 401)
    first.wallBy -= 2 * 86_400_000
    assert.equal(await answer(0, '/repository/open/open.txt', short), 401)
    // Nobody knows for how long it was off.
    assert.equal(await answer(1, '/repository/open/open.txt', short), 401)
  })

  it('is right again with the first news, whatever the clocks say', async () => {
    first.wallBy = 30 * 86_400_000
    await fleet.startPrimary()
    for (const node of [0, 1]) await until(async () => (await answer(node, '/repository/inner/many/0.txt')) === 200)
    assert.equal(await answer(0, '/repository/inner/shared.txt'), 404)
  })
})
