/**
 * The asking side of a peer stream: many requests at once, each an AsyncIterable of the answer's parts. What an answer may hold
 * in memory here is bounded by its credit; a consumer that is slow slows its own request only.
 */
import { RegistryError } from '../../protocol/errors.js'
import { MAX_REQUESTS, type PeerFrame, REQUEST_CREDIT } from '../../protocol/wire/peer.js'
import type { FrameStream, OpenFrames } from './frames.js'
import { Pulse } from './pulse.js'

export interface AskOptions {
  signal: AbortSignal
  /** Bytes of the whole answer; more throws `too_large`. */
  limit: number
  /** Longest silence of the peer while it is awaited. */
  idleMs?: number
  /** Where the parts after the first go, one after the other, as long as they fit. */
  into?: Uint8Array
  /** Over the channel for bulk bytes if there is one (channels.ts). */
  bulk?: boolean
}

const IDLE_MS = 30_000
/** Credit is given back in lots of this, not frame by frame. */
const LOT_BYTES = 262_144

export class Asker {
  readonly #stream: FrameStream
  readonly #answers = new Map<number, Answer>()
  #id = 0
  #owed = 0

  constructor(open: OpenFrames, events: { malformed: () => void; closed: () => void }) {
    this.#stream = open({
      frame: (frame) => this.#receive(frame),
      memory: (id, bytes) => this.#answers.get(id)?.memory(bytes),
      malformed: events.malformed,
      closed: () => {
        for (const answer of this.#answers.values())
          answer.fail(new RegistryError('unavailable', 'The peer went away', { code: 'peer_gone' }))
        this.#answers.clear()
        events.closed()
      },
    })
  }

  get closed(): boolean {
    return this.#stream.closed
  }

  abort(): void {
    this.#stream.abort()
  }

  async *ask(name: string, payload: Uint8Array, options: AskOptions): AsyncGenerator<Uint8Array, void, undefined> {
    options.signal.throwIfAborted()
    if (this.#answers.size >= MAX_REQUESTS)
      throw new RegistryError('throttled', 'Too many requests to this peer are under way', { retryAfter: 1 })
    const id = this.#nextId()
    const answer = new Answer(options.limit, options.into)
    this.#answers.set(id, answer)
    try {
      await this.#stream.send({
        type: 'ask',
        id,
        name,
        payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
      })
      for (;;) {
        const part = await answer.take(options.signal, options.idleMs ?? IDLE_MS)
        if (!part) return
        yield part
        const bytes = answer.credit(part.length)
        if (bytes > 0) this.#stream.post({ type: 'credit', id, bytes })
      }
    } finally {
      this.#answers.delete(id)
      if (!answer.ended) this.#stream.post({ type: 'cancel', id })
    }
  }

  #nextId(): number {
    do this.#id = (this.#id % 0xffff_ffff) + 1
    while (this.#answers.has(this.#id))
    return this.#id
  }

  #receive(frame: PeerFrame): void {
    const answer = this.#answers.get(frame.id)
    if (frame.type === 'part') {
      this.#owe(frame.payload.length)
      answer?.push(frame.payload)
    } else if (frame.type === 'end') answer?.end()
    else if (frame.type === 'refuse') answer?.fail(frame.error)
    else throw new RegistryError('invalid', 'A peer answered with a question', { code: 'malformed_frame' })
  }

  #owe(bytes: number): void {
    this.#owed += bytes
    if (this.#owed < LOT_BYTES) return
    this.#stream.post({ type: 'credit', id: 0, bytes: this.#owed })
    this.#owed = 0
  }
}

/** The parts that arrived and were not taken yet. */
class Answer {
  readonly #limit: number
  readonly #parts: Uint8Array[] = []
  readonly #pulse = new Pulse()
  readonly #into: Uint8Array | undefined
  #placed = 0
  #received = 0
  #credited = 0
  #owed = 0
  #ended = false
  #error: RegistryError | undefined

  constructor(limit: number, into: Uint8Array | undefined) {
    this.#limit = limit
    this.#into = into
  }

  /** Where the next part goes. */
  memory(bytes: number): Uint8Array | undefined {
    if (!this.#into || this.#received === 0 || this.#placed + bytes > this.#into.length) return undefined
    this.#placed += bytes
    return this.#into.subarray(this.#placed - bytes, this.#placed)
  }

  /** The peer said its last word. */
  get ended(): boolean {
    return this.#ended
  }

  push(part: Uint8Array): void {
    this.#received += part.length
    if (this.#received - this.#credited > REQUEST_CREDIT) {
      throw new RegistryError('invalid', 'A peer sent more than it had credit for', { code: 'malformed_frame' })
    }
    if (this.#received > this.#limit) this.#error ??= tooLong()
    else this.#parts.push(part)
    this.#pulse.beat()
  }

  end(): void {
    this.#ended = true
    this.#pulse.beat()
  }

  fail(error: RegistryError): void {
    this.#error ??= error
    this.end()
  }

  /** undefined: the end. */
  async take(signal: AbortSignal, idleMs: number): Promise<Uint8Array | undefined> {
    for (let waited = false; ; waited = true) {
      const part = this.#parts.shift()
      if (part) return part
      if (this.#error) throw this.#error
      if (this.#ended) return undefined
      signal.throwIfAborted()
      if (waited) throw new RegistryError('unavailable', 'The peer fell silent', { code: 'peer_silent' })
      await this.#pulse.next({ signal, ...(Number.isFinite(idleMs) ? { timeoutMs: idleMs } : {}) })
    }
  }

  /** Bytes to give back now, 0 while they are not worth a frame. */
  credit(bytes: number): number {
    this.#owed += bytes
    if (this.#owed < LOT_BYTES || this.#ended) return 0
    const lot = this.#owed
    this.#credited += lot
    this.#owed = 0
    return lot
  }
}

function tooLong(): RegistryError {
  return new RegistryError('too_large', 'A peer answered with more than was asked for', { code: 'answer_too_long' })
}
