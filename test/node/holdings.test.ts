/** Where the bytes are: what nodes tell the primary of their caches, and what it makes of it. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Holdings } from '../../primary/fleet/holdings.js'
import { type Whereabouts, whereabouts } from '../../primary/fleet/whereabouts.js'
import type { Digest } from '../../protocol/records.js'
import { decodeHoldings, encodeHoldings, endOfSample, holdingsIn } from '../../protocol/wire/holdings.js'
import { type TestFleet, testFleet, until } from '../support/fleet.js'

const digestOf = (text: string) => createHash('sha256').update(text).digest('hex') as Digest
const digests = Array.from({ length: 4_000 }, (_, i) => digestOf(String(i)))

describe('what a node tells of its cache', () => {
  it('is all of it, or what begins with zero bits', () => {
    assert.deepEqual(decodeHoldings(encodeHoldings(digests, 0)), digests)
    const sample = decodeHoldings(encodeHoldings(digests, 4))
    assert.deepEqual(
      sample,
      digests.filter((digest) => digest.startsWith('0')),
    )
    assert.ok(sample.length > 100 && sample.length < 400)
    assert.equal(endOfSample(4), `1${'0'.repeat(63)}`)
    assert.throws(() => decodeHoldings(Buffer.alloc(33)), { kind: 'invalid' })
  })

  it('is not taken from a notice that is none', () => {
    assert.equal(holdingsIn({ heartbeat: true }), undefined)
    assert.equal(holdingsIn({ holdings: { id: '../x', bits: 1 } }), undefined)
    assert.equal(holdingsIn({ holdings: { id: 'x', bits: 900 } }), undefined)
  })
})

describe('nodes that are asked what they have', () => {
  const node = { id: 'n', name: 'n' }

  it('are waited for until all have answered, and what comes later is nobody’s', async () => {
    const holdings = new Holdings()
    let asked = ''
    holdings.listen(({ id }) => {
      asked = id
    })
    const stop = holdings.listen(() => undefined)
    const report = holdings.ask(0, 60_000)
    for (const key of ['a', 'a', 'b'])
      assert.equal(holdings.answer(asked, key, { node, site: undefined, digests: new Set() }), true)
    const { told, silent } = await report
    assert.deepEqual([told.length, silent], [2, 0])
    assert.equal(holdings.answer(asked, 'c', { node, site: undefined, digests: new Set() }), false)
    stop()
  })

  it('are counted when they say nothing', async () => {
    const holdings = new Holdings()
    holdings.listen(() => undefined)
    assert.deepEqual(await holdings.ask(0, 20), { told: [], silent: 1 })
    assert.deepEqual(await new Holdings().ask(0, 60_000), { told: [], silent: 0 })
  })

  it('are not asked for many reports at once', async () => {
    const holdings = new Holdings()
    holdings.listen(() => undefined)
    const others = [holdings.ask(0, 50), holdings.ask(0, 50)]
    await assert.rejects(holdings.ask(0, 50), { kind: 'throttled' })
    await Promise.all(others)
  })
})

describe('a report of where the bytes are', { timeout: 120_000 }, () => {
  let fleet: TestFleet
  const report = async () => (await fleet.api('GET', '/api/v1/mesh')) as Whereabouts

  before(async () => {
    fleet = await testFleet({ nodes: 2, node: { site: 'harbour' } })
    await fleet.api('POST', '/api/v1/repositories', {
      key: 'raw',
      name: 'raw',
      format: 'generic',
      repo_type: 'local',
      is_public: true,
    })
    for (const name of ['moss', 'fern', 'lichen']) {
      const put = { method: 'PUT', headers: { authorization: fleet.admin }, body: name }
      assert.equal((await fetch(`${fleet.primaryUrl}/repository/raw/${name}`, put)).status, 201)
    }
    // At both: a blob's home keeps what another node asked it for, and which of them that is depends on their keys.
    for (const url of fleet.nodeUrls)
      for (const name of ['moss', 'fern'])
        await until(async () => (await fetch(`${url}/repository/raw/${name}`)).status === 200)
  })
  after(() => fleet.close())

  it('counts copies of a repository, and what is at one place only', async () => {
    await until(async () => (await report()).repositories.find(({ key }) => key === 'raw')?.copies === 2.33)
    const { share, silent, places, repositories } = await report()
    assert.deepEqual({ share, silent }, { share: 1, silent: 0 })
    assert.deepEqual(places, [
      { place: 'primary', nodes: 1, blobs: 3, bytes: 14, only_here: { blobs: 1, bytes: 6 } },
      { place: 'harbour', nodes: 2, blobs: 2, bytes: 8, only_here: { blobs: 0, bytes: 0 } },
    ])
    // moss 3, fern 3, lichen 1.
    const raw = repositories.find(({ key }) => key === 'raw')
    assert.deepEqual(raw, {
      key: 'raw',
      blobs: 3,
      bytes: 14,
      copies: 2.33,
      single: { blobs: 1, bytes: 6 },
      none: { blobs: 0, bytes: 0 },
    })
  })

  it('tells what the primary lost, and what only a site has', async () => {
    const store = join(fleet.dir, 'primary', 'store')
    const lost = [digestOf('lichen'), digestOf('fern')]
    for (const entry of await readdir(store, { recursive: true }))
      if (lost.some((digest) => entry.includes(digest))) await rm(join(store, entry))
    const { places, repositories } = await report()
    assert.deepEqual(
      places.map(({ place, only_here }) => [place, only_here.blobs]),
      [
        ['primary', 0],
        ['harbour', 1],
      ],
    )
    assert.equal(repositories.find(({ key }) => key === 'raw')?.none.blobs, 1)
  })

  it('is for administrators', async () => {
    assert.equal((await fetch(`${fleet.primaryUrl}/api/v1/mesh`)).status, 401)
  })
})

describe('a report of a large registry', () => {
  it('looks at a sample, and estimates the whole', async () => {
    const rows = digests.map((digest) => ({ scope: 's', digest, bytes: '10' }))
    const pool = {
      query: async (text: string, values: string[] = []) =>
        text.includes('reltuples')
          ? { rows: [{ reltuples: digests.length }] }
          : { rows: rows.filter(({ digest }) => digest < (values[0] ?? '')) },
    }
    const found = await whereabouts({
      pool: pool as never,
      holdings: { ask: async () => ({ told: [], silent: 0 }) },
      has: async () => true,
      keyOf: () => 'raw',
      sample: 500,
    })
    assert.equal(found.share, 1 / 8)
    const estimated = found.repositories[0]?.blobs ?? 0
    assert.ok(Math.abs(estimated - digests.length) < digests.length / 4, `${estimated}`)
  })
})
