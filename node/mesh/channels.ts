/**
 * Bulk bytes between nodes: TLS 1.3 beside libp2p, which is a fraction as fast. Both sides show the key of their peer id, and nobody
 * is spoken to who is not a member at that moment, so that libp2p's handshake alone decides who may come and when somebody must
 * go. One connection serves both ways; where one side cannot be dialled, the other dials. It is made when it is first needed.
 *
 *     channel   JSON {"port","dial"?}     a request of the peer wire: my port; "dial": connect to me there
 *               → JSON {"port"}           the answerer's
 */

import { createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls'
import { z } from 'zod'
import { deadline } from '../../protocol/deadline.js'
import { RegistryError } from '../../protocol/errors.js'
import { rawPublicKey } from '../../protocol/log/checkpoint.js'
import { parseJson } from '../../protocol/wire/peer.js'
import { peerIdOf } from '../peer-id.js'
import { abortable } from './abortable.js'
import { Channel, type ChannelParts } from './channel.js'
import { selfSigned } from './self-signed.js'

export interface ChannelsParts extends Pick<ChannelParts, 'respond' | 'blame' | 'fault'> {
  key: KeyObject
  host: string
  /** 0: any. */
  port: number
  isMember: (peer: string) => boolean
  /** Where the peer is, as its libp2p connection shows it. */
  hostOf: (peer: string) => string | undefined
  /** One request of the peer wire over libp2p, answered whole. */
  ask: (peer: string, payload: Buffer, signal: AbortSignal) => Promise<Buffer>
  now: () => number
}

const PROTOCOL = 'cairn-bulk/1'
const CONNECTIONS = 256
const PER_PEER = 2
const HANDSHAKE_MS = 5000
const DIAL_MS = 3000
const OPEN_MS = 10_000
/** A request does not wait longer for a channel: libp2p carries it. */
const PATIENCE_MS = 300
const [LEAST_MS, MOST_MS] = [15_000, 600_000]

const request = z.object({ port: z.int().min(1).max(65_535), dial: z.boolean().optional() })

interface Failure {
  count: number
  untilMs: number
}

export class Channels {
  readonly #parts: ChannelsParts
  readonly #tls: SecureContextOptions
  readonly #open = new Map<string, Set<Channel>>()
  readonly #opening = new Map<string, Promise<void>>()
  readonly #failures = new Map<string, Failure>()
  readonly #stop = new AbortController()
  #server: Server | undefined

  constructor(parts: ChannelsParts) {
    this.#parts = parts
    const spki = createPublicKey(parts.key).export({ type: 'spki', format: 'der' })
    this.#tls = {
      key: parts.key.export({ type: 'pkcs8', format: 'pem' }),
      cert: selfSigned(parts.key, spki),
      minVersion: 'TLSv1.3',
      // Faster than the one with 256 bits, and the mesh has no better.
      ciphers: 'TLS_AES_128_GCM_SHA256',
    }
  }

  async start(): Promise<void> {
    const options = { ...this.#tls, requestCert: true, rejectUnauthorized: false, ALPNProtocols: [PROTOCOL] }
    const server = createServer({ ...options, handshakeTimeout: HANDSHAKE_MS }, (socket) => this.#accept(socket))
    server.maxConnections = CONNECTIONS
    server.on('tlsClientError', (_, socket) => socket.destroy())
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#parts.port, this.#parts.host, resolve)
    })
    this.#server = server
  }

  async close(): Promise<void> {
    this.#stop.abort(new RegistryError('unavailable', 'The node is stopping'))
    await Promise.all([...this.#open.values()].flatMap((set) => [...set].map((channel) => channel.close())))
    await Promise.allSettled(this.#opening.values())
    await new Promise((resolve) => (this.#server ? this.#server.close(resolve) : resolve(undefined)))
  }

  /** Connections that are open. */
  get size(): number {
    return [...this.#open.values()].reduce((sum, set) => sum + set.size, 0)
  }

  /** undefined: libp2p has to do, for now. */
  async to(peer: string, signal: AbortSignal): Promise<Channel | undefined> {
    const open = this.#usable(peer)
    if (open) return open
    const opening = this.#opening.get(peer) ?? this.#begin(peer)
    if (!opening) return undefined
    const patience = deadline(PATIENCE_MS, signal)
    await abortable(opening, patience).catch(() => undefined)
    return this.#usable(peer)
  }

  /** The peer is no member any more. */
  drop(peer: string): void {
    for (const channel of this.#open.get(peer) ?? []) channel.abort()
    this.#failures.delete(peer)
  }

  /** Answers `channel`. */
  async answer(peer: string, payload: Buffer): Promise<Buffer> {
    const asked = request.safeParse(parseJson(payload))
    if (!asked.success) throw new RegistryError('invalid', 'That is no request for a channel')
    if (asked.data.dial && !this.#usable(peer)) await this.#dial(peer, asked.data.port)
    return Buffer.from(JSON.stringify({ port: this.#port }))
  }

  get #port(): number {
    return (this.#server?.address() as AddressInfo | null)?.port ?? 0
  }

  #usable(peer: string): Channel | undefined {
    for (const channel of this.#open.get(peer) ?? []) if (!channel.closed) return channel
    return undefined
  }

  #begin(peer: string): Promise<void> | undefined {
    const failure = this.#failures.get(peer)
    if (this.#stop.signal.aborted || (failure && failure.untilMs > this.#parts.now())) return undefined
    const opening = this.#connect(peer)
      .then(
        () => void this.#failures.delete(peer),
        () => this.#failed(peer),
      )
      .finally(() => this.#opening.delete(peer))
    this.#opening.set(peer, opening)
    return opening
  }

  #failed(peer: string): void {
    const count = (this.#failures.get(peer)?.count ?? 0) + 1
    const waitMs = Math.min(MOST_MS, LEAST_MS * 2 ** Math.min(count - 1, 8))
    if (this.#parts.isMember(peer)) this.#failures.set(peer, { count, untilMs: this.#parts.now() + waitMs })
  }

  async #connect(peer: string): Promise<void> {
    const signal = deadline(OPEN_MS, this.#stop.signal)
    const ask = async (dial: boolean): Promise<number> => {
      const payload = Buffer.from(JSON.stringify({ port: this.#port, dial }))
      return request.parse(parseJson(await this.#parts.ask(peer, payload, signal))).port
    }
    const port = await ask(false)
    try {
      await this.#dial(peer, port)
    } catch {
      // Behind a NAT, say: then it can dial this node.
      await ask(true)
    }
  }

  /** Throws `unavailable` when it cannot be connected to, or is somebody else. */
  #dial(peer: string, port: number): Promise<void> {
    const host = this.#parts.hostOf(peer)
    if (host === undefined) throw new RegistryError('unavailable', 'The peer is not connected')
    return new Promise((resolve, reject) => {
      const options = { ...this.#tls, rejectUnauthorized: false, ALPNProtocols: [PROTOCOL] }
      const socket = connect({ ...options, host, port })
      const fail = (cause?: unknown): void => {
        clearTimeout(timer)
        socket.destroy()
        reject(new RegistryError('unavailable', 'The peer takes no bulk connection', { cause }))
      }
      const timer = setTimeout(fail, DIAL_MS)
      socket.once('error', fail)
      socket.once('close', fail)
      socket.once('secureConnect', () => {
        if (identity(socket) !== peer || !this.#parts.isMember(peer) || this.#stop.signal.aborted) return fail()
        clearTimeout(timer)
        socket.off('error', fail)
        socket.off('close', fail)
        this.#add(peer, socket)
        resolve()
      })
    })
  }

  #accept(socket: TLSSocket): void {
    socket.on('error', () => socket.destroy())
    const peer = identity(socket)
    if (peer === undefined || !this.#parts.isMember(peer) || this.#stop.signal.aborted) socket.destroy()
    else this.#add(peer, socket)
  }

  #add(peer: string, socket: TLSSocket): void {
    const { respond, blame, fault } = this.#parts
    const channels = this.#open.get(peer) ?? new Set()
    this.#open.set(peer, channels)
    const channel = new Channel({
      peer,
      socket,
      respond,
      blame,
      fault,
      closed: () => {
        channels.delete(channel)
        if (channels.size === 0 && this.#open.get(peer) === channels) this.#open.delete(peer)
      },
    })
    channels.add(channel)
    for (const old of channels) if (channels.size > PER_PEER && old !== channel) old.abort()
  }
}

/** The peer id of the key that the other side proved to have. */
function identity(socket: TLSSocket): string | undefined {
  const certificate: X509Certificate | undefined = socket.getPeerX509Certificate()
  if (socket.alpnProtocol !== PROTOCOL || certificate?.publicKey.asymmetricKeyType !== 'ed25519') return undefined
  return peerIdOf(rawPublicKey(certificate.publicKey))
}
