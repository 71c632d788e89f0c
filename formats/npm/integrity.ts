/** Hashes as npm writes them. */
import type { Promised } from '../../protocol/records.js'
import type { JsonObject } from '../text/json.js'
import { text } from './notes.js'

/** Subresource integrity, of which the last of several hashes of one kind counts, and npm's older `shasum`. */
export function promisedBy({ integrity, shasum }: JsonObject): Promised | undefined {
  const promised: Promised = {}
  for (const part of text(integrity).split(/\s+/)) {
    const [, kind, base64 = ''] = /^(sha1|sha256|sha512)-([A-Za-z0-9+/]+={0,2})(?:\?.*)?$/.exec(part) ?? []
    const hex = Buffer.from(base64, 'base64').toString('hex')
    if (isKind(kind) && hex.length === HEX_LENGTH[kind]) promised[kind] = hex
  }
  if (/^[0-9a-f]{40}$/i.test(text(shasum))) promised.sha1 = text(shasum).toLowerCase()
  return Object.keys(promised).length === 0 ? undefined : promised
}

const HEX_LENGTH = { sha1: 40, sha256: 64, sha512: 128 }

function isKind(kind: string | undefined): kind is keyof typeof HEX_LENGTH {
  return kind !== undefined && Object.hasOwn(HEX_LENGTH, kind)
}
