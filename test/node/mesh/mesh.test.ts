import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { Stream } from '@libp2p/interface'
import type { Member, Mesh } from '../../../node/mesh/mesh.js'
import { issue } from '../../../protocol/certificate.js'
import { rawPeer } from './raw.js'
import { connectAll, newRig, type Rig, reached } from './rig.js'

const never = new AbortController().signal

async function withRig(run: (rig: Rig) => Promise<void>): Promise<void> {
  const rig = newRig()
  try {
    await run(rig)
  } finally {
    await rig.close()
  }
}

async function collect(parts: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const part of parts) chunks.push(Buffer.from(part))
  return Buffer.concat(chunks)
}

test('nodes with certificates of the fleet connect and see who the others are', () =>
  withRig(async (rig) => {
    const a = await rig.join('a', { repositories: ['npm-*'] })
    const b = await rig.join('b')
    await connectAll([a, b])
    const [seen] = b.peers()
    assert.equal(seen?.node, 'a')
    assert.deepEqual(seen?.repositories, ['npm-*'])
    assert.equal(seen?.peer, a.self)
  }))

const strangers: [string, (rig: Rig) => Promise<Mesh>][] = [
  ['of another fleet', (rig) => rig.join('x', { fleet: 'other' })],
  ['that the primary did not sign', (rig) => rig.join('x', {}, { key: generateKeyPairSync('ed25519').privateKey })],
  [
    'that has expired by log time',
    (rig) => rig.join('x', { iat: rig.time.getTime() / 1000 - 7200, exp: rig.time.getTime() / 1000 - 3600 }),
  ],
  ['that belongs to another peer', async (rig) => rig.join('x', { peer: rig.meshes[0]?.self ?? '' })],
  ['that is not there', (rig) => rig.join('x', {}, { certificate: () => '' })],
  ['that is no certificate', (rig) => rig.join('x', {}, { certificate: () => 'a.b.c' })],
  [
    'that was revoked',
    async (rig) => {
      rig.revoked.add('x')
      return rig.join('x', {}, { revoked: () => false })
    },
  ],
]

for (const [what, make] of strangers) {
  test(`a peer with a certificate ${what} is refused before it has a stream`, () =>
    withRig(async (rig) => {
      const good = await rig.join('good')
      const stranger = await make(rig)
      const joined: Member[] = []
      for (const mesh of [good, stranger]) mesh.onJoin((member) => joined.push(member))
      const asked = stranger.self < good.self ? stranger : good
      await assert.rejects(dial(asked, asked === good ? stranger : good))
      await assert.rejects(dial(stranger, good))
      assert.deepEqual(joined, [])
      assert.deepEqual([good.peers(), stranger.peers()], [[], []])
    }))
}

/** Dials without the back-off of Dialling, to see the outcome of this one attempt. */
async function dial(from: Mesh, to: Mesh): Promise<void> {
  await from.dial(to.addresses)
}

test('a plain TCP client that says nothing, or rubbish, gets nowhere and keeps nobody busy', () =>
  withRig(async (rig) => {
    const [a, b] = [await rig.join('a'), await rig.join('b')]
    const port = Number(/tcp\/(\d+)/.exec(a.addresses[0] ?? '')?.[1])
    const negotiation = '\x13/multistream/1.0.0\n'
    const rubbish = [
      '',
      '\xff'.repeat(1_000_000),
      `${negotiation}${'\xff'.repeat(1_000_000)}`,
      `${negotiation}\x07/noise\n${'\xff'.repeat(1_000_000)}`,
    ]
    const before = process.cpuUsage()
    const sockets = rubbish.map((text) => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.end(Buffer.from(text, 'latin1'))
      return new Promise((resolve) => socket.resume().once('close', resolve))
    })
    await Promise.all(sockets)
    await connectAll([a, b])
    const { user } = process.cpuUsage(before)
    assert.ok(user < 2_000_000, `${user / 1000} ms of work for rubbish`)
  }))

const malformed: [string, Buffer][] = [
  ['of 64 MiB', frame(16, 1, Buffer.alloc(100), 67_108_864)],
  ['of no length', Buffer.alloc(9)],
  ['of a length that is negative when signed', frame(1, 1, Buffer.alloc(10), 0x8000_0000)],
  ['of an unknown type', frame(99, 1, Buffer.alloc(10))],
  ['that answers what nobody asked', frame(16, 7, Buffer.alloc(10))],
  ['that asks for nothing', frame(1, 1, Buffer.of(0, 0))],
  ['whose name is longer than itself', frame(1, 1, Buffer.of(200, 65))],
  ['that gives credit which nobody used', frame(3, 0, Buffer.of(255, 255, 255, 255))],
  ['with request id 0', frame(1, 0, Buffer.from('\x05short'))],
  [
    'whose id is used twice',
    Buffer.concat([frame(1, 1, Buffer.from('\x07endless')), frame(1, 1, Buffer.from('\x07endless'))]),
  ],
]

function frame(type: number, id: number, payload: Buffer, length = 5 + payload.length): Buffer {
  const header = Buffer.alloc(9)
  header.writeUInt32BE(length, 0)
  header[4] = type
  header.writeUInt32BE(id, 5)
  return Buffer.concat([header, payload])
}

test('a malformed frame ends the stream, is counted, and the third one ends the peer', () =>
  withRig(async (rig) => {
    const good = await rig.join('good')
    good.handle('endless', async function* (_, __, signal) {
      while (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
      yield Buffer.of(0)
    })
    for (const [at, [what, bytes]] of malformed.entries()) {
      const evil = await rawPeer(rig, `evil-${at}`)
      await evil.dial(good)
      await reached(good, 1)
      for (let time = 1; time <= 3; time++) {
        const points = good.standing.points(evil.self)
        const stream = await evil.stream(good)
        const closed = closing(stream)
        stream.send(bytes)
        await closed
        assert.ok(good.standing.points(evil.self) > points, `a frame ${what} was not counted`)
      }
      assert.ok(good.standing.refused(evil.self), what)
      await reached(good, 0)
      await assert.rejects(evil.dial(good))
      await evil.close()
    }
    assert.equal(good.standing.counts.get('malformed_frame'), 3 * malformed.length)
    const friend = await rig.join('friend')
    await dial(friend, good)
    await reached(good, 1)
  }))

test('rubbish in place of a protocol name ends the stream, and the node stays idle', () =>
  withRig(async (rig) => {
    const good = await rig.join('good')
    const evil = await rawPeer(rig, 'evil')
    await evil.dial(good)
    const before = process.cpuUsage()
    const stream = await evil.stream(good, true)
    const closed = closing(stream)
    stream.send(Buffer.alloc(200_000, 0xff))
    await closed
    assert.ok(process.cpuUsage(before).user < 1_000_000)
    await evil.close()
  }))

function closing(stream: Stream): Promise<void> {
  return new Promise((resolve) => stream.addEventListener('close', () => resolve()))
}

test('a request is answered in parts of any size, and a refusal arrives as it was thrown', () =>
  withRig(async (rig) => {
    const [a, b] = [await rig.join('a'), await rig.join('b')]
    await connectAll([a, b])
    const body = Buffer.alloc(10_000_000, 'cairn')
    b.handle('body', async function* (from, payload) {
      assert.equal(from.peer, a.self)
      yield body.subarray(Number(payload.toString()))
    })
    const got = await collect(a.request(b.self, 'body', Buffer.from('7'), { signal: never, limit: 10_000_000 }))
    assert.ok(got.equals(body.subarray(7)))
    await assert.rejects(collect(a.request(b.self, 'nothing', Buffer.from('7'), { signal: never, limit: 10 })), {
      kind: 'unsupported',
    })
    await assert.rejects(collect(a.request(b.self, 'body', Buffer.from('7'), { signal: never, limit: 100 })), {
      kind: 'too_large',
    })
    assert.deepEqual(rig.faults, [])
  }))

test('a consumer that stops reading holds up its own request only', () =>
  withRig(async (rig) => {
    const [a, b] = [await rig.join('a'), await rig.join('b')]
    await connectAll([a, b])
    let yielded = 0
    b.handle('endless', async function* (_, __, signal) {
      for (; !signal.aborted; yielded += 100_000) yield Buffer.alloc(100_000)
    })
    b.handle('short', async function* () {
      yield Buffer.from('here')
    })
    const slow = a.request(b.self, 'endless', Buffer.of(), { signal: never, limit: 1e9 })[Symbol.asyncIterator]()
    await slow.next()
    for (let i = 0; i < 50; i++) {
      assert.equal(
        (await collect(a.request(b.self, 'short', Buffer.of(), { signal: never, limit: 10 }))).toString(),
        'here',
      )
    }
    assert.ok(yielded <= 2_000_000, `${yielded} bytes were made for somebody who does not read`)
    await slow.return?.()
  }))

test('gossip reaches everybody, and a sender of rubbish is thrown out', () =>
  withRig(async (rig) => {
    const meshes = [await rig.join('a'), await rig.join('b'), await rig.join('c')]
    const [a, b, c] = meshes as [Mesh, Mesh, Mesh]
    const heard = new Map<Mesh, string[]>()
    const arrived = (mesh: Mesh, wanted: string): Promise<void> =>
      new Promise((resolve) => {
        mesh.onGossip((bytes) => {
          const text = Buffer.from(bytes).toString()
          heard.set(mesh, [...(heard.get(mesh) ?? []), text])
          if (text.startsWith(wanted)) resolve()
          return text.startsWith('bad') ? 'reject' : 'accept'
        })
      })
    const all = Promise.all([arrived(b, 'news'), arrived(c, 'news')])
    await connectAll(meshes)
    await subscribed(a, 2)
    let sent = 0
    await untilDone(all, () => a.publish(Buffer.from(`news ${sent++}`)))
    a.onGossip(() => 'accept')
    const gone = new Promise<void>((resolve) => void a.onLeave(() => resolve()))
    await untilDone(gone, () => a.publish(Buffer.from(`bad ${sent++}`)))
    assert.ok(b.standing.refused(a.self) || c.standing.refused(a.self))
    await assert.rejects(a.publish(Buffer.alloc(200_000)), { kind: 'too_large' })
  }))

/** Gossip promises nothing about a single message: it is sent again until something came of it. */
async function untilDone(done: Promise<unknown>, send: () => Promise<void>): Promise<void> {
  let waiting = true
  const over = done.then(() => {
    waiting = false
  })
  while (waiting) {
    await send().catch(() => undefined)
    await Promise.race([over, new Promise((resolve) => setTimeout(resolve, 50))])
  }
}

/** Resolves when gossipsub knows that so many peers listen. */
async function subscribed(mesh: Mesh, peers: number): Promise<void> {
  while (mesh.listeners() < peers) await new Promise((resolve) => setImmediate(resolve))
}

test('a peer whose certificate is revoked is disconnected, and does not come back', () =>
  withRig(async (rig) => {
    const [a, b] = [await rig.join('a'), await rig.join('b')]
    await connectAll([a, b])
    rig.revoked.add('b')
    a.review()
    await Promise.all([reached(a, 0), reached(b, 0)])
    await assert.rejects(dial(b, a))
    await assert.rejects(dial(a, b))
  }))

test('an expired certificate ends a connection, and a renewed one keeps it', () =>
  withRig(async (rig) => {
    const [a, b, c] = [await rig.join('a'), await rig.join('b'), await rig.join('c')]
    await connectAll([a, b, c])
    rig.time = new Date(rig.time.getTime() + 2 * 3_600_000)
    const seconds = rig.time.getTime() / 1000
    const fresh = await issue(rig.key, {
      fleet: 'acme',
      sub: 'b',
      name: 'b',
      peer: b.self,
      repositories: ['*'],
      iat: seconds,
      exp: seconds + 60,
    })
    rig.certificates.set('b', fresh)
    await b.renew()
    a.review()
    await reached(a, 1)
    assert.equal(a.peers()[0]?.node, 'b')
  }))
