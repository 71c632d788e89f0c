/**
 * A signed checkpoint: the log's length and root, with epoch and time, as a signed note that transparency logs use (C2SP
 * tlog-checkpoint and signed-note). Only checkpoints are signed; everything a node believes follows from one.
 *
 *     cairn/<fleet>               origin
 *     <number>                    changes covered
 *     <base64 root>
 *     epoch <epoch>               extension lines
 *     time <ISO 8601>
 *
 *     — <fleet> <base64 of key id (4 bytes) and Ed25519 signature (64 bytes)>
 */
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { RegistryError } from '../errors.js'

export interface Checkpoint {
  fleet: string
  epoch: number
  number: number
  /** 32 bytes. */
  root: Uint8Array
  /** ISO 8601. The only clock that nodes believe. */
  time: string
}

const MAX_NOTE_CHARACTERS = 4096
/** The algorithm's byte in signed notes. */
const ED25519 = Buffer.of(0x01)
const ED25519_SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

export function signCheckpoint(checkpoint: Checkpoint, key: KeyObject): string {
  const body = noteBody(checkpoint)
  return `${body}\n${signatureLine(body, checkpoint.fleet, key)}`
}

/** Another signature line on a note, of `name`. */
export function cosign(note: string, name: string, key: KeyObject): string {
  return note + signatureLine(bodyOf(note), name, key)
}

/** Throws `corrupt` unless the note is well formed and signed by `publicKey` (32 raw bytes) for `fleet`. */
export function verifyCheckpoint(note: string, fleet: string, publicKey: Uint8Array): Checkpoint {
  const checkpoint = parseNote(note)
  if (checkpoint?.fleet !== fleet) throw new RegistryError('corrupt', 'This is no checkpoint of this fleet')
  if (isCosigned(note, fleet, publicKey)) return checkpoint
  throw new RegistryError('corrupt', 'The checkpoint is not signed by the primary')
}

/** Is there a signature line of `name` by `publicKey` (32 raw bytes). */
export function isCosigned(note: string, name: string, publicKey: Uint8Array): boolean {
  const body = bodyOf(note)
  const expected = keyId(name, publicKey)
  return note
    .slice(body.length + 1)
    .split('\n')
    .some((line) => {
      const match = /^— (\S+) ([A-Za-z0-9+/=]+)$/.exec(line)
      if (match?.[1] !== name) return false
      const bytes = Buffer.from(match[2] ?? '', 'base64')
      return (
        bytes.length === 68 &&
        bytes.subarray(0, 4).equals(expected) &&
        verify(null, Buffer.from(body), publicKeyObject(publicKey), bytes.subarray(4))
      )
    })
}

/** A public key as verifiers of signed notes are given it: name+key id+base64(0x01 || key) (C2SP signed-note). */
export function verifierKey(fleet: string, publicKey: Uint8Array): string {
  const key = Buffer.concat([ED25519, publicKey]).toString('base64')
  return `${fleet}+${keyId(fleet, publicKey).toString('hex')}+${key}`
}

/** Throws `invalid` for a text that is none. */
export function parseVerifierKey(text: string): { fleet: string; publicKey: Uint8Array } {
  const [, fleet = '', id, base64 = ''] =
    /^([A-Za-z0-9_-]{1,64})\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})$/.exec(text.trim()) ?? []
  const bytes = Buffer.from(base64, 'base64')
  const publicKey = bytes.subarray(1)
  if (bytes.length !== 33 || bytes[0] !== 1 || keyId(fleet, publicKey).toString('hex') !== id)
    throw new RegistryError('invalid', 'A log key has the form name+hexadecimal+base64, as GET /api/v1/log tells it')
  return { fleet, publicKey }
}

/** The 32 raw bytes of an Ed25519 public key. */
export function rawPublicKey(key: KeyObject): Uint8Array {
  return key.export({ type: 'spki', format: 'der' }).subarray(ED25519_SPKI_PREFIX.length)
}

/** Making one costs more than a signature, and a node checks hundreds of checkpoints with one key: do not change the bytes. */
export function publicKeyObject(raw: Uint8Array): KeyObject {
  const known = keyObjects.get(raw)
  if (known) return known
  const key = createPublicKey({ key: Buffer.concat([ED25519_SPKI_PREFIX, raw]), format: 'der', type: 'spki' })
  keyObjects.set(raw, key)
  return key
}

const keyObjects = new WeakMap<Uint8Array, KeyObject>()

function signatureLine(body: string, name: string, key: KeyObject): string {
  const id = keyId(name, rawPublicKey(createPublicKey(key)))
  return `— ${name} ${Buffer.concat([id, sign(null, Buffer.from(body), key)]).toString('base64')}\n`
}

/** What is signed of a note: all before the empty line. */
function bodyOf(note: string): string {
  return note.slice(0, note.indexOf('\n\n') + 1)
}

function noteBody(c: Checkpoint): string {
  return `cairn/${c.fleet}\n${c.number}\n${Buffer.from(c.root).toString('base64')}\nepoch ${c.epoch}\ntime ${c.time}\n`
}

/** Strict: what does not print back to the same text is refused, so that there is one text per checkpoint. */
function parseNote(note: string): Checkpoint | undefined {
  if (note.length > MAX_NOTE_CHARACTERS) return undefined
  const match =
    /^cairn\/([A-Za-z0-9_-]{1,64})\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\nepoch ([1-9]\d{0,8})\ntime (\S{20,30})\n\n/.exec(
      note,
    )
  if (!match) return undefined
  const [, fleet = '', number, root = '', epoch, time = ''] = match
  const checkpoint = { fleet, number: Number(number), root: Buffer.from(root, 'base64'), epoch: Number(epoch), time }
  return note.startsWith(`${noteBody(checkpoint)}\n`) ? checkpoint : undefined
}

/** C2SP signed-note: the first four bytes of SHA-256(name || 0x0A || 0x01 || key). */
function keyId(name: string, publicKey: Uint8Array): Buffer {
  return createHash('sha256')
    .update(name)
    .update(Buffer.of(0x0a))
    .update(ED25519)
    .update(publicKey)
    .digest()
    .subarray(0, 4)
}
