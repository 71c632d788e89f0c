/**
 * The peer wire, `/cairn/exchange/1`. Each side of a connection opens one long-lived stream on which it asks and the other
 * answers; many requests share it. Frames, both ways:
 *
 *     u32 length of what follows | u8 type | u32 request id | payload
 *
 *     asker → answerer
 *       1 ask      u8 n | n bytes: name of the request, ASCII | its payload        at most 64 KiB
 *       2 cancel   (empty)                   the asker wants no more of it
 *       3 credit   u32 bytes                 id 0: of the whole stream; else: of that request
 *     answerer → asker
 *      16 part     bytes of the answer       at most MAX_PART_BYTES
 *      17 end      (empty)                   the answer is complete
 *      18 refuse   JSON {"kind","message","retryAfter"?}: an ErrorKind and a sentence
 *
 * Unknown fields are ignored, unknown types are an error: the version is in the protocol's name. Flow: the answerer never
 * has more than STREAM_CREDIT bytes of parts under way on a stream, nor REQUEST_CREDIT of one request, beyond what the asker
 * credited (id 0 when a part is taken off the stream, the request's id when its consumer took it).
 * A frame that breaks a rule ends the stream.
 */
import { z } from 'zod'
import { type ErrorKind, RegistryError } from '../errors.js'

export const EXCHANGE = '/cairn/exchange/1'
const MAX_FRAME_BYTES = 1_572_864
export const MAX_PART_BYTES = 262_144
export const STREAM_CREDIT = 3_145_728
export const REQUEST_CREDIT = 1_572_864
/** Requests under way on one stream. */
export const MAX_REQUESTS = 256

const MAX_ASK_BYTES = 65_536
const MAX_REFUSE_BYTES = 8192
const PREFIX_BYTES = 4
const HEADER_BYTES = 9

export type PeerFrame =
  | { type: 'ask'; id: number; name: string; payload: Buffer }
  | { type: 'cancel'; id: number }
  | { type: 'credit'; id: number; bytes: number }
  | { type: 'part'; id: number; payload: Uint8Array }
  | { type: 'end'; id: number }
  | { type: 'refuse'; id: number; error: RegistryError }

const CODES = { ask: 1, cancel: 2, credit: 3, part: 16, end: 17, refuse: 18 } as const
const LIMITS = new Map<number, { least: number; most: number }>([
  [CODES.ask, { least: 2, most: MAX_ASK_BYTES }],
  [CODES.cancel, { least: 0, most: 0 }],
  [CODES.credit, { least: 4, most: 4 }],
  [CODES.part, { least: 1, most: MAX_PART_BYTES }],
  [CODES.end, { least: 0, most: 0 }],
  [CODES.refuse, { least: 2, most: MAX_REFUSE_BYTES }],
])

/** A part's payload is not copied: it must stay unchanged until the frame is sent. */
export function encodePeerFrame(frame: PeerFrame): Uint8Array[] {
  switch (frame.type) {
    case 'ask': {
      const name = Buffer.from(frame.name, 'latin1')
      return framed(CODES.ask, frame.id, [Buffer.of(name.length), name, frame.payload])
    }
    case 'credit': {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32BE(frame.bytes)
      return framed(CODES.credit, frame.id, [bytes])
    }
    case 'part':
      return framed(CODES.part, frame.id, [frame.payload])
    case 'refuse':
      return framed(CODES.refuse, frame.id, [encodeRefusal(frame.error)])
    default:
      return framed(CODES[frame.type], frame.id, [])
  }
}

/** Cuts a byte stream into frames. `push` throws `invalid` at the first frame that breaks a rule; then it is of no further use. */
export class PeerFrames {
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #filled = 0
  #at = 0
  #payload: Buffer | undefined
  readonly #memory: (id: number, bytes: number) => Uint8Array | undefined

  /** `memory`: where the bytes of a part go, exactly so many; undefined: into memory of their own. */
  constructor(memory: (id: number, bytes: number) => Uint8Array | undefined = () => undefined) {
    this.#memory = memory
  }

  *push(chunk: Uint8Array): Iterable<PeerFrame> {
    let rest = chunk
    while (rest.length > 0) {
      rest = this.#payload ? this.#fill(this.#payload, rest) : this.#begin(rest)
      if (!this.#payload || this.#at < this.#payload.length) continue
      const payload = this.#payload
      this.#payload = undefined
      this.#filled = 0
      yield parse(this.#header[PREFIX_BYTES] ?? 0, this.#header.readUInt32BE(PREFIX_BYTES + 1), payload)
    }
  }

  #begin(chunk: Uint8Array): Uint8Array {
    const take = Math.min(HEADER_BYTES - this.#filled, chunk.length)
    this.#header.set(chunk.subarray(0, take), this.#filled)
    this.#filled += take
    if (this.#filled === HEADER_BYTES) {
      this.#payload = this.#place(checkedLength(this.#header))
      this.#at = 0
    }
    return chunk.subarray(take)
  }

  #place(bytes: number): Buffer {
    const isPart = this.#header[PREFIX_BYTES] === CODES.part
    const memory = isPart ? this.#memory(this.#header.readUInt32BE(PREFIX_BYTES + 1), bytes) : undefined
    return memory ? Buffer.from(memory.buffer, memory.byteOffset, bytes) : Buffer.allocUnsafe(bytes)
  }

  #fill(payload: Buffer, chunk: Uint8Array): Uint8Array {
    const take = Math.min(payload.length - this.#at, chunk.length)
    payload.set(chunk.subarray(0, take), this.#at)
    this.#at += take
    return chunk.subarray(take)
  }
}

/** Length of the payload, checked before anything is allocated for it. */
function checkedLength(header: Buffer): number {
  const length = header.readUInt32BE(0) - (HEADER_BYTES - PREFIX_BYTES)
  const limits = LIMITS.get(header[PREFIX_BYTES] ?? 0)
  if (!limits) throw malformed('of an unknown type')
  if (length < limits.least || length > limits.most || length > MAX_FRAME_BYTES) throw malformed('of impossible length')
  return length
}

function parse(code: number, id: number, payload: Buffer): PeerFrame {
  switch (code) {
    case CODES.ask:
      return parseAsk(id, payload)
    case CODES.credit:
      return { type: 'credit', id, bytes: payload.readUInt32BE(0) }
    case CODES.part:
      return { type: 'part', id, payload }
    case CODES.refuse:
      return { type: 'refuse', id, error: parseRefusal(payload) }
    case CODES.cancel:
      return { type: 'cancel', id }
    default:
      return { type: 'end', id }
  }
}

function parseAsk(id: number, payload: Buffer): PeerFrame {
  const end = 1 + (payload[0] ?? 0)
  if (end === 1 || end > payload.length || id === 0) throw malformed('without a request')
  const name = payload.subarray(1, end).toString('latin1')
  if (!/^[a-z][a-z0-9-]*$/.test(name)) throw malformed('that names no request')
  return { type: 'ask', id, name, payload: payload.subarray(end) }
}

const KINDS: Record<ErrorKind, true> = {
  invalid: true,
  unauthenticated: true,
  forbidden: true,
  missing: true,
  conflict: true,
  precondition: true,
  range: true,
  unsupported: true,
  too_large: true,
  over_quota: true,
  throttled: true,
  unavailable: true,
  upstream: true,
  corrupt: true,
}
const refusal = z.object({
  kind: z.string(),
  message: z.string().max(1000),
  retryAfter: z.number().min(0).max(86_400).optional(),
})

function encodeRefusal(error: RegistryError): Buffer {
  const { kind, message, retryAfter } = error
  return Buffer.from(
    JSON.stringify({ kind, message: message.slice(0, 900), ...(retryAfter === undefined ? {} : { retryAfter }) }),
  )
}

function parseRefusal(payload: Buffer): RegistryError {
  const parsed = refusal.safeParse(parseJson(payload))
  if (!parsed.success) throw malformed('that refuses without a reason')
  const { kind, message, retryAfter } = parsed.data
  // A kind of a later version is a refusal that this one can only call "unavailable".
  const known = Object.hasOwn(KINDS, kind) ? (kind as ErrorKind) : 'unavailable'
  return new RegistryError(known, message, retryAfter === undefined ? {} : { retryAfter })
}

/** undefined when it is no JSON: callers check the shape anyway. */
export function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8'))
  } catch {
    return undefined
  }
}

function framed(code: number, id: number, parts: Uint8Array[]): Uint8Array[] {
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  header.writeUInt32BE(HEADER_BYTES - PREFIX_BYTES + parts.reduce((sum, part) => sum + part.length, 0), 0)
  header[PREFIX_BYTES] = code
  header.writeUInt32BE(id, PREFIX_BYTES + 1)
  return [header, ...parts]
}

function malformed(what: string): RegistryError {
  return new RegistryError('invalid', `A peer sent a frame ${what}`, { code: 'malformed_frame' })
}
