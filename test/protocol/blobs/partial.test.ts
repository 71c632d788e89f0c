import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { DiskBlobs } from '../../../protocol/blobs/disk.js'
import { verifyPiece } from '../../../protocol/blobs/piece.js'
import type { Stored } from '../../../protocol/records.js'
import { assertSame, chunked, readAll } from '../../contracts/blobs.js'

const LEAF = 64 * 1024
const source = mkdtempSync(join(tmpdir(), 'cairn-partial-'))
const target = mkdtempSync(join(tmpdir(), 'cairn-partial-'))
const from = new DiskBlobs(source)
const to = new DiskBlobs(target)
before(() => Promise.all([from.start(), to.start()]))
after(async () => {
  await Promise.all([from.close(), to.close()])
  for (const folder of [source, target]) rmSync(folder, { recursive: true })
})

test('pieces of several sizes in any order make the blob', async () => {
  for (const size of [1, LEAF, 7 * LEAF + 3, 29 * LEAF]) {
    const { bytes, stored } = await written(size)
    const total = Math.ceil(size / LEAF)
    const partial = await to.partial(stored)
    for (const [first, count] of backwards(total)) {
      const piece = await from.piece(stored, first, count)
      const leaves = verifyPiece(stored, first, piece)
      assert.ok(leaves)
      assert.equal(partial.has(first, count), false)
      await partial.write(first, piece.bytes, leaves, piece.proof)
      assert.equal(partial.has(first, count), true)
      assertSame(
        (await partial.read(first * LEAF, Math.min((first + count) * LEAF, size))) ?? Buffer.alloc(0),
        piece.bytes,
      )
    }
    assert.equal(partial.missing, 0)
    assert.equal(await to.has(stored.digest), false)
    await Promise.all([partial.complete(), partial.complete()])
    assertSame(await readAll(await to.open(stored, 's')), bytes)
    assertSame((await partial.read(0, size)) ?? Buffer.alloc(0), bytes)
    await partial.close()
  }
})

test('an empty blob is complete at once', async () => {
  const { stored } = await written(0)
  const partial = await to.partial(stored)
  partial.learn(new Uint8Array(0))
  await partial.complete()
  await partial.close()
  assert.equal((await readAll(await to.open(stored, 's'))).length, 0)
})

test('pieces need no proof once the leaf hashes are known, and false leaf hashes are refused', async () => {
  const { bytes, stored } = await written(11 * LEAF)
  const leaves = await from.leaves(stored)
  const partial = await to.partial(stored)
  assert.throws(() => partial.learn(randomBytes(leaves.length)), { kind: 'corrupt' })
  assert.throws(() => partial.learn(leaves.subarray(32)), { kind: 'corrupt' })
  partial.learn(leaves)
  for (let first = 0; first < 11; first += 4) {
    const hashes = leaves.subarray(first * 32, (first + 4) * 32)
    const wrong = randomBytes(hashes.length)
    await assert.rejects(partial.write(first, bytes.subarray(first * LEAF, (first + 4) * LEAF), wrong), {
      kind: 'corrupt',
    })
    assert.equal(partial.has(first), false)
    await partial.write(first, bytes.subarray(first * LEAF, (first + 4) * LEAF), hashes)
  }
  await partial.complete()
  await partial.close()
})

test('what was got can be passed on with a proof before the blob is complete', async () => {
  const { bytes, stored } = await written(21 * LEAF + 5)
  const partial = await to.partial(stored)
  for (const first of [4, 20, 0]) {
    const piece = await from.piece(stored, first, first === 20 ? 2 : 4)
    const leaves = verifyPiece(stored, first, piece)
    await partial.write(first, piece.bytes, leaves ?? new Uint8Array(0), piece.proof)
  }
  assert.deepEqual([...partial.bitmap], [0b11111111, 0, 0b110000])
  for (const [first, count] of [
    [0, 1],
    [5, 1],
    [0, 8],
    [4, 4],
    [20, 2],
    [21, 1],
  ] as const) {
    const piece = await partial.piece(first, count)
    assert.ok(piece && verifyPiece(stored, first, piece), `${first}+${count}`)
    assertSame(piece.bytes, bytes.subarray(first * LEAF, (first + count) * LEAF))
  }
  assert.equal(await partial.piece(8, 4), undefined)
  assert.equal(await partial.piece(0, 16), undefined)
  await partial.close()
})

test('a piece with a wrong proof, wrong length or wrong place is refused and leaves nothing', async () => {
  const { stored } = await written(16 * LEAF)
  const partial = await to.partial(stored)
  const piece = await from.piece(stored, 4, 4)
  const leaves = verifyPiece(stored, 4, piece) ?? new Uint8Array(0)
  await assert.rejects(partial.write(8, piece.bytes, leaves, piece.proof), { kind: 'corrupt' })
  await assert.rejects(partial.write(4, piece.bytes, leaves, randomBytes(piece.proof.length)), { kind: 'corrupt' })
  await assert.rejects(partial.write(4, piece.bytes.subarray(1), leaves, piece.proof), { kind: 'invalid' })
  await assert.rejects(partial.write(2, piece.bytes, leaves, piece.proof), { kind: 'invalid' })
  assert.equal(partial.missing, 16)
  assert.equal(await partial.read(4 * LEAF, 5 * LEAF), undefined)
  await partial.close()
})

test('a blob that lacks leaves or was filled with other bytes cannot be completed, and leaves nothing', async () => {
  const { bytes, stored } = await written(6 * LEAF)
  const partial = await to.partial(stored)
  await partial.write(0, bytes.subarray(0, 4 * LEAF), (await from.leaves(stored)).subarray(0, 128))
  await assert.rejects(partial.complete(), { kind: 'invalid' })
  await partial.write(4, bytes.subarray(4 * LEAF), randomBytes(64))
  await assert.rejects(partial.complete(), { kind: 'corrupt' })
  await partial.close()
  await partial.close()
  assert.equal(await to.has(stored.digest), false)
  assert.deepEqual(await readdir(join(target, 'incoming')), [])
})

async function written(size: number): Promise<{ bytes: Uint8Array; stored: Stored }> {
  const bytes = randomBytes(size)
  return { bytes, stored: await from.write(chunked(bytes), { limit: size }) }
}

function* backwards(total: number): Generator<[first: number, count: number]> {
  for (let first = total - 1 - ((total - 1) % 4), width = 4; first >= 0; first -= 4, width = width === 4 ? 2 : 4)
    for (let at = first; at < Math.min(first + 4, total); at += width)
      yield [at, Math.min(width, first + 4 - at, total - at)]
}
