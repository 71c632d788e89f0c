/** The limit for bytes of remote repositories, on a real primary and a node: what goes, what comes back, and what never goes. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type TestFleet, testFleet, until } from '../../support/fleet.js'
import { packed } from '../../support/npm-package.js'
import { bytes, type ScriptedUpstream, scriptedUpstream, status } from '../../support/upstream.js'

const LIMIT = 1_000_000

describe('bytes of remote repositories beyond their limit', { timeout: 120_000 }, () => {
  let fleet: TestFleet
  let upstream: ScriptedUpstream
  const get = (path: string, base = fleet.primaryUrl) => fetch(`${base}/repository/${path}`)
  const read = async (path: string, base?: string) => Buffer.from(await (await get(path, base)).arrayBuffer())
  const isStored = (body: Buffer) => {
    const digest = createHash('sha256').update(body).digest('hex')
    const path = join(fleet.dir, 'primary', 'store', 'blobs', digest.slice(0, 2), digest)
    return access(path).then(
      () => true,
      () => false,
    )
  }
  const gone = (body: Buffer) => until(async () => !(await isStored(body)))
  /** Reads other files until everything that may go has gone. */
  const press = async (name: string) => {
    for (let i = 0; i < 3; i++) {
      upstream.answer(`/${name}-${i}`, bytes(randomBytes(600_000)))
      await read(`files/${name}-${i}`)
    }
  }

  before(async () => {
    upstream = await scriptedUpstream()
    fleet = await testFleet({ nodes: 1, primary: { upstreamAllow: ['127.0.0.1'], remoteCacheBytes: LIMIT } })
    const draft = { repo_type: 'remote', is_public: true, upstream_url: upstream.url }
    await fleet.api('POST', '/api/v1/repositories', { ...draft, key: 'files', format: 'generic' })
    await fleet.api('POST', '/api/v1/repositories', { ...draft, key: 'pkgs', format: 'npm' })
    await fleet.api('POST', '/api/v1/repositories', { key: 'own', format: 'generic', is_public: true })
    await until(async () => (await fetch(`${fleet.nodeUrls[0]}/api/v1/repositories/own`)).status === 200)
  })
  after(async () => {
    await fleet.close()
    await upstream.close()
  })

  it('those used least recently leave, and are fetched once again for all who ask', async () => {
    const [old, used] = [randomBytes(400_000), randomBytes(400_000)]
    upstream.answer('/old', bytes(old))
    upstream.answer('/used', bytes(used))
    await read('files/old')
    await read('files/used')
    await read('files/old')
    upstream.answer('/third', bytes(randomBytes(400_000)))
    await read('files/third')
    await gone(used)
    assert.equal(await isStored(old), true)
    const all = await Promise.all(Array.from({ length: 20 }, () => read('files/used')))
    for (const body of all) assert.deepEqual(body, used)
    assert.equal(upstream.count('/used'), 2)
    assert.equal(upstream.count('/old'), 1)
    await until(() => isStored(used))
    assert.deepEqual(await read('files/used'), used)
    assert.equal(upstream.count('/used'), 2)
  })

  it('are given to a node as well, which has never had them', async () => {
    const body = randomBytes(300_000)
    upstream.answer('/far', bytes(body))
    await read('files/far')
    await press('a')
    await gone(body)
    assert.deepEqual(await read('files/far', fleet.nodeUrls[0]), body)
    assert.equal(upstream.count('/far'), 2)
  })

  it('must be the same when they come back', async () => {
    const body = randomBytes(1000)
    upstream.answer('/moved', bytes(body))
    await read('files/moved')
    await press('b')
    await gone(body)
    upstream.answer('/moved', bytes(randomBytes(1000)))
    assert.equal((await get('files/moved')).status, 502)
    assert.equal(await isStored(body), false)
    upstream.answer('/moved', bytes(body))
    assert.deepEqual(await read('files/moved'), body)
  })

  it('cannot be had while the upstream is away, which is said; a node that holds them serves them', async () => {
    const [held, lost] = [randomBytes(1000), randomBytes(1000)]
    upstream.answer('/held', bytes(held))
    upstream.answer('/lost', bytes(lost))
    await read('files/held')
    await read('files/held', fleet.nodeUrls[0])
    await read('files/lost')
    await press('c')
    await gone(held)
    await gone(lost)
    for (const path of ['/held', '/lost']) upstream.answer(path, status(503, { 'retry-after': '1' }))
    const reply = await get('files/lost')
    assert.equal(reply.status, 503)
    assert.ok(reply.headers.get('retry-after'))
    assert.deepEqual(await read('files/held', fleet.nodeUrls[0]), held)
  })

  for (const order of ['before', 'after'] as const)
    it(`stay when a hosted repository got the same ${order} them`, async () => {
      const body = randomBytes(1000)
      const publish = async () => {
        const put = { method: 'PUT', body, headers: { authorization: fleet.admin } }
        assert.equal((await fetch(`${fleet.primaryUrl}/repository/own/${order}`, put)).status, 201)
      }
      upstream.answer(`/${order}`, bytes(body))
      if (order === 'before') await publish()
      // The upstream may have said that it wants to be left alone for a second.
      await until(async () => (await get(`files/${order}`)).status === 200)
      if (order === 'after') await publish()
      const other = randomBytes(1000)
      upstream.answer(`/other-${order}`, bytes(other))
      await read(`files/other-${order}`)
      await press(order)
      await gone(other)
      assert.deepEqual(await read(`files/${order}`), body)
      assert.deepEqual(await read(`own/${order}`), body)
      assert.equal(upstream.count(`/${order}`), 1)
    })

  it('do not include what the upstream lists', async () => {
    const tarball = packed({ name: 'left', version: '1.0.0' })
    const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
    const dist = { tarball: `${upstream.url}left/-/left-1.0.0.tgz`, integrity }
    const versions = { '1.0.0': { name: 'left', version: '1.0.0', dist } }
    const document = { name: 'left', 'dist-tags': { latest: '1.0.0' }, versions, time: {} }
    upstream.answer('/left', bytes(Buffer.from(JSON.stringify(document))))
    upstream.answer('/left/-/left-1.0.0.tgz', bytes(tarball))
    await read('pkgs/left/-/left-1.0.0.tgz')
    await press('f')
    await gone(tarball)
    await fleet.stopPrimary()
    await fleet.startPrimary()
    upstream.answer('/left', status(503, { 'retry-after': '1' }))
    assert.equal((await get('pkgs/left')).status, 200)
  })
})
