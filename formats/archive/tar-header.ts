/**
 * One tar header block, and the extended headers that may stand before it (POSIX.1-2001 pax, GNU long names). What two readers
 * could understand differently is refused: base-256 numbers, sparse files, conflicting names.
 */
import { RegistryError } from '../../protocol/errors.js'

export const BLOCK = 512

export interface Header {
  name: string
  target: string
  size: number
  /** The type flag; '0' for the older spellings of an ordinary file. */
  type: string
}

/** What extended headers say about the entry that follows them. */
export interface Extension {
  path?: string
  linkpath?: string
  size?: number
}

export function isZero(block: Uint8Array): boolean {
  for (const byte of block) if (byte !== 0) return false
  return true
}

/** Throws `invalid`. */
export function parseHeader(block: Buffer): Header {
  if (octal(block, 148, 8, 'checksum') !== checksum(block)) throw brokenArchive('has a header with a wrong checksum')
  const type = String.fromCharCode(block[156] ?? 0)
  const name = text(block, 0, 100)
  const isPosix = block.toString('latin1', 257, 263) === 'ustar\0'
  const prefix = isPosix ? upToNul(block.subarray(345, 500)) : ''
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    target: text(block, 157, 100),
    size: octal(block, 124, 12, 'size'),
    type: type === '\0' || type === '7' ? '0' : type,
  }
}

/** The records of a pax header: "25 path=some/long/name\n", the number counting its own digits. Throws `invalid`. */
export function parsePax(records: Buffer): Extension {
  const extension: Extension = {}
  for (let at = 0; at < records.length; ) {
    const space = records.indexOf(0x20, at)
    const length = space < 0 ? 0 : decimal(records.toString('latin1', at, space))
    const end = at + length
    if (length === 0 || end > records.length || records[end - 1] !== 0x0a)
      throw brokenArchive('has a broken pax header')
    assign(extension, records.toString('utf8', space + 1, end - 1))
    at = end
  }
  return extension
}

/** GNU long names are ended by NUL. */
export function parseLongName(content: Buffer): string {
  return upToNul(content)
}

export function brokenArchive(how: string): RegistryError {
  return new RegistryError('invalid', `The archive ${how}`, { code: 'invalid_archive' })
}

function assign(extension: Extension, record: string): void {
  const equals = record.indexOf('=')
  if (equals <= 0) throw brokenArchive('has a broken pax header')
  const key = record.slice(0, equals)
  const value = record.slice(equals + 1)
  if (key.startsWith('GNU.sparse')) throw brokenArchive('holds a sparse file')
  if (key === 'path') extension.path = value
  else if (key === 'linkpath') extension.linkpath = value
  else if (key === 'size') extension.size = size(value)
}

function size(value: string): number {
  const bytes = decimal(value)
  if (!Number.isSafeInteger(bytes)) throw brokenArchive('has an entry of an impossible size')
  return bytes
}

function decimal(value: string): number {
  if (!/^\d{1,19}$/.test(value)) throw brokenArchive('has a broken pax header')
  return Number(value)
}

/** A name that goes on behind its NUL is one name to some readers and another to others. */
function text(block: Buffer, from: number, length: number): string {
  const field = block.subarray(from, from + length)
  const nul = field.indexOf(0)
  if (nul >= 0 && !isZero(field.subarray(nul))) throw brokenArchive('has an entry whose name holds NUL')
  return upToNul(field)
}

function upToNul(field: Buffer): string {
  const nul = field.indexOf(0)
  return field.toString('utf8', 0, nul < 0 ? field.length : nul)
}

function octal(block: Buffer, from: number, length: number, what: string): number {
  const digits = block.toString('latin1', from, from + length).replace(/^ +|[ \0]+$/g, '')
  if (digits === '') return 0
  if (!/^[0-7]{1,12}$/.test(digits)) throw brokenArchive(`has a header whose ${what} is not an octal number`)
  return Number.parseInt(digits, 8)
}

/** Of all bytes, with those of the checksum itself taken as spaces. */
function checksum(block: Buffer): number {
  let sum = 8 * 0x20
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += block[i] ?? 0
  return sum
}
