import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import type { Mesh } from '../../../node/mesh/mesh.js'
import { selfSigned } from '../../../node/mesh/self-signed.js'
import { collect } from '../../../protocol/chunks.js'
import { until } from '../../support/fleet.js'
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

async function body(from: Mesh, to: Mesh, bulk = true): Promise<Buffer> {
  return collect(from.request(to.self, 'body', Buffer.of(), { signal: never, limit: 1e8, bulk }))
}

async function portOf(from: Mesh, to: Mesh): Promise<number> {
  const options = { signal: never, limit: 1000 }
  const answer = await collect(from.request(to.self, 'channel', Buffer.from('{"port":1}'), options))
  return (JSON.parse(answer.toString()) as { port: number }).port
}

test('bulk bytes take one TLS connection, both ways, and arrive as they were sent', () =>
  withRig(async (rig) => {
    const [a, b] = [await rig.join('a'), await rig.join('b')]
    await connectAll([a, b])
    const bytes = randomBytes(5_000_000)
    for (const mesh of [a, b]) {
      mesh.handle('body', async function* () {
        yield bytes
      })
    }
    assert.ok((await body(a, b)).equals(bytes))
    assert.equal(a.channels, 1)
    while (b.channels === 0) await new Promise((resolve) => setImmediate(resolve))
    assert.ok((await body(b, a)).equals(bytes))
    assert.deepEqual([a.channels, b.channels], [1, 1])
  }))

test('the parts of an answer go where the asker says, however they are cut', () =>
  withRig(async (rig) => {
    const [a, b] = [await rig.join('a'), await rig.join('b')]
    await connectAll([a, b])
    const bytes = randomBytes(700_000)
    b.handle('body', async function* () {
      yield Buffer.from('header')
      for (let at = 0; at < bytes.length; at += 99_999) yield bytes.subarray(at, at + 99_999)
    })
    const into = Buffer.alloc(bytes.length)
    const options = { signal: never, limit: 1e6, bulk: true, into }
    const answer = await collect(a.request(b.self, 'body', Buffer.of(), options))
    assert.ok(answer.subarray(6).equals(bytes) && into.equals(bytes))
  }))

test('a node that cannot be dialled dials, and serves over that connection', () =>
  withRig(async (rig) => {
    const a = await rig.join('a')
    // Everybody is sent to a port where nobody listens.
    const b = await rig.join('b', {}, { bulk: { host: '127.0.0.2', port: 0 } })
    await connectAll([a, b])
    b.handle('body', async function* () {
      yield Buffer.from('here')
    })
    while (a.channels === 0) assert.equal((await body(a, b)).toString(), 'here')
  }))

test('where neither can be dialled, and where one has no channel, libp2p carries it', () =>
  withRig(async (rig) => {
    const [a, b, c] = [
      await rig.join('a', {}, { bulk: { host: '127.0.0.2', port: 0 } }),
      await rig.join('b', {}, { bulk: { host: '127.0.0.3', port: 0 } }),
      await rig.join('c', {}, { bulk: undefined } as never),
    ]
    await connectAll([a, b, c])
    for (const mesh of [b, c]) {
      mesh.handle('body', async function* () {
        yield Buffer.from('here')
      })
      assert.equal((await body(a, mesh)).toString(), 'here')
    }
    assert.equal(a.channels, 0)
  }))

test('whoever is no member is refused before a byte, also with a right name and a key of his own', () =>
  withRig(async (rig) => {
    const [a, b] = [await rig.join('a'), await rig.join('b')]
    await connectAll([a, b])
    const port = await portOf(a, b)
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const cert = selfSigned(privateKey, publicKey.export({ type: 'spki', format: 'der' }))
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' })
    for (const options of [{ key, cert }, {}, { key, cert, ALPNProtocols: ['http/1.1'] }]) {
      const socket = connect({
        host: '127.0.0.1',
        port,
        rejectUnauthorized: false,
        ALPNProtocols: ['cairn-bulk/1'],
        ...options,
      })
      assert.equal(await heard(socket), 0)
    }
    assert.equal(b.channels, 0)
  }))

/** Bytes that the other side says until it ends the connection. */
async function heard(socket: TLSSocket): Promise<number> {
  let bytes = 0
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  socket.on('error', () => undefined)
  socket.once('secureConnect', () => socket.write(Buffer.alloc(100)))
  await new Promise((resolve) => socket.once('close', resolve))
  return bytes
}

test('a member that is revoked loses its channel at once', () =>
  withRig(async (rig) => {
    const [a, b] = [await rig.join('a'), await rig.join('b')]
    await connectAll([a, b])
    b.handle('body', async function* (_, __, signal) {
      for (; !signal.aborted; ) yield Buffer.alloc(100_000)
    })
    const endless = a.request(b.self, 'body', Buffer.of(), { signal: never, limit: 1e9, bulk: true })
    await endless.next()
    // What waited too long for it began over libp2p.
    await until(async () => a.channels === 1)
    rig.revoked.add('a')
    b.review()
    await assert.rejects(async () => {
      for await (const _ of endless);
    })
    await Promise.all([reached(a, 0), reached(b, 0)])
    // The other side hears of the end of the connection a moment later.
    await until(async () => a.channels + b.channels === 0)
  }))
