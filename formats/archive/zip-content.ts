/**
 * What is in the entries of a zip archive, unpacked and checked against its directory: the same name, size and checksum, and
 * nothing behind the packed content. All entries are read in one pass over the archive, with a few chunks in memory.
 */
import { pipeline, Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { crc32, createInflateRaw, type InflateRaw, inflateRawSync } from 'node:zlib'
import type { Bytes } from '../../protocol/ports.js'
import { ByteCursor } from './byte-cursor.js'
import type { ZipEntry } from './zip.js'
import { brokenZip } from './zip-range.js'

export interface ZipVisitor {
  begin(entry: ZipEntry): void
  /** Of the entry that began last; valid during the call. */
  content(bytes: Uint8Array): void
  /** The content was whole and right. */
  end(entry: ZipEntry): void
}

/** Shows all entries, in the order in which they lie. Throws `invalid` for what is not as the directory says. */
export async function readEntries(
  bytes: Bytes,
  entries: readonly ZipEntry[],
  visitor: ZipVisitor,
  signal?: AbortSignal,
): Promise<void> {
  let unpacked = 0
  await walk(
    bytes,
    entries,
    async (cursor, entry) => {
      visitor.begin(entry)
      await show(cursor, entry, visitor)
      visitor.end(entry)
      unpacked += entry.size + ENTRY_BYTES
      if (unpacked < TURN_BYTES) return
      unpacked = 0
      await setImmediate()
    },
    signal,
  )
}

/** Unpacks nothing. Throws `invalid` for an entry that begins with something else than the directory says. */
export function checkHeaders(bytes: Bytes, entries: readonly ZipEntry[], signal?: AbortSignal): Promise<void> {
  return walk(bytes, entries, checkHeader, signal)
}

async function walk(
  bytes: Bytes,
  entries: readonly ZipEntry[],
  visit: (cursor: ByteCursor, entry: ZipEntry) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const sorted = [...entries].sort((a, b) => a.offset - b.offset)
  const [first, last] = [sorted[0], sorted.at(-1)]
  if (!first || !last) return
  const cursor = new ByteCursor(bytes.read({ start: first.offset, end: last.limit }, signal), first.offset)
  try {
    for (const entry of sorted) {
      await cursor.skipTo(entry.offset)
      await visit(cursor, entry)
    }
  } finally {
    await cursor.close()
  }
}

/** One entry's content, which may have at most `limit` bytes. Throws `invalid`. */
export async function readEntry(bytes: Bytes, entry: ZipEntry, limit: number, signal?: AbortSignal): Promise<Buffer> {
  if (entry.size > limit) throw brokenZip(`has an entry of more than ${limit} bytes: ${entry.name.slice(0, 200)}`)
  const chunks: Buffer[] = []
  await readEntries(
    bytes,
    [entry],
    { begin: () => undefined, content: (chunk) => void chunks.push(Buffer.from(chunk)), end: () => undefined },
    signal,
  )
  return Buffer.concat(chunks)
}

/** Bytes that are unpacked before the others on this process get a turn. */
const TURN_BYTES = 4 * 1024 * 1024
/** What an entry costs besides its content. */
const ENTRY_BYTES = 16 * 1024
/** Unpacking so much at once takes about 2 ms. */
const SHORT = { compressed: 64 * 1024, size: 1024 * 1024 }
const SIGNATURE = 0x04034b50
const HEADER = 30
const ENCRYPTED = 0x0001
/** Sizes and checksum follow the content, and the fields here are not set. */
const DESCRIBED_LATER = 0x0008

async function show(cursor: ByteCursor, entry: ZipEntry, visitor: ZipVisitor): Promise<void> {
  await checkHeader(cursor, entry)
  let [size, checksum] = [0, 0]
  for await (const chunk of unpacked(cursor, entry)) {
    size += chunk.length
    if (size > entry.size) throw differs(entry)
    checksum = crc32(chunk, checksum)
    visitor.content(chunk)
  }
  if (size !== entry.size || checksum !== entry.crc) throw differs(entry)
}

/** Some readers believe this header instead of the directory, so they must say the same. Leaves the cursor at the content. */
async function checkHeader(cursor: ByteCursor, entry: ZipEntry): Promise<void> {
  const header = await cursor.take(HEADER)
  if (header.readUInt32LE(0) !== SIGNATURE) throw brokenZip('has no entry where its directory says')
  const name = await cursor.take(header.readUInt16LE(26))
  const extra = header.readUInt16LE(28)
  if (cursor.position + extra + entry.compressed > entry.limit) throw brokenZip('has entries that overlap')
  await cursor.skipTo(cursor.position + extra)
  const flags = header.readUInt16LE(6)
  const isDeflated = header.readUInt16LE(8) === 8
  if (!name.equals(Buffer.from(entry.name)) || isDeflated !== entry.isDeflated || (flags & ENCRYPTED) !== 0)
    throw brokenZip(`has an entry that is another one in the directory: ${JSON.stringify(entry.name.slice(0, 200))}`)
  if ((flags & DESCRIBED_LATER) !== 0) return
  const said = [header.readUInt32LE(18), header.readUInt32LE(22)]
  const isWide = said.every((size) => size === 0xffff_ffff)
  if (header.readUInt32LE(14) !== entry.crc || !(isWide || (said[0] === entry.compressed && said[1] === entry.size)))
    throw brokenZip(`has an entry of another size in the directory: ${JSON.stringify(entry.name.slice(0, 200))}`)
}

async function* unpacked(cursor: ByteCursor, entry: ZipEntry): AsyncGenerator<Uint8Array, void, undefined> {
  if (!entry.isDeflated) yield* cursor.part(entry.compressed)
  else if (entry.compressed <= SHORT.compressed && entry.size <= SHORT.size)
    yield inflateShort(await cursor.take(entry.compressed), entry)
  else yield* inflate(cursor.part(entry.compressed), entry)
}

function inflateShort(packed: Buffer, entry: ZipEntry): Buffer {
  try {
    const options = { maxOutputLength: entry.size + 1, info: true }
    // With `info`, Node returns an object; its types do not say so.
    const { buffer, engine } = inflateRawSync(packed, options) as unknown as { buffer: Buffer; engine: InflateRaw }
    if (engine.bytesWritten !== packed.length) throw goesOn(entry)
    return buffer
  } catch (cause) {
    throw explained(cause, entry)
  }
}

async function* inflate(
  packed: AsyncIterable<Uint8Array>,
  entry: ZipEntry,
): AsyncGenerator<Uint8Array, void, undefined> {
  const source = Readable.from(copies(packed))
  const stream = createInflateRaw({ chunkSize: 64 * 1024 })
  // Its errors are those of the stream, which is read here.
  pipeline(source, stream, () => undefined)
  try {
    for await (const chunk of stream) yield chunk as Buffer
    if (stream.bytesWritten !== entry.compressed) throw goesOn(entry)
  } catch (cause) {
    throw explained(cause, entry)
  } finally {
    stream.destroy()
    source.destroy()
  }
}

/** A stream reads ahead, and a chunk is only good until the next one is asked for. */
async function* copies(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of chunks) yield Buffer.from(chunk)
}

function explained(cause: unknown, entry: ZipEntry): unknown {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  if (code === 'ERR_BUFFER_TOO_LARGE') return differs(entry)
  return code.startsWith('Z_')
    ? brokenZip(`has an entry that cannot be unpacked: ${entry.name.slice(0, 200)}`, cause)
    : cause
}

function differs(entry: ZipEntry): Error {
  return brokenZip(
    `has an entry with another size or checksum than it says: ${JSON.stringify(entry.name.slice(0, 200))}`,
  )
}

function goesOn(entry: ZipEntry): Error {
  return brokenZip(`has an entry that goes on behind its end: ${JSON.stringify(entry.name.slice(0, 200))}`)
}
