import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openZip } from '../../../formats/archive/zip.js'
import type { Bytes } from '../../../protocol/ports.js'
import { zip } from '../../support/zip-writer.js'

const LIMITS = { directory: 10_000, entries: 100 }
const { signal } = new AbortController()
const a = { name: 'a.txt', content: 'hello '.repeat(100) }

function bytesOf(archive: Buffer, read: { bytes: number } = { bytes: 0 }): Bytes {
  return {
    size: archive.length,
    source: 'cache',
    async *read({ start, end } = { start: 0, end: archive.length }) {
      read.bytes += end - start
      yield archive.subarray(start, end)
    },
  }
}

async function content(archive: Buffer, limit = 10_000): Promise<string> {
  const opened = await openZip(bytesOf(archive), LIMITS, signal)
  const [entry] = opened.entries
  assert.ok(entry)
  return (await opened.read(entry, limit)).toString()
}

describe('a zip archive', () => {
  it('gives out an entry, packed or plain, also with a comment or 64-bit numbers', async () => {
    for (const archive of [
      zip([a]),
      zip([{ ...a, plain: true }]),
      zip([a], { comment: 'hello' }),
      zip([a], { long: true }),
    ])
      assert.equal(await content(archive), a.content)
  })

  it('is not read as a whole', async () => {
    const read = { bytes: 0 }
    const big = { name: 'big', content: Buffer.alloc(1_000_000, 'x'), plain: true }
    const opened = await openZip(bytesOf(zip([big, a]), read), LIMITS, signal)
    const entry = opened.entries.find(({ name }) => name === a.name)
    assert.ok(entry)
    await opened.read(entry, 10_000)
    assert.ok(read.bytes < 100_000)
  })

  const refused: [string, () => Buffer, RegExp][] = [
    ['is empty', () => Buffer.alloc(0), /no directory/],
    ['is something else', () => Buffer.alloc(1000, 'x'), /no directory/],
    ['was cut short', () => zip([a]).subarray(0, -1), /no directory/],
    ['begins later', () => zip([a], { before: '' }).subarray(10), /where its end says|ends too early/],
    ['has something before its end', () => zip([a], { gap: 'gap' }), /where its end says/],
    ['has another inside its comment', () => zip([a], { comment: zip([]).toString('latin1') }), /two ends/],
    ['names an entry in two ways', () => zip([{ ...a, localName: 'b.txt' }]), /two ways/],
    ['is encrypted', () => zip([{ ...a, patch: (record) => record.writeUInt16LE(1, 8) }]), /encrypted/],
    [
      'has an unknown compression',
      () => zip([{ ...a, patch: (record) => record.writeUInt16LE(14, 10) }]),
      /compression/,
    ],
    ['has a wrong checksum', () => zip([{ ...a, patch: (record) => record.writeUInt32LE(1, 16) }]), /damaged/],
    ['says a smaller size', () => zip([{ ...a, patch: (record) => record.writeUInt32LE(5, 24) }]), /damaged/],
    ['has an entry outside', () => zip([{ ...a, patch: (record) => record.writeUInt32LE(9_999_999, 42) }]), /outside/],
    ['has an entry that is too large', () => zip([{ ...a, content: Buffer.alloc(20_000) }]), /too large/],
    [
      'has too many entries',
      () => zip(Array.from({ length: 101 }, (_, i) => ({ name: `${i}`, content: '' }))),
      /too many/,
    ],
  ]
  for (const [how, make, sentence] of refused)
    it(`that ${how} is refused`, () => assert.rejects(content(make()), { kind: 'invalid', message: sentence }))
})
