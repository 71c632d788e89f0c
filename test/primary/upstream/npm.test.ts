/** npm packages of an upstream: one listing per name, revalidated behind the reader's back, tarballs that are what was promised. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { until } from '../../support/fleet.js'
import { MemoryFleet } from '../../support/memory-fleet.js'
import { packed } from '../../support/npm-package.js'
import { ORIGIN } from '../../support/request.js'
import {
  type Answer,
  bytes,
  gated,
  hang,
  type ScriptedUpstream,
  scriptedUpstream,
  sequence,
  status,
  tagged,
} from '../../support/upstream.js'

type Packument = {
  'dist-tags': Record<string, string>
  versions: Record<string, { dist: { tarball: string; integrity: string } }>
  time: Record<string, string>
}

describe('npm packages of an upstream', { timeout: 60_000 }, () => {
  let upstream: ScriptedUpstream
  let fleet: MemoryFleet
  const get = (path: string, { side = 'primary', key = 'remote', headers = {} }: Asked = {}) =>
    fleet.client(side)(`${ORIGIN}/repository/${key}/${path}`, { headers })
  const packument = async (name: string, asked: Asked = {}) => (await (await get(name, asked)).json()) as Packument
  /** Waits until a question behind a reader's back has had its effect. */
  const settled = () =>
    until(async () => {
      const record = fleet.ledger.state.repository('remote')
      return (
        record !== undefined &&
        fleet.primary.repository(record, fleet.gate.anonymous).freshness?.('left')?.ageSeconds === 0
      )
    })

  interface Asked {
    side?: 'primary' | 'node'
    key?: string
    headers?: Record<string, string>
  }

  beforeEach(async () => {
    upstream = await scriptedUpstream()
    fleet = await MemoryFleet.open({ firstByteMs: 300, idleMs: 300, budget: { backoffMs: 60_000, patienceMs: 0 } })
    await fleet.repository('remote', 'npm', { type: 'remote', upstream: upstream.url, metadataTtlSeconds: 60 })
  })
  afterEach(async () => {
    assert.deepEqual(
      fleet.failures.filter((error) => !/upstream|Upstream/.test(String(error))),
      [],
    )
    await fleet.close()
    await upstream.close()
  })

  function publish(name: string, versions: string[], more: { answer?: (body: Buffer) => Answer; file?: Answer } = {}) {
    const { answer = tagged, file } = more
    for (const version of versions)
      upstream.answer(
        `/${name}/-/${name.replace(/.*\//, '')}-${version}.tgz`,
        file ?? bytes(packed({ name, version }), { 'content-type': 'application/octet-stream' }),
      )
    upstream.answer(`/${name.replace('/', '%2f')}`, answer(document(upstream.url, name, versions)))
  }

  it('are installed by either side: the packument names us, in both forms, and the tarball is the upstream’s', async () => {
    publish('@scope/left', ['1.0.0', '1.1.0'])
    for (const side of ['node', 'primary'] as const)
      for (const accept of ['application/json', 'application/vnd.npm.install-v1+json']) {
        const found = await packument('@scope%2fleft', { side, headers: { accept } })
        assert.deepEqual(Object.keys(found.versions), ['1.0.0', '1.1.0'])
        assert.equal(found['dist-tags'].latest, '1.1.0')
        assert.equal(found.time['1.0.0'], '2020-01-01T00:00:00.000Z')
        const tarball = found.versions['1.1.0']?.dist.tarball ?? ''
        assert.equal(tarball, `${ORIGIN}/repository/remote/@scope/left/-/left-1.1.0.tgz`)
        const body = new Uint8Array(await (await fleet.client(side)(tarball)).arrayBuffer())
        assert.deepEqual(Buffer.from(body), packed({ name: '@scope/left', version: '1.1.0' }))
      }
    assert.equal(upstream.count('/@scope%2fleft'), 1)
    assert.equal(upstream.count('/@scope/left/-/left-1.1.0.tgz'), 1)
    assert.deepEqual(
      fleet.ledger.log.slice(-2).map(({ change }) => change.kind),
      ['listing', 'hold'],
    )
  })

  it('one version is found by number and by tag', async () => {
    publish('left', ['1.0.0'])
    for (const which of ['1.0.0', 'latest']) assert.equal((await get(`left/${which}`)).status, 200)
    assert.equal((await get('left/2.0.0')).status, 404)
  })

  it('after the time to live the upstream is asked with its own validator, and no change follows from a 304', async () => {
    publish('left', ['1.0.0'])
    await packument('left')
    const before = fleet.ledger.state.head.number
    fleet.nowMs += 59_000
    await packument('left')
    assert.equal(upstream.count('/left'), 1)
    fleet.nowMs += 2_000
    await packument('left')
    await upstream.askedFor('/left', 2)
    assert.ok(upstream.asked[1]?.headers['if-none-match'])
    await settled()
    assert.equal(fleet.ledger.state.head.number, before)
    await packument('left')
    assert.equal(upstream.count('/left'), 2)
  })

  it('without validators, the same document is no change either', async () => {
    publish('left', ['1.0.0'], { answer: (body) => bytes(gzipSync(body), { 'content-encoding': 'gzip' }) })
    await packument('left')
    const before = fleet.ledger.state.head.number
    fleet.nowMs += 61_000
    await packument('left')
    await upstream.askedFor('/left', 2)
    await settled()
    assert.equal(fleet.ledger.state.head.number, before)
  })

  it('a new version is seen after the time to live, by the reader after the one whose question found it', async () => {
    publish('left', ['1.0.0'])
    await packument('left', { side: 'node' })
    publish('left', ['1.0.0', '2.0.0'])
    fleet.nowMs += 61_000
    const changed = new Promise<void>((resolve) => void fleet.ledger.state.onChange(() => resolve()))
    assert.deepEqual(Object.keys((await packument('left', { side: 'node' })).versions), ['1.0.0'])
    await changed
    assert.deepEqual(Object.keys((await packument('left', { side: 'node' })).versions), ['1.0.0', '2.0.0'])
  })

  for (const [what, answer] of [
    ['fails', status(500)],
    ['hangs', hang],
    ['answers nonsense', bytes(Buffer.from('<html>'))],
    ['limits', status(429, { 'retry-after': '60' })],
    ['forgets the package', status(404)],
  ] as const)
    it(`what is held is served at once when the upstream ${what}`, async () => {
      publish('left', ['1.0.0'])
      await packument('left')
      upstream.answer('/left', answer)
      fleet.nowMs += 10 * 86_400_000
      const started = performance.now()
      assert.equal((await get('left')).status, 200)
      assert.ok(performance.now() - started < 200)
      await upstream.askedFor('/left', 2)
      if (what === 'forgets the package') return settled()
      await until(async () => /stale/i.test((await get('left')).headers.get('warning') ?? ''))
      const reply = await get('left')
      assert.equal(reply.status, 200)
      assert.equal(reply.headers.get('age'), String(10 * 86_400))
    })

  it('a name that nobody has is asked for once', async () => {
    for (let i = 0; i < 3; i++) assert.equal((await get('nothing')).status, 404)
    assert.equal(upstream.count('/nothing'), 1)
    assert.equal((await get('nothing/-/nothing-1.0.0.tgz')).status, 404)
    assert.equal(upstream.asked.length, 1)
  })

  it('a tarball that its packument does not know is given to nobody, whatever the upstream has there', async () => {
    publish('left', ['1.0.0'])
    upstream.answer('/left/-/left-9.9.9.tgz', bytes(packed({ name: 'left', version: '9.9.9' })))
    for (const side of ['primary', 'node'] as const)
      assert.equal((await get('left/-/left-9.9.9.tgz', { side })).status, 404)
    assert.equal(await fleet.ledger.state.file('scope-of-remote', 'left/-/left-9.9.9.tgz'), undefined)
    const before = upstream.count('/left/-/left-8.8.8.tgz')
    assert.equal((await get('left/-/left-8.8.8.tgz')).status, 404)
    assert.equal(upstream.count('/left/-/left-8.8.8.tgz'), before)
  })

  it('a tarball is asked for at once with a packument that nobody has asked for yet, and judged by it', async () => {
    publish('left', ['1.0.0'])
    const { answer, open } = gated(document(upstream.url, 'left', ['1.0.0']), 10)
    upstream.answer('/left', answer)
    const asked = get('left/-/left-1.0.0.tgz', { side: 'node' })
    await upstream.askedFor('/left/-/left-1.0.0.tgz', 1)
    open()
    assert.equal((await asked).status, 200)
    assert.equal(upstream.count('/left/-/left-1.0.0.tgz'), 1)
    assert.equal(upstream.count('/left'), 1)
  })

  it('tarballs that wait for their packuments leave room for those', async () => {
    await fleet.close()
    fleet = await MemoryFleet.open({ budget: { concurrency: 4 } })
    await fleet.repository('remote', 'npm', { type: 'remote', upstream: upstream.url })
    const names = Array.from({ length: 20 }, (_, i) => `many-${i}`)
    for (const name of names) publish(name, ['1.0.0'])
    const replies = await Promise.all(names.map((name) => get(`${name}/-/${name}-1.0.0.tgz`)))
    assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]))
    for (const name of names) assert.equal(upstream.count(`/${name}/-/${name}-1.0.0.tgz`), 1)
  })

  it('a tarball with other bytes than promised is an error, and not kept', async () => {
    publish('left', ['1.0.0'], { file: bytes(packed({ name: 'left', version: '6.6.6' })) })
    for (const side of ['primary', 'node'] as const)
      assert.equal((await get('left/-/left-1.0.0.tgz', { side })).status, 502)
    assert.equal(await fleet.ledger.state.file('scope-of-remote', 'left/-/left-1.0.0.tgz'), undefined)
  })

  it('a tarball that lies at another host is fetched there, without credentials', async () => {
    const other = await scriptedUpstream()
    fleet.credentials.set('scope-of-remote', 'Bearer secret')
    const tarball = packed({ name: 'left', version: '1.0.0' })
    upstream.answer('/left', bytes(document(other.url, 'left', ['1.0.0'])))
    other.answer('/left/-/left-1.0.0.tgz', bytes(tarball))
    assert.equal((await get('left/-/left-1.0.0.tgz')).status, 200)
    assert.equal(upstream.asked[0]?.headers.authorization, 'Bearer secret')
    assert.equal(other.asked[0]?.headers.authorization, undefined)
    await other.close()
  })

  it('a node that is cut off serves listings and tarballs that are held', async () => {
    publish('left', ['1.0.0'])
    await get('left/-/left-1.0.0.tgz')
    fleet.cutOff = true
    assert.equal((await get('left', { side: 'node' })).status, 200)
    assert.equal((await get('left/-/left-1.0.0.tgz', { side: 'node' })).status, 200)
    assert.equal((await get('right', { side: 'node' })).status, 503)
  })

  describe('through a virtual repository', () => {
    beforeEach(async () => {
      await fleet.repository('own', 'npm')
      await fleet.repository('all', 'npm', { type: 'virtual', members: ['remote', 'own'] })
    })

    const publishOwn = async (name: string, version: string) => {
      const step = { package: name, version, files: [], meta: `{"name":"${name}","version":"${version}","dist":{}}` }
      const manifest = { ...step, publishedAt: fleet.now() }
      await fleet.ledger.commit({ scope: 'scope-of-own', steps: [{ kind: 'publish', manifest }], by: 'ann' })
    }

    it('a name that a hosted member knows is never looked up upstream, whatever the order', async () => {
      await publishOwn('@acme/util', '1.2.0')
      publish('@acme/util', ['99.0.0'])
      for (const side of ['primary', 'node'] as const) {
        const found = await packument('@acme%2futil', { side, key: 'all' })
        assert.deepEqual(Object.keys(found.versions), ['1.2.0'])
        const tarball = await get('@acme/util/-/util-99.0.0.tgz', { side, key: 'all' })
        assert.equal(tarball.status, 404)
      }
      assert.equal(upstream.asked.length, 0)
    })

    it('nor when all its versions were removed', async () => {
      await publishOwn('util', '1.0.0')
      await fleet.ledger.commit({
        scope: 'scope-of-own',
        steps: [{ kind: 'remove', package: 'util', version: '1.0.0' }],
        by: 'ann',
      })
      publish('util', ['99.0.0'])
      assert.equal((await get('util', { key: 'all' })).status, 404)
      assert.equal((await get('util/-/util-99.0.0.tgz', { key: 'all' })).status, 404)
      assert.equal(upstream.asked.length, 0)
    })

    it('nor when who asks may not read that member', async () => {
      await fleet.repository('secret', 'npm', { public: false })
      await fleet.repository('mixed', 'npm', { type: 'virtual', members: ['remote', 'secret'] })
      const manifest = { package: 'inside', version: '1.0.0', files: [], meta: '{}', publishedAt: fleet.now() }
      await fleet.ledger.commit({ scope: 'scope-of-secret', steps: [{ kind: 'publish', manifest }], by: 'ann' })
      publish('inside', ['99.0.0'])
      assert.equal((await get('inside', { key: 'mixed' })).status, 404)
      assert.equal((await get('inside/-/inside-99.0.0.tgz', { key: 'mixed' })).status, 404)
      assert.equal(upstream.asked.length, 0)
    })

    it('nor at a node that does not hold that member, and cannot know', async () => {
      publish('inside', ['99.0.0'])
      fleet.notHeld.add('own')
      assert.equal((await get('inside', { key: 'all', side: 'node' })).status, 503)
      assert.equal(upstream.asked.length, 0)
    })

    it('a name that is published while the upstream is asked comes from here', async () => {
      const { answer, open } = gated(document(upstream.url, 'raced', ['99.0.0']), 10)
      upstream.answer('/raced', answer)
      const found = packument('raced', { key: 'all' })
      await upstream.askedFor('/raced', 1)
      await publishOwn('raced', '1.0.0')
      open()
      assert.deepEqual(Object.keys((await found).versions), ['1.0.0'])
    })

    it('other names come from the first remote member that knows them', async () => {
      const second = await scriptedUpstream()
      await fleet.repository('second', 'npm', { type: 'remote', upstream: second.url })
      await fleet.repository('both', 'npm', { type: 'virtual', members: ['own', 'remote', 'second'] })
      publish('left', ['1.0.0'])
      second.answer('/left', bytes(document(second.url, 'left', ['2.0.0'])))
      second.answer('/right', bytes(document(second.url, 'right', ['3.0.0'])))
      second.answer('/right/-/right-3.0.0.tgz', bytes(packed({ name: 'right', version: '3.0.0' })))
      assert.deepEqual(Object.keys((await packument('left', { key: 'both' })).versions), ['1.0.0'])
      assert.deepEqual(Object.keys((await packument('right', { key: 'both', side: 'node' })).versions), ['3.0.0'])
      assert.equal((await get('left/-/left-1.0.0.tgz', { key: 'both' })).status, 200)
      assert.equal((await get('left/-/left-2.0.0.tgz', { key: 'both' })).status, 404)
      assert.equal((await get('right/-/right-3.0.0.tgz', { key: 'both' })).status, 200)
      assert.equal(second.count('/left'), 0)
      await second.close()
    })

    it('an absence upstream is forgotten when a member publishes the name', async () => {
      assert.equal((await get('later', { key: 'all' })).status, 404)
      await publishOwn('later', '1.0.0')
      assert.equal((await get('later', { key: 'all' })).status, 200)
    })
  })

  const nonsense: [string, Answer][] = [
    ['is a page', bytes(Buffer.from('<html>down</html>'), { 'content-type': 'text/html' })],
    ['unpacks to more than it may', bytes(gzipSync(Buffer.alloc(80 * 1024 * 1024)), { 'content-encoding': 'gzip' })],
    ['is not packed as it says', bytes(Buffer.from('{}'), { 'content-encoding': 'gzip' })],
    ['is packed as nobody asked', bytes(Buffer.from('{}'), { 'content-encoding': 'br' })],
    ['is about something else', bytes(document('http://x/', 'right', ['1.0.0']))],
  ]
  for (const [what, answer] of nonsense)
    it(`an answer that ${what} is an error, and nothing is recorded`, async () => {
      upstream.answer('/left', answer)
      const reply = await get('left')
      assert.ok(reply.status === 502, String(reply.status))
      assert.equal(await fleet.ledger.state.listing('scope-of-remote', 'left'), undefined)
    })

  it('what is not held gets a 503 that says when to come back', async () => {
    upstream.answer('/busy', sequence(status(429, { 'retry-after': '90' })))
    const reply = await get('busy', { side: 'node' })
    assert.equal(reply.status, 503)
    assert.equal(reply.headers.get('retry-after'), '90')
  })
})

function document(base: string, name: string, versions: string[]): Buffer {
  const entry = (version: string) => {
    const tarball = packed({ name, version })
    const file = `${name.replace(/.*\//, '')}-${version}.tgz`
    const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
    const shasum = createHash('sha1').update(tarball).digest('hex')
    return { name, version, dist: { tarball: `${base}${name}/-/${file}`, integrity, shasum } }
  }
  const times = versions.map((version, i) => [version, `20${20 + i}-01-01T00:00:00.000Z`])
  return Buffer.from(
    JSON.stringify({
      name,
      'dist-tags': { latest: versions.at(-1) },
      versions: Object.fromEntries(versions.map((version) => [version, entry(version)])),
      time: { created: '2019-01-01T00:00:00.000Z', modified: '2026-01-01T00:00:00.000Z', ...Object.fromEntries(times) },
    }),
  )
}
