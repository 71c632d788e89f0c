/** Finds a zip archive's directory from the record at its end, also where that record is the 64-bit one (APPNOTE 4.3.14-16). */
import { RegistryError } from '../../protocol/errors.js'

/** Bytes of the archive, from `start` up to before `end`. */
export type Source = (start: number, end: number) => Promise<Buffer>

export interface Directory {
  start: number
  /** Bytes. */
  size: number
  count: number
}

/** Throws `invalid`, also when anything stands between the directory and the end. */
export async function findDirectory(read: Source, size: number): Promise<Directory> {
  const tail = await read(Math.max(0, size - END_SIZE - MAX_COMMENT), size)
  const at = findEnd(tail)
  const end = size - tail.length + at
  if (tail.readUInt16LE(at + 4) !== 0 || tail.readUInt16LE(at + 6) !== 0) throw brokenZip('is one part of several')
  const short = {
    start: tail.readUInt32LE(at + 16),
    size: tail.readUInt32LE(at + 12),
    count: tail.readUInt16LE(at + 10),
  }
  const isLong = short.start === 0xffffffff || short.size === 0xffffffff || short.count === 0xffff
  const found = isLong ? await findLong(read, end) : { directory: short, end }
  if (found.directory.start + found.directory.size !== found.end)
    throw brokenZip('does not have its directory where its end says')
  return found.directory
}

export function brokenZip(how: string, cause?: unknown): RegistryError {
  return new RegistryError('invalid', `The zip archive ${how}`, { code: 'invalid_archive', cause })
}

const END = 0x06054b50
const END_SIZE = 22
const MAX_COMMENT = 0xffff
const LONG_LOCATOR = 0x07064b50
const LONG_LOCATOR_SIZE = 20
const LONG_END = 0x06064b50
const LONG_END_SIZE = 56

/** The record whose comment reaches to the very end; were there two, readers would disagree. */
function findEnd(tail: Buffer): number {
  const found: number[] = []
  for (let at = tail.length - END_SIZE; at >= 0; at--)
    if (tail.readUInt32LE(at) === END && at + END_SIZE + tail.readUInt16LE(at + 20) === tail.length) found.push(at)
  const [first, ...others] = found
  if (first === undefined) throw brokenZip('has no directory')
  if (others.length > 0) throw brokenZip('has two ends')
  return first
}

async function findLong(read: Source, end: number): Promise<{ directory: Directory; end: number }> {
  const locator = await read(end - LONG_LOCATOR_SIZE, end)
  if (locator.readUInt32LE(0) !== LONG_LOCATOR) throw brokenZip('has no directory')
  const at = Number(locator.readBigUInt64LE(8))
  const record = await read(at, at + LONG_END_SIZE)
  if (record.readUInt32LE(0) !== LONG_END) throw brokenZip('has no directory')
  const directory = {
    start: Number(record.readBigUInt64LE(48)),
    size: Number(record.readBigUInt64LE(40)),
    count: Number(record.readBigUInt64LE(32)),
  }
  return { directory, end: at }
}
