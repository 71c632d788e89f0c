/** Go modules of an upstream: its list, its files as they came, answers that may change, and the checksum databases below it. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { parseList, upstream as reading } from '../../../formats/go/upstream.js'
import { until } from '../../support/fleet.js'
import { moduleZip } from '../../support/go-module.js'
import { MemoryFleet } from '../../support/memory-fleet.js'
import { ORIGIN } from '../../support/request.js'
import { bytes, type ScriptedUpstream, scriptedUpstream, status, tagged } from '../../support/upstream.js'

const LEFT = 'example.com/!left'
const PSEUDO = 'v0.0.0-20200102030405-abcdef123456'
const DATABASE = 'sumdb/sum.example.com'

describe('Go modules of an upstream', { timeout: 60_000 }, () => {
  let upstream: ScriptedUpstream
  let fleet: MemoryFleet
  interface Asked {
    side?: 'primary' | 'node'
    key?: string
  }
  const get = (path: string, { side = 'primary', key = 'remote' }: Asked = {}) =>
    fleet.client(side)(`${ORIGIN}/repository/${key}/${path}`)
  const text = async (path: string, asked: Asked = {}) => {
    const reply = await get(path, asked)
    assert.equal(reply.status, 200, `${path}: ${reply.status}`)
    return reply.text()
  }
  const says = (path: string, body: string) => upstream.answer(`/${path}`, tagged(Buffer.from(body)))

  beforeEach(async () => {
    upstream = await scriptedUpstream()
    fleet = await MemoryFleet.open({ firstByteMs: 300, idleMs: 300, budget: { backoffMs: 60_000, patienceMs: 0 } })
    await fleet.repository('remote', 'go', { type: 'remote', upstream: upstream.url, metadataTtlSeconds: 60 })
  })
  afterEach(async () => {
    assert.deepEqual(
      fleet.failures.filter((error) => !/upstream|Upstream/.test(String(error))),
      [],
    )
    await fleet.close()
    await upstream.close()
  })

  it('are listed as the upstream lists them, with one question for both sides', async () => {
    says(`${LEFT}/@v/list`, `v1.2.0\nv1.10.0\nv2.0.0+incompatible 2020-01-01T00:00:00Z\n${PSEUDO}\n`)
    for (const side of ['node', 'primary'] as const)
      assert.equal(await text(`${LEFT}/@v/list`, { side }), 'v1.2.0\nv1.10.0\nv2.0.0+incompatible\n')
    assert.equal(upstream.asked.length, 1)
    assert.equal((await get('example.com/right/@v/list')).status, 404)
  })

  it('files are the upstream’s own bytes, asked for once and without the list', async () => {
    const zip = moduleZip({ module: 'example.com/Left', version: 'v1.0.0' })
    upstream.answer(`/${LEFT}/@v/v1.0.0.zip`, bytes(zip))
    says(`${LEFT}/@v/v1.0.0.mod`, 'module example.com/Left\n')
    says(`${LEFT}/@v/v1.0.0.info`, '{"Version": "v1.0.0", "Time": "2020-01-02T03:04:05Z", "Origin": {}}')
    for (const side of ['node', 'primary'] as const) {
      const found = await get(`${LEFT}/@v/v1.0.0.zip`, { side })
      assert.ok(Buffer.from(await found.arrayBuffer()).equals(zip))
      assert.match(found.headers.get('cache-control') ?? '', /immutable/)
      assert.equal(await text(`${LEFT}/@v/v1.0.0.mod`, { side }), 'module example.com/Left\n')
      const info = await get(`${LEFT}/@v/v1.0.0.info`, { side })
      assert.equal(info.headers.get('content-type'), 'application/json')
      assert.match(await info.text(), /"Time": "2020-01-02T03:04:05Z", "Origin"/)
    }
    assert.equal(upstream.asked.length, 3)
  })

  it('what is not there is 404 in plain text, asked for once; no version is made up from the list', async () => {
    says(`${LEFT}/@v/list`, 'v1.0.0\n')
    upstream.answer(`/${LEFT}/@v/v1.0.0.zip`, status(410))
    await text(`${LEFT}/@v/list`)
    for (let i = 0; i < 2; i++)
      for (const path of [`${LEFT}/@v/v1.0.0.info`, `${LEFT}/@v/v1.0.0.zip`, `${LEFT}/@latest`]) {
        const reply = await get(path)
        assert.equal(reply.status, 404, path)
        assert.match(await reply.text(), /^not found: /)
        assert.equal(upstream.count(`/${path}`), 1, path)
      }
  })

  it('the latest version and what a branch names are the upstream’s to say, and asked for again', async () => {
    const paths = [`${LEFT}/@latest`, `${LEFT}/@v/main.info`]
    for (const path of paths) says(path, '{"Version":"v1.0.0"}')
    for (const path of paths) {
      const reply = await get(path, { side: 'node' })
      assert.equal(await reply.text(), '{"Version":"v1.0.0"}')
      assert.match(reply.headers.get('cache-control') ?? '', /no-cache/)
    }
    for (const path of paths) says(path, '{"Version":"v1.1.0"}')
    fleet.nowMs += 61_000
    for (const path of paths) await until(async () => (await text(path)) === '{"Version":"v1.1.0"}')
    for (const path of paths) assert.equal(upstream.count(`/${path}`), 2)
    for (const file of ['main.zip', 'main.mod']) assert.equal((await get(`${LEFT}/@v/${file}`)).status, 404)
    assert.equal(upstream.count(`/${LEFT}/@v/main.zip`), 0)
  })

  it('a module that has only pseudo-versions has an empty list', async () => {
    says(`${LEFT}/@v/list`, '')
    says(`${LEFT}/@latest`, `{"Version":"${PSEUDO}","Time":"2020-01-02T03:04:05Z"}`)
    assert.equal(await text(`${LEFT}/@v/list`), '')
    assert.equal(await text(`${LEFT}/@latest`), `{"Version":"${PSEUDO}","Time":"2020-01-02T03:04:05Z"}`)
  })

  it('a list that is none is an error, and nothing is recorded', async () => {
    says(`${LEFT}/@v/list`, '<html>down</html>')
    assert.equal((await get(`${LEFT}/@v/list`)).status, 502)
    assert.equal(await fleet.ledger.state.listing('scope-of-remote', 'example.com/Left'), undefined)
  })

  it('versions that are none are left out, one that is said twice is one, and times of commits are known', async () => {
    const { versions } = await parseList(
      'example.com/x',
      Buffer.from(`v1\nv1.0.0\nv1.0.0\nv1.0.0+build\n../x\n${PSEUDO}\n`),
      { read: async () => undefined },
    )
    assert.deepEqual(
      versions.map(({ version, publishedAt }) => [version, publishedAt]),
      [
        ['v1.0.0', ''],
        [PSEUDO, '2020-01-02T03:04:05.000Z'],
      ],
    )
  })

  it('only modules that there can be are asked for', async () => {
    assert.equal(reading.listing?.ask('example.com/Left', new URL(upstream.url))?.path, `${LEFT}/@v/list`)
    for (const name of ['left', '../x', 'example.com/../x', 'example.com/a b', 'example.com/a?b', 'Example.com/x'])
      assert.equal(reading.listing?.ask(name, new URL(upstream.url)), undefined, name)
    for (const path of [
      'example.com/Left/@v/v1.0.0.zip',
      'left/@latest',
      'robots.txt',
      'example.com/x/@v/v1.0.0.exe',
      'sumdb/x/secret',
      'sumdb/x/tile/8/0/../1',
      'sumdb/x/tile/8/0/1',
    ])
      assert.equal((await get(path)).status, 404, path)
    assert.equal(upstream.asked.length, 0)
  })

  it('a checksum database is read through: tiles and records once, its length again', async () => {
    const once = ['lookup/example.com/!left@v1.0.0', 'tile/8/0/x001/234', 'tile/8/1/005.p/12', 'tile/8/data/000']
    says(`${DATABASE}/supported`, '')
    for (const path of [...once, 'latest']) says(`${DATABASE}/${path}`, `this is ${path}`)
    assert.equal(await text(`${DATABASE}/supported`, { side: 'node' }), '')
    for (const side of ['node', 'primary'] as const)
      for (const path of [...once, 'latest'])
        assert.equal(await text(`${DATABASE}/${path}`, { side }), `this is ${path}`)
    says(`${DATABASE}/latest`, 'it has grown')
    fleet.nowMs += 61_000
    await until(async () => (await text(`${DATABASE}/latest`)) === 'it has grown')
    for (const path of once) {
      await text(`${DATABASE}/${path}`)
      assert.equal(upstream.count(`/${DATABASE}/${path}`), 1, path)
    }
    assert.equal((await get('sumdb/other.example.com/supported')).status, 404)
  })

  it('a node that is cut off serves lists, files and checksums that are held', async () => {
    says(`${LEFT}/@v/list`, 'v1.0.0\n')
    says(`${LEFT}/@latest`, '{"Version":"v1.0.0"}')
    says(`${LEFT}/@v/v1.0.0.info`, '{"Version":"v1.0.0"}')
    says(`${DATABASE}/supported`, '')
    says(`${DATABASE}/latest`, 'go.sum database tree')
    const paths = [
      `${LEFT}/@v/list`,
      `${LEFT}/@latest`,
      `${LEFT}/@v/v1.0.0.info`,
      `${DATABASE}/supported`,
      `${DATABASE}/latest`,
    ]
    for (const path of paths) await text(path, { side: 'node' })
    fleet.cutOff = true
    fleet.nowMs += 61_000
    for (const path of paths) await text(path, { side: 'node' })
    assert.equal((await get(`${LEFT}/@v/v2.0.0.info`, { side: 'node' })).status, 503)
  })

  it('through a virtual repository, a module that a hosted member knows is never looked up upstream', async () => {
    await fleet.repository('own', 'go')
    await fleet.repository('all', 'go', { type: 'virtual', members: ['remote', 'own'] })
    const ann = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
    const body = moduleZip({ module: 'example.com/Left', version: 'v1.0.0' })
    const published = await ann(`${ORIGIN}/repository/own/${LEFT}/@v/v1.0.0.zip`, { method: 'PUT', body })
    assert.equal(published.status, 201)
    says(`${LEFT}/@v/list`, 'v9.0.0\n')
    says(`${LEFT}/@latest`, '{"Version":"v9.0.0"}')
    for (const side of ['primary', 'node'] as const) {
      const asked = { key: 'all', side }
      assert.equal(await text(`${LEFT}/@v/list`, asked), 'v1.0.0\n')
      assert.match(await text(`${LEFT}/@latest`, asked), /"v1\.0\.0"/)
      assert.match(await text(`${LEFT}/@v/v1.0.0.info`, asked), /"v1\.0\.0"/)
      for (const file of ['v9.0.0.info', 'v9.0.0.zip', 'main.info'])
        assert.equal((await get(`${LEFT}/@v/${file}`, asked)).status, 404)
    }
    assert.deepEqual(upstream.asked, [])
    says('example.com/right/@v/list', 'v1.0.0\n')
    says(`${DATABASE}/supported`, '')
    assert.equal(await text('example.com/right/@v/list', { key: 'all' }), 'v1.0.0\n')
    assert.equal(await text(`${DATABASE}/supported`, { key: 'all', side: 'node' }), '')
  })
})
