import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import { readDirectory, type ZipLimits } from '../../../formats/archive/zip.js'
import { readEntries, readEntry } from '../../../formats/archive/zip-content.js'
import { RegistryError } from '../../../protocol/errors.js'
import type { Bytes } from '../../../protocol/ports.js'
import { Random } from '../../support/random.js'
import { type ZipDraft, zip } from '../../support/zip-writer.js'

const LIMITS: ZipLimits = {
  directory: 1024 * 1024,
  entries: 1000,
  name: 200,
  bytes: 64 * 1024 * 1024,
  ratio: 100,
  ratioFrom: 1024 * 1024,
}
const noise = new Random(3).bytes(300_000)

/** In pieces of 1000 bytes out of one buffer, which is overwritten each time. */
function bytesOf(archive: Buffer): Bytes {
  return {
    size: archive.length,
    source: 'cache',
    async *read({ start, end } = { start: 0, end: archive.length }) {
      const buffer = Buffer.alloc(1000)
      for (let at = start; at < end; at += buffer.length) {
        const length = archive.copy(buffer, 0, at, Math.min(end, at + buffer.length))
        yield buffer.subarray(0, length)
        buffer.fill(0xff)
      }
    },
  }
}

async function contents(archive: Buffer, limits = LIMITS): Promise<Map<string, Buffer>> {
  const bytes = bytesOf(archive)
  const found = new Map<string, Buffer>()
  let current = ''
  await readEntries(bytes, await readDirectory(bytes, limits), {
    begin: ({ name }) => {
      current = name
      found.set(name, Buffer.alloc(0))
    },
    content: (chunk) => void found.set(current, Buffer.concat([found.get(current) ?? Buffer.alloc(0), chunk])),
    end: ({ name }) => assert.equal(name, current),
  })
  return found
}

describe('zip archives are read', () => {
  const entries: ZipDraft[] = [
    { name: 'a/' },
    { name: 'a/short.txt', content: 'short' },
    { name: 'a/stored.bin', content: noise, stored: true },
    { name: 'a/large.bin', content: noise },
    { name: 'a/zeros.bin', content: Buffer.alloc(3_000_000) },
    { name: 'a/empty', content: '' },
    { name: 'a/später.txt', content: 'described behind', described: true },
  ]
  for (const [what, archive] of Object.entries({
    plain: zip(entries),
    'with a comment': zip(entries, { comment: '0123456789abcdef' }),
    'with a 64-bit end': zip(entries, { wide: true }),
    'whose end says that only the 64-bit end knows': zip(entries, {
      wide: true,
      patchEnd: (end) => end.fill(0xff, 8, 20),
    }),
    'with bytes between its entries and its directory': zip(entries, { gap: Buffer.from('signature') }),
  })) {
    it(what, async () => {
      const found = await contents(archive)
      assert.deepEqual(
        [...found.keys()],
        entries.map(({ name }) => name),
      )
      for (const { name, content = '' } of entries)
        assert.ok(found.get(String(name))?.equals(Buffer.from(content as string)), String(name))
    })
  }

  it('and one entry alone, up to a limit', async () => {
    const bytes = bytesOf(zip(entries))
    const entry = (await readDirectory(bytes, LIMITS)).find(({ name }) => name === 'a/large.bin')
    assert.ok(entry)
    assert.ok((await readEntry(bytes, entry, noise.length)).equals(noise))
    await assert.rejects(readEntry(bytes, entry, noise.length - 1), /more than 299999 bytes/)
  })

  it('an empty one too', async () => assert.equal((await contents(zip([]))).size, 0))
})

describe('an archive is refused', () => {
  const a: ZipDraft = { name: 'a', content: 'content' }
  const b: ZipDraft = { name: 'b', content: 'more' }
  const bad: Record<string, { archive: Buffer; sentence: RegExp; limits?: Partial<ZipLimits> }> = {
    'that is empty': { archive: Buffer.alloc(0), sentence: /no directory/ },
    'that is something else': { archive: Buffer.alloc(5000, 'x'), sentence: /no directory/ },
    'that is cut': { archive: zip([a, b]).subarray(0, -1), sentence: /no directory/ },
    'whose comment is cut': {
      archive: zip([a, b], { comment: 'comment' }).subarray(0, -1),
      sentence: /does not end with its comment/,
    },
    'whose beginning is cut': { archive: zip([a, b]).subarray(4), sentence: /not where it should be/ },
    'that has something in front': {
      archive: Buffer.concat([Buffer.from('#!/bin/sh\n'), zip([a])]),
      sentence: /not where it should be/,
    },
    'that goes on behind its end': {
      archive: Buffer.concat([zip([a]), Buffer.from('x')]),
      sentence: /does not end with its comment/,
    },
    'with an end in its comment': {
      archive: zip([a], { comment: `PK\x05\x06${'x'.repeat(30)}` }),
      sentence: /comment/,
    },
    'of several parts': {
      archive: zip([a], { patchEnd: (end) => end.writeUInt16LE(1, 4) }),
      sentence: /more than one part/,
    },
    'with fewer entries than it says': {
      archive: zip([a], {
        patchEnd: (end) => {
          end.writeUInt16LE(2, 8)
          end.writeUInt16LE(2, 10)
        },
      }),
      sentence: /less in its directory/,
    },
    'with more entries than it says': {
      archive: zip([a, b], {
        patchEnd: (end) => {
          end.writeUInt16LE(1, 8)
          end.writeUInt16LE(1, 10)
        },
      }),
      sentence: /more in its directory/,
    },
    'whose two ends differ': {
      archive: zip([a], { wide: true, patchEnd: (end) => end.writeUInt32LE(1, 12) }),
      sentence: /contradict/,
    },
    'with two files of one name': {
      archive: zip([a, { ...a, content: 'other' }]),
      sentence: /two entries of one name/,
    },
    'with a link': { archive: zip([{ ...a, mode: 0o120777 }]), sentence: /neither file nor folder/ },
    'with a device': { archive: zip([{ ...a, mode: 0o020666 }]), sentence: /neither file nor folder/ },
    'with a folder that is named like a file': {
      archive: zip([{ ...a, mode: 0o040755 }]),
      sentence: /file and folder/,
    },
    'with a folder that has content': {
      archive: zip([{ name: 'a/', content: 'x', stored: true }]),
      sentence: /folder with content/,
    },
    'with a path that climbs': { archive: zip([{ name: 'a/../../b' }]), sentence: /unpacked elsewhere/ },
    'with an absolute path': { archive: zip([{ name: '/a' }]), sentence: /unpacked elsewhere/ },
    'with a backslash': { archive: zip([{ name: 'a\\b' }]), sentence: /unpacked elsewhere/ },
    'with a name that is not UTF-8': { archive: zip([{ name: Buffer.from([0x61, 0xff]) }]), sentence: /not UTF-8/ },
    'with two names for one entry': {
      archive: zip([{ ...a, extra: Buffer.from([0x75, 0x70, 6, 0, 1, 0, 0, 0, 0, 0x62]) }]),
      sentence: /two names/,
    },
    'with a broken extra field': {
      archive: zip([{ ...a, extra: Buffer.from([1, 0, 9, 0, 1]) }]),
      sentence: /broken extra/,
    },
    'with an encrypted entry': {
      archive: zip([{ ...a, patchDirectory: (header) => header.writeUInt16LE(1, 8) }]),
      sentence: /encrypted/,
    },
    'packed with something else': {
      archive: zip([{ ...a, patchDirectory: (header) => header.writeUInt16LE(12, 10) }]),
      sentence: /another way than deflate/,
    },
    'whose entries overlap': {
      archive: zip([a, { ...b, patchDirectory: (header) => header.writeUInt32LE(0, 42) }]),
      sentence: /overlap/,
    },
    'whose entry reaches into the directory': {
      archive: zip([{ ...a, patchDirectory: (header) => header.writeUInt32LE(header.readUInt32LE(20) + 1, 20) }]),
      sentence: /overlap/,
    },
    'whose entry has another name at its place': {
      archive: zip([{ ...a, patchLocal: (header) => header.writeUInt16LE(2, 26) }]),
      sentence: /overlap|another one in the directory/,
    },
    'whose entry has no header at its place': {
      archive: zip([{ ...a, patchLocal: (header) => header.writeUInt16LE(0, 0) }]),
      sentence: /no entry where its directory says/,
    },
    'whose entry has another size at its place': {
      archive: zip([{ ...a, patchLocal: (header) => header.writeUInt32LE(1, 22) }]),
      sentence: /another size in the directory/,
    },
    'whose entry has another checksum': {
      archive: zip([{ ...a, described: true, patchDirectory: (header) => header.writeUInt32LE(1, 16) }]),
      sentence: /another size or checksum/,
    },
    'whose entry is longer than it says': {
      archive: zip([{ ...a, described: true, patchDirectory: (header) => header.writeUInt32LE(6, 24) }]),
      sentence: /another size or checksum/,
    },
    'whose entry is shorter than it says': {
      archive: zip([{ ...a, described: true, patchDirectory: (header) => header.writeUInt32LE(8, 24) }]),
      sentence: /another size or checksum/,
    },
    'whose large entry is longer than it says': {
      archive: zip([{ ...a, content: noise, described: true, patchDirectory: (h) => h.writeUInt32LE(299_999, 24) }]),
      sentence: /another size or checksum/,
    },
    'whose entry goes on behind its end': {
      archive: zip([{ ...a, packed: Buffer.concat([deflateRawSync('content'), Buffer.from('more')]) }]),
      sentence: /goes on behind its end/,
    },
    'whose large entry goes on behind its end': {
      archive: zip([
        { name: 'a', content: noise, packed: Buffer.concat([deflateRawSync(noise), Buffer.alloc(100_000)]) },
      ]),
      sentence: /goes on behind its end/,
    },
    'whose entry is not deflated': {
      archive: zip([{ ...a, packed: Buffer.from('\xff\xff\xff') }]),
      sentence: /cannot be unpacked/,
    },
    'whose entry is cut': {
      archive: zip([{ ...a, packed: deflateRawSync('content').subarray(0, 4) }]),
      sentence: /cannot be unpacked/,
    },
    'whose large entry is cut': {
      archive: zip([{ name: 'a', content: noise, packed: deflateRawSync(noise).subarray(0, 200_000) }]),
      sentence: /cannot be unpacked|another size/,
    },
    'with too many entries': { archive: zip([a, b]), limits: { entries: 1 }, sentence: /more than 1 entries/ },
    'with too large a directory': {
      archive: zip([a, b]),
      limits: { directory: 80 },
      sentence: /directory of more than 80/,
    },
    'with too long a name': { archive: zip([{ name: 'x'.repeat(201) }]), sentence: /name is too long/ },
    'that unpacks to too much': {
      archive: zip([a, b]),
      limits: { bytes: 10 },
      sentence: /unpacks to more than 10 bytes/,
    },
    'that unpacks to a hundred times its size': {
      archive: zip([{ name: 'a', content: Buffer.alloc(5_000_000) }]),
      sentence: /more than 100 times its size/,
    },
  }
  for (const [what, { archive, sentence, limits }] of Object.entries(bad))
    it(what, async () => {
      await assert.rejects(contents(archive, { ...LIMITS, ...limits }), (error) => {
        assert.ok(error instanceof RegistryError)
        assert.equal(error.kind, 'invalid')
        assert.match(error.message, sentence)
        return true
      })
    })
})

it('whatever bits are flipped, it is read as it was or refused', async () => {
  const archive = zip([
    { name: 'a', content: 'content '.repeat(50) },
    { name: 'b/c', content: 'other', described: true },
  ])
  const random = new Random(7)
  for (let i = 0; i < 500; i++) {
    const spoiled = Buffer.from(archive)
    const at = random.below(spoiled.length)
    spoiled.writeUInt8(spoiled.readUInt8(at) ^ (1 << random.below(8)), at)
    try {
      for (const content of (await contents(spoiled)).values())
        assert.ok(['content '.repeat(50), 'other'].includes(String(content)))
    } catch (error) {
      assert.ok(error instanceof RegistryError, `${error} at ${at}`)
    }
  }
})
