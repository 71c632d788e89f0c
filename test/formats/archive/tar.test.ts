import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { Inflater } from '../../../formats/archive/gunzip.js'
import { TarReader } from '../../../formats/archive/tar.js'
import { RegistryError } from '../../../protocol/errors.js'
import { type Entry, pax, tar } from '../../support/tar-writer.js'

const LIMITS = { entries: 1000, name: 4096 }

interface Seen {
  names: string[]
  contents: string[]
}

function read(archive: Buffer, chunkSize = archive.length): Seen {
  const seen: Seen = { names: [], contents: [] }
  const reader = new TarReader(
    {
      file: ({ path }) => {
        seen.names.push(path)
        return 100
      },
      content: (_, bytes) => seen.contents.push(bytes.toString()),
    },
    LIMITS,
  )
  for (let at = 0; at < archive.length; at += chunkSize) reader.write(archive.subarray(at, at + chunkSize))
  reader.end()
  return seen
}

describe('an archive in order', () => {
  const long = `package/${'n'.repeat(150)}.js`
  const rows: { what: string; entries: Entry[]; names: string[] }[] = [
    {
      what: 'plain files and folders',
      entries: [
        { name: 'a/', type: '5' },
        { name: 'a/x', content: 'x' },
      ],
      names: ['a/x'],
    },
    { what: 'a folder that is a file with a slash', entries: [{ name: 'a/' }, { name: 'a/x' }], names: ['a/x'] },
    { what: 'the old spelling of a file', entries: [{ name: 'a/x', type: '\0' }], names: ['a/x'] },
    {
      what: 'a pax name',
      entries: [{ name: 'p', type: 'x', content: pax('path', long) }, { name: 'short' }],
      names: [long],
    },
    {
      what: 'a GNU name',
      entries: [{ name: '././@LongLink', type: 'L', content: `${long}\0` }, { name: 'short' }],
      names: [long],
    },
    {
      what: 'a ustar prefix',
      entries: [{ name: 'x.js', patch: (header) => header.write('package/deep', 345) }],
      names: ['package/deep/x.js'],
    },
    {
      what: 'a global header with a comment',
      entries: [{ name: 'g', type: 'g', content: pax('comment', 'abc') }, { name: 'a/x' }],
      names: ['a/x'],
    },
    {
      what: 'a link that stays inside',
      entries: [
        { name: 'a/b/l', type: '2', target: '../x' },
        { name: 'a/h', type: '1', target: 'a/x' },
      ],
      names: [],
    },
    {
      what: 'a pax size',
      entries: [
        { name: 'p', type: 'x', content: pax('size', '3') },
        { name: 'a/x', content: 'abc', size: '00000000000\0' },
      ],
      names: ['a/x'],
    },
  ]
  for (const { what, entries, names } of rows)
    it(`with ${what} is read, wherever its chunks end`, () => {
      const archive = tar(entries)
      for (const chunk of [1, 7, 511, 512, 513, archive.length]) assert.deepEqual(read(archive, chunk).names, names)
    })

  it('hands out the beginning of a wanted file', () => {
    const { contents } = read(
      tar([
        { name: 'a/x', content: 'y'.repeat(2000) },
        { name: 'a/z', content: 'z' },
      ]),
      100,
    )
    assert.deepEqual(contents, ['y'.repeat(100), 'z'])
  })

  it('may end without zero blocks, but not inside an entry', () => {
    const archive = tar([{ name: 'a/x', content: 'x' }], Buffer.alloc(0))
    assert.deepEqual(read(archive).names, ['a/x'])
    for (let length = 1; length < archive.length; length += 100)
      assert.throws(() => read(archive.subarray(0, length)), isInvalid)
  })
})

describe('an archive is refused', () => {
  const rows: { what: string; archive: () => Buffer }[] = [
    { what: 'with a path above its top', archive: () => tar([{ name: '../../x' }]) },
    { what: 'with a path that turns upwards', archive: () => tar([{ name: 'a/../../x' }]) },
    { what: 'with an absolute path', archive: () => tar([{ name: '/abs' }]) },
    { what: 'with a drive letter', archive: () => tar([{ name: 'C:x' }]) },
    { what: 'with backslashes', archive: () => tar([{ name: 'a\\..\\..\\x' }]) },
    { what: 'with NUL in a name', archive: () => tar([{ name: 'a\0b' }]) },
    {
      what: 'with NUL in a pax name',
      archive: () => tar([{ name: 'p', type: 'x', content: pax('path', 'a\0b') }, { name: 'x' }]),
    },
    {
      what: 'with an upward pax name',
      archive: () => tar([{ name: 'p', type: 'x', content: pax('path', '../x') }, { name: 'x' }]),
    },
    {
      what: 'with an upward GNU name',
      archive: () => tar([{ name: 'l', type: 'L', content: '../x\0' }, { name: 'x' }]),
    },
    { what: 'with an absolute symbolic link', archive: () => tar([{ name: 'a/l', type: '2', target: '/etc/passwd' }]) },
    { what: 'with a symbolic link that leads out', archive: () => tar([{ name: 'a/l', type: '2', target: '../x' }]) },
    {
      what: 'with a symbolic link that leads out by pax',
      archive: () =>
        tar([
          { name: 'p', type: 'x', content: pax('linkpath', '../../x') },
          { name: 'a/l', type: '2', target: 'y' },
        ]),
    },
    { what: 'with a hard link that leads out', archive: () => tar([{ name: 'a/l', type: '1', target: '../../x' }]) },
    { what: 'with a device', archive: () => tar([{ name: 'a/dev', type: '3' }]) },
    { what: 'with a sparse file', archive: () => tar([{ name: 'a/s', type: 'S' }]) },
    {
      what: 'with a sparse file by pax',
      archive: () => tar([{ name: 'p', type: 'x', content: pax('GNU.sparse.major', '1') }, { name: 'x' }]),
    },
    {
      what: 'with a base-256 size',
      archive: () => tar([{ name: 'a/x', size: Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]) }]),
    },
    { what: 'with a size that is no number', archive: () => tar([{ name: 'a/x', size: '-0000000001 ' }]) },
    {
      what: 'with a negative pax size',
      archive: () => tar([{ name: 'p', type: 'x', content: pax('size', '-1') }, { name: 'x' }]),
    },
    {
      what: 'with a pax size of 2^63',
      archive: () => tar([{ name: 'p', type: 'x', content: pax('size', '9223372036854775808') }, { name: 'x' }]),
    },
    {
      what: 'with a name of 1 MiB',
      archive: () => tar([{ name: 'p', type: 'x', content: pax('path', 'n'.repeat(1024 * 1024)) }, { name: 'x' }]),
    },
    {
      what: 'with a broken pax length',
      archive: () => tar([{ name: 'p', type: 'x', content: '99 path=x\n' }, { name: 'x' }]),
    },
    {
      what: 'with a pax length of nothing',
      archive: () => tar([{ name: 'p', type: 'x', content: '0 path=x\n' }, { name: 'x' }]),
    },
    {
      what: 'with two names for one entry',
      archive: () =>
        tar([
          { name: 'p', type: 'x', content: pax('path', 'a') },
          { name: 'l', type: 'L', content: 'b\0' },
          { name: 'x' },
        ]),
    },
    {
      what: 'with a global name',
      archive: () => tar([{ name: 'g', type: 'g', content: pax('path', 'a') }, { name: 'x' }]),
    },
    {
      what: 'with a link that has content',
      archive: () => tar([{ name: 'a/l', type: '1', target: 'a/x', content: 'abc' }]),
    },
    { what: 'with a wrong checksum', archive: () => tar([{ name: 'a/x', badChecksum: true }]) },
    {
      what: 'with something behind its end',
      archive: () => Buffer.concat([tar([{ name: 'a/x' }]), tar([{ name: 'a/y' }])]),
    },
    { what: 'with too many entries', archive: () => tar(Array.from({ length: 1001 }, (_, i) => ({ name: `a/${i}` }))) },
    {
      what: 'that ends behind a pax header',
      archive: () => tar([{ name: 'p', type: 'x', content: pax('path', 'a') }]),
    },
    { what: 'that is no archive', archive: () => Buffer.alloc(2048, 'no tar here ') },
  ]
  for (const { what, archive } of rows) it(what, () => assert.throws(() => read(archive()), isInvalid))

  it('whatever bits are flipped, it is read or refused, and nothing else happens', () => {
    const archive = tar([
      { name: 'p', type: 'x', content: pax('path', 'package/x') },
      { name: 'x', content: 'x'.repeat(600) },
      { name: 'y', type: '2', target: 'z' },
    ])
    for (let bit = 0; bit < archive.length * 8; bit += 3) {
      const spoiled = Buffer.from(archive)
      spoiled[bit >> 3] = (spoiled[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      try {
        read(spoiled, 700)
      } catch (error) {
        assert.ok(isInvalid(error), String(error))
      }
    }
  })
})

describe('gzip', () => {
  const limits = { bytes: 300 * 1024 * 1024, ratio: 100, ratioFrom: 4 * 1024 * 1024 }

  async function inflated(bytes: Buffer, chunkSize: number): Promise<number> {
    let size = 0
    const inflater = new Inflater((chunk) => {
      size += chunk.length
    }, limits)
    try {
      for (let at = 0; at < bytes.length; at += chunkSize) await inflater.write(bytes.subarray(at, at + chunkSize))
      await inflater.end()
      return size
    } finally {
      inflater.close()
    }
  }

  it('is inflated, short or long, in whatever chunks', async () => {
    for (const size of [0, 1000, 900_000, 3_000_000]) {
      const bytes = gzipSync(Buffer.from(Array.from({ length: size }, (_, i) => (i * i) % 251)))
      for (const chunk of [1000, 70_000, bytes.length]) assert.equal(await inflated(bytes, chunk), size)
    }
  })

  it('that is a bomb is refused while it is small', async () => {
    const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024))
    const before = process.memoryUsage().rss
    const startedAt = performance.now()
    for (let i = 0; i < 5; i++) await assert.rejects(inflated(bomb, 16 * 1024), isInvalid)
    assert.ok(performance.now() - startedAt < 5000)
    assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024)
  })

  it('that is cut short anywhere, or damaged, is refused', async () => {
    for (const size of [2000, 400_000]) {
      const content = Buffer.from(Array.from({ length: size }, (_, i) => (i * 7919 * i) >> 5))
      const bytes = gzipSync(content)
      for (let length = 1; length < bytes.length; length += Math.ceil(bytes.length / 20))
        await assert.rejects(inflated(bytes.subarray(0, length), 9000), isInvalid)
      const spoiled = Buffer.from(bytes)
      spoiled[spoiled.length - 6] = (spoiled[spoiled.length - 6] ?? 0) ^ 1
      await assert.rejects(inflated(spoiled, 9000), isInvalid)
    }
  })

  it('ends with what its reader throws', async () => {
    for (const size of [100, 5_000_000]) {
      const inflater = new Inflater(() => {
        throw new RegistryError('invalid', 'no further')
      }, limits)
      const bytes = gzipSync(Buffer.alloc(size, 'some text that goes on and on '))
      await assert.rejects(async () => {
        await inflater.write(bytes)
        await inflater.end()
      }, /no further/)
      inflater.close()
    }
  })
})

function isInvalid(error: unknown): boolean {
  return error instanceof RegistryError && error.kind === 'invalid'
}
