/** What every implementation of Blobs does. A `Subject` is one store; `restart` ends its process, as it were, and starts another on what it kept. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { rootOf } from '../../protocol/merkle.js'
import type { Blobs, Bytes } from '../../protocol/ports.js'
import type { Digest, Stored } from '../../protocol/records.js'

export interface Subject {
  readonly blobs: Blobs
  restart(): Promise<void>
  close(): Promise<void>
}

const LEAF = 64 * 1024
const LIMIT = 16 * 1024 * 1024
const SIZES = [
  0,
  1,
  100,
  LEAF - 1,
  LEAF,
  LEAF + 1,
  4 * LEAF - 1,
  4 * LEAF,
  4 * LEAF + 1,
  1024 * 1024,
  1024 * 1024 + 1,
  3_333_333,
]

export function blobsContract(name: string, make: () => Promise<Subject>): void {
  describe(`blobs: ${name}`, () => {
    let subject: Subject
    before(async () => {
      subject = await make()
    })
    after(() => subject.close())

    for (const size of SIZES)
      test(`a written blob of ${size} bytes reads back byte for byte, again and again`, async () => {
        const bytes = randomBytes(size)
        const stored = await subject.blobs.write(chunked(bytes, 10_007), { limit: LIMIT })
        assert.deepEqual(stored, { digest: sha256(bytes), size, root: treeRoot(bytes), hashes: {} })
        const opened = await subject.blobs.open(stored, 'any')
        assert.equal(opened.size, size)
        assertSame(await readAll(opened), bytes)
        assertSame(await readAll(opened), bytes)
        assertSame(await readAll(await subject.blobs.open(stored, 'any')), bytes)
        assert.equal(await subject.blobs.has(stored.digest), true)
      })

    test('a range is exact at every leaf border', async () => {
      const bytes = randomBytes(9 * LEAF + 5)
      const opened = await subject.blobs.open(await subject.blobs.write(chunked(bytes), { limit: LIMIT }), 'any')
      const edges = [0, 1, bytes.length - 1, bytes.length]
      for (let border = LEAF; border < bytes.length; border += LEAF) edges.push(border - 1, border, border + 1)
      for (const start of edges)
        for (const end of edges)
          if (start <= end) assertSame(await readAll(opened, { start, end }), bytes.subarray(start, end))
    })

    test('a range that the blob does not have is refused', async () => {
      for (const size of [10, 5 * LEAF]) {
        const opened = await subject.blobs.open(
          await subject.blobs.write(chunked(randomBytes(size)), { limit: LIMIT }),
          'any',
        )
        for (const [start, end] of [
          [0, size + 1],
          [-1, 1],
          [3, 2],
          [0, 1.5],
          [size + 1, size + 1],
        ] as const)
          await assert.rejects(readAll(opened, { start, end }), { kind: 'range' })
      }
    })

    test('a reader that stops early, and two that read at once, do not disturb each other', async () => {
      const bytes = randomBytes(20 * LEAF)
      const opened = await subject.blobs.open(await subject.blobs.write(chunked(bytes), { limit: LIMIT }), 'any')
      for await (const chunk of opened.read()) {
        assert.ok(chunk.length > 0)
        break
      }
      const [one, two] = await Promise.all([readAll(opened), readAll(opened, { start: 7, end: bytes.length })])
      assertSame(one, bytes)
      assertSame(two, bytes.subarray(7))
    })

    test('the asked hashes are computed in the same pass', async () => {
      const bytes = randomBytes(100_000)
      const stored = await subject.blobs.write(chunked(bytes, 777), {
        limit: LIMIT,
        hashes: ['md5', 'sha1', 'sha512', 'sha1'],
      })
      const expected = { md5: hashOf('md5', bytes), sha1: hashOf('sha1', bytes), sha512: hashOf('sha512', bytes) }
      assert.deepEqual(stored.hashes, expected)
    })

    test('bytes whose buffer is used again by the sender are stored as they were', async () => {
      const bytes = randomBytes(700_001)
      const stored = await subject.blobs.write(reusing(bytes, 1000), { limit: LIMIT })
      assert.equal(stored.digest, sha256(bytes))
      assertSame(await readAll(await subject.blobs.open(stored, 'any')), bytes)
    })

    test('a body over its limit stores nothing, one of exactly its limit is stored', async () => {
      for (const size of [1000, 10 * LEAF]) {
        const bytes = randomBytes(size)
        await assert.rejects(subject.blobs.write(chunked(bytes), { limit: size - 1 }), { kind: 'too_large' })
        assert.equal(await subject.blobs.has(sha256(bytes)), false)
        await subject.blobs.write(chunked(bytes), { limit: size })
        assert.equal(await subject.blobs.has(sha256(bytes)), true)
      }
    })

    test('a body that fails in the middle stores nothing and its error comes out', async () => {
      const gone = new Error('the client went away')
      for (const size of [1000, 10 * LEAF]) {
        const bytes = randomBytes(size)
        await assert.rejects(subject.blobs.write(failing(bytes, gone), { limit: LIMIT }), gone)
        assert.equal(await subject.blobs.has(sha256(bytes)), false)
      }
    })

    test('a signal ends a write that waits for a body which never comes', async () => {
      const stop = new AbortController()
      const writing = subject.blobs.write(
        hanging(() => stop.abort()),
        { limit: LIMIT, signal: stop.signal },
      )
      await assert.rejects(writing, { name: 'AbortError' })
    })

    test('two writers of the same bytes make one blob', async () => {
      for (const size of [1000, 10 * LEAF + 1]) {
        const bytes = randomBytes(size)
        const write = () => subject.blobs.write(chunked(bytes), { limit: LIMIT })
        const stored = await Promise.all([write(), write(), write(), write()])
        assert.equal(new Set(stored.map((one) => one.digest)).size, 1)
        assert.deepEqual(await write(), stored[0])
        assertSame(await readAll(await subject.blobs.open(await write(), 'any')), bytes)
      }
    })

    test('a blob that nobody wrote is unavailable by its digest', async () => {
      const digest = sha256(randomBytes(8))
      assert.equal(await subject.blobs.has(digest), false)
      const absent: Stored = { digest, size: 8, root: 'f'.repeat(64), hashes: {} }
      await assert.rejects(subject.blobs.open(absent, 'any'), (error: Error & { kind?: string }) => {
        return error.kind === 'unavailable' && error.message.includes(digest)
      })
    })

    test('blobs are there after a restart', async () => {
      const bytes = randomBytes(5 * LEAF)
      const stored = await subject.blobs.write(chunked(bytes), { limit: LIMIT })
      await subject.restart()
      assertSame(await readAll(await subject.blobs.open(stored, 'any')), bytes)
    })

    test('an upload in several requests becomes a blob, and is gone afterwards', async () => {
      const bytes = randomBytes(1_500_000)
      const upload = await subject.blobs.begin()
      assert.equal(upload.offset, 0)
      assert.equal(await upload.append(chunked(bytes.subarray(0, 99_999)), { limit: LIMIT, hashes: ['sha1'] }), 99_999)
      const later = await subject.blobs.resume(upload.id)
      assert.equal(later?.offset, 99_999)
      assert.equal(
        await later?.append(chunked(bytes.subarray(99_999)), { limit: LIMIT, hashes: ['sha1'] }),
        bytes.length,
      )
      const stored = await later?.commit({ hashes: ['sha1', 'md5'] })
      assert.ok(stored)
      assert.deepEqual(stored.hashes, { sha1: hashOf('sha1', bytes), md5: hashOf('md5', bytes) })
      assertSame(await readAll(await subject.blobs.open(stored, 'any')), bytes)
      assert.equal(await subject.blobs.resume(upload.id), undefined)
      await assert.rejects(upload.append(chunked(bytes), { limit: LIMIT }), { kind: 'missing' })
    })

    test('an upload goes on after a restart', async () => {
      const bytes = randomBytes(700_000)
      const { id } = await begun(subject.blobs, bytes.subarray(0, 400_000))
      await subject.restart()
      const upload = await subject.blobs.resume(id)
      assert.equal(upload?.offset, 400_000)
      await upload?.append(chunked(bytes.subarray(400_000)), { limit: LIMIT })
      await subject.restart()
      const stored = await (await subject.blobs.resume(id))?.commit({ hashes: ['sha512'] })
      const expected = {
        digest: sha256(bytes),
        size: bytes.length,
        root: treeRoot(bytes),
        hashes: { sha512: hashOf('sha512', bytes) },
      }
      assert.deepEqual(stored, expected)
    })

    test('an upload whose body breaks off keeps what came and goes on from there', async () => {
      const bytes = randomBytes(600_000)
      const upload = await subject.blobs.begin()
      const gone = new Error('the client went away')
      await assert.rejects(upload.append(failing(bytes.subarray(0, 500_000), gone), { limit: LIMIT }), gone)
      const later = await subject.blobs.resume(upload.id)
      assert.ok(later && later.offset > 0 && later.offset <= 500_000)
      await later.append(chunked(bytes.subarray(later.offset)), { limit: LIMIT })
      assert.equal((await later.commit({})).digest, sha256(bytes))
    })

    test('an upload over its limit keeps what it had before', async () => {
      const bytes = randomBytes(400_000)
      const upload = await begun(subject.blobs, bytes.subarray(0, 100))
      await assert.rejects(upload.append(chunked(bytes), { limit: 300_000 }), { kind: 'too_large' })
      const later = await subject.blobs.resume(upload.id)
      assert.equal(later?.offset, 100)
      await later?.append(chunked(bytes.subarray(100)), { limit: bytes.length })
      assert.equal((await later?.commit({}))?.digest, sha256(bytes))
    })

    test('an upload without bytes becomes the empty blob', async () => {
      const stored = await (await subject.blobs.begin()).commit({})
      assert.deepEqual([stored.size, stored.digest], [0, sha256(Buffer.alloc(0))])
    })

    test('an upload has the name that its caller gave it, once', async () => {
      const id = randomBytes(32).toString('hex')
      const upload = await subject.blobs.begin(id)
      assert.equal(upload.id, id)
      await assert.rejects(subject.blobs.begin(id), { kind: 'conflict' })
      await upload.abort()
      assert.equal(await subject.blobs.resume(id), undefined)
      await subject.blobs.begin(id)
      for (const bad of ['', '../x', 'A', 'g', 'f'.repeat(65)])
        await assert.rejects(subject.blobs.begin(bad), { kind: 'invalid' })
    })
  })
}

async function begun(blobs: Blobs, bytes: Uint8Array) {
  const upload = await blobs.begin()
  await upload.append(chunked(bytes), { limit: LIMIT })
  return upload
}

export async function* chunked(bytes: Uint8Array, size = 50_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function* reusing(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(size)
  for await (const chunk of chunked(bytes, size)) {
    buffer.set(chunk)
    yield buffer.subarray(0, chunk.length)
    buffer.fill(0)
  }
}

async function* failing(bytes: Uint8Array, error: Error): AsyncGenerator<Uint8Array> {
  yield* chunked(bytes)
  throw error
}

async function* hanging(asked: () => void): AsyncGenerator<Uint8Array> {
  yield randomBytes(10)
  setImmediate(asked)
  await new Promise(() => undefined)
}

export async function readAll(bytes: Bytes, range?: { start: number; end: number }): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of bytes.read(range)) chunks.push(Uint8Array.from(chunk))
  return Buffer.concat(chunks)
}

/** assert.deepEqual prints megabytes when it fails. */
export function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assert.equal(actual.length, expected.length)
  assert.ok(Buffer.compare(actual, expected) === 0, 'the bytes differ')
}

export function sha256(bytes: Uint8Array): Digest {
  return hashOf('sha256', bytes) as Digest
}

function hashOf(name: string, bytes: Uint8Array): string {
  return createHash(name).update(bytes).digest('hex')
}

/** Told from the definition, not from the code under test. */
export function treeRoot(bytes: Uint8Array): string {
  const leaves: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += LEAF)
    leaves.push(
      createHash('sha256')
        .update(Uint8Array.of(0))
        .update(bytes.subarray(at, at + LEAF))
        .digest(),
    )
  return Buffer.from(rootOf(Buffer.concat(leaves))).toString('hex')
}
