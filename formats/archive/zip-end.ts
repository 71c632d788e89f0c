/** The end record of a zip archive: where the directory is. A 64-bit end stands right before its locator, as all writers put it. */
import type { Bytes } from '../../protocol/ports.js'
import { MAX_32, readUInt64 } from './zip-extra.js'
import { brokenZip, readRange } from './zip-range.js'

export interface DirectoryPlace {
  entries: number
  /** Bytes. */
  size: number
  offset: number
}

/** Throws `invalid` unless the directory ends where the end record begins. */
export async function findEnd(bytes: Bytes, signal?: AbortSignal): Promise<DirectoryPlace> {
  const start = Math.max(0, bytes.size - END - MAX_COMMENT)
  const tail = await readRange(bytes, start, bytes.size, signal)
  const at = lastEnd(tail)
  const said = parseEnd(tail.subarray(at))
  const wide = await findWide(bytes, start + at, signal)
  const place = wide ? together(said, wide.place) : said
  if (place.offset + place.size !== (wide?.at ?? start + at))
    throw brokenZip('has a directory that is not where it should be')
  return place
}

const SIGNATURE = 0x06054b50
const END = 22
const MAX_COMMENT = 0xffff
const MAX_16 = 0xffff
const LOCATOR_SIGNATURE = 0x07064b50
const LOCATOR = 20
const WIDE_SIGNATURE = 0x06064b50
const WIDE_END = 56

/** The last signature counts, and its comment must be all that follows: readers disagree on anything else. */
function lastEnd(tail: Buffer): number {
  for (let at = tail.length - END; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== SIGNATURE) continue
    if (at + END + tail.readUInt16LE(at + 20) !== tail.length) throw brokenZip('does not end with its comment')
    return at
  }
  throw brokenZip('has no directory: it is not a zip file, or was cut')
}

function parseEnd(end: Buffer): DirectoryPlace {
  const entries = end.readUInt16LE(10)
  if (end.readUInt16LE(4) % MAX_16 !== 0 || end.readUInt16LE(6) % MAX_16 !== 0 || end.readUInt16LE(8) !== entries)
    throw brokenZip('has more than one part')
  return { entries, size: end.readUInt32LE(12), offset: end.readUInt32LE(16) }
}

async function findWide(
  bytes: Bytes,
  end: number,
  signal: AbortSignal | undefined,
): Promise<{ at: number; place: DirectoryPlace } | undefined> {
  if (end < LOCATOR + WIDE_END) return undefined
  const locator = await readRange(bytes, end - LOCATOR, end, signal)
  if (locator.readUInt32LE(0) !== LOCATOR_SIGNATURE) return undefined
  const at = readUInt64(locator, 8)
  if (at !== end - LOCATOR - WIDE_END) throw brokenZip('has a 64-bit end that is not where it should be')
  const wide = await readRange(bytes, at, at + WIDE_END, signal)
  if (wide.readUInt32LE(0) !== WIDE_SIGNATURE) throw brokenZip('has no 64-bit end where it should be')
  const entries = readUInt64(wide, 32)
  if (wide.readUInt32LE(16) !== 0 || wide.readUInt32LE(20) !== 0 || readUInt64(wide, 24) !== entries)
    throw brokenZip('has more than one part')
  return { at, place: { entries, size: readUInt64(wide, 40), offset: readUInt64(wide, 48) } }
}

/** Some readers look at the wide end always, some only where a number does not fit: both must see the same. */
function together(said: DirectoryPlace, wide: DirectoryPlace): DirectoryPlace {
  const agree =
    (said.entries === MAX_16 || said.entries === wide.entries) &&
    (said.size === MAX_32 || said.size === wide.size) &&
    (said.offset === MAX_32 || said.offset === wide.offset)
  if (!agree) throw brokenZip('has two ends that contradict each other')
  return wide
}
