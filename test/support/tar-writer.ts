/** Writes tar archives, right ones and wrong ones, for tests. */
import { gzipSync } from 'node:zlib'

export interface Entry {
  name: string
  content?: string | Uint8Array
  /** Default '0'. */
  type?: string
  target?: string
  /** The size field's text, when it is to say something else than the content's length. */
  size?: string | Uint8Array
  /** Bytes put over the finished header; the checksum is made afterwards. */
  patch?: (header: Buffer) => void
  badChecksum?: boolean
}

export function tar(entries: Entry[], end = Buffer.alloc(1024)): Buffer {
  return Buffer.concat([...entries.map(blockOf), end])
}

export function tgz(entries: Entry[]): Buffer {
  return gzipSync(tar(entries))
}

/** A pax record, counting its own digits. */
export function pax(key: string, value: string): string {
  const body = ` ${key}=${value}\n`
  let length = Buffer.byteLength(body) + 1
  while (String(length).length + Buffer.byteLength(body) !== length)
    length = String(length).length + Buffer.byteLength(body)
  return `${length}${body}`
}

function blockOf(entry: Entry): Buffer {
  const content = Buffer.from(entry.content ?? '')
  const header = Buffer.alloc(512)
  header.write(entry.name, 0, 100)
  header.write('0000644\0', 100)
  header.write('0000000\0', 108)
  header.write('0000000\0', 116)
  const size = entry.size ?? `${content.length.toString(8).padStart(11, '0')} `
  header.set(typeof size === 'string' ? Buffer.from(size) : size, 124)
  header.write('00000000000 ', 136)
  header.write(entry.type ?? '0', 156)
  header.write(entry.target ?? '', 157, 100)
  header.write('ustar\x0000', 257)
  entry.patch?.(header)
  header.fill(0x20, 148, 156)
  const sum = header.reduce((total, byte) => total + byte, entry.badChecksum ? 1 : 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)])
}
