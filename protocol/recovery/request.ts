/**
 * How whoever holds the recovery key asks a node for what it keeps, when there is no primary. The node gives a challenge, and what is
 * asked for carries a signature over it; every answer is sealed to the recovery key, so that the way it takes need not be trusted.
 *
 *     POST /rescue/v1/challenge             -> {challenge, fleet, node, name, epoch, number}
 *     GET  /rescue/v1/log?after             -> sealed frames (wire/feed.ts): beginnings, entries, a checkpoint; 404: nothing newer
 *          X-Cairn-Rescue: <challenge> <signature, base64url>
 */
import { type KeyObject, sign, verify } from 'node:crypto'
import { publicKeyObject } from '../log/checkpoint.js'

export const RESCUE = '/rescue/v1/'
export const RESCUE_HEADER = 'x-cairn-rescue'
/** What an answer is sealed as. */
export const RESCUE_LOG = 'rescue log'

/** What a node's challenge is for. */
export interface Challenge {
  fleet: string
  /** Id of the node, so that no node can ask another one in the operator's name. */
  node: string
  challenge: string
}

export function signChallenge(challenge: Challenge, signing: KeyObject): string {
  return sign(null, words(challenge), signing).toString('base64url')
}

/** `signing`: 32 raw bytes, base64url. */
export function isSigned(challenge: Challenge, signature: string, signing: string): boolean {
  const bytes = Buffer.from(signature, 'base64url')
  return (
    bytes.length === 64 && verify(null, words(challenge), publicKeyObject(Buffer.from(signing, 'base64url')), bytes)
  )
}

function words({ fleet, node, challenge }: Challenge): Buffer {
  return Buffer.from(`cairn rescue\n${fleet}\n${node}\n${challenge}\n`)
}
