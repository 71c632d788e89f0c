/** One TLS connection to a member, on which both sides ask and answer. */
import type { TLSSocket } from 'node:tls'
import { Answerer, type Respond } from './answerer.js'
import { Asker, type AskOptions } from './asker.js'
import { FramedSocket } from './framed-socket.js'
import type { FrameHandlers, OpenFrames } from './frames.js'
import type { Offence } from './standing.js'

export interface ChannelParts {
  peer: string
  socket: TLSSocket
  respond: (peer: string, ...request: Parameters<Respond>) => ReturnType<Respond>
  blame: (peer: string, offence: Offence) => void
  fault: (error: unknown) => void
  closed: () => void
}

export class Channel {
  readonly #asker: Asker
  readonly #answerer: Answerer

  constructor({ peer, socket, respond, blame, fault, closed }: ChannelParts) {
    const [asking, answering] = shared(socket)
    const malformed = () => blame(peer, 'malformed_frame')
    this.#asker = new Asker(asking, { malformed, closed })
    this.#answerer = new Answerer(answering, (...request) => respond(peer, ...request), {
      malformed: () => undefined,
      flood: () => blame(peer, 'flood'),
      closed: () => undefined,
      fault,
    })
  }

  get closed(): boolean {
    return this.#asker.closed
  }

  ask(name: string, payload: Uint8Array, options: AskOptions): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#asker.ask(name, payload, options)
  }

  abort(): void {
    this.#asker.abort()
  }

  close(): Promise<void> {
    return this.#answerer.close()
  }
}

/** Frames of one socket, for who asks and for who answers. */
function shared(socket: TLSSocket): [OpenFrames, OpenFrames] {
  const sides: { asker?: FrameHandlers; answerer?: FrameHandlers } = {}
  const all = (): FrameHandlers[] => [sides.asker, sides.answerer].flatMap((side) => side ?? [])
  const stream = new FramedSocket(socket, {
    frame: (frame) => {
      const answers = frame.type === 'part' || frame.type === 'end' || frame.type === 'refuse'
      ;(answers ? sides.asker : sides.answerer)?.frame(frame)
    },
    memory: (id, bytes) => sides.asker?.memory?.(id, bytes),
    malformed: (error) => sides.asker?.malformed(error),
    closed: () => {
      for (const side of all()) side.closed()
    },
  })
  const open =
    (side: 'asker' | 'answerer'): OpenFrames =>
    (handlers) => {
      sides[side] = handlers
      return stream
    }
  return [open('asker'), open('answerer')]
}
