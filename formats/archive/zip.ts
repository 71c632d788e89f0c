/**
 * Reads single files out of a stored zip archive by ranges, never the whole of it: the directory at its end, then the file.
 * No ZIP64, no encryption; whatever contradicts itself is refused.
 */
import { crc32, inflateRawSync } from 'node:zlib'
import { RegistryError } from '../../protocol/errors.js'
import type { Bytes } from '../../protocol/ports.js'

export interface ZipEntry {
  name: string
  method: number
  crc: number
  /** Bytes, in the archive and unpacked. */
  packed: number
  size: number
  /** Where its local header begins. */
  at: number
}

export interface ZipLimits {
  entries: number
  /** Bytes of the directory. */
  directory: number
}

/** Throws `invalid`. */
export async function readZipDirectory(archive: Bytes, limits: ZipLimits): Promise<Map<string, ZipEntry>> {
  const from = Math.max(0, archive.size - END_SIZE - MAX_COMMENT)
  const tail = await read(archive, from, archive.size)
  const end = findEnd(tail)
  const [count, size, at] = [tail.readUInt16LE(end + 10), tail.readUInt32LE(end + 12), tail.readUInt32LE(end + 16)]
  if (count === 0xffff || size === 0xffffffff || at === 0xffffffff) throw broken('is too large (ZIP64)')
  if (tail.readUInt16LE(end + 8) !== count || tail.readUInt32LE(end + 4) !== 0) throw broken('has several parts')
  if (count > limits.entries || size > limits.directory) throw broken('has too many entries')
  if (at + size !== from + end) throw broken('has a directory that is not where it says')
  return parseDirectory(await read(archive, at, at + size), count)
}

/** Its unpacked bytes, at most `limit`. Throws `invalid`. */
export async function readZipEntry(archive: Bytes, entry: ZipEntry, limit: number): Promise<Buffer> {
  if (entry.size > limit || entry.packed > limit + MAX_OVERHEAD) throw broken(`has a ${entry.name} that is too large`)
  const header = await read(archive, entry.at, entry.at + LOCAL_SIZE)
  if (header.readUInt32LE(0) !== LOCAL) throw broken(`has no ${entry.name} where it says`)
  const nameEnd = entry.at + LOCAL_SIZE + header.readUInt16LE(26)
  const name = await read(archive, entry.at + LOCAL_SIZE, nameEnd)
  if (name.toString('utf8') !== entry.name) throw broken(`calls ${entry.name} by two names`)
  const from = nameEnd + header.readUInt16LE(28)
  const bytes = unpack(entry, await read(archive, from, from + entry.packed))
  if (bytes.length !== entry.size || crc32(bytes) !== entry.crc) throw broken(`has a damaged ${entry.name}`)
  return bytes
}

const END = 0x06054b50
const END_SIZE = 22
const MAX_COMMENT = 0xffff
const CENTRAL = 0x02014b50
const CENTRAL_SIZE = 46
const LOCAL = 0x04034b50
const LOCAL_SIZE = 30
const ENCRYPTED = 1
/** What incompressible bytes may grow by. */
const MAX_OVERHEAD = 64 * 1024

function findEnd(tail: Buffer): number {
  for (let at = tail.length - END_SIZE; at >= 0; at--)
    if (tail.readUInt32LE(at) === END && at + END_SIZE + tail.readUInt16LE(at + 20) === tail.length) return at
  throw broken('has no directory: it is no zip archive')
}

function parseDirectory(directory: Buffer, count: number): Map<string, ZipEntry> {
  const entries = new Map<string, ZipEntry>()
  let at = 0
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL_SIZE > directory.length || directory.readUInt32LE(at) !== CENTRAL)
      throw broken('has a damaged directory')
    const nameEnd = at + CENTRAL_SIZE + directory.readUInt16LE(at + 28)
    const name = directory.toString('utf8', at + CENTRAL_SIZE, nameEnd)
    if (entries.has(name)) throw broken(`has two files called ${name.slice(0, 200)}`)
    entries.set(name, {
      name,
      method: (directory.readUInt16LE(at + 8) & ENCRYPTED) === 0 ? directory.readUInt16LE(at + 10) : -1,
      crc: directory.readUInt32LE(at + 16),
      packed: directory.readUInt32LE(at + 20),
      size: directory.readUInt32LE(at + 24),
      at: directory.readUInt32LE(at + 42),
    })
    at = nameEnd + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32)
  }
  if (at !== directory.length) throw broken('has a damaged directory')
  return entries
}

function unpack({ name, method, size }: ZipEntry, packed: Buffer): Buffer {
  if (method === 0) return packed
  if (method !== 8) throw broken(`has ${name} encrypted, or compressed in a way that is not known here`)
  try {
    return inflateRawSync(packed, { maxOutputLength: Math.max(1, size) })
  } catch (cause) {
    throw broken(`has a damaged ${name}`, cause)
  }
}

async function read(archive: Bytes, start: number, end: number): Promise<Buffer> {
  if (start < 0 || end > archive.size || start > end) throw broken('ends too early')
  const chunks: Buffer[] = []
  if (end > start) for await (const chunk of archive.read({ start, end })) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

function broken(sentence: string, cause?: unknown): RegistryError {
  return new RegistryError('invalid', `The archive ${sentence}`, { code: 'invalid_archive', cause })
}
