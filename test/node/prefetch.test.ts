/** Sync policies, from the REST call at the primary to bytes that a node holds when the primary is gone. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Prefetch } from '../../node/prefetch.js'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { MemoryFleet } from '../support/memory-fleet.js'

describe('sync policies', { timeout: 120_000 }, () => {
  let fleet: TestFleet
  let id: string
  const put = async (path: string, body: string) => {
    const url = `${fleet.primaryUrl}/repository/mirror/${path}`
    assert.equal((await fetch(url, { method: 'PUT', body, headers: { authorization: fleet.admin } })).status, 201)
  }
  const metric = async (name: string) =>
    Number(new RegExp(`^${name}.* (\\d+)$`, 'm').exec(await (await fetch(`${fleet.nodeUrls[0]}/metrics`)).text())?.[1])
  const give = (policy: object) => fleet.api('PATCH', `/api/v1/edge-nodes/${id}`, { sync_policies: [policy] })

  before(async () => {
    fleet = await testFleet({ nodes: 1 })
    const list = (await fleet.api('GET', '/api/v1/edge-nodes')) as { items: { id: string }[] }
    id = list.items[0]?.id ?? ''
    await fleet.api('POST', '/api/v1/repositories', {
      key: 'mirror',
      name: 'mirror',
      format: 'generic',
      repo_type: 'local',
      is_public: true,
    })
    await put('before/a.bin', 'a'.repeat(1000))
    await put('secret/b.bin', 'b'.repeat(20_000))
  })
  after(() => fleet.close())

  it('on demand, nothing is fetched that nobody asked for', async () => {
    await until(async () => (await fetch(`${fleet.nodeUrls[0]}/repository/mirror/before/a.bin`, { method: 'HEAD' })).ok)
    assert.equal(await metric('cairn_cache_used_bytes'), 0)
  })

  it('eager, what is there and what comes is fetched, but for what is excluded', async () => {
    await give({ repository: 'mirror', mode: 'eager', include: [], exclude: ['secret/**'] })
    await until(async () => (await metric('cairn_cache_used_bytes')) >= 1000)
    await put('later/c.bin', 'c'.repeat(3000))
    await until(async () => (await metric('cairn_cache_used_bytes')) >= 4000)
    assert.ok((await metric('cairn_cache_used_bytes')) < 20_000)
  })

  it('a run that an administrator asks for fetches what a closed window would not', async () => {
    await give({ repository: 'mirror', mode: 'scheduled', include: ['secret/**'], exclude: [], window: '00:00-00:00' })
    await fleet.api('POST', `/api/v1/edge-nodes/${id}/sync`)
    await until(async () => (await metric('cairn_cache_used_bytes')) >= 24_000)
  })

  it('what was fetched is served when the primary is gone', async () => {
    await fleet.stopPrimary()
    for (const [path, letter] of [
      ['before/a.bin', 'a'],
      ['later/c.bin', 'c'],
      ['secret/b.bin', 'b'],
    ])
      assert.match(
        await (await fetch(`${fleet.nodeUrls[0]}/repository/mirror/${path}`)).text(),
        new RegExp(`^${letter}+$`),
      )
  })
})

describe('pins', () => {
  it('are what a policy names, whether it fetches or not, and end with it', async () => {
    const fleet = await MemoryFleet.open()
    const record = await fleet.repository('mirror', 'generic')
    const pinned = new Set<string>()
    const prefetch = new Prefetch({
      metadata: fleet.ledger.state,
      blobs: fleet.blobs,
      pins: { pin: (digest) => pinned.add(digest), unpin: (digest) => pinned.delete(digest) },
      now: () => new Date(),
      onError: (error) => assert.fail(String(error)),
    })
    const policy = { repository: '*', mode: 'on_demand' as const, include: ['kept/*'], exclude: [] }
    await prefetch.learn([{ ...policy, pin: true }], undefined)
    for (const [at, path] of ['kept/a', 'other/b'].entries()) {
      const file = { path, digest: String(at).repeat(64), root: '0'.repeat(64), size: 1, hashes: {} } as never
      prefetch.note({ kind: 'hold', scope: record.scope, at: '', by: '', file } as never)
    }
    assert.deepEqual([...pinned], ['0'.repeat(64)])
    assert.equal(prefetch.waiting, 0)
    await prefetch.learn([policy], undefined)
    assert.deepEqual([...pinned], [])
    await prefetch.close()
  })
})

describe('a window of the day', () => {
  const at = async (time: string, window: string) => {
    const fleet = await MemoryFleet.open()
    const asked: string[] = []
    const record = await fleet.repository('mirror', 'generic')
    const prefetch = new Prefetch({
      metadata: fleet.ledger.state,
      blobs: Object.assign(Object.create(fleet.blobs), {
        has: async (digest: string) => {
          asked.push(digest)
          return true
        },
      }),
      now: () => new Date(`2026-03-01T${time}:00Z`),
      onError: (error) => assert.fail(String(error)),
    })
    await prefetch.learn([{ repository: '*', mode: 'scheduled', include: [], exclude: [], window }], undefined)
    prefetch.note({
      kind: 'publish',
      scope: record.scope,
      at: '',
      by: '',
      manifest: {
        package: 'p',
        version: '1',
        files: [{ path: 'p', digest: '0'.repeat(64), root: '0'.repeat(64), size: 1, hashes: {} } as never],
        meta: '',
        publishedAt: '',
      },
    })
    await new Promise((resolve) => setImmediate(resolve))
    await prefetch.close()
    return asked.length > 0
  }

  for (const [time, window, open] of [
    ['03:00', '02:00-04:00', true],
    ['04:00', '02:00-04:00', false],
    ['23:30', '22:00-05:00', true],
    ['04:59', '22:00-05:00', true],
    ['12:00', '22:00-05:00', false],
    ['12:00', 'noon', false],
  ] as const)
    it(`${window} is ${open ? 'open' : 'closed'} at ${time}`, async () => assert.equal(await at(time, window), open))
})
