/**
 * A TLS connection as frames of the peer wire. What is read is handled at once: credits keep it small. What is written waits for
 * the other side, and not for ever.
 */
import type { TLSSocket } from 'node:tls'
import { RegistryError } from '../../protocol/errors.js'
import { encodePeerFrame, type PeerFrame, PeerFrames } from '../../protocol/wire/peer.js'
import { type FrameHandlers, type FrameStream, gone } from './frames.js'

/** Handed to the socket before the system has taken them. */
const WRITING_BYTES = 1_048_576
/** Who takes nothing for so long is gone. */
const STUCK_MS = 30_000
/** Nothing was said for so long: a connection is made again when it is needed. */
const IDLE_MS = 300_000

export class FramedSocket implements FrameStream {
  readonly #socket: TLSSocket
  readonly #handlers: FrameHandlers
  readonly #frames: PeerFrames
  #turn: Promise<void> = Promise.resolve()
  #closed = false

  constructor(socket: TLSSocket, handlers: FrameHandlers) {
    this.#socket = socket
    this.#handlers = handlers
    this.#frames = new PeerFrames((id, bytes) => handlers.memory?.(id, bytes))
    socket.setNoDelay(true)
    socket.setTimeout(IDLE_MS, () => this.abort())
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('end', () => this.abort())
    socket.on('error', () => this.abort())
    socket.on('close', () => this.#end())
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
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    if (this.#closed) return
    try {
      for (const frame of this.#frames.push(chunk)) this.#handlers.frame(frame)
    } catch (error) {
      if (error instanceof RegistryError && error.kind === 'invalid') this.#handlers.malformed(error)
      this.abort()
    }
  }

  async #write(frame: PeerFrame): Promise<void> {
    if (this.#closed || !this.#socket.writable) throw gone()
    this.#socket.cork()
    for (const part of encodePeerFrame(frame)) this.#socket.write(part)
    this.#socket.uncork()
    if (this.#socket.writableLength > WRITING_BYTES) await this.#drained()
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.abort(), STUCK_MS)
      const done = (): void => {
        clearTimeout(timer)
        this.#socket.off('drain', done)
        this.#socket.off('close', done)
        resolve()
      }
      this.#socket.on('drain', done)
      this.#socket.on('close', done)
    })
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    this.#handlers.closed()
  }
}
