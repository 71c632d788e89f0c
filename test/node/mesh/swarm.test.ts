import assert from 'node:assert/strict'
import { open } from 'node:fs/promises'
import { test } from 'node:test'
import { type Clock, wallClock } from '../../../node/mesh/clock.js'
import { homes } from '../../../node/mesh/homes.js'
import { inclusionProof } from '../../../protocol/merkle.js'
import { encodeBundled, encodePieceAnswer } from '../../../protocol/wire/swarm.js'
import { type Blob, type NodeOptions, newSwarmRig, type SwarmRig, type TestNode } from './swarm-rig.js'

const MIB = 1_048_576

async function withSwarm(run: (swarm: SwarmRig) => Promise<void>): Promise<void> {
  const swarm = await newSwarmRig()
  try {
    await run(swarm)
    assert.deepEqual(swarm.rig.faults, [])
  } finally {
    await swarm.close()
  }
}

/** A clock on which nobody is late because the machine is busy. */
const patient: Clock = { ...wallClock, now: () => performance.now() / 50 }

async function fleet(swarm: SwarmRig, count: number, options: NodeOptions = {}): Promise<TestNode[]> {
  for (let at = 0; at < count; at++) await swarm.node(`node-${at}`, options)
  await swarm.connect()
  return swarm.nodes
}

function homeOf(nodes: TestNode[], blob: Blob): TestNode {
  const [home] = homes(
    blob.stored.digest,
    nodes.map(({ mesh }) => mesh.self),
  )
  const found = nodes.find(({ mesh }) => mesh.self === home)
  assert.ok(found)
  return found
}

test('five nodes that fetch one blob at once take about one copy from the primary', () =>
  withSwarm(async (swarm) => {
    const nodes = await fleet(swarm, 5, { clock: patient })
    const blob = await swarm.blob(16 * MIB + 12_345)
    const read = await Promise.all(nodes.map((node) => node.read(blob)))
    for (const { body } of read) assert.ok(body.equals(blob.bytes))
    assert.ok(
      swarm.primary.sent <= 1.2 * blob.bytes.length,
      `${swarm.primary.sent / blob.bytes.length} copies left the primary`,
    )
    for (const node of nodes) {
      await node.kept(blob)
      assert.equal((await node.read(blob)).source, 'cache')
    }
  }))

test('a small blob is fetched from the primary once, by its home', () =>
  withSwarm(async (swarm) => {
    const nodes = await fleet(swarm, 4)
    for (const size of [1, 65_536, 200_000, 262_144]) {
      const blob = await swarm.blob(size)
      const before = swarm.primary.reads
      const read = await Promise.all(nodes.map((node) => node.read(blob)))
      for (const { body } of read) assert.ok(body.equals(blob.bytes))
      assert.equal(swarm.primary.reads - before, 1)
    }
  }))

test('many small blobs go together, each is right, and one that is not to be had holds up no other', () =>
  withSwarm(async (swarm) => {
    const nodes = await fleet(swarm, 3)
    const [reader] = nodes
    let exchanges = 0
    for (const { mesh } of nodes) {
      const request = mesh.request.bind(mesh)
      mesh.request = (peer, what, ...rest) => {
        if (what === 'bundle' || what === 'piece') exchanges++
        return request(peer, what, ...rest)
      }
    }
    const blobs = await Promise.all(Array.from({ length: 200 }, (_, at) => swarm.blob(1 + ((at * 997) % 60_000))))
    const read = await Promise.all(blobs.map((blob) => reader?.read(blob)))
    for (const [at, one] of read.entries()) assert.ok(one?.body.equals(blobs[at]?.bytes ?? Buffer.of()))
    assert.ok(exchanges < 100, `${exchanges} exchanges for ${blobs.length} blobs`)
    // Home or not, whoever is late on a busy machine is overtaken by the primary.
    assert.ok(swarm.primary.reads <= 1.5 * blobs.length, `${swarm.primary.reads} reads`)
    // Known to the nodes, and lost at the primary.
    const lost = await swarm.blob(500)
    swarm.primary.lost.add(lost.stored.digest)
    const more = await Promise.all([...Array(20)].map(() => swarm.blob(1000)))
    const results = await Promise.allSettled([lost, ...more].map((blob) => reader?.read(blob)))
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', ...more.map(() => 'fulfilled')],
    )
  }))

test('a range is exact, and what lies far behind it is not fetched', () =>
  withSwarm(async (swarm) => {
    const [node] = await fleet(swarm, 1)
    const blob = await swarm.blob(64 * MIB)
    const range = { start: 40 * MIB - 5, end: 40 * MIB + 70_000 }
    const got = await node?.read(blob, range)
    assert.ok(got?.body.equals(blob.bytes.subarray(range.start, range.end)))
    assert.ok(swarm.primary.sent <= 2 * MIB, `${swarm.primary.sent} bytes for a range`)
  }))

test('two sites fetch one blob at once: about one copy passes between them', () =>
  withSwarm(async (swarm) => {
    const crossed = { bytes: 0 }
    for (const site of ['a', 'b'])
      for (let at = 0; at < 3; at++)
        countCrossing(await swarm.node(`${site}${at}`, { site, clock: patient }), swarm, crossed)
    await swarm.connect()
    const of = (self: string) => swarm.nodes.find(({ mesh }) => mesh.self === self)?.name[0]
    // Each says where it stands as soon as it is connected.
    for (const { mesh } of swarm.nodes)
      while (mesh.members().some(({ peer }) => mesh.near(peer) !== (of(peer) === of(mesh.self))))
        await new Promise((resolve) => setImmediate(resolve))
    const blob = await swarm.blob(16 * MIB)
    const read = await Promise.all(swarm.nodes.map((node) => node.read(blob)))
    for (const { body } of read) assert.ok(body.equals(blob.bytes))
    assert.ok(swarm.primary.sent <= 1.2 * blob.bytes.length, `${swarm.primary.sent} bytes left the primary`)
    const copies = crossed.bytes / blob.bytes.length
    assert.ok(copies > 0.8 && copies < 1.2, `${copies} copies passed between the sites`)
  }))

/** Counts what the node gets of blobs from the other site. */
function countCrossing({ mesh, name }: TestNode, swarm: SwarmRig, crossed: { bytes: number }): void {
  const request = mesh.request.bind(mesh)
  mesh.request = async function* (peer, what, ...rest) {
    const other = swarm.nodes.find((node) => node.mesh.self === peer)?.name
    for await (const part of request(peer, what, ...rest)) {
      if (what === 'piece' && other?.[0] !== name[0]) crossed.bytes += part.length
      yield part
    }
  }
}

test('the primary is away and one peer has it: it is served, large or small, to everybody', () =>
  withSwarm(async (swarm) => {
    const nodes = await fleet(swarm, 4)
    for (const size of [5 * MIB, 1000]) {
      const blob = await swarm.blob(size)
      swarm.primary.reachable = true
      const home = homeOf(nodes, blob)
      // Not the home: somebody whom nobody would ask first.
      const holder = nodes.find((node) => node !== home)
      await holder?.cache.keep(blob.stored, blob.bytes)
      swarm.primary.reachable = false
      const read = await Promise.all(nodes.map((node) => node.read(blob)))
      for (const { body } of read) assert.ok(body.equals(blob.bytes))
    }
    assert.equal(swarm.primary.sent, 0)
  }))

test('nobody has it: unavailable, in a sentence that names the file, with a time to retry', () =>
  withSwarm(async (swarm) => {
    const nodes = await fleet(swarm, 3)
    swarm.primary.reachable = false
    for (const size of [5 * MIB, 1000]) {
      const blob = await swarm.blob(size)
      for (const node of nodes) {
        await assert.rejects(node.read(blob), (error: { kind: string; message: string; retryAfter: number }) => {
          assert.equal(error.kind, 'unavailable')
          assert.match(error.message, /\/the\/file.*the primary cannot be reached/)
          assert.ok(error.retryAfter > 0)
          return true
        })
      }
    }
  }))

test('the home is killed in the middle: everybody finishes', () =>
  withSwarm(async (swarm) => {
    const nodes = await fleet(swarm, 4)
    const blob = await swarm.blob(16 * MIB)
    const home = homeOf(nodes, blob)
    const others = nodes.filter((node) => node !== home)
    let killed: Promise<void> | undefined
    swarm.primary.pace = async () => {
      if (swarm.primary.sent > 5 * MIB) killed ??= home.mesh.close()
    }
    const read = await Promise.all(others.map((node) => node.read(blob)))
    assert.ok(killed, 'the home was not in the middle of anything')
    await killed
    for (const { body } of read) assert.ok(body.equals(blob.bytes))
    assert.ok(swarm.primary.sent <= 3 * blob.bytes.length)
  }))

test('a peer that flips bits is thrown out, and no wrong byte is seen', () =>
  withSwarm(async (swarm) => {
    const nodes = await fleet(swarm, 4)
    for (const size of [8 * MIB, 9000]) {
      const blob = await swarm.blob(size)
      const evil = homeOf(
        nodes.filter(({ mesh }) => mesh.members().length > 0),
        blob,
      )
      const wrong = { ...blob, bytes: Buffer.from(blob.bytes) }
      for (let at = 0; at < size; at += 5000) wrong.bytes[at] = (wrong.bytes[at] ?? 0) ^ 1
      lie(evil, wrong)
      const victims = nodes.filter((node) => node !== evil && node.mesh.members().length > 0)
      const read = await Promise.all(victims.map((node) => node.read(blob)))
      for (const { body } of read) assert.ok(body.equals(blob.bytes))
      assert.ok(victims.some(({ mesh }) => mesh.standing.refused(evil.mesh.self)))
    }
  }))

/** Answers requests for pieces with other bytes, and says that it has everything. */
function lie(node: TestNode, blob: Blob): void {
  node.mesh.handle('swarm', async function* (_, __, signal) {
    yield Buffer.from(
      JSON.stringify({
        pieceLeaves: 4,
        have: Buffer.alloc(Math.ceil(blob.bytes.length / 262_144 / 8), 0xff).toString('base64'),
      }),
    )
    await aborted(signal)
  })
  node.mesh.handle('piece', async function* (_, payload) {
    const { first, count } = JSON.parse(payload.toString())
    const header = Buffer.alloc(6)
    header.writeUInt32BE(first, 0)
    yield header
    yield blob.bytes.subarray(first * 65_536, (first + count) * 65_536)
  })
  node.mesh.handle('bundle', async function* () {
    yield* encodeBundled({ place: 0, bytes: blob.bytes })
  })
}

const bad: [string, (node: TestNode, blob: Blob) => void][] = [
  [
    'says nothing',
    (node) => {
      for (const name of ['piece', 'bundle', 'swarm']) {
        node.mesh.handle(name, async function* (_, __, signal) {
          await aborted(signal)
          yield Buffer.of(0)
        })
      }
    },
  ],
  [
    'sends a byte at a time',
    (node, blob) =>
      pieces(node, blob, async function* (answer, signal) {
        for (let at = 0; at < answer.length && !signal.aborted; at++) {
          yield answer.subarray(at, at + 1)
          await new Promise((resolve) => setTimeout(resolve, 50))
        }
      }),
  ],
  [
    'stops at the last byte',
    (node, blob) =>
      pieces(node, blob, async function* (answer, signal) {
        yield answer.subarray(0, -1)
        await aborted(signal)
      }),
  ],
  [
    'never ends',
    (node, blob) =>
      pieces(node, blob, async function* (answer, signal) {
        yield answer
        while (!signal.aborted) yield Buffer.alloc(65_536)
      }),
  ],
  [
    'sends a byte more',
    (node, blob) =>
      pieces(node, blob, async function* (answer) {
        yield Buffer.concat([answer, Buffer.of(0)])
      }),
  ],
  ['sends nothing', (node, blob) => pieces(node, blob, async function* () {})],
]

for (const [what, spoil] of bad) {
  test(`a home that ${what} costs time and nothing else`, () =>
    withSwarm(async (swarm) => {
      const nodes = await fleet(swarm, 3)
      const blobs = [await blobAt(swarm, nodes, 0, 3 * MIB), await blobAt(swarm, nodes, 0, 100_000)]
      for (const blob of blobs) {
        spoil(nodes[0] as TestNode, blob)
        for (const node of nodes.slice(1)) assert.ok((await node.read(blob)).body.equals(blob.bytes))
      }
    }))
}

/** A blob whose home is the given node. */
async function blobAt(swarm: SwarmRig, nodes: TestNode[], at: number, size: number): Promise<Blob> {
  for (;;) {
    const blob = await swarm.blob(size)
    if (homeOf(nodes, blob) === nodes[at]) return blob
  }
}

/** Says that it has everything, and answers requests for pieces in a way of its own; the proof is right. */
function pieces(
  node: TestNode,
  blob: Blob,
  answer: (whole: Buffer, signal: AbortSignal) => AsyncIterable<Uint8Array>,
): void {
  lie(node, blob)
  node.mesh.handle('piece', async function* (_, payload, signal) {
    const { first, count } = JSON.parse(payload.toString())
    const proof = inclusionProof(blob.leaves, first, count)
    const parts = encodePieceAnswer({
      first,
      proof,
      bytes: blob.bytes.subarray(first * 65_536, (first + count) * 65_536),
    })
    yield* answer(Buffer.concat(parts), signal)
  })
  node.mesh.handle('bundle', (_, __, signal) =>
    answer(Buffer.concat(encodeBundled({ place: 0, bytes: blob.bytes })), signal),
  )
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
}

test('what a certificate does not cover is refused, and so is a blob that is not in the scope', () =>
  withSwarm(async (swarm) => {
    const holder = await swarm.node('holder')
    const narrow = await swarm.node('narrow', { repositories: ['pub*'] })
    await swarm.connect()
    const signal = AbortSignal.timeout(10_000)
    const ask = async (name: string, fields: object): Promise<void> => {
      const payload = Buffer.from(JSON.stringify({ first: 0, count: 1, fetch: true, ...fields }))
      for await (const _ of narrow.mesh.request(holder.mesh.self, name, payload, { signal, limit: 1e7 })) return
    }
    const secret = await swarm.blob(1000, 's2')
    const shown = await swarm.blob(1000, 's1')
    for (const { stored, bytes } of [secret, shown]) await holder.cache.keep(stored, bytes)
    for (const name of ['piece', 'swarm']) {
      await ask(name, { digest: shown.stored.digest, scope: 's1' })
      await assert.rejects(ask(name, { digest: secret.stored.digest, scope: 's2' }), { kind: 'forbidden' })
      await assert.rejects(ask(name, { digest: secret.stored.digest, scope: 's1' }), { kind: 'forbidden' })
      await assert.rejects(ask(name, { digest: shown.stored.digest, scope: 'nowhere' }), { kind: 'forbidden' })
      await assert.rejects(ask(name, { digest: '../../etc/passwd', scope: 's1' }), { kind: 'invalid' })
      await assert.rejects(ask(name, { scope: 's1' }), { kind: 'invalid' })
    }
    for (const [first, count] of [
      [0, 2],
      [5, 1],
      [-1, 1],
      [0.5, 1],
      [0, 0],
      [0, 1e9],
    ]) {
      await assert.rejects(ask('piece', { digest: shown.stored.digest, scope: 's1', first, count }), {
        kind: 'invalid',
      })
    }
  }))

test('the limit of the cache holds while more than it can hold arrives at once', () =>
  withSwarm(async (swarm) => {
    const limit = 3 * MIB
    const node = await swarm.node('small', { limit, lingerMs: 50 })
    const blobs = await Promise.all(
      [MIB, 2 * MIB, MIB, 4 * MIB, 300_000, 5000, 1_500_000, 2 * MIB].map((size) => swarm.blob(size)),
    )
    let most = 0
    swarm.primary.pace = async () => {
      most = Math.max(most, node.cache.used)
    }
    for (let round = 0; round < 2; round++) {
      const read = await Promise.all(blobs.map((blob) => node.read(blob)))
      for (const [at, { body }] of read.entries()) assert.ok(body.equals(blobs[at]?.bytes ?? Buffer.alloc(0)))
    }
    for (const blob of blobs) assert.ok((await node.read(blob)).body.equals(blob.bytes))
    assert.ok(most <= limit && node.cache.used <= limit, `${most} of ${limit}`)
    assert.ok(node.cache.evicted > 0)
  }))

test('damaged bytes in the cache are healed from a peer', () =>
  withSwarm(async (swarm) => {
    const [a, b] = await fleet(swarm, 2)
    assert.ok(a && b)
    const blob = await swarm.blob(3 * MIB)
    await Promise.all([a.read(blob), b.read(blob), a.kept(blob), b.kept(blob)])
    swarm.primary.reachable = false
    const file = await open(a.path(blob), 'r+')
    await file.write(Buffer.from('rotten'), 0, 6, 1_000_000)
    await file.close()
    assert.ok((await a.read(blob)).body.equals(blob.bytes))
  }))
