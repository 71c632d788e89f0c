/**
 * A part of the log that is proved by itself, asked of a peer (`range` of the peer wire) or of the primary (POST /fleet/v1/range):
 *
 *     JSON {"length":L,"start":S,"count":C,"wanted":[[from,to],…]?}
 *     → u32 count | u8 n | n × 32 bytes proof, lowest sibling first | raw DEFLATE of frames (feed.ts): the wanted entries in
 *       order, then, if there is one, a checkpoint that falls into the piece
 *
 * The entries [S, S + C), counted from 0, are a piece of the tree over L entries; of them only the wanted ones are sent, by default
 * all. Where these are more than MAX_RANGE_BYTES the answer is about a shorter piece that begins at the same place, and says so.
 * Unknown fields are ignored. Refused: `missing` (not so far), `unavailable`, `invalid`.
 */
import { promisify } from 'node:util'
import { deflateRaw, inflateRaw } from 'node:zlib'
import { z } from 'zod'
import { once } from '../chunks.js'
import { RegistryError } from '../errors.js'
import { type LogItem, MAX_BODY_BYTES } from '../log/entry.js'
import { HASH_BYTES, pieceLevel } from '../merkle.js'
import { decodeFrames, encodeFrame } from './feed.js'
import { parseJson } from './peer.js'

export interface RangeAsk {
  length: number
  start: number
  count: number
  /** Intervals [from, to) within the piece; undefined: all. */
  wanted?: [number, number][] | undefined
}

export interface RangeAnswer {
  count: number
  proof: Uint8Array
  items: LogItem[]
  note: string | undefined
}

/** Entries in a piece. */
export const MAX_RANGE = 1024
/** Of the entries in an answer before they are compressed, unless it is one entry. */
export const MAX_RANGE_BYTES = 1024 * 1024
/** Of an answer as it is sent. */
export const MAX_RANGE_ANSWER_BYTES = MAX_BODY_BYTES + MAX_RANGE_BYTES

const HEADER_BYTES = 5
/** What is sent once is not worth more. */
const LEVEL = 1
const deflate = promisify(deflateRaw)
const inflate = promisify(inflateRaw)

const position = z.int().min(0)
const rangeAskShape = z.object({
  length: position,
  start: position,
  count: z.int().min(1).max(MAX_RANGE),
  wanted: z
    .array(z.tuple([position, position]))
    .max(MAX_RANGE)
    .optional(),
})

export function encodeRangeAsk(ask: RangeAsk): Buffer {
  return Buffer.from(JSON.stringify(ask))
}

/** Throws `invalid`. */
export function decodeRangeAsk(payload: Uint8Array): RangeAsk {
  const parsed = rangeAskShape.safeParse(parseJson(payload))
  if (!parsed.success) throw new RegistryError('invalid', 'That asks for no part of the log')
  const { length, start, count, wanted = [] } = parsed.data
  pieceLevel(start, count, length)
  let at = start
  for (const [from, to] of wanted) {
    if (from < at || to < from) throw new RegistryError('invalid', 'What is wanted of the log is not in order')
    at = to
  }
  if (at > start + count) throw new RegistryError('invalid', 'What is wanted lies outside of the piece')
  return parsed.data
}

export async function encodeRange({ count, proof, items, note }: RangeAnswer): Promise<Buffer> {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(count, 0)
  header[4] = proof.length / HASH_BYTES
  const frames = items.map((item) => encodeFrame({ type: 'item', item }))
  if (note !== undefined) frames.push(encodeFrame({ type: 'checkpoint', note }))
  return Buffer.concat([header, proof, await deflate(Buffer.concat(frames), { level: LEVEL })])
}

/** Throws `invalid` for what is malformed. */
export async function decodeRange(answer: Uint8Array): Promise<RangeAnswer> {
  const bytes = Buffer.from(answer.buffer, answer.byteOffset, answer.length)
  const end = HEADER_BYTES + (bytes[4] ?? 0) * HASH_BYTES
  if (bytes.length < end) throw malformed()
  const decoded: RangeAnswer = {
    count: bytes.readUInt32BE(0),
    proof: bytes.subarray(HEADER_BYTES, end),
    items: [],
    note: undefined,
  }
  try {
    const frames = await inflate(bytes.subarray(end), { maxOutputLength: MAX_RANGE_ANSWER_BYTES })
    for await (const frame of decodeFrames(once(frames))) {
      if (frame.type === 'item') decoded.items.push(frame.item)
      if (frame.type === 'checkpoint') decoded.note = frame.note
    }
  } catch (cause) {
    throw malformed(cause)
  }
  return decoded
}

function malformed(cause?: unknown): RegistryError {
  return new RegistryError('invalid', 'A part of the log that cannot be read', { code: 'malformed_message', cause })
}
