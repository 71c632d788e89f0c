/**
 * What peers ask each other about blobs, as requests of the peer wire (peer.ts):
 *
 *   piece   JSON {"digest","scope","first","count","fetch"?}     leaves [first, first + count), an aligned piece
 *           → u32 first | u16 n | n × 32 bytes proof, lowest sibling first | the bytes
 *   swarm   JSON {"digest","scope","fetch"?}
 *           → JSON messages, one a part, for as long as the asker reads:
 *             {"pieceLeaves":4,"have":"<base64 bitmap>"}   first: what the answerer has (bitmap.ts); null: nothing
 *             {"add":[7,9]}                                 pieces that it has since then
 *             {"peers":["<peer id>"]}                       others that want it or have it
 *
 * "fetch" asks the answerer, as the blob's home, to get what it does not have; a piece is then answered when it is there.
 * A message has at most 64 KiB; unknown fields are ignored. Refused: `missing`, `forbidden`, `unavailable`, `throttled`.
 */
import { z } from 'zod'
import { RegistryError } from '../errors.js'
import { HASH_BYTES } from '../merkle.js'
import type { Digest } from '../records.js'
import { parseJson } from './peer.js'

export interface SwarmAsk {
  digest: Digest
  scope: string
  fetch: boolean
}

export interface PieceAsk extends SwarmAsk {
  first: number
  count: number
}

export interface PieceAnswer {
  first: number
  proof: Uint8Array
  bytes: Uint8Array
}

export interface SwarmNews {
  have?: { pieceLeaves: number; bitmap: Uint8Array } | undefined
  add: number[]
  peers: string[]
}

const MAX_SWARM_MESSAGE_BYTES = 65_536
/** Bytes of a piece's answer besides the piece. */
export const PIECE_OVERHEAD_BYTES = 6 + 64 * HASH_BYTES

const MAX_LEAF = 2 ** 32 - 1
const digest = z.string().regex(/^[0-9a-f]{64}$/)
const swarmAsk = z.object({ digest, scope: z.string().min(1).max(256), fetch: z.boolean().optional() })
const pieceAsk = swarmAsk.extend({ first: z.int().min(0).max(MAX_LEAF), count: z.int().min(1).max(1024) })
const swarmNews = z.object({
  pieceLeaves: z.int().min(1).max(1024).optional(),
  have: z.base64().nullable().optional(),
  add: z.array(z.int().min(0).max(MAX_LEAF)).max(8192).optional(),
  peers: z.array(z.string().max(128)).max(256).optional(),
})

export function encodeSwarmAsk(ask: SwarmAsk): Buffer {
  return Buffer.from(JSON.stringify(ask))
}

export function encodePieceAsk(ask: PieceAsk): Buffer {
  return Buffer.from(JSON.stringify(ask))
}

/** Throws `invalid`. */
export function decodeSwarmAsk(payload: Uint8Array): SwarmAsk {
  const { digest, scope, fetch } = checked(swarmAsk, payload)
  return { digest: digest as Digest, scope, fetch: fetch ?? false }
}

/** Throws `invalid`. */
export function decodePieceAsk(payload: Uint8Array): PieceAsk {
  const { digest, scope, fetch, first, count } = checked(pieceAsk, payload)
  return { digest: digest as Digest, scope, fetch: fetch ?? false, first, count }
}

/** Header and bytes, to be sent one after the other. */
export function encodePieceAnswer({ first, proof, bytes }: PieceAnswer): [Uint8Array, Uint8Array] {
  const header = Buffer.alloc(6 + proof.length)
  header.writeUInt32BE(first, 0)
  header.writeUInt16BE(proof.length / HASH_BYTES, 4)
  header.set(proof, 6)
  return [header, bytes]
}

/** Throws `invalid` when it is too short for what it says. `parts`: the answer, cut anywhere. */
export function decodePieceAnswer(parts: readonly Uint8Array[]): PieceAnswer {
  const [header, ...rest] = parts
  // As it is sent, the header arrives in a part of its own, and the piece need not be copied.
  const bytes = header?.length === (header && headerLength(header)) ? joined(rest) : undefined
  if (header && bytes) return { ...decodeHeader(header), bytes }
  const answer = Buffer.concat(parts)
  const end = headerLength(answer)
  if (end > answer.length) throw malformed()
  return { ...decodeHeader(answer.subarray(0, end)), bytes: answer.subarray(end) }
}

/** What lies in memory one after the other; undefined when it does not. */
function joined(parts: readonly Uint8Array[]): Uint8Array | undefined {
  const [first] = parts
  if (!first) return undefined
  let end = first.byteOffset
  for (const part of parts) {
    if (part.buffer !== first.buffer || part.byteOffset !== end) return undefined
    end += part.length
  }
  return new Uint8Array(first.buffer, first.byteOffset, end - first.byteOffset)
}

function headerLength(answer: Uint8Array): number {
  return answer.length < 6
    ? Number.POSITIVE_INFINITY
    : 6 + new DataView(answer.buffer, answer.byteOffset).getUint16(4) * HASH_BYTES
}

function decodeHeader(header: Uint8Array): { first: number; proof: Uint8Array } {
  return { first: new DataView(header.buffer, header.byteOffset).getUint32(0), proof: header.subarray(6) }
}

export function encodeSwarmNews(news: Partial<SwarmNews>): Buffer {
  const { have, add, peers } = news
  return Buffer.from(
    JSON.stringify({
      ...('have' in news
        ? { have: have ? Buffer.from(have.bitmap).toString('base64') : null, pieceLeaves: have?.pieceLeaves }
        : {}),
      ...(add?.length ? { add } : {}),
      ...(peers?.length ? { peers } : {}),
    }),
  )
}

/** Throws `invalid`. */
export function decodeSwarmNews(payload: Uint8Array): SwarmNews {
  if (payload.length > MAX_SWARM_MESSAGE_BYTES) throw malformed()
  const { have, pieceLeaves, add, peers } = checked(swarmNews, payload)
  const map =
    typeof have === 'string' && pieceLeaves !== undefined
      ? { pieceLeaves, bitmap: Buffer.from(have, 'base64') }
      : undefined
  return { have: map, add: add ?? [], peers: peers ?? [] }
}

function checked<T>(schema: z.ZodType<T>, payload: Uint8Array): T {
  const parsed = schema.safeParse(parseJson(payload))
  if (!parsed.success) throw malformed()
  return parsed.data
}

function malformed(): RegistryError {
  return new RegistryError('invalid', 'A peer sent a message about a blob that cannot be read', {
    code: 'malformed_message',
  })
}
