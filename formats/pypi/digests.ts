/** The digests that come with an upload, each of which is checked: md5_digest, sha256_digest, blake2_256_digest. */
import { RegistryError } from '../../protocol/errors.js'
import type { Stored } from '../../protocol/records.js'
import { type Fields, single } from '../text/form.js'
import { Blake2b256 } from './blake2b.js'

/** BLAKE2b is computed here and slow, so only where it may be asked for: it was, or nothing was yet. */
export function watchBlake2(fields: Fields): Blake2b256 | undefined {
  return fields.has('blake2_256_digest') || !fields.has('sha256_digest') ? new Blake2b256() : undefined
}

/** Hashes a body while it passes. */
export async function* hashed(
  body: AsyncIterable<Uint8Array>,
  hash: Blake2b256,
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
