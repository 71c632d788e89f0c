/**
 * The operator's recovery key: 32 random bytes, made and kept outside of the registry. It signs the beginning of a new epoch, and
 * what the primary would lose with its disk is sealed to it. The log holds its public halves only. Its text pins the log's key, so
 * that nobody can hand another fleet to somebody who rescues:
 *
 *     cairn_recovery_ base64url(seed (32) | public key of the log (32) | first 4 bytes of SHA-256 over both)
 *
 * Both keys are derived by HKDF-SHA-256 (RFC 5869) without salt; the names below are the info.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto'
import { RegistryError } from '../errors.js'
import { publicKeyObject } from '../log/checkpoint.js'
import type { RecoveryRecord } from '../records.js'

export interface RecoveryKey {
  /** Ed25519. */
  signing: KeyObject
  /** X25519. */
  sealing: KeyObject
  /** The log that it is for, 32 raw bytes. */
  logKey: Uint8Array
}

/** Both base64url, 32 raw bytes each. */
export type PublicHalves = Pick<RecoveryRecord, 'signing' | 'sealing'>

const PREFIX = 'cairn_recovery_'
const SEED_BYTES = 32
const CHECK_BYTES = 4
/** RFC 8410. */
const PKCS8 = { ed25519: '302e020100300506032b657004220420', x25519: '302e020100300506032b656e04220420' }
const SPKI_BYTES = 12

/** The text of a new key for a log. */
export function newRecoveryKey(logKey: Uint8Array): string {
  const secret = Buffer.concat([randomBytes(SEED_BYTES), logKey])
  return PREFIX + Buffer.concat([secret, check(secret)]).toString('base64url')
}

/** Throws `invalid`; the message never repeats the key. */
export function parseRecoveryKey(text: string): RecoveryKey {
  const bytes = Buffer.from(text.trim().slice(PREFIX.length), 'base64url')
  const secret = bytes.subarray(0, 2 * SEED_BYTES)
  const isWhole = bytes.length === 2 * SEED_BYTES + CHECK_BYTES && check(secret).equals(bytes.subarray(2 * SEED_BYTES))
  if (!text.trim().startsWith(PREFIX) || !isWhole)
    throw new RegistryError('invalid', `That is no recovery key: take all of the line that begins with ${PREFIX}`, {
      code: 'recovery_key_invalid',
    })
  const seed = secret.subarray(0, SEED_BYTES)
  return {
    signing: derived(seed, 'cairn recovery signing', 'ed25519'),
    sealing: derived(seed, 'cairn recovery sealing', 'x25519'),
    logKey: Uint8Array.from(secret.subarray(SEED_BYTES)),
  }
}

export function publicHalves({ signing, sealing }: Pick<RecoveryKey, 'signing' | 'sealing'>): PublicHalves {
  return { signing: rawPublic(signing).toString('base64url'), sealing: rawPublic(sealing).toString('base64url') }
}

/** By the key of before: whoever knew that one takes the new one for its successor. */
export function endorse(successor: PublicHalves, before: Pick<RecoveryKey, 'signing' | 'logKey'>): string {
  return sign(null, endorsed(successor, before.logKey), before.signing).toString('base64url')
}

/** `before`: 32 raw bytes, base64url. */
export function isEndorsed(record: RecoveryRecord, before: string, logKey: Uint8Array): boolean {
  const signature = Buffer.from(record.endorsement ?? '', 'base64url')
  const key = publicKeyObject(Buffer.from(before, 'base64url'))
  return signature.length === 64 && verify(null, endorsed(record, logKey), key, signature)
}

function endorsed({ signing, sealing }: PublicHalves, logKey: Uint8Array): Buffer {
  return Buffer.from(`cairn recovery key\n${Buffer.from(logKey).toString('base64url')}\n${signing}\n${sealing}\n`)
}

function derived(seed: Uint8Array, info: string, kind: keyof typeof PKCS8): KeyObject {
  const raw = Buffer.from(hkdfSync('sha256', seed, '', info, SEED_BYTES))
  return createPrivateKey({ key: Buffer.concat([Buffer.from(PKCS8[kind], 'hex'), raw]), format: 'der', type: 'pkcs8' })
}

function rawPublic(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' }).subarray(SPKI_BYTES)
}

function check(secret: Uint8Array): Buffer {
  return createHash('sha256').update(secret).digest().subarray(0, CHECK_BYTES)
}
