/** A file on its way: what readers get of it, and when. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { HeldBytes } from '../../../protocol/blobs/disk-bytes.js'
import { Arrival } from '../../../protocol/kinds/arrival.js'
import type { Digest, FileRecord } from '../../../protocol/records.js'

const KIB = 1024

/** The test lets chunks through one at a time, and says when the record is committed. */
function world(body: Uint8Array, { size = body.length as number | undefined, chunk = 32 * KIB } = {}) {
  const gate = { open: () => {}, commit: (_error?: Error) => {} }
  const opened = new Promise<void>((resolve) => {
    gate.open = resolve
  })
  const committed = new Promise<void>((resolve, reject) => {
    gate.commit = (error) => (error ? reject(error) : resolve())
  })
  committed.catch(() => undefined)
  const file: FileRecord = {
    path: 'f',
    digest: '0'.repeat(64) as Digest,
    size: body.length,
    root: '',
    hashes: {},
    package: 'f',
    version: '',
    publishedAt: '',
  }
  let taken = () => {}
  const read = new Promise<void>((resolve) => {
    taken = resolve
  })
  const arrival = new Arrival({
    size,
    body: pieces(body, chunk, opened),
    take: async (bytes) => {
      for await (const _ of bytes);
      taken()
      await committed
      return file
    },
    open: async () => new HeldBytes(body, 'primary'),
  })
  return { arrival, file, ...gate, read }
}

/** The first half, and the second once `opened`. */
async function* pieces(
  body: Uint8Array,
  chunk: number,
  opened: Promise<void>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < body.length; at += chunk) {
    if (at >= body.length / 2) await opened
    yield body.subarray(at, at + chunk)
  }
}

async function all(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const found: Buffer[] = []
  for await (const chunk of chunks) found.push(Buffer.from(chunk))
  return Buffer.concat(found)
}

describe('a file on its way', { timeout: 20_000 }, () => {
  it('is whole for readers that come at any time, and for those that read a part', async () => {
    const body = randomBytes(1000 * KIB)
    const { arrival, open, commit } = world(body)
    const early = all(arrival.read())
    assert.equal(await arrival.begun(), undefined)
    open()
    const middle = all(arrival.read({ start: 100, end: 300_000 }))
    commit()
    assert.deepEqual(await early, body)
    assert.deepEqual(await middle, body.subarray(100, 300_000))
    assert.deepEqual(await all(arrival.read()), body)
  })

  for (const size of [1000 * KIB, undefined])
    it(`gives nobody its last 64 KiB before its record is committed (size ${size})`, async () => {
      const body = randomBytes(1000 * KIB)
      const { arrival, open, commit, read } = world(body, { size })
      open()
      await read
      const chunks = arrival.read()
      let received = 0
      while (received < body.length - 64 * KIB) received += (await chunks.next()).value?.length ?? 0
      assert.equal(received, body.length - 64 * KIB)
      const next = chunks.next()
      assert.equal(await Promise.race([next, Promise.resolve('nothing yet')]), 'nothing yet')
      commit()
      assert.ok((await next).value)
    })

  it('that is small has begun only when it is committed, and then it is a file like any other', async () => {
    const { arrival, open, commit, file, read } = world(randomBytes(10 * KIB))
    open()
    await read
    const begun = arrival.begun()
    assert.equal(await Promise.race([begun, Promise.resolve('not yet')]), 'not yet')
    commit()
    assert.equal(await begun, file)
  })

  it('that turns out wrong is an error for all who read it, and whole for none', async () => {
    const body = randomBytes(1000 * KIB)
    const { arrival, open, commit } = world(body)
    let received = 0
    const reading = (async () => {
      for await (const chunk of arrival.read()) received += chunk.length
    })()
    open()
    commit(new Error('wrong digest'))
    await assert.rejects(reading, /wrong digest/)
    assert.ok(received <= body.length - 64 * KIB)
    await assert.rejects(arrival.begun(), /wrong digest/)
    await assert.rejects(all(arrival.read()), /wrong digest/)
  })

  it('goes on from the store for a reader that cannot keep up', async () => {
    const body = randomBytes(12_000 * KIB)
    const { arrival, open, commit, read } = world(body)
    const slow = arrival.read()
    const first = Buffer.from((await slow.next()).value ?? [])
    open()
    await read
    commit()
    await arrival.done
    assert.deepEqual(Buffer.concat([first, await all(slow)]), body)
  })

  it('is left by a reader that goes away, and goes on', async () => {
    const body = randomBytes(1000 * KIB)
    const { arrival, open, commit } = world(body)
    const leaving = new AbortController()
    const reading = all(arrival.read(undefined, leaving.signal))
    leaving.abort(new Error('gone'))
    await assert.rejects(reading, /gone/)
    open()
    commit()
    assert.deepEqual(await all(arrival.read()), body)
  })
})
