import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Frames } from '../../../formats/cargo/frames.js'
import { framed } from '../../support/crate.js'

const DOCUMENT = Buffer.from('{"name":"a"}')
const CRATE = Buffer.from('the bytes of a crate')
const BODY = framed(DOCUMENT, CRATE)

/** As a server gives it: a chunk is overwritten when the next one is asked for. */
async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(size)
  for (let at = 0; at < bytes.length; at += size) {
    const length = bytes.copy(buffer, 0, at, at + size)
    yield buffer.subarray(0, length)
    buffer.fill(0xff)
  }
}

async function parse(body: Buffer, size: number, limit = 1000): Promise<{ document: Buffer; crate: Buffer }> {
  const frames = new Frames(chunks(body, size))
  const document = await frames.document(limit)
  const length = await frames.length()
  const parts: Buffer[] = []
  for await (const part of frames.rest(length)) parts.push(Buffer.from(part))
  await frames.close()
  return { document, crate: Buffer.concat(parts) }
}

describe('the body of a publish', () => {
  it('is parsed whatever pieces it arrives in', async () => {
    for (let size = 1; size <= BODY.length; size++)
      assert.deepEqual(await parse(BODY, size), { document: DOCUMENT, crate: CRATE })
  })

  it('may hold nothing', async () => {
    const nothing = Buffer.alloc(0)
    assert.deepEqual(await parse(framed(nothing, nothing), 3), { document: nothing, crate: nothing })
  })

  it('is refused when it ends early, wherever that is', async () => {
    for (let end = 0; end < BODY.length; end++)
      await assert.rejects(parse(BODY.subarray(0, end), 7), { kind: 'invalid', message: /ends before it is complete/ })
  })

  it('is refused when it goes on', async () => {
    for (const size of [1, 7, 100])
      await assert.rejects(parse(Buffer.concat([BODY, Buffer.from('x')]), size), {
        message: /goes on behind the crate/,
      })
  })

  it('is refused before a document that is too long is read', async () => {
    let asked = 0
    const endless = (async function* () {
      for (;;) {
        asked++
        yield Buffer.alloc(16, 0xff)
      }
    })()
    await assert.rejects(new Frames(endless).document(1000), { kind: 'too_large' })
    assert.equal(asked, 1)
  })
})
