/**
 * API tokens: `cairn_` and 256 random bits in base64url. Only their SHA-256 is kept, and the record's id is the beginning of
 * that hash, so that finding a token is one look-up among the replicated records and no index has to follow them.
 */
import { createHash, randomBytes } from 'node:crypto'

export const TOKEN_PREFIX = 'cairn_'

/** Stands for nobody, in protocols where everybody must bring a token: whoever brings it may do what anonymous may. */
export const ANONYMOUS_TOKEN = 'anonymous'

const TOKEN_BYTES = 32
const SHAPE = /^cairn_[A-Za-z0-9_-]{43}$/
const ID_CHARACTERS = 32

export interface NewToken {
  /** Shown once. */
  value: string
  id: string
  hash: string
}

export function newToken(random: (bytes: number) => Uint8Array = randomBytes): NewToken {
  const value = TOKEN_PREFIX + Buffer.from(random(TOKEN_BYTES)).toString('base64url')
  const hash = tokenHash(value)
  return { value, id: tokenId(hash), hash }
}

export function isTokenText(text: string): boolean {
  return SHAPE.test(text)
}

/** Lowercase hexadecimal SHA-256, as in `TokenRecord.hash`. */
export function tokenHash(value: string): string {
  return createHash('sha256').update(value).digest('hex')
}

/** 128 bits of the hash: no two tokens share them, and they tell nothing about the token. */
export function tokenId(hash: string): string {
  return hash.slice(0, ID_CHARACTERS)
}
