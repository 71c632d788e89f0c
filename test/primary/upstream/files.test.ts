/** Files of an upstream: one request for all who ask, nothing wrong ever whole, what is held served whatever the upstream does. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { until } from '../../support/fleet.js'
import { MemoryFleet } from '../../support/memory-fleet.js'
import { ORIGIN } from '../../support/request.js'
import {
  bytes,
  drip,
  endless,
  gated,
  half,
  hang,
  type ScriptedUpstream,
  scriptedUpstream,
  sequence,
  status,
  tagged,
} from '../../support/upstream.js'

const BASE = `${ORIGIN}/repository/files/`
const LARGE = randomBytes(1_200_000)
const SMALL = Buffer.from('a few bytes')

describe('files of an upstream', { timeout: 60_000 }, () => {
  let upstream: ScriptedUpstream
  let fleet: MemoryFleet
  const get = (path: string, side: 'primary' | 'node' = 'primary', headers: Record<string, string> = {}) =>
    fleet.client(side)(BASE + path, { headers })

  beforeEach(async () => {
    upstream = await scriptedUpstream()
    fleet = await MemoryFleet.open({ firstByteMs: 300, idleMs: 300, budget: { backoffMs: 60_000, patienceMs: 0 } })
    await fleet.repository('files', 'generic', { type: 'remote', upstream: upstream.url })
  })
  afterEach(async () => {
    await fleet.close()
    await upstream.close()
  })

  it('are fetched once for two hundred clients on both sides, and held', async () => {
    const { answer, open } = gated(LARGE, 600_000)
    upstream.answer('/big.bin', answer)
    const all = Array.from({ length: 200 }, (_, i) => get('big.bin', i % 4 === 0 ? 'primary' : 'node'))
    await upstream.askedFor('/big.bin', 1)
    open()
    for (const reply of await Promise.all(all)) {
      assert.equal(reply.status, 200)
      assert.equal(sha256(await reply.arrayBuffer()), sha256(LARGE))
    }
    assert.equal(upstream.count('/big.bin'), 1)
    await upstream.close()
    const held = await get('big.bin', 'node')
    assert.equal(held.headers.get('etag'), `"${sha256(LARGE)}"`)
    upstream = await scriptedUpstream()
  })

  it('can be read in part', async () => {
    upstream.answer('/part', bytes(LARGE))
    const reply = await get('part', 'node', { range: 'bytes=10-19' })
    assert.equal(reply.status, 206)
    assert.deepEqual(Buffer.from(await reply.arrayBuffer()), LARGE.subarray(10, 20))
  })

  it('come from a mirror while the upstream cannot be asked, in the order of mirrors; what is not there is not looked for', async () => {
    const [first, second] = [await scriptedUpstream(), await scriptedUpstream()]
    try {
      const mirrors = [`${first.url}below/`, second.url]
      await fleet.repository('mirrored', 'generic', { type: 'remote', upstream: upstream.url, mirrors })
      const read = (path: string) => fleet.client('node')(`${ORIGIN}/repository/mirrored/${path}`, {})
      upstream.answer('/own', bytes(SMALL))
      assert.equal(await (await read('own')).text(), String(SMALL))
      first.answer('/below/not', bytes(SMALL))
      assert.equal((await read('not')).status, 404)
      for (const path of ['/a', '/b', '/c']) upstream.answer(path, status(503, { 'retry-after': '60' }))
      first.answer('/below/a', bytes(SMALL))
      assert.equal(await (await read('a')).text(), String(SMALL))
      first.answer('/below/b', status(429, { 'retry-after': '60' }))
      second.answer('/b', bytes(LARGE))
      assert.equal(sha256(await (await read('b')).arrayBuffer()), sha256(LARGE))
      second.answer('/c', status(503, { 'retry-after': '60' }))
      const away = await read('c')
      assert.equal(away.status, 503)
      assert.ok(away.headers.get('retry-after'))
      assert.deepEqual(
        [first, second].flatMap(({ asked }) => asked.map(({ headers }) => headers.authorization)),
        [undefined, undefined, undefined, undefined],
      )
    } finally {
      await first.close()
      await second.close()
    }
  })

  it('that are not there are not asked for again for a while', async () => {
    upstream.answer('/late', sequence(status(404), bytes(SMALL)))
    assert.equal((await get('late')).status, 404)
    assert.equal((await get('late')).status, 404)
    assert.equal(upstream.count('/late'), 1)
    fleet.nowMs += 61_000
    assert.equal(await (await get('late')).text(), String(SMALL))
  })

  it('keep their bytes, and are not asked for again', async () => {
    upstream.answer('/fixed', sequence(bytes(SMALL), bytes(Buffer.from('others'))))
    await get('fixed')
    fleet.nowMs += 86_400_000
    assert.equal(await (await get('fixed')).text(), String(SMALL))
    assert.equal(upstream.count('/fixed'), 1)
  })

  it('may change where the repository says so: what is held is served while the upstream is asked', async () => {
    await fleet.repository('moving', 'generic', { type: 'remote', upstream: upstream.url, redeploy: true })
    const read = async () => (await fleet.client('primary')(`${ORIGIN}/repository/moving/now`)).text()
    upstream.answer('/now', tagged(SMALL))
    assert.equal(await read(), String(SMALL))
    fleet.nowMs += 61_000
    const head = fleet.ledger.state.head.number
    assert.equal(await read(), String(SMALL))
    await upstream.askedFor('/now', 2)
    assert.ok(upstream.asked[1]?.headers['if-none-match'])
    const record = fleet.ledger.state.repository('moving')
    const answered = async () =>
      record !== undefined &&
      fleet.primary.repository(record, fleet.gate.anonymous).freshness?.('now')?.ageSeconds === 0
    await until(answered)
    assert.equal(fleet.ledger.state.head.number, head)
    upstream.answer('/now', tagged(Buffer.from('newer')))
    fleet.nowMs += 61_000
    const changed = new Promise<void>((resolve) => void fleet.ledger.state.onChange(() => resolve()))
    assert.equal(await read(), String(SMALL))
    await changed
    assert.equal(await read(), 'newer')
  })

  const wrong: [string, ReturnType<typeof bytes>][] = [
    ['a body that breaks off at half', half(SMALL)],
    ['a page instead of the file', bytes(Buffer.from('<html>down</html>'), { 'content-type': 'text/html' })],
    ['a body that its own checksum does not match', bytes(SMALL, { 'x-checksum-sha256': '0'.repeat(64) })],
    ['an encoding that was not asked for', bytes(SMALL, { 'content-encoding': 'gzip' })],
    ['a refusal', status(403)],
    ['more than may be stored', bytes(SMALL, { 'content-length': String(2 * 1024 ** 3) })],
  ]
  for (const [what, answer] of wrong)
    it(`${what} is an error, and nothing is stored`, async () => {
      upstream.answer('/x.bin', answer)
      const reply = await get('x.bin')
      assert.equal(reply.status, 502)
      assert.equal(await fleet.ledger.state.file('scope-of-files', 'x.bin'), undefined)
      upstream.answer('/x.bin', bytes(SMALL))
      assert.equal(await (await get('x.bin')).text(), String(SMALL))
    })

  it('a large one that turns out wrong is never whole', async () => {
    upstream.answer('/large.bin', bytes(LARGE, { 'x-checksum-sha256': '0'.repeat(64) }))
    let received = 0
    await assert.rejects(async () => {
      received = (await (await get('large.bin')).arrayBuffer()).byteLength
    })
    assert.equal(received, 0)
    assert.equal(await fleet.ledger.state.file('scope-of-files', 'large.bin'), undefined)
  })

  it('one without end is cut at the limit', async () => {
    await fleet.close()
    fleet = await MemoryFleet.open({ idleMs: 300 }, { maxUploadBytes: 8 * 1024 * 1024 })
    await fleet.repository('files', 'generic', { type: 'remote', upstream: upstream.url })
    upstream.answer('/endless', endless())
    await assert.rejects(get('endless'))
    assert.equal(await fleet.ledger.state.file('scope-of-files', 'endless'), undefined)
  })

  it('one that drips is given up', async () => {
    upstream.answer('/drip', drip(100))
    assert.equal((await get('drip')).status, 502)
  })

  it('an upstream that hangs delays nobody who can be served', async () => {
    upstream.answer('/held', bytes(SMALL))
    await get('held')
    upstream.answer('/cold', hang)
    const cold = get('cold')
    await upstream.askedFor('/cold', 1)
    for (let i = 0; i < 100; i++) assert.equal((await get('held')).status, 200)
    assert.equal((await cold).status, 503)
  })

  it('429 stops all requests to the host for as long as it says; held files are served', async () => {
    upstream.answer('/held', bytes(SMALL))
    await get('held')
    upstream.answer('/busy', status(429, { 'retry-after': '120' }))
    const reply = await get('busy')
    assert.equal(reply.status, 503)
    assert.equal(reply.headers.get('retry-after'), '120')
    const before = upstream.asked.length
    assert.equal((await get('another')).status, 503)
    assert.equal(upstream.asked.length, before)
    assert.equal((await get('held')).status, 200)
  })

  it('beyond the rate of a host what is held is served on both sides, and the rest is told when to come back', async () => {
    await fleet.close()
    fleet = await MemoryFleet.open({ budget: { perSecond: 1, paceMs: 0 } })
    await fleet.repository('files', 'generic', { type: 'remote', upstream: upstream.url })
    upstream.answer('/held', bytes(SMALL))
    await get('held')
    for (const side of ['primary', 'node'] as const) {
      const reply = await get('another', side)
      assert.equal(reply.status, 503)
      assert.equal(reply.headers.get('retry-after'), '1')
      assert.equal((await get('held', side)).status, 200)
    }
    assert.equal(upstream.asked.length, 1)
  })

  it('that may change say that they are old, and how old, while the upstream is away', async () => {
    await fleet.repository('moving', 'generic', { type: 'remote', upstream: upstream.url, redeploy: true })
    const read = (side: 'primary' | 'node') => fleet.client(side)(`${ORIGIN}/repository/moving/now`)
    upstream.answer('/now', tagged(SMALL))
    await read('primary')
    assert.equal((await read('primary')).headers.get('warning'), null)
    assert.equal((await read('node')).headers.get('warning'), null)
    const soon = (side: 'primary' | 'node', isSo: (headers: Headers) => boolean) =>
      until(async () => {
        fleet.nowMs += 10_000
        const reply = await read(side)
        assert.equal(await reply.text(), String(SMALL))
        return isSo(reply.headers)
      })
    upstream.answer('/now', status(503, { 'retry-after': '1' }))
    fleet.nowMs += 100_000
    for (const side of ['primary', 'node'] as const)
      await soon(side, (headers) => /^110 /.test(headers.get('warning') ?? '') && Number(headers.get('age')) >= 100)
    upstream.answer('/now', tagged(SMALL))
    for (const side of ['primary', 'node'] as const) await soon(side, (headers) => headers.get('warning') === null)
  })

  it('after failures in a row the host is left alone', async () => {
    for (let i = 0; i < 10; i++) assert.equal((await get(`absent-${i}`)).status, 404)
    for (let i = 0; i < 8; i++) upstream.answer(`/five-${i}`, status(500))
    for (let i = 0; i < 8; i++) assert.equal((await get(`five-${i}`)).status, 503)
    assert.equal(upstream.asked.filter(({ path }) => path.startsWith('/five-')).length, 5)
  })

  it('a passing failure is tried again', async () => {
    upstream.answer('/flaky', sequence(status(502), bytes(SMALL)))
    assert.equal((await get('flaky')).status, 200)
  })

  it('credentials go to the upstream', async () => {
    fleet.credentials.set('scope-of-files', 'Bearer t')
    upstream.answer('/private', bytes(SMALL))
    await get('private')
    assert.equal(upstream.asked[0]?.headers.authorization, 'Bearer t')
  })

  it('a node that is cut off serves what is held, and says that the rest cannot be had', async () => {
    upstream.answer('/held', bytes(SMALL))
    await get('held')
    fleet.cutOff = true
    assert.equal((await get('held', 'node')).status, 200)
    assert.equal((await get('unknown', 'node')).status, 503)
  })
})

function sha256(body: ArrayBuffer | Uint8Array): string {
  return createHash('sha256').update(new Uint8Array(body)).digest('hex')
}
