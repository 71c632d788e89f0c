import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { Mesh, type Member } from '../../../node/mesh/mesh.js'
import { connectAll, newRig, reached, type Rig } from './rig.js'

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
  ['that has expired by log time', (rig) => rig.join('x', { iat: rig.time.getTime() / 1000 - 7200, exp: rig.time.getTime() / 1000 - 3600 })],
  ['that belongs to another peer', async (rig) => rig.join('x', { peer: rig.meshes[0]?.self ?? '' })],
  ['that is not there', (rig) => rig.join('x', {}, { certificate: () => '' })],
  ['that is no certificate', (rig) => rig.join('x', {}, { certificate: () => 'a.b.c' })],
  ['that was revoked', async (rig) => {
    rig.revoked.add('x')
    return rig.join('x', {}, { revoked: () => false })
  }],
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
  await from.dial(to.addresses.map((address) => multiaddr(address).toString()))
}

test('a plain TCP client that says nothing, or rubbish, gets nowhere and harms nobody', () =>
  withRig(async (rig) => {
    const [a, b] = [await rig.join('a'), await rig.join('b')]
    const port = Number(/tcp\/(\d+)/.exec(a.addresses[0] ?? '')?.[1])
    const silent = connect(port, '127.0.0.1')
    const rubbish = connect(port, '127.0.0.1')
    await Promise.all([once(silent, 'connect'), once(rubbish, 'connect')])
    rubbish.on('error', () => undefined)
    rubbish.write(Buffer.alloc(1_000_000, 0xff))
    await once(rubbish, 'close')
    await connectAll([a, b])
    silent.destroy()
  }))

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
    await assert.rejects(collect(a.request(b.self, 'nothing', Buffer.from('7'), { signal: never, limit: 10 })), { kind: 'unsupported' })
    await assert.rejects(collect(a.request(b.self, 'body', Buffer.from('7'), { signal: never, limit: 100 })), { kind: 'too_large' })
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
      assert.equal((await collect(a.request(b.self, 'short', Buffer.of(), { signal: never, limit: 10 }))).toString(), 'here')
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
          if (text === wanted) resolve()
          return text.startsWith('bad') ? 'reject' : 'accept'
        })
      })
    const all = Promise.all([arrived(b, 'news'), arrived(c, 'news')])
    await connectAll(meshes)
    await subscribed(a, 2)
    await a.publish(Buffer.from('news'))
    await all
    a.onGossip(() => 'accept')
    const gone = new Promise<void>((resolve) => void a.onLeave(() => resolve()))
    for (let i = 0; i < 8; i++) await a.publish(Buffer.from(`bad ${i}`))
    await gone
    assert.ok(b.standing.refused(a.self) || c.standing.refused(a.self))
    await assert.rejects(a.publish(Buffer.alloc(200_000)), { kind: 'too_large' })
  }))

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
    const { issue } = await import('../../../protocol/certificate.js')
    const seconds = rig.time.getTime() / 1000
    const fresh = await issue(rig.key, { fleet: 'acme', sub: 'b', name: 'b', peer: b.self, repositories: ['*'], iat: seconds, exp: seconds + 60 })
    rig.certificates.set('b', fresh)
    await b.renew()
    a.review()
    await reached(a, 1)
    assert.equal(a.peers()[0]?.node, 'b')
  }))
