/**
 * The answering side of a peer stream: runs the handler that a request names and sends what it yields, within the credit that
 * the asker gave. A handler that throws a RegistryError refuses; its signal is aborted when the asker cancels or goes.
 */
import { RegistryError } from '../../protocol/errors.js'
import {
  MAX_PART_BYTES,
  MAX_REQUESTS,
  type PeerFrame,
  REQUEST_CREDIT,
  STREAM_CREDIT,
} from '../../protocol/wire/peer.js'
import type { FrameStream, OpenFrames } from './frames.js'
import { Pulse } from './pulse.js'

/** What is yielded is given away: the stream may hold it for a while, so its memory must not be used again. */
export type Respond = (name: string, payload: Buffer, signal: AbortSignal) => AsyncIterable<Uint8Array>

export interface AnswererEvents {
  malformed: () => void
  /** More requests at once than the wire allows: each refused. */
  flood: () => void
  closed: () => void
  /** A handler failed with something else than a RegistryError. */
  fault: (error: unknown) => void
}

/** Whoever does not take a part within this time gets no more: what is held for it is needed for others. */
const CREDIT_MS = 30_000

interface Running {
  stop: AbortController
  credit: number
}

export class Answerer {
  readonly #stream: FrameStream
  readonly #respond: Respond
  readonly #events: AnswererEvents
  readonly #running = new Map<number, Running>()
  readonly #work = new Set<Promise<void>>()
  readonly #credited = new Pulse()
  #credit = STREAM_CREDIT

  constructor(open: OpenFrames, respond: Respond, events: AnswererEvents) {
    this.#respond = respond
    this.#events = events
    this.#stream = open({
      frame: (frame) => this.#receive(frame),
      malformed: events.malformed,
      closed: () => {
        for (const { stop } of this.#running.values())
          stop.abort(new RegistryError('unavailable', 'The asker went away', { code: 'peer_gone' }))
        this.#credited.beat()
        events.closed()
      },
    })
  }

  /** Ends the stream and waits for the handlers. */
  async close(): Promise<void> {
    this.#stream.abort()
    await Promise.all(this.#work)
  }

  #receive(frame: PeerFrame): void {
    if (frame.type === 'ask') this.#begin(frame.id, frame.name, frame.payload)
    else if (frame.type === 'cancel') this.#cancel(frame.id)
    else if (frame.type === 'credit') this.#take(frame.id, frame.bytes)
    else throw new RegistryError('invalid', 'A peer asked with an answer', { code: 'malformed_frame' })
  }

  #begin(id: number, name: string, payload: Buffer): void {
    if (this.#running.has(id))
      throw new RegistryError('invalid', 'A request id was used twice', { code: 'malformed_frame' })
    if (this.#running.size >= MAX_REQUESTS) {
      this.#events.flood()
      const error = new RegistryError('throttled', 'Too many requests at once', { retryAfter: 1 })
      this.#stream.post({ type: 'refuse', id, error })
      return
    }
    const running = { stop: new AbortController(), credit: REQUEST_CREDIT }
    this.#running.set(id, running)
    const work = this.#answer(id, name, payload, running).finally(() => {
      this.#running.delete(id)
      this.#work.delete(work)
    })
    this.#work.add(work)
  }

  #cancel(id: number): void {
    const reason = new RegistryError('unavailable', 'The asker wants no more', { code: 'cancelled' })
    this.#running.get(id)?.stop.abort(reason)
    this.#credited.beat()
  }

  /** Credit beyond the first one is a lie: somebody wants us to pile up bytes. */
  #take(id: number, bytes: number): void {
    const running = this.#running.get(id)
    if (id === 0) this.#credit += bytes
    else if (running) running.credit += bytes
    if (this.#credit > STREAM_CREDIT || (running?.credit ?? 0) > REQUEST_CREDIT) {
      throw new RegistryError('invalid', 'A peer gave credit that nobody used', { code: 'malformed_frame' })
    }
    this.#credited.beat()
  }

  /** Never rejects: what goes wrong is told to the asker. */
  async #answer(id: number, name: string, payload: Buffer, running: Running): Promise<void> {
    const { signal } = running.stop
    try {
      for await (const chunk of this.#respond(name, payload, signal)) {
        for (let at = 0; at < chunk.length; at += MAX_PART_BYTES)
          await this.#part(id, chunk.subarray(at, at + MAX_PART_BYTES), running)
      }
      if (!signal.aborted) await this.#stream.send({ type: 'end', id })
    } catch (error) {
      if (signal.aborted || this.#stream.closed) return
      if (!(error instanceof RegistryError)) this.#events.fault(error)
      const refusal =
        error instanceof RegistryError
          ? error
          : new RegistryError('unavailable', 'The peer failed to answer', { retryAfter: 5 })
      this.#stream.post({ type: 'refuse', id, error: refusal })
    }
  }

  async #part(id: number, chunk: Uint8Array, running: Running): Promise<void> {
    const { signal } = running.stop
    let waitedMs = 0
    while (!signal.aborted && (this.#credit < chunk.length || running.credit < chunk.length)) {
      if (waitedMs >= CREDIT_MS) throw new RegistryError('unavailable', 'The answer was not taken in time')
      const sinceMs = performance.now()
      await this.#credited.next({ signal, timeoutMs: CREDIT_MS - waitedMs })
      waitedMs += Math.ceil(performance.now() - sinceMs)
    }
    signal.throwIfAborted()
    this.#credit -= chunk.length
    running.credit -= chunk.length
    await this.#stream.send({ type: 'part', id, payload: chunk })
  }
}
