/**
 * How log entries and checkpoints travel: from the primary in a stream, in gossip, and between peers. Frames:
 *
 *     u32 length of what follows | u8 type | payload
 *       1 checkpoint   the signed note, UTF-8
 *       2 entry        u64 number | 16 bytes salt | body
 *       3 hidden       u64 number | 32 bytes leaf hash
 *       4 notice       JSON, for instance {"heartbeat":true}; unknown fields are ignored
 *       5 beginning    the note that an epoch begins with, UTF-8
 *
 * A batch is beginnings of epochs, entries in order, then the checkpoint that covers them. Unknown types are skipped.
 */
import { RegistryError } from '../errors.js'
import { type LogItem, MAX_BODY_BYTES, SALT_BYTES } from '../log/entry.js'

export type Frame =
  | { type: 'checkpoint'; note: string }
  | { type: 'item'; item: LogItem }
  | { type: 'notice'; notice: Record<string, unknown> }
  | { type: 'beginning'; note: string }

const MAX_FRAME_BYTES = MAX_BODY_BYTES + 64
const HEADER_BYTES = 5

export function encodeFrame(frame: Frame): Buffer {
  switch (frame.type) {
    case 'checkpoint':
      return frameOf(1, Buffer.from(frame.note))
    case 'beginning':
      return frameOf(5, Buffer.from(frame.note))
    case 'notice':
      return frameOf(4, Buffer.from(JSON.stringify(frame.notice)))
    case 'item': {
      const { item } = frame
      if ('leaf' in item) return frameOf(3, number64(item.number), item.leaf)
      return frameOf(2, number64(item.number), item.salt, item.body)
    }
  }
}

/** Frames out of a byte stream. Throws `invalid` on anything malformed; the stream is then of no further use. */
export async function* decodeFrames(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Frame> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of bytes) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
    let at = 0
    while (rest.length - at >= 4) {
      const length = rest.readUInt32BE(at)
      if (length < 1 || length > MAX_FRAME_BYTES) throw new RegistryError('invalid', 'A frame of impossible length')
      if (rest.length - at < 4 + length) break
      const frame = parse(rest[at + 4] ?? 0, rest.subarray(at + HEADER_BYTES, at + 4 + length))
      if (frame) yield frame
      at += 4 + length
    }
    rest = rest.subarray(at)
  }
  if (rest.length > 0) throw new RegistryError('invalid', 'A stream of frames that ends in the middle of one')
}

function parse(type: number, payload: Buffer): Frame | undefined {
  if (type === 1) return { type: 'checkpoint', note: payload.toString('utf8') }
  if (type === 2) {
    if (payload.length < 8 + SALT_BYTES) throw new RegistryError('invalid', 'A short log entry')
    const salt = payload.subarray(8, 8 + SALT_BYTES)
    return {
      type: 'item',
      item: { number: Number(payload.readBigUInt64BE(0)), salt, body: payload.subarray(8 + SALT_BYTES) },
    }
  }
  if (type === 3) {
    if (payload.length !== 40) throw new RegistryError('invalid', 'A hidden log entry of the wrong length')
    return { type: 'item', item: { number: Number(payload.readBigUInt64BE(0)), leaf: payload.subarray(8) } }
  }
  if (type === 5) return { type: 'beginning', note: payload.toString('utf8') }
  if (type !== 4) return undefined
  const notice: unknown = JSON.parse(payload.toString('utf8'))
  return {
    type: 'notice',
    notice: typeof notice === 'object' && notice !== null ? (notice as Record<string, unknown>) : {},
  }
}

function frameOf(type: number, ...parts: Uint8Array[]): Buffer {
  const length = 1 + parts.reduce((sum, part) => sum + part.length, 0)
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(length, 0)
  header[4] = type
  return Buffer.concat([header, ...parts])
}

function number64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}
