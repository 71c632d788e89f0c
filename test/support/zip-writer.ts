/** Writes zip archives, right ones and wrong ones, for tests. */
import { crc32, deflateRawSync } from 'node:zlib'

export interface ZipDraft {
  name: string | Uint8Array
  content?: string | Uint8Array
  /** Default deflate. */
  stored?: boolean
  /** Bytes instead of the deflated content. */
  packed?: Uint8Array
  /** Sizes and checksum behind the content, as streaming writers do. */
  described?: boolean
  /** Unix mode; default an ordinary file or, by the name, a folder. */
  mode?: number
  extra?: Uint8Array
  /** Bytes put over the finished headers. */
  patchLocal?: (header: Buffer) => void
  patchDirectory?: (header: Buffer) => void
}

export interface ArchiveDraft {
  comment?: string
  /** Writes the 64-bit end too. */
  wide?: boolean
  /** Bytes put over the finished end record. */
  patchEnd?: (end: Buffer) => void
  /** Between the last entry and the directory. */
  gap?: Uint8Array
}

export function zip(entries: ZipDraft[], { comment = '', wide = false, patchEnd, gap }: ArchiveDraft = {}): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const entry of entries) {
    const { local, header } = blocksOf(entry, offset)
    parts.push(local)
    directory.push(header)
    offset += local.length
  }
  const start = offset + (gap?.length ?? 0)
  const size = directory.reduce((sum, header) => sum + header.length, 0)
  const end = endOf(entries.length, size, start, comment)
  const wideEnd = wide ? wideEndOf(entries.length, size, start) : Buffer.alloc(0)
  patchEnd?.(end)
  return Buffer.concat([...parts, Buffer.from(gap ?? []), ...directory, wideEnd, end])
}

function blocksOf(entry: ZipDraft, offset: number): { local: Buffer; header: Buffer } {
  const name = Buffer.from(entry.name as string)
  const content = Buffer.from((entry.content ?? '') as string)
  const isFolder = name.at(-1) === 0x2f
  const isStored = entry.stored ?? isFolder
  const packed = Buffer.from(entry.packed ?? (isStored ? content : deflateRawSync(content)))
  const facts = Buffer.alloc(12)
  facts.writeUInt32LE(crc32(content), 0)
  facts.writeUInt32LE(packed.length, 4)
  facts.writeUInt32LE(content.length, 8)
  const extra = Buffer.from(entry.extra ?? [])

  const local = Buffer.alloc(30)
  local.writeUInt32LE(0x04034b50, 0)
  local.writeUInt16LE(20, 4)
  local.writeUInt16LE(0x800 | (entry.described ? 8 : 0), 6)
  local.writeUInt16LE(isStored ? 0 : 8, 8)
  if (!entry.described) facts.copy(local, 14)
  local.writeUInt16LE(name.length, 26)
  entry.patchLocal?.(local)

  const header = Buffer.alloc(46)
  header.writeUInt32LE(0x02014b50, 0)
  header.writeUInt16LE((3 << 8) | 20, 4)
  header.writeUInt16LE(20, 6)
  header.writeUInt16LE(0x800 | (entry.described ? 8 : 0), 8)
  header.writeUInt16LE(isStored ? 0 : 8, 10)
  facts.copy(header, 16)
  header.writeUInt16LE(name.length, 28)
  header.writeUInt16LE(extra.length, 30)
  header.writeUInt32LE(((entry.mode ?? (isFolder ? 0o040755 : 0o100644)) << 16) >>> 0, 38)
  header.writeUInt32LE(offset, 42)
  entry.patchDirectory?.(header)
  const descriptor = entry.described ? Buffer.concat([Buffer.from('PK\x07\x08'), facts]) : Buffer.alloc(0)
  return {
    local: Buffer.concat([local, name, packed, descriptor]),
    header: Buffer.concat([header, name, extra]),
  }
}

function endOf(entries: number, size: number, offset: number, comment: string): Buffer {
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(entries & 0xffff, 8)
  end.writeUInt16LE(entries & 0xffff, 10)
  end.writeUInt32LE(size, 12)
  end.writeUInt32LE(offset, 16)
  end.writeUInt16LE(Buffer.byteLength(comment), 20)
  return Buffer.concat([end, Buffer.from(comment)])
}

function wideEndOf(entries: number, size: number, offset: number): Buffer {
  const end = Buffer.alloc(56)
  end.writeUInt32LE(0x06064b50, 0)
  end.writeBigUInt64LE(44n, 4)
  end.writeBigUInt64LE(BigInt(entries), 24)
  end.writeBigUInt64LE(BigInt(entries), 32)
  end.writeBigUInt64LE(BigInt(size), 40)
  end.writeBigUInt64LE(BigInt(offset), 48)
  const locator = Buffer.alloc(20)
  locator.writeUInt32LE(0x07064b50, 0)
  locator.writeBigUInt64LE(BigInt(offset + size), 8)
  locator.writeUInt32LE(1, 16)
  return Buffer.concat([end, locator])
}
