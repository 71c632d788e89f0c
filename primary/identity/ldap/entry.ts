/** Values of a directory's entry: in any number and order, of any case of the attribute's name, and not always texts. */
import type { Entry } from 'ldapts'
import { RegistryError } from '../../../protocol/errors.js'

const GUID_BYTES = 16

/** Those that are texts, sorted: a directory keeps no order. */
export function textsOf(entry: Entry, attribute: string): string[] {
  return valuesOf(entry, attribute)
    .filter((value) => typeof value === 'string' && value !== '' && !/\p{Cc}/u.test(value))
    .sort() as string[]
}

/** Throws `invalid` unless there is one id, which a text can say. */
export function idOf(entry: Entry, attribute: string): string {
  const [value, ...others] = valuesOf(entry, attribute)
  if (value === undefined || value.length === 0) throw unusable(`${entry.dn} has no ${attribute}`)
  if (others.length > 0) throw unusable(`${entry.dn} has several values of ${attribute}`)
  if (typeof value === 'string') return value
  if (isGuid(attribute) && value.length === GUID_BYTES) return guidOf(value)
  throw unusable(`The ${attribute} of ${entry.dn} is no text`)
}

/** What an id is in the directory. */
export function idValue(id: string, attribute: string): string | Buffer {
  return isGuid(attribute) ? guidBytes(id) : id
}

/** As the directory spells it: an attribute that is asked for by another name comes back as a text. */
export function idAttribute(attribute: string): string {
  return isGuid(attribute) ? 'objectGUID' : attribute
}

function isGuid(attribute: string): boolean {
  return attribute.toLowerCase() === 'objectguid'
}

function valuesOf(entry: Entry, attribute: string): (string | Buffer)[] {
  const name = Object.keys(entry).find((key) => key.toLowerCase() === attribute.toLowerCase())
  return name === undefined || name === 'dn' ? [] : [entry[name] ?? []].flat()
}

/** MS-DTYP, 2.3.4.2: the first three groups are little-endian. */
function guidOf(bytes: Buffer): string {
  const hex = swapped(bytes).toString('hex')
  return [[0, 8], [8, 12], [12, 16], [16, 20], [20]].map(([from, to]) => hex.slice(from, to)).join('-')
}

function guidBytes(guid: string): Buffer {
  return swapped(Buffer.from(guid.replaceAll('-', ''), 'hex'))
}

function swapped(bytes: Buffer): Buffer {
  const part = (from: number, to: number) => Buffer.from(bytes.subarray(from, to)).reverse()
  return Buffer.concat([part(0, 4), part(4, 6), part(6, 8), bytes.subarray(8)])
}

function unusable(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'id_unusable' })
}
