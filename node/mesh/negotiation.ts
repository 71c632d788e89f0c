/**
 * A guard before libp2p's protocol negotiation (multistream-select), whose reader takes an endless length prefix byte by byte
 * without ever giving up: a megabyte of 0xff, sent by anybody, keeps the process busy for ten seconds. Messages of the negotiation
 * are checked until one proposes a protocol that is spoken here; the first bad byte ends the connection or stream.
 *
 *     u8 length, at most 127 | text, ends with '\n'      first '/multistream/1.0.0', then proposals
 */

import type { MessageStream, MultiaddrConnection, StreamMessageEvent, StreamMuxerFactory } from '@libp2p/interface'
import { byteStream } from '@libp2p/utils'
import { deadline } from '../../protocol/deadline.js'
import { RegistryError } from '../../protocol/errors.js'

const MULTISTREAM = '/multistream/1.0.0'
const MOST_PROPOSALS = 16
const DEADLINE_MS = 5000

/** Reads what a dialer says first. True unless it is exactly the proposal of `protocol`; what was read can be read again. */
export async function speaksOther(connection: MultiaddrConnection, protocol: string): Promise<boolean> {
  const expected = Buffer.concat([message(MULTISTREAM), message(protocol)])
  const bytes = byteStream(connection)
  try {
    const head = (await bytes.read({ bytes: expected.length, signal: deadline(DEADLINE_MS) })).subarray()
    bytes.unwrap()
    connection.unshift(head)
    return !expected.equals(head)
  } catch {
    // It went away, or said too little in time.
    return true
  }
}

/** The muxer, each of whose inbound streams is guarded. `spoken`: the protocols of this node. */
export function guarded(factory: StreamMuxerFactory, spoken: () => string[]): StreamMuxerFactory {
  return {
    protocol: factory.protocol,
    createStreamMuxer: (connection) => {
      const muxer = factory.createStreamMuxer(connection)
      const listen = muxer.addEventListener.bind(muxer)
      // Not before the first listener: streams that arrive earlier are kept until there is one, and then shown only once.
      muxer.addEventListener = (...listening: Parameters<typeof listen>) => {
        if (listening[0] === 'stream') {
          muxer.addEventListener = listen
          listen('stream', ({ detail }) => guard(detail, spoken))
        }
        listen(...listening)
      }
      return muxer
    },
  }
}

/** Must be called before anybody else listens to the stream. */
function guard(stream: MessageStream, spoken: () => string[]): void {
  const negotiation = new Negotiation(spoken)
  const check = (event: StreamMessageEvent): void => {
    const { data } = event
    const state = negotiation.push(data instanceof Uint8Array ? data : data.subarray())
    if (state !== 'more') stream.removeEventListener('message', check)
    if (state !== 'bad') return
    event.stopImmediatePropagation()
    stream.abort(
      new RegistryError('invalid', 'A peer sent what is no protocol negotiation', { code: 'malformed_frame' }),
    )
  }
  stream.addEventListener('message', check)
}

/** Follows one side of a negotiation. `done`: a protocol that is spoken here was proposed; what follows belongs to it. */
export class Negotiation {
  readonly #spoken: () => string[]
  #rest: Buffer = Buffer.alloc(0)
  #messages = 0

  constructor(spoken: () => string[]) {
    this.#spoken = spoken
  }

  push(bytes: Uint8Array): 'more' | 'done' | 'bad' {
    this.#rest = Buffer.concat([this.#rest, bytes])
    for (let text = this.#next(); text !== undefined; text = this.#next()) {
      if (
        !text.endsWith('\n') ||
        (this.#messages === 0 && text !== `${MULTISTREAM}\n`) ||
        this.#messages > MOST_PROPOSALS
      )
        return 'bad'
      if (this.#messages++ > 0 && this.#spoken().includes(text.slice(0, -1))) return 'done'
    }
    // What could still be the beginning of a message is shorter than one: #next takes everything else.
    return (this.#rest[0] ?? 1) > 127 || this.#rest[0] === 0 ? 'bad' : 'more'
  }

  /** The next whole message; undefined when it is not there, or cannot be one. */
  #next(): string | undefined {
    const length = this.#rest[0] ?? 0
    if (length === 0 || length > 127 || this.#rest.length <= length) return undefined
    const text = this.#rest.subarray(1, 1 + length).toString('latin1')
    this.#rest = this.#rest.subarray(1 + length)
    return text
  }
}

function message(text: string): Buffer {
  return Buffer.concat([Buffer.of(text.length + 1), Buffer.from(`${text}\n`, 'latin1')])
}
