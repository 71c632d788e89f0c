/**
 * Digests that clients send with a file and get back with it: X-Checksum-{Sha256,Sha1,Sha512,Md5}, Content-MD5 (RFC 1864),
 * Repr-Digest and Content-Digest (RFC 9530). All of them are checked; two that contradict each other are refused.
 */
import { createHash } from 'node:crypto'
import { RegistryError } from '../../protocol/errors.js'
import type { HashName, Stored } from '../../protocol/records.js'

export type Algorithm = 'sha256' | HashName
/** Lowercase hexadecimal, by algorithm. */
export type Digests = Partial<Record<Algorithm, string>>
type Headers = ReadonlyMap<string, string>

const ALGORITHMS: readonly Algorithm[] = ['sha256', 'sha512', 'sha1', 'md5']
const HEX_LENGTH: Readonly<Record<Algorithm, number>> = { sha256: 64, sha512: 128, sha1: 40, md5: 32 }
/** Names of RFC 9530's registry, the insecure ones included: a client that sends one wants it checked. */
const FIELD_NAMES: Readonly<Record<string, Algorithm>> = {
  'sha-256': 'sha256',
  'sha-512': 'sha512',
  sha: 'sha1',
  md5: 'md5',
}

/** What the whole file should have. Throws `invalid`. */
export function wholeDigests(headers: Headers): Digests {
  const found: Digests = {}
  for (const algorithm of ALGORITHMS)
    add(found, algorithm, headers.get(`x-checksum-${algorithm}`)?.trim().toLowerCase())
  for (const [algorithm, hex] of fields(headers.get('repr-digest'))) add(found, algorithm, hex)
  return found
}

/** What the body of this request should have: the file, unless only a part of it is sent. Throws `invalid`. */
export function bodyDigests(headers: Headers): Digests {
  const found: Digests = {}
  for (const [algorithm, hex] of fields(headers.get('content-digest'))) add(found, algorithm, hex)
  const md5 = headers.get('content-md5')
  if (md5 !== undefined) add(found, 'md5', hexOf(md5.trim(), 'Content-MD5'))
  return found
}

/** Throws `invalid` when both name an algorithm and differ. */
export function together(one: Digests, other: Digests): Digests {
  const found = { ...one }
  for (const algorithm of ALGORITHMS) add(found, algorithm, other[algorithm])
  return found
}

/** The hashes that must be computed to check the digests; SHA-256 always is. */
export function hashesFor(expected: Digests): HashName[] {
  return ALGORITHMS.filter(
    (algorithm): algorithm is HashName => algorithm !== 'sha256' && expected[algorithm] !== undefined,
  )
}

export function digestsOf({ digest, hashes }: Stored): Digests {
  return { sha256: digest, ...hashes }
}

/** Throws `invalid`, naming what differs. */
export function checkDigests(expected: Digests, actual: Digests): void {
  for (const algorithm of ALGORITHMS) {
    const [wanted, got] = [expected[algorithm], actual[algorithm]]
    if (wanted !== undefined && got !== undefined && wanted !== got)
      throw new RegistryError('invalid', `The bytes that arrived have the ${algorithm} ${got}, not ${wanted}`, {
        code: 'digest_mismatch',
      })
  }
}

/** Headers that say what a file has, on replies. */
export function digestHeaders(stored: Stored): Record<string, string> {
  const known = digestsOf(stored)
  const headers: Record<string, string> = {
    'repr-digest': `sha-256=:${Buffer.from(stored.digest, 'hex').toString('base64')}:`,
  }
  for (const algorithm of ALGORITHMS) {
    const hex = known[algorithm]
    if (hex !== undefined) headers[`x-checksum-${algorithm}`] = hex
  }
  return headers
}

/** Hashes a body while it passes. `digests` is complete when the body has ended. */
export class Digesting {
  readonly #hashes: Map<Algorithm, ReturnType<typeof createHash>>
  size = 0

  constructor(algorithms: Iterable<Algorithm>) {
    this.#hashes = new Map([...algorithms].map((algorithm) => [algorithm, createHash(algorithm)]))
  }

  async *watch(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of body) {
      this.size += chunk.length
      for (const hash of this.#hashes.values()) hash.update(chunk)
      yield chunk
    }
  }

  digests(): Digests {
    return Object.fromEntries([...this.#hashes].map(([algorithm, hash]) => [algorithm, hash.copy().digest('hex')]))
  }
}

function add(found: Digests, algorithm: Algorithm, hex: string | undefined): void {
  if (hex === undefined) return
  if (hex.length !== HEX_LENGTH[algorithm] || !/^[0-9a-f]+$/.test(hex))
    throw invalid(`That is no ${algorithm}: ${hex.slice(0, 140)}`)
  if (found[algorithm] !== undefined && found[algorithm] !== hex)
    throw invalid(`Two headers name different values of ${algorithm}`)
  found[algorithm] = hex
}

/** A dictionary of structured fields: `sha-256=:base64:, sha-512=:base64:`. "Recipients MUST ignore unknown algorithms" */
function* fields(header: string | undefined): Iterable<[Algorithm, string]> {
  for (const member of header?.split(',') ?? []) {
    const [, name, value = ''] = /^\s*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*={0,2}):\s*(?:;.*)?$/.exec(member) ?? []
    if (name === undefined) throw invalid('A digest field is not of the form sha-256=:base64:')
    const algorithm = Object.hasOwn(FIELD_NAMES, name) ? FIELD_NAMES[name] : undefined
    if (algorithm) yield [algorithm, hexOf(value, name)]
  }
}

function hexOf(base64: string, what: string): string {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw invalid(`${what} is not base64`)
  return Buffer.from(base64, 'base64').toString('hex')
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'invalid_digest' })
}
