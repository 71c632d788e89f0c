import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bitmap } from '../../../node/mesh/bitmap.js'
import { wallClock } from '../../../node/mesh/clock.js'
import { backoffMs, Dialling } from '../../../node/mesh/dialling.js'
import { homes, homesNearFirst, outranks } from '../../../node/mesh/homes.js'
import { Negotiation } from '../../../node/mesh/negotiation.js'
import { bytesPerSecond, Rate } from '../../../node/mesh/rate.js'
import { Slots } from '../../../node/mesh/slots.js'
import { staggered } from '../../../node/mesh/staggered.js'
import { Standing } from '../../../node/mesh/standing.js'
import type { Digest } from '../../../protocol/records.js'

const digests = Array.from({ length: 2000 }, (_, at) => at.toString(16).padStart(64, '0') as Digest)
const never = new AbortController().signal

test('homes are spread evenly, alike for everybody, and only those of a node that leaves move', () => {
  const nodes = ['a', 'b', 'c', 'd', 'e']
  const counts = new Map<string, number>()
  for (const digest of digests) {
    const [home = '', second] = homes(digest, nodes)
    counts.set(home, (counts.get(home) ?? 0) + 1)
    assert.equal(homes(digest, [...nodes].reverse())[0], home)
    const left = nodes.filter((node) => node !== 'c')
    assert.equal(homes(digest, left)[0], home === 'c' ? second : home)
  }
  for (const count of counts.values()) assert.ok(count > 300 && count < 500, `${count} of 2000`)
})

test('one node of a site turns to the home elsewhere, the others turn to that one, which may be made to fetch', () => {
  const nodes = ['a1', 'a2', 'a3', 'b1', 'b2', 'b3']
  for (const digest of digests.slice(0, 200)) {
    const [home] = homes(digest, nodes)
    const firsts = nodes.map((self) => {
      const others = nodes.filter((node) => node !== self)
      return homesNearFirst(digest, self, others, (node) => node[0] === self[0])[0]
    })
    const crossings = nodes.filter((self, at) => firsts[at] !== undefined && firsts[at]?.[0] !== self[0])
    assert.equal(crossings.length, 1)
    for (const [at, self] of nodes.entries()) {
      const first = firsts[at]
      if (first === undefined) assert.equal(self, home)
      else assert.ok(outranks(digest, first, self))
    }
  }
})

test('bytes go no faster than the limit, which may differ by time of day', async () => {
  let nowMs = Date.parse('2026-11-01T07:59:59Z')
  const limit = { general: 1000, windows: [{ from: '08:00', to: '18:00', bytesPerSecond: 100 }] }
  assert.equal(bytesPerSecond(limit, nowMs), 1000)
  assert.equal(bytesPerSecond(limit, nowMs + 1000), 100)
  const night = { general: 5, windows: [{ from: '22:00', to: '06:00', bytesPerSecond: 9 }] }
  assert.deepEqual(
    ['23:00', '05:59', '06:00', '21:59'].map((time) => bytesPerSecond(night, Date.parse(`2026-11-01T${time}:00Z`))),
    [9, 9, 5, 5],
  )
  const rate = new Rate(limit, () => nowMs)
  // A tenth of a second may go at once, and what is asked for first.
  await rate.take(100, never)
  await rate.take(100, never)
  let passed = false
  const third = rate.take(100, never).then(() => {
    passed = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(!passed)
  nowMs += 100
  await third
  const stop = new AbortController()
  const fourth = rate.take(1_000_000, stop.signal)
  stop.abort(new Error('enough'))
  await assert.rejects(fourth, /enough/)
})

test('of two nodes exactly one may make the other fetch', () => {
  for (const digest of digests.slice(0, 50)) assert.notEqual(outranks(digest, 'a', 'b'), outranks(digest, 'b', 'a'))
})

test('a have-map survives its bytes, and a wrong length is none', () => {
  for (const size of [1, 7, 8, 9, 100]) {
    const map = new Bitmap(size)
    for (let piece = 0; piece < size; piece += 3) assert.ok(map.add(piece))
    assert.ok(!map.add(0) && !map.add(size) && !map.add(-1) && !map.add(0.5))
    const read = Bitmap.parse(map.toBytes(), size)
    for (let piece = 0; piece < size; piece++) assert.equal(read?.has(piece), piece % 3 === 0)
    assert.equal(read?.count, map.count)
    assert.ok(map.remove(0) && !map.remove(0))
    assert.equal(Bitmap.parse(new Uint8Array(Math.ceil(size / 8) + 1), size), undefined)
  }
})

test('offences add up, fade, and refuse for an hour', () => {
  let nowMs = 0
  const standing = new Standing(() => nowMs)
  assert.ok(!standing.blame('a', 'malformed_frame') && !standing.blame('a', 'malformed_frame'))
  nowMs += 3_600_000
  assert.ok(standing.points('a') < 2)
  assert.ok(!standing.refused('a'))
  assert.ok(standing.blame('a', 'wrong_piece') && standing.refused('a'))
  assert.ok(!standing.refused('b'))
  nowMs += 3_599_000
  assert.ok(standing.refused('a'))
  nowMs += 2000
  assert.ok(!standing.refused('a'))
})

test('the next way is begun when the one before fails or is slow, and the losers are stopped', async () => {
  const begun: string[] = []
  const stopped: string[] = []
  const way = (name: string, outcome: 'works' | 'fails' | 'hangs') => (signal: AbortSignal) => {
    begun.push(name)
    signal.addEventListener('abort', () => stopped.push(name))
    if (outcome === 'works') return Promise.resolve(name)
    return outcome === 'fails' ? Promise.reject(new Error(name)) : new Promise<string>(() => undefined)
  }
  const options = { staggerMs: 10_000, signal: never }
  assert.equal(await staggered([way('a', 'fails'), way('b', 'works'), way('c', 'works')], options), 'b')
  assert.deepEqual(begun, ['a', 'b'])
  assert.equal(await staggered([way('slow', 'hangs'), way('fast', 'works')], { ...options, staggerMs: 1 }), 'fast')
  assert.ok(stopped.includes('slow'))
  await assert.rejects(staggered([way('x', 'fails'), way('y', 'fails')], options), /y/)
  await assert.rejects(
    staggered([way('z', 'hangs')], { ...options, signal: AbortSignal.abort(new Error('gone')) }),
    /gone/,
  )
})

test('slots run so many at once, let so many wait, and refuse the rest', async () => {
  const slots = new Slots(1, 1)
  await slots.enter(never)
  const second = slots.enter(never)
  await assert.rejects(slots.enter(never), { kind: 'throttled' })
  slots.leave()
  await second
  const third = new AbortController()
  const waiting = slots.enter(third.signal)
  third.abort(new Error('no more'))
  await assert.rejects(waiting, /no more/)
  slots.leave()
  assert.ok(slots.idle)
})

test('a negotiation passes up to a spoken protocol, however it is cut, and its first bad byte ends it', () => {
  const hello = '\x13/multistream/1.0.0\n'
  const states = (text: string, cut: number) => {
    const negotiation = new Negotiation(() => ['/spoken/1'])
    const bytes = Buffer.from(text, 'latin1')
    for (let at = 0; at < bytes.length; at += cut) {
      const state = negotiation.push(bytes.subarray(at, at + cut))
      if (state !== 'more') return state
    }
    return 'more'
  }
  for (const cut of [1, 5, 1000]) {
    assert.equal(states(`${hello}\x0a/spoken/1\n\xff\xff`, cut), 'done')
    assert.equal(states(`${hello}\x0b/other/1\nx`.replace('\nx', 'x\n'), cut), 'more')
    assert.equal(states(`${hello}\x09/other/1\n\x0a/spoken/1\n`, cut), 'done')
    for (const bad of [
      '\xff',
      '\x00',
      `${hello}\xff`,
      `${hello}\x00`,
      `${hello}\x80\x01`,
      '\x03abc',
      `${hello}\x03abc`,
      `${hello}${'\x02x\n'.repeat(30)}`,
    ]) {
      assert.equal(states(bad, cut), 'bad', JSON.stringify(bad))
    }
  }
})

test('a peer that cannot be reached is dialled again, ever more rarely, and others meanwhile', async () => {
  let nowMs = 0
  const dialled: string[] = []
  const connected = new Set<string>()
  const dialling = new Dialling({
    self: 'm',
    most: 10,
    connected: () => connected,
    allowed: (peer) => peer !== 'refused',
    dial: async ({ peer }) => {
      dialled.push(peer)
      if (peer === 'z-dead') throw new Error('nobody there')
      connected.add(peer)
    },
    clock: { ...wallClock, now: () => nowMs },
    random: () => 0.5,
  })
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  dialling.introduce(
    ['m', 'refused', 'z-dead', 'z-good', 'a-good'].map((peer) => ({ peer, addresses: ['/ip4/127.0.0.1/tcp/1'] })),
  )
  await turn()
  assert.deepEqual(dialled, ['z-dead', 'z-good'])
  // The smaller id dials first: a-good is given time to.
  nowMs = 1500
  dialling.wake()
  await turn()
  assert.deepEqual(dialled.slice(2).sort(), ['a-good', 'z-dead'])
  for (; nowMs < 600_000; nowMs += 250) {
    dialling.wake()
    await turn()
  }
  const tries = dialled.filter((peer) => peer === 'z-dead').length
  assert.ok(tries > 10 && tries < 25, `${tries} tries in ten minutes`)
  assert.equal(dialled.length - tries, 2)
  await dialling.close()
  assert.equal(
    backoffMs(0, () => 0.5),
    500,
  )
  assert.equal(
    backoffMs(1000, () => 0.5),
    60_000,
  )
})
