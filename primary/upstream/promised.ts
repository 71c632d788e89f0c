/** A body that ends only when it is what was promised: its length and its hashes. Nothing of a wrong one is stored. */
import { createHash } from 'node:crypto'
import { RegistryError } from '../../protocol/errors.js'
import type { Promised } from '../../protocol/records.js'

const NAMES = ['sha512', 'sha256', 'sha1', 'md5'] as const
const HEX_LENGTH = { sha512: 128, sha256: 64, sha1: 40, md5: 32 }

/** A hash that lies beside the file as text; undefined: there is none. */
export interface Beside {
  hash: keyof Promised
  document: Promise<Uint8Array | undefined>
}

interface Expected {
  path: string
  size: number | undefined
  promised: Promised
  beside?: Beside | undefined
}

/** Throws `upstream`. */
export async function* checked(
  body: AsyncIterable<Uint8Array>,
  { path, size, promised, beside }: Expected,
): AsyncGenerator<Uint8Array, void, undefined> {
  const looked = NAMES.filter((name) => promised[name] !== undefined || beside?.hash === name)
  const hashes = looked.map((name) => ({ name, hash: createHash(name) }))
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (size !== undefined && bytes > size) break
    for (const { hash } of hashes) hash.update(chunk)
    yield chunk
  }
  if (size !== undefined && bytes !== size) throw wrong(path, 'length')
  const all = beside ? { [beside.hash]: hexIn(await beside.document, beside.hash), ...promised } : promised
  for (const { name, hash } of hashes)
    if (all[name] !== undefined && hash.digest('hex') !== all[name]) throw wrong(path, name)
}

/** The first that has the length; what else such files hold differs. */
function hexIn(document: Uint8Array | undefined, hash: keyof Promised): string | undefined {
  const hex = new RegExp(`(?<![0-9a-f])[0-9a-f]{${HEX_LENGTH[hash]}}(?![0-9a-f])`, 'i')
  return hex.exec(Buffer.from(document ?? []).toString('latin1'))?.[0].toLowerCase()
}

/** What an upstream's own headers say about the bytes: X-Checksum-*, as several registries send them. */
export function promisedBy(headers: ReadonlyMap<string, string>): Promised {
  const promised: Promised = {}
  for (const name of NAMES) {
    const hex = headers.get(`x-checksum-${name}`)?.toLowerCase()
    if (hex !== undefined && hex.length === HEX_LENGTH[name] && /^[0-9a-f]+$/.test(hex)) promised[name] = hex
  }
  return promised
}

function wrong(path: string, what: string): RegistryError {
  return new RegistryError('upstream', `What the upstream sent as ${path} has not the ${what} that it should have`, {
    code: 'upstream_mismatch',
  })
}
