/**
 * What peers ask each other about blobs, as requests of the peer wire (peer.ts):
 *
 *   piece   JSON {"digest","scope","first","count","fetch"?}     leaves [first, first + count), an aligned piece
 *           → u32 first | u16 n | n × 32 bytes proof, lowest sibling first | the bytes
 *   bundle  JSON {"scope","digests":["…"],"fetch"?}              small blobs, whole, at most MAX_BUNDLE_BLOBS
 *           → of each that the answerer has, as soon as it has it: u16 place among the digests | u32 length | the bytes
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

export interface BundleAsk {
  scope: string
  digests: Digest[]
  fetch: boolean
}

export interface Bundled {
  place: number
  bytes: Uint8Array
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

export const MAX_BUNDLE_BLOBS = 32
/** Of one bundle, unless it holds a single blob. */
export const MAX_BUNDLE_BYTES = 1_048_576
const BUNDLED_HEADER_BYTES = 6
/** Bytes of a bundle besides the blobs. */
export const BUNDLE_OVERHEAD_BYTES = MAX_BUNDLE_BLOBS * BUNDLED_HEADER_BYTES

const MAX_LEAF = 2 ** 32 - 1
const digest = z.string().regex(/^[0-9a-f]{64}$/)
const swarmAsk = z.object({ digest, scope: z.string().min(1).max(256), fetch: z.boolean().optional() })
const pieceAsk = swarmAsk.extend({ first: z.int().min(0).max(MAX_LEAF), count: z.int().min(1).max(1024) })
const bundleAsk = z.object({
  scope: swarmAsk.shape.scope,
  digests: z.array(digest).min(1).max(MAX_BUNDLE_BLOBS),
  fetch: z.boolean().optional(),
})
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

export function encodeBundleAsk(ask: BundleAsk): Buffer {
  return Buffer.from(JSON.stringify(ask))
}

/** Throws `invalid`. */
export function decodeBundleAsk(payload: Uint8Array): BundleAsk {
  const { digests, scope, fetch } = checked(bundleAsk, payload)
  return { digests: digests as Digest[], scope, fetch: fetch ?? false }
}

/** Header and bytes, to be sent one after the other. */
export function encodeBundled({ place, bytes }: Bundled): [Uint8Array, Uint8Array] {
  const header = Buffer.alloc(BUNDLED_HEADER_BYTES)
  header.writeUInt16BE(place, 0)
  header.writeUInt32BE(bytes.length, 2)
  return [header, bytes]
}

/** Blobs out of an answer that is cut anywhere. Throws `invalid` when it ends in the middle of one. */
export async function* decodeBundle(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Bundled, void, undefined> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const part of parts) {
    const more = Buffer.from(part.buffer, part.byteOffset, part.length)
    rest = rest.length === 0 ? more : Buffer.concat([rest, more])
    for (let end = bundledEnd(rest); end <= rest.length; end = bundledEnd(rest)) {
      yield { place: rest.readUInt16BE(0), bytes: rest.subarray(BUNDLED_HEADER_BYTES, end) }
      rest = rest.subarray(end)
    }
  }
  if (rest.length > 0) throw malformed()
}

function bundledEnd(rest: Buffer): number {
  return rest.length < BUNDLED_HEADER_BYTES ? Number.POSITIVE_INFINITY : BUNDLED_HEADER_BYTES + rest.readUInt32BE(2)
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
