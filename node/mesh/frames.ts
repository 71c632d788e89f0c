/** A way to a peer as frames of the peer wire, whatever carries them: a libp2p stream (framed-stream.ts) or TLS (framed-socket.ts). */
import { RegistryError } from '../../protocol/errors.js'
import type { PeerFrame } from '../../protocol/wire/peer.js'

export interface FrameHandlers {
  frame(frame: PeerFrame): void
  /** Where the bytes of a part go: exactly so many. undefined: into memory of their own. */
  memory?(id: number, bytes: number): Uint8Array | undefined
  /** The other side broke a rule; the stream is being ended. */
  malformed(error: RegistryError): void
  /** Once, last. Nothing can be sent any more. */
  closed(): void
}

export interface FrameStream {
  readonly closed: boolean
  /** Resolves when the frame is handed over. Throws `unavailable` when the stream is closed. */
  send(frame: PeerFrame): Promise<void>
  /** For frames whose loss does not matter when the stream is gone. */
  post(frame: PeerFrame): void
  abort(): void
}

/** Begins to read. */
export type OpenFrames = (handlers: FrameHandlers) => FrameStream

export function gone(cause?: unknown): RegistryError {
  return new RegistryError('unavailable', 'The connection to the peer is gone', { code: 'peer_gone', cause })
}
