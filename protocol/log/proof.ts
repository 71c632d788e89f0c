/**
 * That these bytes were published under this name, in a form that anybody can check with nothing but the fleet's log key: the
 * change that recorded the file, the one that named its repository, and for both the way to the root of a signed checkpoint.
 */
import { z } from 'zod'
import { RegistryError } from '../errors.js'
import { HASH_BYTES, isRoot, rootFromPiece } from '../merkle.js'
import type { Change, File, Held } from '../records.js'
import { type Checkpoint, verifyCheckpoint } from './checkpoint.js'
import { decodeChange, type Entry, leafOf } from './entry.js'

const base64 = z.base64().max(24 * 1024 * 1024)
const provedShape = z.object({
  number: z.number().int().positive(),
  salt: base64,
  body: base64,
  /** Sibling hashes, lowest first, 32 bytes each. */
  siblings: base64,
})

export const proofShape = z.object({
  /** The signed checkpoint (checkpoint.ts). */
  checkpoint: z.string().max(4096),
  /** The change that recorded the file. */
  file: provedShape,
  /** The change that says what the repository is called. */
  repository: provedShape,
})
export type Proof = z.infer<typeof proofShape>

export interface Proved {
  repository: string
  path: string
  /** Lowercase hexadecimal SHA-256. */
  digest: string
  /** Bytes. */
  size: number
  package: string
  version: string
  /** When it was recorded, and by whom; ISO 8601. */
  at: string
  by: string
  /** What it was checked against. */
  checkpoint: Checkpoint
}

export function proved(entry: Entry, siblings: Uint8Array): Proof['file'] {
  return {
    number: entry.number,
    salt: text(entry.salt),
    body: text(entry.body),
    siblings: text(siblings),
  }
}

/** What a proof proves of `path`. Throws `corrupt` for one that proves nothing. */
export function verifyProof(proof: Proof, path: string, fleet: string, publicKey: Uint8Array): Proved {
  const checkpoint = verifyCheckpoint(proof.checkpoint, fleet, publicKey)
  const named = included(proof.repository, checkpoint)
  const recorded = included(proof.file, checkpoint)
  if (named.kind !== 'repository' || named.record === null || named.record.scope !== recorded.scope)
    throw broken('names another repository')
  const found = recordedIn(recorded)
  const file = found?.files.find((one): one is Held => one.path === path && !('offered' in one))
  if (!found || !file) throw broken(`records no ${path}`)
  const { digest, size } = file
  const { at, by } = recorded
  const { package: name, version } = found
  return { repository: named.key, path, digest, size, package: name, version, at, by, checkpoint }
}

function included({ number, salt, body, siblings }: Proof['file'], { number: length, root }: Checkpoint): Change {
  const entry: Entry = { number, salt: Buffer.from(salt, 'base64'), body: Buffer.from(body, 'base64') }
  const way = Buffer.from(siblings, 'base64')
  if (number > length || way.length % HASH_BYTES !== 0) throw broken('does not lead to the checkpoint')
  const computed = rootFromPiece(leafOf(entry), number - 1, length, way)
  if (!isRoot(computed, Buffer.from(root).toString('hex'))) throw broken('does not lead to the checkpoint')
  return decodeChange(entry.body)
}

function recordedIn(change: Change): { package: string; version: string; files: File[] } | undefined {
  if (change.kind === 'publish') return change.manifest
  if (change.kind === 'add') return change
  return change.kind === 'hold' ? { ...change, files: [change.file] } : undefined
}

function broken(what: string): RegistryError {
  return new RegistryError('corrupt', `The proof ${what}`, { code: 'proof_invalid' })
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
