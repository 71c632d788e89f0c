/**
 * Looks into a zip archive by ranged reads: its directory, and single entries by name, each within a limit. What readers of
 * zip are known to disagree on (bytes before or behind the archive, a directory that is not where it should be, other names in
 * the entries than in the directory) is refused.
 */
import { crc32, inflateRawSync } from 'node:zlib'
import type { Bytes } from '../../protocol/ports.js'
import { brokenZip, findDirectory, type Source } from './zip-end.js'

export interface ZipLimits {
  /** Bytes of the directory. */
  directory: number
  entries: number
}

export interface ZipEntry {
  name: string
  /** Bytes when unpacked. */
  size: number
  packedSize: number
  method: number
  crc: number
  /** Where the entry's own header begins. */
  at: number
}

export interface Zip {
  readonly entries: readonly ZipEntry[]
  /** An entry's content, of at most `limit` bytes. Throws `invalid`. */
  read(entry: ZipEntry, limit: number): Promise<Buffer>
}

/** Throws `invalid`. */
export async function openZip(bytes: Bytes, limits: ZipLimits, signal: AbortSignal): Promise<Zip> {
  const source: Source = (start, end) => collect(bytes, start, end, signal)
  const { start, size, count } = await findDirectory(source, bytes.size)
  if (size > limits.directory || count > limits.entries) throw brokenZip('has too many entries')
  const entries = parseDirectory(await source(start, start + size), count, start)
  return { entries, read: (entry, limit) => readEntry(source, entry, limit, start) }
}

const ENTRY = 0x02014b50
const LOCAL = 0x04034b50
const ENTRY_SIZE = 46
const LOCAL_SIZE = 30
const ENCRYPTED = 0x41
const UTF8_NAME = 0x800
const FULL = 0xffffffff

function parseDirectory(directory: Buffer, count: number, end: number): ZipEntry[] {
  const entries: ZipEntry[] = []
  let at = 0
  for (let i = 0; i < count; i++) {
    if (at + ENTRY_SIZE > directory.length || directory.readUInt32LE(at) !== ENTRY)
      throw brokenZip('has a broken directory')
    const name = directory.readUInt16LE(at + 28)
    const extra = directory.readUInt16LE(at + 30)
    const next = at + ENTRY_SIZE + name + extra + directory.readUInt16LE(at + 32)
    if (next > directory.length) throw brokenZip('has a broken directory')
    const entry = parseEntry(directory, at, name, extra)
    if (entry.at + LOCAL_SIZE + entry.packedSize > end) throw brokenZip('has an entry outside of it')
    entries.push(entry)
    at = next
  }
  if (at !== directory.length) throw brokenZip('has a broken directory')
  return entries
}

function parseEntry(directory: Buffer, at: number, nameSize: number, extraSize: number): ZipEntry {
  const flags = directory.readUInt16LE(at + 8)
  if (flags & ENCRYPTED) throw brokenZip('is encrypted')
  const from = at + ENTRY_SIZE
  const [size, packedSize, header] = long(directory.subarray(from + nameSize, from + nameSize + extraSize), [
    directory.readUInt32LE(at + 24),
    directory.readUInt32LE(at + 20),
    directory.readUInt32LE(at + 42),
  ])
  return {
    name: directory.toString(flags & UTF8_NAME ? 'utf8' : 'latin1', from, from + nameSize),
    size,
    packedSize,
    method: directory.readUInt16LE(at + 10),
    crc: directory.readUInt32LE(at + 16),
    at: header,
  }
}

/** Values that do not fit stand in the zip64 field, in this order and only those. */
function long(extra: Buffer, short: [number, number, number]): [number, number, number] {
  if (!short.includes(FULL)) return short
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue
    let next = at + 4
    const take = (value: number): number => {
      if (value !== FULL) return value
      if (next + 8 > extra.length) throw brokenZip('has a broken directory')
      next += 8
      return Number(extra.readBigUInt64LE(next - 8))
    }
    return [take(short[0]), take(short[1]), take(short[2])]
  }
  throw brokenZip('has a broken directory')
}

async function readEntry(source: Source, entry: ZipEntry, limit: number, end: number): Promise<Buffer> {
  const { name, at, packedSize, size, method, crc } = entry
  if (size > limit || packedSize > limit + 1024) throw brokenZip(`has a ${name} that is too large`)
  const header = await source(at, at + LOCAL_SIZE)
  if (header.readUInt32LE(0) !== LOCAL) throw brokenZip('has a broken entry')
  const nameEnd = at + LOCAL_SIZE + header.readUInt16LE(26)
  const from = nameEnd + header.readUInt16LE(28)
  if (from + packedSize > end) throw brokenZip('has an entry outside of it')
  const own = await source(at + LOCAL_SIZE, nameEnd)
  if (own.toString(header.readUInt16LE(6) & UTF8_NAME ? 'utf8' : 'latin1') !== name)
    throw brokenZip('names an entry in two ways')
  const content = unpack(await source(from, from + packedSize), method, size, name)
  if (content.length !== size || crc32(content) !== crc) throw brokenZip(`has a damaged ${name}`)
  return content
}

function unpack(packed: Buffer, method: number, size: number, name: string): Buffer {
  if (method === 0) return packed
  if (method !== 8) throw brokenZip(`has a ${name} in a compression that is not known here`)
  try {
    return inflateRawSync(packed, { maxOutputLength: Math.max(size, 1) })
  } catch (cause) {
    throw brokenZip(`has a damaged ${name}`, cause)
  }
}

async function collect(bytes: Bytes, start: number, end: number, signal: AbortSignal): Promise<Buffer> {
  if (start < 0 || end > bytes.size || start > end) throw brokenZip('ends too early')
  if (start === end) return Buffer.alloc(0)
  const chunks: Buffer[] = []
  for await (const chunk of bytes.read({ start, end }, signal)) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}
