/** The extra fields of a zip directory header: 64-bit sizes where 32 bits are not enough, and names that contradict the name. */
import { brokenZip, UTF8 } from './zip-range.js'

/** Where an entry lies and how large it is, in bytes. */
export interface Extra {
  size: number
  compressed: number
  offset: number
}

export const MAX_32 = 0xffff_ffff

/** The three numbers as they are meant. `said`: as the header has them, each at its largest value where it is in a field here. */
export function parseExtra(fields: Buffer, said: Extra & { name: string }): Extra {
  let wide: Extra | undefined
  // Some tools pad with less than a field's header.
  for (let at = 0; at + 4 <= fields.length; ) {
    const content = at + 4
    const end = content + fields.readUInt16LE(at + 2)
    if (end > fields.length) throw brokenZip('has an entry with a broken extra field')
    const id = fields.readUInt16LE(at)
    const field = fields.subarray(content, end)
    if (id === UNICODE_NAME) checkName(field, said.name)
    if (id === ZIP64) {
      if (wide) throw brokenZip('has an entry with two 64-bit fields')
      wide = widen(field, said)
    }
    at = end
  }
  const { size, compressed, offset } = wide ?? said
  if (size === MAX_32 || compressed === MAX_32 || offset === MAX_32)
    throw brokenZip('has an entry without the 64-bit field that it needs')
  return { size, compressed, offset }
}

/** Throws where it is more than this program can count. */
export function readUInt64(bytes: Buffer, at: number): number {
  const value = bytes.readBigUInt64LE(at)
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw brokenZip('names an impossible size')
  return Number(value)
}

const ZIP64 = 0x0001
const UNICODE_NAME = 0x7075
/** Version and checksum. */
const UNICODE_HEADER = 5

/** APPNOTE 4.5.3: only the fields that do not fit, always in this order. */
function widen(field: Buffer, said: Extra): Extra {
  const wide = { size: said.size, compressed: said.compressed, offset: said.offset }
  let at = 0
  for (const name of ['size', 'compressed', 'offset'] as const) {
    if (said[name] !== MAX_32) continue
    if (at + 8 > field.length) throw brokenZip('has an entry with a broken 64-bit field')
    wide[name] = readUInt64(field, at)
    at += 8
  }
  return wide
}

/** Some readers believe this field instead of the name. */
function checkName(field: Buffer, name: string): void {
  let other: string | undefined
  try {
    other = UTF8.decode(field.subarray(UNICODE_HEADER))
  } catch {
    // Then it is another name.
  }
  if (other !== name) throw brokenZip('has an entry with two names')
}
