/** The digests that come with an upload, each of which is checked: md5_digest, sha256_digest, blake2_256_digest. */
import { createBLAKE2b, type IHasher } from 'hash-wasm'
import { RegistryError } from '../../protocol/errors.js'
import type { Stored } from '../../protocol/records.js'
import { type Fields, single } from '../text/form.js'

/**
 * Node's OpenSSL has BLAKE2b with 64 bytes only, of which the first half is another hash. A second hash of a body is computed only
 * where it may be asked for: it was, or nothing was yet.
 */
export async function watchBlake2(fields: Fields): Promise<IHasher | undefined> {
  return fields.has('blake2_256_digest') || !fields.has('sha256_digest') ? createBLAKE2b(256) : undefined
}

/** Hashes a body while it passes. */
export async function* hashed(
  body: AsyncIterable<Uint8Array>,
  hash: IHasher,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of body) {
    hash.update(chunk)
    yield chunk
  }
}

/** Throws `invalid` for a wrong one, and when there is none. Returns BLAKE2b-256 where it is known to be right. */
export function checkDigests(
  fields: Fields,
  { digest, hashes }: Stored,
  blake2: string | undefined,
): string | undefined {
  const expected = {
    sha256: single(fields, 'sha256_digest'),
    blake2_256: single(fields, 'blake2_256_digest'),
    md5: single(fields, 'md5_digest'),
  }
  const actual = { sha256: digest, blake2_256: blake2, md5: hashes.md5 }
  let checked = 0
  for (const name of ['sha256', 'blake2_256', 'md5'] as const) {
    const [wanted, got] = [expected[name]?.toLowerCase(), actual[name]]
    if (wanted === undefined || wanted === '') continue
    if (got === undefined) throw invalid(`The ${name}_digest must come before the file, or sha256_digest after it`)
    if (wanted !== got) throw invalid(`The bytes that arrived have the ${name} ${got}, not ${wanted.slice(0, 140)}`)
    checked++
  }
  if (checked === 0) throw invalid('The form needs at least one of sha256_digest, blake2_256_digest and md5_digest')
  return blake2
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'digest_mismatch' })
}
