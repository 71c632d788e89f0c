/** Crates of another cargo registry: its index lines as they stand, crates that are what was promised. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { lock } from '../../../formats/cargo/lock.js'
import { crateOf, publishBody } from '../../support/crate.js'
import { until } from '../../support/fleet.js'
import { MemoryFleet } from '../../support/memory-fleet.js'
import { ORIGIN } from '../../support/request.js'
import {
  type Answer,
  bytes,
  half,
  type ScriptedUpstream,
  scriptedUpstream,
  status,
  tagged,
} from '../../support/upstream.js'

const INDEX = '/mo/ss/moss_leaf'
const one = { name: 'Moss_Leaf', vers: '1.0.0' }
const two = { ...one, vers: '1.1.0+build.5' }

interface Asked {
  side?: 'primary' | 'node'
  key?: string
  headers?: Record<string, string>
}

describe('crates of an upstream', { timeout: 60_000 }, () => {
  let upstream: ScriptedUpstream
  let fleet: MemoryFleet
  const get = (path: string, { side = 'primary', key = 'remote', headers = {} }: Asked = {}) =>
    fleet.client(side)(`${ORIGIN}/repository/${key}${path}`, { headers })
  const index = async (asked: Asked = {}, path = INDEX) => (await get(path, asked)).text()
  const settled = () =>
    until(async () => {
      const record = fleet.ledger.state.repository('remote')
      const repository = record && fleet.primary.repository(record, fleet.gate.anonymous)
      return repository?.freshness?.('moss_leaf')?.ageSeconds === 0
    })

  beforeEach(async () => {
    upstream = await scriptedUpstream()
    fleet = await MemoryFleet.open({ firstByteMs: 300, idleMs: 300, budget: { backoffMs: 60_000, patienceMs: 0 } })
    await fleet.repository('remote', 'cargo', { type: 'remote', upstream: upstream.url, metadataTtlSeconds: 60 })
    configure(`${upstream.url}dl`)
  })
  afterEach(async () => {
    assert.deepEqual(
      fleet.failures.filter((error) => !/upstream|Upstream/.test(String(error))),
      [],
    )
    await fleet.close()
    await upstream.close()
  })

  function configure(dl: unknown): void {
    upstream.answer('/config.json', bytes(Buffer.from(JSON.stringify({ dl, api: upstream.url }))))
  }

  function publish(drafts: Draft[], answer: (body: Buffer) => Answer = tagged): void {
    for (const draft of drafts) upstream.answer(`/dl/${draft.name}/${draft.vers}/download`, bytes(crateOf(draft)))
    upstream.answer(INDEX, answer(Buffer.from(drafts.map(line).join(''))))
  }

  it('are fetched by either side: the index is the upstream’s, word for word, and crates come from us', async () => {
    publish([one, two])
    for (const side of ['node', 'primary'] as const) {
      assert.equal(await index({ side }), line(one) + line(two))
      assert.deepEqual(await (await get('/config.json', { side })).json(), {
        dl: `${ORIGIN}/repository/remote/api/v1/crates`,
      })
      for (const draft of [one, two])
        for (const path of [
          `/api/v1/crates/${draft.name}/${draft.vers}/download`,
          `/moss-leaf/${draft.name}-${draft.vers}.crate`,
        ]) {
          const reply = await get(path, { side })
          assert.equal(reply.status, 200, path)
          assert.deepEqual(Buffer.from(await reply.arrayBuffer()), crateOf(draft))
        }
    }
    for (const path of [INDEX, '/config.json', '/dl/Moss_Leaf/1.0.0/download']) assert.equal(upstream.count(path), 1)
    assert.deepEqual(
      fleet.ledger.log.slice(-3).map(({ change }) => change.kind),
      ['listing', 'hold', 'hold'],
    )
  })

  it('are asked for in the spelling that was asked for, and found in no other', async () => {
    publish([one])
    assert.equal((await get('/mo/ss/moss-leaf')).status, 404)
    assert.equal((await get(INDEX)).status, 200)
    assert.equal((await get('/api/v1/crates/moss-leaf/1.0.0/download')).status, 404)
    assert.deepEqual(
      upstream.asked.map(({ path }) => path),
      ['/mo/ss/moss-leaf', INDEX, '/config.json'],
    )
  })

  for (const [template, path] of [
    ['files/{crate}/{crate}-{version}.crate', '/files/Moss_Leaf/Moss_Leaf-1.0.0.crate'],
    ['{prefix}/{crate}/{version}', '/Mo/ss/Moss_Leaf/1.0.0'],
    ['{lowerprefix}/{crate}/{version}?sum={sha256-checksum}', `/mo/ss/Moss_Leaf/1.0.0?sum=${sha256(crateOf(one))}`],
    ['plain', '/plain/Moss_Leaf/1.0.0/download'],
  ] as const)
    it(`are fetched from where the template ${template} says`, async () => {
      publish([one])
      configure(upstream.url + template)
      upstream.answer(path, bytes(crateOf(one)))
      assert.equal((await get('/api/v1/crates/Moss_Leaf/1.0.0/download')).status, 200)
      assert.equal(upstream.count(path), 1)
    })

  it('are fetched from another host without credentials', async () => {
    const other = await scriptedUpstream()
    fleet.credentials.set('scope-of-remote', 'Bearer secret')
    publish([one])
    configure(`${other.url}c`)
    other.answer('/c/Moss_Leaf/1.0.0/download', bytes(crateOf(one)))
    assert.equal((await get('/moss-leaf/Moss_Leaf-1.0.0.crate', { side: 'node' })).status, 200)
    for (const { headers } of upstream.asked) assert.equal(headers.authorization, 'Bearer secret')
    assert.equal(other.asked[0]?.headers.authorization, undefined)
    await other.close()
  })

  for (const [what, dl] of [
    ['no address', undefined],
    ['a script', 'javascript:{crate}'],
    ['another disk', 'file:///etc'],
    ['a template that is none', '{crate}'],
  ] as const)
    it(`a config.json that names ${what} is an error, and nothing is recorded`, async () => {
      publish([one])
      configure(what === 'a template that is none' ? 7 : dl)
      assert.equal((await get(INDEX)).status, 502)
      assert.equal(await fleet.ledger.state.listing('scope-of-remote', 'moss_leaf'), undefined)
    })

  it('names and versions of old that could not be published here are fetched', async () => {
    for (const [draft, path] of [
      [{ name: '2d_Math', vers: '0.0.1-alpha.01' }, '/2d/_m/2d_math'],
      [{ name: 'nul', vers: '0.0.1' }, '/3/n/nul'],
      [{ name: 'a', vers: '1.0.0+a-b' }, '/1/a'],
      [{ name: 'A-1', vers: '1.0.0-1' }, '/3/a/a-1'],
    ] as const) {
      upstream.answer(path, bytes(Buffer.from(line(draft))))
      upstream.answer(`/dl/${draft.name}/${draft.vers}/download`, bytes(crateOf(draft)))
      assert.equal(await index({}, path), line(draft))
      const id = draft.name.toLowerCase().replaceAll('_', '-')
      for (const file of [
        `/api/v1/crates/${draft.name}/${draft.vers}/download`,
        `/${id}/${draft.name}-${draft.vers}.crate`,
      ])
        assert.equal((await get(file)).status, 200, file)
    }
  })

  it('versions that only build metadata tells apart are two, where the upstream has two', async () => {
    const drafts = ['1.0.0+a', '1.0.0+b', '1.0.0'].map((vers) => ({ ...one, vers }))
    publish(drafts)
    assert.equal(await index(), drafts.map(line).join(''))
    for (const draft of drafts) {
      const reply = await get(`/api/v1/crates/${draft.name}/${draft.vers}/download`)
      assert.deepEqual(Buffer.from(await reply.arrayBuffer()), crateOf(draft))
    }
  })

  it('lines that are no JSON, of another crate, or of nothing that can be fetched are left out', async () => {
    const nonsense = [
      '{"name":',
      '[]',
      'null',
      JSON.stringify({ ...entry(one), name: 'other' }),
      JSON.stringify({ ...entry(one), vers: '../../x' }),
      JSON.stringify({ ...entry(one), vers: 7 }),
      JSON.stringify({ ...entry(one), cksum: 'short' }),
      JSON.stringify({ ...entry(one), cksum: undefined }),
    ]
    upstream.answer(INDEX, bytes(Buffer.from(`${nonsense.join('\n')}\r\n\n${line(two)}${line({ ...two })}`)))
    assert.equal(await index(), line(two))
  })

  for (const [what, answer] of [
    ['a page', bytes(Buffer.from('<html>down</html>'))],
    ['about another crate', bytes(Buffer.from(line({ ...one, name: 'other' })))],
    ['too long', bytes(Buffer.alloc(65 * 1024 * 1024, '\n'))],
  ] satisfies [string, Answer][])
    it(`an index file that is ${what} is an error, and nothing is recorded`, async () => {
      upstream.answer(INDEX, answer)
      assert.equal((await get(INDEX)).status, 502)
      assert.equal(await fleet.ledger.state.listing('scope-of-remote', 'moss_leaf'), undefined)
    })

  it('a crate with other bytes than its checksum, or with fewer, reaches nobody and is not kept', async () => {
    publish([one])
    for (const answer of [bytes(crateOf(two)), half(crateOf(one))]) {
      upstream.answer('/dl/Moss_Leaf/1.0.0/download', answer)
      for (const side of ['primary', 'node'] as const)
        assert.equal((await get('/api/v1/crates/Moss_Leaf/1.0.0/download', { side })).status, 502)
    }
    assert.equal(await fleet.ledger.state.file('scope-of-remote', 'moss-leaf/Moss_Leaf-1.0.0.crate'), undefined)
  })

  it('an index file that did not change costs the upstream a 304, and us no change; ours is 304 too', async () => {
    publish([one])
    const etag = (await get(INDEX)).headers.get('etag') ?? ''
    const before = fleet.ledger.state.head.number
    fleet.nowMs += 61_000
    assert.equal((await get(INDEX, { headers: { 'if-none-match': etag } })).status, 304)
    await upstream.askedFor(INDEX, 2)
    assert.ok(upstream.asked.at(-1)?.headers['if-none-match'])
    await settled()
    assert.equal(fleet.ledger.state.head.number, before)
    assert.equal(upstream.count('/config.json'), 1)
  })

  it('without validators, the same file is no change either', async () => {
    publish([one], bytes)
    await index()
    const before = fleet.ledger.state.head.number
    fleet.nowMs += 61_000
    await index()
    await upstream.askedFor(INDEX, 2)
    await settled()
    assert.equal(fleet.ledger.state.head.number, before)
  })

  it('what is yanked later is yanked here', async () => {
    publish([one, two])
    const etag = (await get(INDEX, { side: 'node' })).headers.get('etag') ?? ''
    upstream.answer(INDEX, tagged(Buffer.from(line(one) + line({ ...two, yanked: true }))))
    fleet.nowMs += 61_000
    const changed = new Promise<void>((resolve) => void fleet.ledger.state.onChange(() => resolve()))
    await index({ side: 'node' })
    await changed
    const reply = await get(INDEX, { side: 'node', headers: { 'if-none-match': etag } })
    assert.equal(await reply.text(), line(one) + line({ ...two, yanked: true }))
    // Who has it in a lock file still gets it.
    assert.equal((await get('/api/v1/crates/Moss_Leaf/1.1.0+build.5/download', { side: 'node' })).status, 200)
  })

  it('a lock file finds its crates, under the names that it has', async () => {
    publish([one, two])
    const record = fleet.ledger.state.repository('remote')
    assert.ok(record)
    const repository = fleet.primary.repository(record, fleet.gate.anonymous)
    for (const draft of [one, two]) {
      const source = `version = 4\n[[package]]\nname = "${draft.name}"\nversion = "${draft.vers}"\nsource = "registry+https://x.test/"\n`
      const [locked] = lock.files[0]?.read(source).locked ?? []
      const found = locked && (await lock.find(repository, locked))
      assert.deepEqual(
        found?.map(({ path }) => path),
        [`moss-leaf/${draft.name}-${draft.vers}.crate`],
      )
    }
  })

  it('a time of publication is taken from the line, or is when it was first seen', async () => {
    upstream.answer(INDEX, bytes(Buffer.from(line(one) + line({ ...two, pubtime: '2020-02-03T04:05:06Z' }))))
    const { versions } = (await (await get('/api/v1/crates/Moss_Leaf')).json()) as {
      versions: { created_at: string }[]
    }
    assert.match(versions[1]?.created_at ?? '', /^2026-01-01T/)
    assert.equal(versions[0]?.created_at, '2020-02-03T04:05:06.000Z')
  })

  it('a node that is cut off serves index files and crates that are held', async () => {
    publish([one, two])
    await get('/api/v1/crates/Moss_Leaf/1.0.0/download')
    fleet.cutOff = true
    const statusOf = async (path: string) => (await get(path, { side: 'node' })).status
    assert.equal(await statusOf(INDEX), 200)
    assert.equal(await statusOf('/config.json'), 200)
    assert.equal(await statusOf('/api/v1/crates/Moss_Leaf/1.0.0/download'), 200)
    assert.equal(await statusOf('/api/v1/crates/Moss_Leaf/1.1.0+build.5/download'), 503)
    assert.equal(await statusOf('/ot/he/other'), 503)
  })

  it('a crate of a hosted member is never looked up upstream, in no spelling', async () => {
    await fleet.repository('own', 'cargo')
    await fleet.repository('all', 'cargo', { type: 'virtual', members: ['remote', 'own'] })
    const send = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
    const body = publishBody({ name: 'Moss-Leaf', vers: '0.1.0' })
    assert.equal((await send(`${ORIGIN}/repository/own/api/v1/crates/new`, { method: 'PUT', body })).status, 200)
    publish([one, two])
    for (const side of ['primary', 'node'] as const) {
      const lines = (await index({ side, key: 'all' }, '/mo/ss/moss-leaf')).trimEnd().split('\n')
      assert.deepEqual(
        lines.map((each) => JSON.parse(each).vers),
        ['0.1.0'],
      )
      for (const path of [
        INDEX,
        '/api/v1/crates/Moss_Leaf/1.0.0/download',
        '/api/v1/crates/moss-leaf/1.0.0/download',
        '/moss-leaf/Moss_Leaf-1.0.0.crate',
        '/moss-leaf/moss-leaf-1.0.0.crate',
      ])
        assert.equal((await get(path, { side, key: 'all' })).status, 404, path)
    }
    assert.equal(upstream.asked.length, 0)
  })

  it('nothing is published to it or searched in it', async () => {
    const send = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
    const reply = await send(`${ORIGIN}/repository/remote/api/v1/crates/new`, { method: 'PUT', body: publishBody(one) })
    assert.equal(reply.status, 405)
    assert.match(await reply.text(), /remote repository: publish to a local one/)
    assert.equal((await get('/api/v1/crates?q=moss')).status, 404)
  })

  it('what the upstream does not have is asked for once', async () => {
    upstream.answer(INDEX, status(404))
    for (const path of [INDEX, '/moss-leaf/Moss_Leaf-1.0.0.crate', INDEX]) assert.equal((await get(path)).status, 404)
    assert.equal(upstream.asked.length, 1)
  })
})

interface Draft extends Record<string, unknown> {
  name: string
  vers: string
}

function entry(draft: Draft): object {
  return { deps: [], cksum: sha256(crateOf(draft)), features: {}, yanked: false, ...draft }
}

/** With blanks and in an order that nobody else would choose. */
function line(draft: Draft): string {
  return `${JSON.stringify(entry(draft)).replace('{', '{ ')}\n`
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}
