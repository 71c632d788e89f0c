import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Cache } from '../../node/cache.js'
import { hashBody } from '../../protocol/blobs/hashing.js'
import type { Stored } from '../../protocol/records.js'

const SIZE = 100_000
/** Two leaves, 32 bytes each. */
const TAKEN = SIZE + 64

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'cairn-cache-'))
  try {
    await run(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function blob(): Promise<{ bytes: Buffer; stored: Stored }> {
  const bytes = randomBytes(SIZE)
  const body = async function* () {
    yield bytes
  }
  return { bytes, stored: (await hashBody(body(), { limit: SIZE })).stored }
}

async function filled(folder: string, room: number, count: number) {
  const cache = await Cache.open(folder, { limit: room * TAKEN })
  const blobs = await Promise.all(Array.from({ length: count }, blob))
  for (const { stored, bytes } of blobs) await cache.keep(stored, bytes)
  return { cache, blobs: blobs.map(({ stored }) => stored) }
}

const held = (cache: Cache, blobs: Stored[]) => blobs.map(({ digest }) => cache.has(digest))

test('what was used least recently goes first', () =>
  withFolder(async (folder) => {
    const { cache, blobs } = await filled(folder, 3, 3)
    const [first] = blobs
    assert.ok(first && (await cache.open(first, 's')))
    const next = await blob()
    await cache.keep(next.stored, next.bytes)
    assert.deepEqual(held(cache, [...blobs, next.stored]), [true, false, true, true])
    assert.deepEqual([cache.used, cache.evicted, cache.blobs], [3 * TAKEN, 1, 3])
    await cache.close()
  }))

test('what is pinned or being read stays, and what finds no room is not kept', () =>
  withFolder(async (folder) => {
    const { cache, blobs } = await filled(folder, 2, 2)
    const [pinned, read] = blobs
    assert.ok(pinned && read)
    cache.pin(pinned.digest)
    const reading = (await cache.open(read, 's'))?.read()[Symbol.asyncIterator]()
    await reading?.next()
    const next = await blob()
    assert.equal(cache.reserve(next.stored.size), undefined)
    await cache.keep(next.stored, next.bytes)
    assert.deepEqual(held(cache, [pinned, read, next.stored]), [true, true, false])
    await reading?.return?.()
    cache.unpin(pinned.digest)
    cache.pin(read.digest)
    await cache.keep(next.stored, next.bytes)
    assert.deepEqual(held(cache, [pinned, read, next.stored]), [false, true, true])
    await cache.close()
  }))

test('room that is reserved counts, and comes back once', () =>
  withFolder(async (folder) => {
    const { cache } = await filled(folder, 2, 0)
    const [a, b, c] = [await blob(), await blob(), await blob()]
    const [first, second] = [cache.reserve(a.stored.size), cache.reserve(b.stored.size)]
    assert.equal(cache.used, 2 * TAKEN)
    assert.equal(cache.reserve(c.stored.size), undefined)
    first?.release()
    first?.release()
    assert.equal(cache.used, TAKEN)
    second?.keep(b.stored)
    second?.release()
    assert.equal(cache.used, TAKEN)
    await cache.close()
  }))

test('a blob larger than the limit evicts nothing', () =>
  withFolder(async (folder) => {
    const { cache, blobs } = await filled(folder, 2, 2)
    const [one] = blobs
    assert.ok(one)
    assert.equal(cache.reserve(3 * TAKEN), undefined)
    assert.deepEqual(held(cache, blobs), [true, true])
    await cache.close()
  }))

test('the order survives a restart, and so does the limit when it is lowered', () =>
  withFolder(async (folder) => {
    const { cache, blobs } = await filled(folder, 4, 4)
    const [first] = blobs
    assert.ok(first)
    await cache.open(first, 's')
    await cache.close()
    const again = await Cache.open(folder, { limit: 2 * TAKEN })
    assert.deepEqual(held(again, blobs), [true, false, false, true])
    assert.equal(again.used, 2 * TAKEN)
    assert.ok(await again.open(first, 's'))
    await again.close()
  }))
