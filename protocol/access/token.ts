/**
 * API tokens: `cairn_`, 256 random bits as 43 characters of base62, and their CRC-32 as 6 more, so that scanners for secrets know one
 * by itself. Older ones have 43 characters of base64url and no checksum. Only the SHA-256 is kept, and the record's id is the
 * beginning of that hash, so that finding a token is one look-up among the replicated records and no index has to follow them.
 */
import { createHash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

export const TOKEN_PREFIX = 'cairn_'

/** Stands for nobody, in protocols where everybody must bring a token: whoever brings it may do what anonymous may. */
export const ANONYMOUS_TOKEN = 'anonymous'

const TOKEN_BYTES = 32
const RANDOM_CHARACTERS = 43
const CHECKSUM_CHARACTERS = 6
const CHECKSUMMED = /^cairn_[A-Za-z0-9]{49}$/
const OLDER = /^cairn_[A-Za-z0-9_-]{43}$/
const ID_CHARACTERS = 32
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

export interface NewToken {
  /** Shown once. */
  value: string
  id: string
  hash: string
}

export function newToken(random: (bytes: number) => Uint8Array = randomBytes): NewToken {
  const body = base62(BigInt(`0x${Buffer.from(random(TOKEN_BYTES)).toString('hex')}`), RANDOM_CHARACTERS)
  const value = TOKEN_PREFIX + body + checksum(body)
  const hash = tokenHash(value)
  return { value, id: tokenId(hash), hash }
}

export function isTokenText(text: string): boolean {
  return (CHECKSUMMED.test(text) || OLDER.test(text)) && !isMistyped(text)
}

/** It has a checksum, which is another's. */
export function isMistyped(text: string): boolean {
  return CHECKSUMMED.test(text) && !text.endsWith(checksum(text.slice(TOKEN_PREFIX.length, -CHECKSUM_CHARACTERS)))
}

/** Lowercase hexadecimal SHA-256, as in `TokenRecord.hash`. */
export function tokenHash(value: string): string {
  return createHash('sha256').update(value).digest('hex')
}

/** 128 bits of the hash: no two tokens share them, and they tell nothing about the token. */
export function tokenId(hash: string): string {
  return hash.slice(0, ID_CHARACTERS)
}

function checksum(body: string): string {
  return base62(BigInt(crc32(body)), CHECKSUM_CHARACTERS)
}

function base62(value: bigint, characters: number): string {
  let text = ''
  for (let left = value; text.length < characters; left /= 62n) text = BASE62[Number(left % 62n)] + text
  return text
}
