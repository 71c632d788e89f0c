import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RegistryError } from '../../../protocol/errors.js'
import type { Digest } from '../../../protocol/records.js'
import { encodePeerFrame, type PeerFrame, PeerFrames } from '../../../protocol/wire/peer.js'
import {
  decodePieceAnswer,
  decodePieceAsk,
  decodeSwarmNews,
  encodePieceAnswer,
  encodePieceAsk,
  encodeSwarmNews,
} from '../../../protocol/wire/swarm.js'

const frames: PeerFrame[] = [
  { type: 'ask', id: 1, name: 'piece', payload: Buffer.from('{}') },
  { type: 'ask', id: 4_294_967_295, name: 'log', payload: Buffer.alloc(0) },
  { type: 'cancel', id: 2 },
  { type: 'credit', id: 0, bytes: 262_144 },
  { type: 'part', id: 3, payload: Buffer.alloc(262_144, 7) },
  { type: 'end', id: 3 },
]

test('frames survive any cut of the stream', () => {
  const wire = Buffer.concat(frames.flatMap(encodePeerFrame))
  for (const size of [1, 2, 7, 9, 10, 1000, wire.length]) {
    const reader = new PeerFrames()
    const read: PeerFrame[] = []
    for (let at = 0; at < wire.length; at += size) read.push(...reader.push(wire.subarray(at, at + size)))
    assert.deepEqual(read, frames)
  }
})

test('a refusal keeps its kind, sentence and time, and one of a later version is still a refusal', () => {
  const refused = (bytes: Uint8Array): RegistryError => {
    const [frame] = new PeerFrames().push(bytes)
    assert.ok(frame?.type === 'refuse')
    return frame.error
  }
  const error = refused(
    Buffer.concat(
      encodePeerFrame({ type: 'refuse', id: 1, error: new RegistryError('throttled', 'Später', { retryAfter: 3 }) }),
    ),
  )
  assert.deepEqual([error.kind, error.message, error.retryAfter], ['throttled', 'Später', 3])
  const later = Buffer.from('{"kind":"eclipsed","message":"?","since":4}')
  const header = Buffer.from([0, 0, 0, 5 + later.length, 18, 0, 0, 0, 1])
  assert.equal(refused(Buffer.concat([header, later])).kind, 'unavailable')
  assert.throws(() => refused(Buffer.from([0, 0, 0, 7, 18, 0, 0, 0, 1, 123, 125])), { kind: 'invalid' })
})

test('memory is not taken for what a header announces beyond its limit', () => {
  for (const header of [
    [4, 0, 0, 0, 16],
    [0, 4, 0, 6, 16],
    [0, 1, 0, 6, 1],
    [0, 0, 0, 6, 2],
    [0, 0, 0, 4, 17],
    [0, 0, 0, 5, 16],
    [0, 0, 0, 9, 0],
  ]) {
    assert.throws(() => [...new PeerFrames().push(Buffer.from([...header, 0, 0, 0, 1]))], {
      kind: 'invalid',
      code: 'malformed_frame',
    })
  }
})

test('a piece and its proof survive the wire, whether its parts arrive as they were sent or not', () => {
  const answer = { first: 4096, proof: Buffer.alloc(96, 1), bytes: Buffer.alloc(70_000, 2) }
  const [header, bytes] = encodePieceAnswer(answer)
  const whole = Buffer.concat([header, bytes])
  for (const parts of [
    [header, bytes],
    [whole],
    [whole.subarray(0, 3), whole.subarray(3, 50), whole.subarray(50)],
    [header, bytes.subarray(0, 9), bytes.subarray(9)],
  ]) {
    const read = decodePieceAnswer(parts)
    assert.deepEqual(
      [read.first, Buffer.from(read.proof), Buffer.from(read.bytes)],
      [answer.first, answer.proof, answer.bytes],
    )
  }
  for (const short of [Buffer.alloc(0), Buffer.alloc(5), Buffer.from([0, 0, 0, 0, 0, 1, 9])])
    assert.throws(() => decodePieceAnswer([short]), { kind: 'invalid' })
})

test('what is asked and told of a blob survives the wire, and unknown fields are ignored', () => {
  const ask = { digest: 'a'.repeat(64) as Digest, scope: 's', first: 0, count: 4, fetch: true }
  assert.deepEqual(decodePieceAsk(encodePieceAsk(ask)), ask)
  assert.deepEqual(decodePieceAsk(Buffer.from(JSON.stringify({ ...ask, colour: 'red' }))), ask)
  const have = { pieceLeaves: 4, bitmap: Buffer.from([0xf0]) }
  assert.deepEqual(decodeSwarmNews(encodeSwarmNews({ have })), { have, add: [], peers: [] })
  assert.deepEqual(decodeSwarmNews(encodeSwarmNews({ add: [1, 2], peers: ['x'] })), {
    have: undefined,
    add: [1, 2],
    peers: ['x'],
  })
  for (const wrong of ['', 'null', '[]', '{"digest":"..","scope":"s","first":0,"count":1}', '{"add":[-1]}']) {
    assert.throws(() => decodePieceAsk(Buffer.from(wrong)), { kind: 'invalid' })
  }
  assert.throws(() => decodeSwarmNews(Buffer.from('{"add":[-1]}')), { kind: 'invalid' })
  assert.throws(() => decodeSwarmNews(Buffer.alloc(70_000, 32)), { kind: 'invalid' })
})
