/** What tables of bad inputs are made of: one request that is refused in the format's own document, and leaves nothing. */
import { gzipSync } from 'node:zlib'
import { type Entry, pax, tar, tgz } from '../support/tar-writer.js'
import { type ArchiveDraft, type ZipDraft, zip } from '../support/zip-writer.js'

export interface Row {
  what: string
  /** `name`: a word that no other row has, for what is published under a name of its own. */
  send(name: string): Sent
  /** Default 400 and 413. */
  statuses?: number[]
}

export interface Sent {
  method: string
  /** Below the server's root. */
  path: string
  body: string | Uint8Array
  headers?: Record<string, string>
}

export interface Table {
  format: string
  rows: Row[]
  /** What the reply tells a person, out of the document that the format's clients read. */
  sentence(body: string): unknown
  /** What rows need to be there before. */
  before?: Sent[]
}

const ZEROS = Buffer.alloc(100 * 1024 * 1024)
const ZIP_ENTRIES = 66_000

/** Made when it is sent, since some are large. */
export type Made = [what: string, bytes: () => Buffer]

/** Group I for tar archives in gzip. `own`: an archive in order, all of it below `folder`, what names it first. `tooMany`: entries. */
export function tarballs(folder: string, own: [Entry, ...Entry[]], tooMany: number): Made[] {
  const packed = (...more: Entry[]): Buffer => tgz([...own, ...more])
  const inside = (name: string): string => `${folder}/${name}`
  const climbing = ['../../x', inside('../../x'), '/etc/x', inside('a\\..\\..\\x'), 'C:/x']
  return [
    ['I01 100 MiB of zeros', () => packed({ name: inside('zeros'), content: ZEROS })],
    ['I01 zeros in front', () => tgz([{ name: inside('zeros'), content: ZEROS }, ...own])],
    ['I02 gzip in gzip', () => gzipSync(packed())],
    ...climbing.map((name): Made => [`I04 an entry ${name}`, () => packed({ name, content: 'x' })]),
    ['I04 a name with NUL', () => packed(extended('path', inside('a\0b')), { name: inside('x') })],
    ['I04 a link in its manifest’s place', () => tgz([{ ...own[0], type: '2', target: '/etc/passwd', content: '' }])],
    [`I05 ${tooMany} empty entries`, () => many(own, inside('empty'), tooMany)],
    ['I05 a name of a mebibyte', () => packed(extended('path', inside('n'.repeat(1_048_576))), { name: 'x' })],
    ...['-1', '9223372036854775808', '1e3'].map(
      (size): Made => [`I05 a size of ${size}`, () => packed(extended('size', size), { name: inside('x') })],
    ),
    ['I05 a negative size', () => packed({ name: inside('x'), content: 'x', size: Buffer.alloc(12, 0xff) })],
    ['I05 a size beyond the end', () => packed({ name: inside('x'), content: 'x', size: '77777777777 ' })],
    ['I05 GNU sparse', () => packed({ name: inside('x'), type: 'S', content: 'x' })],
    ['I06 two manifests', () => packed({ ...own[0], content: 'other' })],
    ['I12 rubbish behind', () => Buffer.concat([packed(), Buffer.from('rubbish')])],
    ['I16 half of it', () => packed().subarray(0, packed().length / 2)],
    ['no gzip', () => tar(own)],
    ['nothing', () => Buffer.alloc(0)],
  ]
}

/** Group I for zip archives, in the same way; `folder` is part of every name, '' for none. */
export function zips(folder: string, own: [ZipDraft, ...ZipDraft[]]): Made[] {
  const x: ZipDraft = { name: `${folder}x`, content: 'x' }
  const packed = (more: ZipDraft[], draft?: ArchiveDraft): Buffer => zip([...own, ...more], draft)
  const inDirectory = (patch: (header: Buffer) => void): Buffer => packed([{ ...x, patchDirectory: patch }])
  const atPlace = (patch: (header: Buffer) => void): Buffer => packed([{ ...x, patchLocal: patch }])
  const climbing = ['..\\..\\x', '../../x', '/etc/x', 'C:/x', `${folder}a\0b`]
  return [
    ['I02 overlapping entries', () => inDirectory((header) => header.writeUInt32LE(0, 42))],
    [`I05 ${ZIP_ENTRIES} entries`, () => packed(numbered(folder))],
    ['I05 an end that counts less', () => packed([x], { patchEnd: (end) => end.writeUInt16LE(1, 10) })],
    ['I09 an encrypted entry', () => inDirectory((header) => header.writeUInt16LE(1, 8))],
    ['I09 another compression', () => inDirectory((header) => header.writeUInt16LE(12, 10))],
    ['I09 a 64-bit end that lies', () => packed([x], { wide: true, patchEnd: (end) => end.writeUInt32LE(1, 12) })],
    ['I09 an end in the comment', () => packed([x], { comment: `PK\x05\x06${'x'.repeat(30)}` })],
    ...climbing.map((name): Made => [`I10 an entry ${name}`, () => packed([{ name, content: 'x' }])]),
    ['I10 a link', () => packed([{ ...x, mode: 0o120777, content: '/etc/passwd' }])],
    ['I11 one name twice', () => packed([x, { ...x, content: 'y' }])],
    ['I11 two manifests', () => packed([{ ...own[0], content: 'other' }])],
    ['I11 another name at its place', () => atPlace((header) => header.writeUInt16LE(2, 26))],
    ['I12 rubbish behind', () => Buffer.concat([packed([x]), Buffer.from('rubbish')])],
    ['I12 rubbish in front', () => Buffer.concat([Buffer.from('#!/bin/sh\n'), packed([x])])],
    ['I14 another size in the directory', () => atPlace((header) => header.writeUInt32LE(9, 22))],
    ['I15 a broken extra field', () => packed([{ ...x, extra: Buffer.from([1, 0, 9, 0, 1]) }])],
    ['I16 half of it', () => packed([x]).subarray(0, packed([x]).length / 2)],
    ['no zip', () => Buffer.from('<html>maintenance</html>')],
    ['nothing', () => Buffer.alloc(0)],
  ]
}

/** Documents that are no JSON object, or too much of one. */
export const NO_DOCUMENTS = [
  '{',
  'null',
  '[]',
  '"x"',
  '',
  `{"name":${'['.repeat(100_000)}`,
  `{"name":"${'x'.repeat(20_000_000)}"}`,
  '{"a":1}{"b":2}',
]

/** Short enough for a title. */
export function shown(text: string): string {
  return JSON.stringify(text.slice(0, 30))
}

/** Empty entries, more than any package has, made without holding each. */
function many(own: Entry[], name: string, count: number): Buffer {
  const empty = tar([{ name }], Buffer.alloc(0))
  const rest = Buffer.alloc(empty.length * count, empty)
  return gzipSync(Buffer.concat([tar(own, Buffer.alloc(0)), rest, Buffer.alloc(1024)]), { level: 1 })
}

function numbered(folder: string): ZipDraft[] {
  return Array.from({ length: ZIP_ENTRIES }, (_, i) => ({ name: `${folder}${i}`, stored: true }))
}

/** What pax says of the entry behind it. */
function extended(key: string, value: string): Entry {
  return { name: 'p', type: 'x', content: pax(key, value) }
}
