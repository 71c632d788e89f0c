/** Requests between peers by name: one long-lived stream each way and pair, opened when it is first needed. */

import type { Connection, Stream } from '@libp2p/interface'
import { deadline } from '../../protocol/deadline.js'
import { RegistryError } from '../../protocol/errors.js'
import { EXCHANGE } from '../../protocol/wire/peer.js'
import { Answerer } from './answerer.js'
import { Asker, type AskOptions } from './asker.js'
import { FramedStream } from './framed-stream.js'
import type { FrameHandlers } from './frames.js'
import type { Offence } from './standing.js'

export interface ExchangeParts {
  /** Open connections to a member; none when it is not one. */
  connections: (peer: string) => Connection[]
  respond: (peer: string, name: string, payload: Buffer, signal: AbortSignal) => AsyncIterable<Uint8Array>
  blame: (peer: string, offence: Offence) => void
  fault: (error: unknown) => void
}

const OPEN_MS = 10_000

export class Exchange {
  readonly #parts: ExchangeParts
  readonly #askers = new Map<string, Promise<Asker>>()
  readonly #answerers = new Set<Answerer>()

  constructor(parts: ExchangeParts) {
    this.#parts = parts
  }

  async close(): Promise<void> {
    await Promise.all([...this.#answerers].map((answerer) => answerer.close()))
    for (const asker of this.#askers.values()) await asker.then((open) => open.abort()).catch(() => undefined)
  }

  async *request(
    peer: string,
    name: string,
    payload: Uint8Array,
    options: AskOptions,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    yield* (await this.#asker(peer)).ask(name, payload, options)
  }

  /** The peer is gone; what it was asked ends by itself. */
  forget(peer: string): void {
    this.#askers.delete(peer)
  }

  /** A stream that a peer opened. */
  answer(stream: Stream, connection: Connection): void {
    const peer = connection.remotePeer.toString()
    const { respond, blame, fault } = this.#parts
    const open = (handlers: FrameHandlers) => new FramedStream(stream, handlers)
    const answerer = new Answerer(open, (name, payload, signal) => respond(peer, name, payload, signal), {
      malformed: () => blame(peer, 'malformed_frame'),
      flood: () => blame(peer, 'flood'),
      closed: () => this.#answerers.delete(answerer),
      fault,
    })
    this.#answerers.add(answerer)
  }

  async #asker(peer: string): Promise<Asker> {
    const known = this.#askers.get(peer)
    if (known) {
      const asker = await known
      if (!asker.closed) return asker
      if (this.#askers.get(peer) === known) this.#askers.delete(peer)
    }
    const opening = this.#askers.get(peer) ?? this.#open(peer)
    this.#askers.set(peer, opening)
    return opening
  }

  #open(peer: string): Promise<Asker> {
    const forget = (): void => {
      if (this.#askers.get(peer) === opening) this.#askers.delete(peer)
    }
    const opening = this.#newAsker(peer, forget).catch((cause: unknown) => {
      forget()
      throw cause instanceof RegistryError ? cause : notConnected(cause)
    })
    return opening
  }

  async #newAsker(peer: string, closed: () => void): Promise<Asker> {
    const connection = this.#parts.connections(peer).find(({ status }) => status === 'open')
    if (!connection) throw notConnected()
    const stream = await connection.newStream(EXCHANGE, { signal: deadline(OPEN_MS), negotiateFully: false })
    const open = (handlers: FrameHandlers) => new FramedStream(stream, handlers)
    return new Asker(open, { malformed: () => this.#parts.blame(peer, 'malformed_frame'), closed })
  }
}

function notConnected(cause?: unknown): RegistryError {
  return new RegistryError('unavailable', 'The peer is not connected', { code: 'peer_gone', cause })
}
