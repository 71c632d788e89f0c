/** A node's Ed25519 key in its forms: the seed that is kept, the key object, and the libp2p peer id in its usual text form. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey } from '@libp2p/peer-id'

const ED25519_PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

/** `publicKey`: 32 raw bytes. */
export function peerIdOf(publicKey: Uint8Array): string {
  return peerIdFromPublicKey(publicKeyFromRaw(publicKey)).toString()
}

/** `seed`: 32 raw bytes. */
export function privateKeyOf(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([ED25519_PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })
}

export function seedOf(key: KeyObject): Buffer {
  return key.export({ type: 'pkcs8', format: 'der' }).subarray(ED25519_PKCS8_PREFIX.length)
}
