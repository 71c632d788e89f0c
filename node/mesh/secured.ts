/**
 * The certificate rides in the handshake. After noise has proved who the other side is, both sides send their certificate
 * over the encrypted connection, judge the other's, and say so; only when both said yes does the connection go on, so a
 * refused peer never gets a muxer or a stream. What is sent each way:
 *
 *     u16 length | certificate, ASCII        at most MAX_CERTIFICATE_LENGTH
 *     u8 1                                   "accepted"; a side that refuses closes instead
 */
import { noise } from '@chainsafe/libp2p-noise'
import type {
  ConnectionEncrypter,
  MessageStream,
  PeerId,
  SecureConnectionOptions,
  SecuredConnection,
} from '@libp2p/interface'
import { byteStream } from '@libp2p/utils'
import { MAX_CERTIFICATE_LENGTH } from '../../protocol/certificate.js'
import { RegistryError } from '../../protocol/errors.js'
import { guarded } from './negotiation.js'

export interface Judge {
  /** Protocols that streams may be opened for. */
  spoken(): string[]
  /** This node's own certificate as it is now. */
  certificate(): string
  /** Throws when the certificate, shown by the peer that noise authenticated, is not to be trusted. */
  judge(certificate: string, peer: string): Promise<void>
}

type Noise = ReturnType<typeof noise>
type Components = Parameters<Noise>[0]

export const SECURED = '/cairn/noise/1'
const DEADLINE_MS = 5000
const ACCEPTED = 1
/** One TCP read and what was before it: more cannot arrive between the last byte we read and the muxer taking over. */
const MAX_BUFFERED_BYTES = 262_144

export function secured(judge: Judge): (components: Components) => ConnectionEncrypter {
  const inner = noise()
  return (components) => new Secured(inner(components), judge)
}

class Secured implements ConnectionEncrypter {
  readonly protocol = SECURED
  readonly #noise: ReturnType<Noise>
  readonly #judge: Judge

  constructor(inner: ReturnType<Noise>, judge: Judge) {
    this.#noise = inner
    this.#judge = judge
  }

  async secureOutbound(connection: MessageStream, options?: SecureConnectionOptions): Promise<SecuredConnection> {
    return this.#exchange(await this.#noise.secureOutbound(connection, options), options)
  }

  async secureInbound(connection: MessageStream, options?: SecureConnectionOptions): Promise<SecuredConnection> {
    return this.#exchange(await this.#noise.secureInbound(connection, options), options)
  }

  async #exchange(secure: SecuredConnection, options: SecureConnectionOptions = {}): Promise<SecuredConnection> {
    const timer = new AbortController()
    const late = () => timer.abort(new RegistryError('unavailable', 'The peer sent no certificate in time'))
    const timeout = setTimeout(late, DEADLINE_MS)
    options.signal?.addEventListener('abort', late, { once: true })
    try {
      const connection = await this.#handshake(secure.connection, secure.remotePeer, timer.signal)
      const { streamMuxer } = secure
      return {
        ...secure,
        connection,
        ...(streamMuxer ? { streamMuxer: guarded(streamMuxer, this.#judge.spoken) } : {}),
      }
    } catch (error) {
      secure.connection.abort(error instanceof Error ? error : new Error(String(error)))
      throw error
    } finally {
      clearTimeout(timeout)
      options.signal?.removeEventListener('abort', late)
    }
  }

  async #handshake(stream: MessageStream, peer: PeerId, signal: AbortSignal): Promise<MessageStream> {
    const bytes = byteStream(stream, { maxBufferSize: MAX_BUFFERED_BYTES })
    await bytes.write(framed(this.#judge.certificate()), { signal })
    const head = (await bytes.read({ bytes: 2, signal })).subarray()
    const length = ((head[0] ?? 0) << 8) | (head[1] ?? 0)
    if (length === 0 || length > MAX_CERTIFICATE_LENGTH)
      throw new RegistryError('unauthenticated', 'The peer has no certificate')
    const text = Buffer.from((await bytes.read({ bytes: length, signal })).subarray()).toString('latin1')
    await this.#judge.judge(text, peer.toString())
    await bytes.write(Uint8Array.of(ACCEPTED), { signal })
    const verdict = (await bytes.read({ bytes: 1, signal })).subarray()
    if (verdict[0] !== ACCEPTED) throw new RegistryError('unauthenticated', 'The peer did not accept the certificate')
    return bytes.unwrap()
  }
}

function framed(certificate: string): Uint8Array {
  const text = Buffer.from(certificate, 'latin1')
  const head = Buffer.alloc(2)
  head.writeUInt16BE(text.length)
  return Buffer.concat([head, text])
}
