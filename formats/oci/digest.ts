/** Digests as clients write them: sha256:… and sha512:…, lowercase hexadecimal. */
import { createHash } from 'node:crypto'
import type { Digest, HashName, Stored } from '../../protocol/records.js'
import { failure } from './failure.js'

type Algorithm = 'sha256' | 'sha512'

const FORMS: Readonly<Record<Algorithm, RegExp>> = { sha256: /^sha256:[0-9a-f]{64}$/, sha512: /^sha512:[0-9a-f]{128}$/ }

export function isDigest(text: string): boolean {
  return FORMS.sha256.test(text) || FORMS.sha512.test(text)
}

/** Throws DIGEST_INVALID. */
export function checkDigest(text: string): string {
  if (!isDigest(text)) throw failure('invalid', 'DIGEST_INVALID', `That is no digest: ${text.slice(0, 160)}`)
  return text
}

/** Hashes to compute besides SHA-256, to compare with the digest. */
export function hashesFor(digest: string): HashName[] {
  return digest.startsWith('sha512:') ? ['sha512'] : []
}

/** Throws DIGEST_INVALID unless the bytes have that digest. */
export function checkStored(stored: Stored, digest: string): void {
  const actual = digest.startsWith('sha512:') ? `sha512:${stored.hashes.sha512 ?? ''}` : `sha256:${stored.digest}`
  if (actual !== digest) throw mismatch(actual, digest)
}

export function digestOf(bytes: Uint8Array, like = 'sha256:'): string {
  const algorithm = like.startsWith('sha512:') ? 'sha512' : 'sha256'
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
}

/** The name of the blob, when the digest tells it. */
export function blobName(digest: string): Digest | undefined {
  return FORMS.sha256.test(digest) ? (digest.slice('sha256:'.length) as Digest) : undefined
}

export function mismatch(actual: string, digest: string): Error {
  return failure('invalid', 'DIGEST_INVALID', `The bytes that arrived have the digest ${actual}, not ${digest}`)
}
