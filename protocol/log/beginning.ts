/**
 * How an epoch begins: with a checkpoint that tells the length and root up to which the log is kept, signed by the log's key like
 * any other, and by the operator's recovery key as well. What was signed beyond it in epochs before is taken back.
 *
 *     — cairn-recovery <base64 of key id (4 bytes) and Ed25519 signature (64 bytes)>     the second signature line
 */
import type { KeyObject } from 'node:crypto'
import { RegistryError } from '../errors.js'
import { type Checkpoint, cosign, isCosigned, signCheckpoint, verifyCheckpoint } from './checkpoint.js'

/** A beginning and the note that says it. */
export interface Beginning {
  checkpoint: Checkpoint
  note: string
}

const SIGNER = 'cairn-recovery'

export function signBeginning(checkpoint: Checkpoint, key: KeyObject, recovery: KeyObject): string {
  return cosign(signCheckpoint(checkpoint, key), SIGNER, recovery)
}

/** Both keys 32 raw bytes. Throws `corrupt` for what was not signed by both. */
export function verifyBeginning(note: string, fleet: string, publicKey: Uint8Array, recovery: Uint8Array): Beginning {
  const checkpoint = verifyCheckpoint(note, fleet, publicKey)
  if (isCosigned(note, SIGNER, recovery)) return { checkpoint, note }
  throw new RegistryError(
    'corrupt',
    `Epoch ${checkpoint.epoch} was not begun with the recovery key that is known here`,
    { code: 'epoch_unproved' },
  )
}

/** Up to where what was signed in an epoch still counts; undefined: all of it. */
export function keptOf(epoch: number, beginnings: readonly Beginning[]): Beginning | undefined {
  const later = beginnings.filter(({ checkpoint }) => checkpoint.epoch > epoch)
  return later.reduce<Beginning | undefined>(
    (least, one) => (least && least.checkpoint.number <= one.checkpoint.number ? least : one),
    undefined,
  )
}
