/**
 * A log entry is a salt and the bytes of a change, kept and sent as they were hashed and never encoded again. A reader who may
 * not see a scope gets the leaf hash alone and can still verify the log; the salt keeps it from guessing the change.
 */
import { RegistryError } from '../errors.js'
import { leafHash } from '../merkle.js'
import type { Change } from '../records.js'

export const SALT_BYTES = 16
/** A change larger than this is refused where it is made. */
export const MAX_BODY_BYTES = 16 * 1024 * 1024

export interface Entry {
  number: number
  salt: Uint8Array
  body: Uint8Array
}

/** An entry of a scope that the reader may not see. */
export interface Hidden {
  number: number
  leaf: Uint8Array
}

export type LogItem = Entry | Hidden

export function encodeChange(change: Change): Uint8Array {
  const body = Buffer.from(JSON.stringify(change))
  if (body.length > MAX_BODY_BYTES) throw new RegistryError('too_large', 'The metadata of this version is too large')
  return body
}

/** Parses what `encodeChange` made. Fields of a later version survive in the bytes and are ignored here. */
export function decodeChange(body: Uint8Array): Change {
  const value: unknown = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'))
  if (
    !isRecord(value) ||
    typeof value.kind !== 'string' ||
    typeof value.scope !== 'string' ||
    typeof value.at !== 'string'
  )
    throw new RegistryError('corrupt', 'A log entry is not a change')
  return value as unknown as Change
}

/** RFC 9162 section 2.1.1 leaf hash over salt || body. 32 bytes. */
export function leafOf(item: LogItem): Uint8Array {
  if ('leaf' in item) return item.leaf
  return leafHash(Buffer.concat([item.salt, item.body]))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
