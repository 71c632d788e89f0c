/** Writes zip archives, right ones and wrong ones, for tests. */
import { crc32, deflateRawSync } from 'node:zlib'

export interface ZipContent {
  name: string
  content: string | Uint8Array
  /** Stored as it is instead of deflated. */
  plain?: boolean
  /** What the entry's own header says instead of the directory's name. */
  localName?: string
  /** Changes the entry's record in the directory. */
  patch?: (record: Buffer) => void
}

export interface ZipShape {
  before?: string
  /** Between the directory and the end. */
  gap?: string
  comment?: string
  /** Values of the end record stand in the 64-bit one. */
  long?: boolean
}

export function zip(
  contents: ZipContent[],
  { before = '', gap = '', comment = '', long = false }: ZipShape = {},
): Buffer {
  const parts: Buffer[] = [Buffer.from(before)]
  const records: Buffer[] = []
  let at = before.length
  for (const each of contents) {
    const { local, record } = entry(each, at)
    parts.push(local)
    records.push(record)
    at += local.length
  }
  const directory = Buffer.concat(records)
  return Buffer.concat([
    ...parts,
    directory,
    Buffer.from(gap),
    end(contents.length, directory.length, at, comment, long),
  ])
}

function entry(
  { name, content, plain, localName = name, patch }: ZipContent,
  at: number,
): { local: Buffer; record: Buffer } {
  const bytes = Buffer.from(content)
  const packed = plain ? bytes : deflateRawSync(bytes)
  const header = Buffer.alloc(26)
  header.writeUInt16LE(20, 0)
  header.writeUInt16LE(plain ? 0 : 8, 4)
  header.writeUInt16LE(0x5a21, 8)
  header.writeUInt32LE(crc32(bytes), 10)
  header.writeUInt32LE(packed.length, 14)
  header.writeUInt32LE(bytes.length, 18)
  header.writeUInt16LE(Buffer.byteLength(name), 22)
  const localHeader = Buffer.from(header)
  localHeader.writeUInt16LE(Buffer.byteLength(localName), 22)
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), localHeader, Buffer.from(localName), packed])
  const tail = Buffer.alloc(14)
  tail.writeUInt32LE((0o100644 << 16) >>> 0, 6)
  tail.writeUInt32LE(at, 10)
  const record = Buffer.concat([Buffer.from('PK\x01\x02\x14\x03'), header, tail, Buffer.from(name)])
  patch?.(record)
  return { local, record }
}

function end(count: number, size: number, start: number, comment: string, long: boolean): Buffer {
  const record = Buffer.alloc(22)
  record.write('PK\x05\x06')
  record.writeUInt16LE(long ? 0xffff : count, 8)
  record.writeUInt16LE(long ? 0xffff : count, 10)
  record.writeUInt32LE(long ? 0xffffffff : size, 12)
  record.writeUInt32LE(long ? 0xffffffff : start, 16)
  record.writeUInt16LE(comment.length, 20)
  const short = Buffer.concat([record, Buffer.from(comment)])
  return long ? Buffer.concat([longEnd(count, size, start), short]) : short
}

function longEnd(count: number, size: number, start: number): Buffer {
  const record = Buffer.alloc(56)
  record.write('PK\x06\x06')
  record.writeBigUInt64LE(44n, 4)
  record.writeBigUInt64LE(BigInt(count), 24)
  record.writeBigUInt64LE(BigInt(count), 32)
  record.writeBigUInt64LE(BigInt(size), 40)
  record.writeBigUInt64LE(BigInt(start), 48)
  const locator = Buffer.alloc(20)
  locator.write('PK\x06\x07')
  locator.writeBigUInt64LE(BigInt(start + size), 8)
  locator.writeUInt32LE(1, 16)
  return Buffer.concat([record, locator])
}
