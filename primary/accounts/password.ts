/**
 * Password hashes: `scrypt$N$r$p$salt$hash`, salt and hash in base64url. A check takes as long for users without a password as
 * for those with one. Each needs 32 MiB and 80 ms: see derivation.ts.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { TOKEN_PREFIX } from '../../protocol/access/token.js'
import { RegistryError } from '../../protocol/errors.js'
import type { BreachedPasswords } from './breached.js'
import { Derivation } from './derivation.js'

interface Parameters {
  N: number
  r: number
  p: number
}

const COST = 2 ** 15
const MAX_MEMORY = 128 * 1024 * 1024
const SALT_BYTES = 16
const HASH_BYTES = 32
const MIN_CHARACTERS = 8
const MAX_CHARACTERS = 256

export class PasswordHashes {
  readonly #parameters: Parameters
  readonly #derivation = new Derivation()

  /** `cost`: scrypt's N, of new hashes. Old ones keep theirs. */
  constructor(cost = COST) {
    this.#parameters = { N: cost, r: 8, p: 1 }
  }

  /** Throws `throttled` when too many wait for their turn. */
  demandRoom(): void {
    this.#derivation.demandRoom()
  }

  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES)
    return format(this.#parameters, salt, await this.#derive(password, salt, this.#parameters))
  }

  /** `stored` undefined: the work is done all the same, and the answer is no. */
  async matches(stored: string | undefined, password: string): Promise<boolean> {
    const nobody = format(this.#parameters, Buffer.alloc(SALT_BYTES), Buffer.alloc(HASH_BYTES))
    const { parameters, salt, hash } = parse(stored ?? nobody)
    const derived = await this.#derive(password, salt, parameters)
    return timingSafeEqual(derived, hash) && stored !== undefined
  }

  #derive(password: string, salt: Uint8Array, parameters: Parameters): Promise<Buffer> {
    const options = { ...parameters, maxmem: MAX_MEMORY }
    // NFC, so that the same password typed on two systems is the same bytes.
    return this.#derivation.key({ password: password.normalize('NFC'), salt, bytes: HASH_BYTES, options })
  }
}

/** Throws `invalid` for a password that must not be set. Length and what everybody tries first count, not kinds of characters. */
export function checkNewPassword(user: string, password: string, breached: BreachedPasswords): void {
  const { length } = Array.from(password)
  if (length < MIN_CHARACTERS || length > MAX_CHARACTERS)
    throw weak(`A password has ${MIN_CHARACTERS} to ${MAX_CHARACTERS} characters`)
  if (!isPlausible(password)) throw weak('A password holds no control characters and is not blank')
  if (password.startsWith(TOKEN_PREFIX))
    throw weak(`A password does not begin with ${TOKEN_PREFIX}: that is how tokens are told apart`)
  if (password.toLowerCase() === user.toLowerCase()) throw weak('A password differs from the user name')
  if (breached.has(password)) throw weak('This password is known from breaches: whoever guesses tries it first')
}

/** Could it be anybody's password. What could not is refused before any work is done. */
export function isPlausible(password: string): boolean {
  return password.trim() !== '' && password.length <= 4 * MAX_CHARACTERS && !/\p{Cc}/u.test(password)
}

function format({ N, r, p }: Parameters, salt: Buffer, hash: Buffer): string {
  return `scrypt$${N}$${r}$${p}$${salt.toString('base64url')}$${hash.toString('base64url')}`
}

function parse(stored: string): { parameters: Parameters; salt: Buffer; hash: Buffer } {
  const match = /^scrypt\$(\d{1,8})\$(\d{1,3})\$(\d{1,3})\$([A-Za-z0-9_-]{22})\$([A-Za-z0-9_-]{43})$/.exec(stored)
  if (!match) throw new RegistryError('corrupt', 'A stored password hash cannot be read')
  const [, N, r, p, salt = '', hash = ''] = match
  return {
    parameters: { N: Number(N), r: Number(r), p: Number(p) },
    salt: Buffer.from(salt, 'base64url'),
    hash: Buffer.from(hash, 'base64url'),
  }
}

function weak(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'password_refused' })
}
