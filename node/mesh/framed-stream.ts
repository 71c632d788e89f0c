/**
 * A libp2p stream as frames of the peer wire. Reading is pushed: frames are handled as they come, and credits keep what is under
 * way small (pausing a libp2p stream would abort it at 4 MiB). Writing waits its turn and for the drain event.
 */
import type { Stream, StreamMessageEvent } from '@libp2p/interface'
import { RegistryError } from '../../protocol/errors.js'
import { encodePeerFrame, type PeerFrame, PeerFrames } from '../../protocol/wire/peer.js'
import { type FrameHandlers, type FrameStream, gone } from './frames.js'

const GATHERED_BYTES = 16_384

export class FramedStream implements FrameStream {
  readonly #stream: Stream
  readonly #handlers: FrameHandlers
  readonly #frames: PeerFrames
  #turn: Promise<void> = Promise.resolve()
  #closed = false

  constructor(stream: Stream, handlers: FrameHandlers) {
    this.#stream = stream
    this.#handlers = handlers
    this.#frames = new PeerFrames((id, bytes) => handlers.memory?.(id, bytes))
    stream.addEventListener('message', (event) => this.#read(event))
    stream.addEventListener('remoteCloseWrite', () => this.abort())
    stream.addEventListener('close', () => this.#end())
  }

  get closed(): boolean {
    return this.#closed
  }

  send(frame: PeerFrame): Promise<void> {
    const done = this.#turn.then(() => this.#write(frame))
    this.#turn = done.catch(() => undefined)
    return done
  }

  post(frame: PeerFrame): void {
    this.send(frame).catch(() => undefined)
  }

  abort(): void {
    if (!this.#closed) this.#stream.abort(gone())
  }

  #read(event: StreamMessageEvent): void {
    if (this.#closed) return
    const { data } = event
    try {
      for (const chunk of data instanceof Uint8Array ? [data] : data) {
        for (const frame of this.#frames.push(chunk)) this.#handlers.frame(frame)
      }
    } catch (error) {
      if (error instanceof RegistryError && error.kind === 'invalid') this.#handlers.malformed(error)
      this.abort()
    }
  }

  async #write(frame: PeerFrame): Promise<void> {
    if (this.#closed) throw gone()
    let more = true
    try {
      for (const part of gathered(encodePeerFrame(frame))) more = this.#stream.send(part)
    } catch (error) {
      throw gone(error)
    }
    if (!more) await this.#drained()
  }

  /** The event, not `onDrain()`: that resolves at once after the first drain. */
  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#stream.removeEventListener('drain', done)
        this.#stream.removeEventListener('close', done)
        resolve()
      }
      this.#stream.addEventListener('drain', done)
      this.#stream.addEventListener('close', done)
      if (this.#closed || !this.#stream.writableNeedsDrain) done()
    })
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    this.#handlers.closed()
  }
}

/** Each send is two writes to the socket: what is small goes in one. */
function gathered(parts: Uint8Array[]): Uint8Array[] {
  return parts.reduce((sum, part) => sum + part.length, 0) <= GATHERED_BYTES ? [Buffer.concat(parts)] : parts
}
