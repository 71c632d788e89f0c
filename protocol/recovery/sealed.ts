/**
 * Bytes that only whoever holds an X25519 key can open; anybody who knows its public half can seal. The key and the nonce, which
 * are used once, come by HKDF-SHA-256 from the shared secret of that key and an ephemeral one; AES-256-GCM, with the context
 * authenticated. Deflated before.
 *
 *     ephemeral public key (32) | tag (16) | ciphertext
 */
import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { RegistryError } from '../errors.js'

const KEY_BYTES = 32
const TAG_BYTES = 16
const NONCE_BYTES = 12
/** RFC 8410. */
const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex')
const MAX_OPENED_BYTES = 256 * 1024 * 1024

/** `to`: 32 raw bytes. */
export function sealTo(to: Uint8Array, context: string, bytes: Uint8Array): Buffer {
  const { publicKey, privateKey } = generateKeyPairSync('x25519')
  const ephemeral = rawOf(publicKey)
  const { key, nonce } = derive(diffieHellman({ privateKey, publicKey: publicOf(to) }), ephemeral, to, context)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context))
  const sealed = Buffer.concat([cipher.update(deflateRawSync(bytes)), cipher.final()])
  return Buffer.concat([ephemeral, cipher.getAuthTag(), sealed])
}

/** Throws `corrupt` for what was sealed to another key or in another context, or was changed. */
export function openSealed(key: KeyObject, context: string, sealed: Uint8Array): Buffer {
  try {
    const ephemeral = sealed.subarray(0, KEY_BYTES)
    const shared = diffieHellman({ privateKey: key, publicKey: publicOf(ephemeral) })
    const derived = derive(shared, ephemeral, rawOf(createPublicKey(key)), context)
    const decipher = createDecipheriv('aes-256-gcm', derived.key, derived.nonce).setAAD(Buffer.from(context))
    decipher.setAuthTag(sealed.subarray(KEY_BYTES, KEY_BYTES + TAG_BYTES))
    const opened = Buffer.concat([decipher.update(sealed.subarray(KEY_BYTES + TAG_BYTES)), decipher.final()])
    return inflateRawSync(opened, { maxOutputLength: MAX_OPENED_BYTES })
  } catch (cause) {
    throw new RegistryError('corrupt', `What was sealed (${context}) cannot be opened with this recovery key`, {
      cause,
      code: 'sealed_to_another',
    })
  }
}

function derive(shared: Buffer, ephemeral: Uint8Array, to: Uint8Array, context: string) {
  const salt = Buffer.concat([ephemeral, to])
  const bytes = Buffer.from(hkdfSync('sha256', shared, salt, `cairn sealed\n${context}`, KEY_BYTES + NONCE_BYTES))
  return { key: bytes.subarray(0, KEY_BYTES), nonce: bytes.subarray(KEY_BYTES) }
}

function publicOf(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' })
}

function rawOf(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' }).subarray(SPKI_PREFIX.length)
}
