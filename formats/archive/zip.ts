/**
 * The directory at the end of a zip archive (APPNOTE 6.3), read with three bounded reads. What two readers could understand
 * differently, or what could be used against whoever unpacks the archive, is refused: overlaps, links, encryption, two names.
 *
 *     entry … entry | directory header … directory header | [64-bit end, its locator] | end, comment
 */
import { setImmediate } from 'node:timers/promises'
import { RegistryError } from '../../protocol/errors.js'
import type { Bytes } from '../../protocol/ports.js'
import { isPlainPath } from './entry-path.js'
import { findEnd } from './zip-end.js'
import { type Extra, parseExtra } from './zip-extra.js'
import { brokenZip, readRange, UTF8 } from './zip-range.js'

export interface ZipEntry {
  name: string
  isFolder: boolean
  isDeflated: boolean
  crc: number
  /** Bytes in the archive. */
  compressed: number
  /** Bytes, unpacked. */
  size: number
  /** Of its own header. */
  offset: number
  /** Where the next entry or the directory begins: nothing of this one lies behind it. */
  limit: number
}

export interface ZipLimits {
  /** Bytes of the directory. */
  directory: number
  entries: number
  /** Bytes of an entry's name. */
  name: number
  /** Bytes of all entries, unpacked. */
  bytes: number
  /** How many times more may come out than the archive has, once `ratioFrom` bytes come out. */
  ratio: number
  ratioFrom: number
}

/** Entries in the order of the directory. Throws `invalid`. */
export async function readDirectory(bytes: Bytes, limits: ZipLimits, signal?: AbortSignal): Promise<ZipEntry[]> {
  const end = await findEnd(bytes, signal)
  if (end.entries > limits.entries) throw brokenZip(`has more than ${limits.entries} entries`)
  if (end.size > limits.directory) throw brokenZip(`has a directory of more than ${limits.directory} bytes`)
  const directory = await readRange(bytes, end.offset, end.offset + end.size, signal)
  const entries: ZipEntry[] = []
  for (let at = 0; at < directory.length; ) {
    if (entries.length === end.entries) throw brokenZip('has more in its directory than it says')
    const { entry, length } = parseHeader(directory.subarray(at), limits)
    entries.push(entry)
    at += length
    if (entries.length % TURN === 0) await setImmediate()
  }
  if (entries.length !== end.entries) throw brokenZip('has less in its directory than it says')
  checkNames(entries)
  place(entries, end.offset)
  checkTotals(entries, bytes.size, limits)
  return entries
}

/** Encrypted, patched, strongly encrypted, with a masked directory. */
const UNREADABLE = 0x0001 | 0x0020 | 0x0040 | 0x2000

/** Entries that are read before the others on this process get a turn. */
const TURN = 1000
const SIGNATURE = 0x02014b50
const HEADER = 46

function parseHeader(directory: Buffer, limits: ZipLimits): { entry: ZipEntry; length: number } {
  if (directory.length < HEADER || directory.readUInt32LE(0) !== SIGNATURE)
    throw brokenZip('has something else than entries in its directory')
  const nameEnd = HEADER + directory.readUInt16LE(28)
  const extraEnd = nameEnd + directory.readUInt16LE(30)
  const length = extraEnd + directory.readUInt16LE(32)
  if (length > directory.length) throw brokenZip('has a directory that is cut')
  const name = nameOf(directory.subarray(HEADER, nameEnd), limits.name)
  const extra = parseExtra(directory.subarray(nameEnd, extraEnd), {
    name,
    size: directory.readUInt32LE(24),
    compressed: directory.readUInt32LE(20),
    offset: directory.readUInt32LE(42),
  })
  if ((directory.readUInt16LE(8) & UNREADABLE) !== 0) throw brokenZip('has an encrypted or patched entry')
  if (directory.readUInt16LE(34) !== 0) throw brokenZip('has more than one part')
  const isFolder = checkKind(name, directory.readUInt16LE(4) >> 8, directory.readUInt32LE(38))
  const isDeflated = checkMethod(directory.readUInt16LE(10), extra, isFolder)
  return { entry: { name, isFolder, isDeflated, crc: directory.readUInt32LE(16), ...extra, limit: 0 }, length }
}

function nameOf(bytes: Buffer, limit: number): string {
  if (bytes.length > limit) throw brokenZip('has an entry whose name is too long')
  let name: string
  try {
    name = UTF8.decode(bytes)
  } catch (cause) {
    throw brokenZip('has an entry whose name is not UTF-8', cause)
  }
  if (!isPlainPath(name))
    throw brokenZip(`has an entry that would be unpacked elsewhere: ${JSON.stringify(name.slice(0, 200))}`)
  return name
}

const UNIX = [3, 19]
const TYPE = 0xf000
const FILE = 0x8000
const FOLDER = 0x4000
const DOS_FOLDER = 0x10

/** Is it a folder. Throws for what is neither folder nor ordinary file, and for what is both. */
function checkKind(name: string, host: number, attributes: number): boolean {
  const type = UNIX.includes(host) ? (attributes >>> 16) & TYPE : 0
  const shown = JSON.stringify(name.slice(0, 200))
  if (type !== 0 && type !== FILE && type !== FOLDER)
    throw brokenZip(`holds an entry that is neither file nor folder: ${shown}`)
  const isFolder = name.endsWith('/')
  const saysFolder = type === FOLDER || (attributes & DOS_FOLDER) !== 0
  if (isFolder ? type === FILE : saysFolder) throw brokenZip(`has an entry that is file and folder: ${shown}`)
  return isFolder
}

function checkMethod(method: number, { size, compressed }: Extra, isFolder: boolean): boolean {
  if (method !== 0 && method !== 8) throw brokenZip('has an entry that is packed in another way than deflate')
  // Java's jar tool deflates nothing to two bytes.
  if (isFolder && (size !== 0 || compressed > 2)) throw brokenZip('has a folder with content')
  if (method === 0 && size !== compressed) throw brokenZip('has an entry with two sizes')
  return method === 8
}

/** A folder may be named twice, a file not: which of the two it is would depend on who unpacks. */
function checkNames(entries: ZipEntry[]): void {
  const files = new Set<string>()
  for (const { name, isFolder } of entries) {
    if (isFolder) continue
    if (files.has(name)) throw brokenZip(`has two entries of one name: ${JSON.stringify(name.slice(0, 200))}`)
    files.add(name)
  }
}

const LOCAL_HEADER = 30

/** Says how far each entry may go. Throws where one would reach into the next. */
function place(entries: ZipEntry[], directory: number): void {
  const sorted = [...entries].sort((a, b) => a.offset - b.offset)
  sorted.forEach((entry, i) => {
    entry.limit = sorted[i + 1]?.offset ?? directory
    if (entry.offset + LOCAL_HEADER + Buffer.byteLength(entry.name) + entry.compressed > entry.limit)
      throw brokenZip('has entries that overlap')
  })
}

function checkTotals(entries: ZipEntry[], archive: number, limits: ZipLimits): void {
  const total = entries.reduce((sum, { size }) => sum + size, 0)
  if (total > limits.bytes) throw tooLarge(`more than ${limits.bytes} bytes`)
  if (total > limits.ratioFrom && total > archive * limits.ratio)
    throw tooLarge(`more than ${limits.ratio} times its size`)
}

function tooLarge(how: string): RegistryError {
  return new RegistryError('invalid', `The archive unpacks to ${how}`, { code: 'archive_too_large' })
}
