/**
 * The mesh: libp2p between the nodes of one fleet. Only peers with a valid certificate are ever connected (secured.ts); gossip on
 * one topic, requests over one stream each way and pair. It knows nothing of blobs or the log: others handle and ask by name.
 */

import { type Message, TopicValidatorResult } from '@libp2p/gossipsub'
import type { Connection, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { z } from 'zod'
import { type Certificate, expired, type Keyring, verify } from '../../protocol/certificate.js'
import { collect } from '../../protocol/chunks.js'
import { deadline } from '../../protocol/deadline.js'
import { RegistryError } from '../../protocol/errors.js'
import { EXCHANGE, parseJson } from '../../protocol/wire/peer.js'
import { privateKeyOf } from '../peer-id.js'
import type { AskOptions } from './asker.js'
import { Channels } from './channels.js'
import { wallClock } from './clock.js'
import { Dialling, type Introduction } from './dialling.js'
import { Exchange } from './exchange.js'
import { type GossipHandler, gossipOptions, logTopic, MAX_GOSSIP_BYTES, type Verdict } from './gossip.js'
import { DIAL_MS, type MeshNode, newMeshNode } from './libp2p.js'
import { type Offence, Standing } from './standing.js'

/** A connected peer, with the certificate that it showed last. */
export interface Member {
  peer: string
  certificate: Certificate
}

export interface PeerStatus {
  peer: string
  node: string
  name: string
  repositories: string[]
  /** undefined until it was measured. */
  rttMs: number | undefined
}

/** Answers a request. `from` may be connected, and nothing else yet; what is yielded is given away (Respond in answerer.ts). */
export type Handler = (from: Member, payload: Buffer, signal: AbortSignal) => AsyncIterable<Uint8Array>

export interface MeshOptions {
  /** 32 raw bytes. */
  seed: Uint8Array
  keyring: Keyring
  /** This node's own certificate as it is now, and its claims. */
  certificate: () => string
  /** Newest signed log time seen. */
  logTime: () => Date
  /** Has the fleet's record of this node ended its trust. */
  revoked: (certificate: Certificate) => boolean
  /** Multiaddrs to listen on. Default: a free TCP port on every IPv4 address. */
  listen?: string[]
  /** Multiaddrs to tell others instead of those that are listened on. */
  announce?: string[]
  /** Where bulk bytes are listened for; undefined: libp2p carries all. */
  bulk?: { host: string; port: number }
  /** Where this node stands, as its operator calls it. */
  site?: string | undefined
  /** Find peers on the local network by multicast. */
  mdns?: boolean
  /** No further dials at so many connections; twice as many are accepted. Default 64. */
  connections?: number
  now?: () => number
  random?: () => number
  /** What is wrong with this program or a peer, for the log. */
  onFault?: (sentence: string, error: unknown) => void
}

const CONNECTIONS = 64
const MAX_CHANNEL_BYTES = 1024
const MAX_ABOUT_BYTES = 4096
const ABOUT_MS = 5000
/** Within a building, or between those of a town. */
const NEAR_MS = 5
/** What a node tells of itself as soon as somebody is connected; unknown fields are ignored. */
const about = z.object({ site: z.string().max(256).optional() })
const REVIEW_MS = 15_000
const RENEW_MS = 10_000
const VALIDATION = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
}

export class Mesh {
  readonly standing: Standing
  readonly #options: MeshOptions
  readonly #topic: string
  readonly #handlers = new Map<string, Handler>()
  readonly #members = new Map<string, Member>()
  /** Certificates that passed the handshake, of connections that may not be open yet. */
  readonly #shown = new Map<string, Certificate>()
  /** What peers call the place where they stand. */
  readonly #sites = new Map<string, string>()
  readonly #exchange: Exchange
  readonly #joined = new Set<(member: Member) => void>()
  readonly #left = new Set<(member: Member) => void>()
  #gossipHandler: GossipHandler | undefined
  #node: MeshNode | undefined
  #channels: Channels | undefined
  #dialling: Dialling | undefined
  #self: string | undefined
  #review: NodeJS.Timeout | undefined

  constructor(options: MeshOptions) {
    this.#options = options
    this.#topic = logTopic(options.keyring.fleet)
    this.standing = new Standing(options.now ?? Date.now)
    this.#exchange = new Exchange({
      connections: (peer) => (this.#members.has(peer) ? this.#connections(peer) : []),
      respond: (peer, name, payload, signal) => this.#respond(peer, name, payload, signal),
      blame: (peer, offence) => this.blame(peer, offence),
      fault: (error) => options.onFault?.('A request of a peer could not be answered', error),
    })
    this.handle('certificate', (from, payload) => this.#renewed(from, payload))
    this.handle('about', () => this.#about())
    this.handle('channel', (from, payload) => this.#channel(from, payload))
  }

  /** Text form. Throws before `start`. */
  get self(): string {
    if (this.#self === undefined) throw new RegistryError('unavailable', 'The mesh was not started')
    return this.#self
  }

  /** Where other nodes can dial this one. */
  get addresses(): string[] {
    return this.#running().getMultiaddrs().map(String)
  }

  async start(): Promise<void> {
    const node = await this.#newNode()
    this.#node = node
    this.#self = node.peerId.toString()
    this.#dialling = this.#newDialling(node)
    node.addEventListener('peer:connect', ({ detail }) => this.#connected(detail))
    node.addEventListener('peer:disconnect', ({ detail }) => this.#disconnected(detail))
    node.addEventListener('peer:discovery', ({ detail }) =>
      this.introduce([{ peer: detail.id.toString(), addresses: detail.multiaddrs.map(String) }]),
    )
    node.services.gossip.topicValidators.set(this.#topic, (peer, message) => this.#validate(peer, message))
    await node.handle(EXCHANGE, (stream, connection) => this.#exchange.answer(stream, connection), {
      maxInboundStreams: 2,
      maxOutboundStreams: 2,
    })
    this.#channels = this.#newChannels()
    await this.#channels?.start()
    await node.start()
    node.services.gossip.subscribe(this.#topic)
    this.#review = setInterval(() => this.review(), REVIEW_MS)
    this.#review.unref()
  }

  async close(): Promise<void> {
    clearInterval(this.#review)
    await this.#dialling?.close()
    await this.#channels?.close()
    await this.#exchange.close()
    await this.#node?.stop()
    this.#node = undefined
  }

  /** Peers to be connected to, from the primary or from what was remembered of it. */
  introduce(list: readonly Introduction[]): void {
    this.#dialling?.introduce(list)
  }

  /** One attempt, now. Throws when it cannot be connected to or is refused. */
  async dial(addresses: readonly string[]): Promise<void> {
    await this.#running().dial(
      addresses.map((address) => multiaddr(address)),
      { signal: deadline(DIAL_MS) },
    )
  }

  /** Connected peers. */
  members(): Member[] {
    return [...this.#members.values()]
  }

  member(peer: string): Member | undefined {
    return this.#members.get(peer)
  }

  peers(): PeerStatus[] {
    return this.members().map(({ peer, certificate }) => ({
      peer,
      node: certificate.sub,
      name: certificate.name,
      repositories: certificate.repositories,
      rttMs: this.#connections(peer).find(({ rtt }) => rtt !== undefined)?.rtt,
    }))
  }

  /** Is it at this node's site: by its name where both have one, else by the measured round trip. */
  near(peer: string): boolean {
    const [own, other] = [this.#options.site, this.#sites.get(peer)]
    if (own !== undefined && other !== undefined) return own === other
    const rttMs = this.#connections(peer).find(({ rtt }) => rtt !== undefined)?.rtt
    return rttMs === undefined || rttMs <= NEAR_MS
  }

  /** The returned function ends it. */
  onJoin(listener: (member: Member) => void): () => void {
    this.#joined.add(listener)
    return () => this.#joined.delete(listener)
  }

  onLeave(listener: (member: Member) => void): () => void {
    this.#left.add(listener)
    return () => this.#left.delete(listener)
  }

  async publish(bytes: Uint8Array): Promise<void> {
    if (bytes.length > MAX_GOSSIP_BYTES)
      throw new RegistryError('too_large', `A gossip message has at most ${MAX_GOSSIP_BYTES} bytes`)
    await this.#running().services.gossip.publish(this.#topic, bytes)
  }

  /** How many connected peers are known to listen to the topic. */
  listeners(): number {
    return this.#running().services.gossip.getSubscribers(this.#topic).length
  }

  /** What decides about messages; only accepted ones travel on. Without a handler all are ignored. */
  onGossip(handler: GossipHandler): void {
    this.#gossipHandler = handler
  }

  handle(name: string, handler: Handler): void {
    this.#handlers.set(name, handler)
  }

  /** The answer's parts in order. Throws what the peer refused with, `unavailable` when it is not connected, silent or gone. */
  async *request(
    peer: string,
    name: string,
    payload: Uint8Array,
    options: AskOptions,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const channel = options.bulk ? await this.#channels?.to(peer, options.signal) : undefined
    yield* channel?.ask(name, payload, options) ?? this.#exchange.request(peer, name, payload, options)
  }

  /** Connections for bulk bytes that are open. */
  get channels(): number {
    return this.#channels?.size ?? 0
  }

  /** Counts an offence; a peer with too many is thrown out. */
  blame(peer: string, offence: Offence): void {
    if (this.standing.blame(peer, offence)) this.#disconnect(peer, 'its conduct')
  }

  /** Disconnects a peer at once: its certificate was revoked, or it is refused for another reason. */
  expel(peer: string): void {
    this.#disconnect(peer, 'it was expelled')
  }

  /** Disconnects whoever is no longer to be trusted. Runs every 15 s by itself; call it when records or the log time changed. */
  review(): void {
    for (const { peer, certificate } of this.members()) {
      if (expired(certificate, this.#options.logTime()) || this.#options.revoked(certificate)) this.expel(peer)
    }
  }

  /** Shows all peers this node's new certificate. */
  async renew(): Promise<void> {
    const payload = Buffer.from(this.#options.certificate())
    const show = async ({ peer }: Member): Promise<void> => {
      const signal = deadline(RENEW_MS)
      for await (const _ of this.request(peer, 'certificate', payload, { signal, limit: 1024 }));
    }
    // A peer that does not take it will end the connection when the old one expires, and be dialled again.
    await Promise.allSettled(this.members().map(show))
  }

  #newNode(): Promise<MeshNode> {
    const { seed, listen, announce, connections = CONNECTIONS, certificate, keyring } = this.#options
    return newMeshNode({
      seed,
      listen: listen ?? ['/ip4/0.0.0.0/tcp/0'],
      announce,
      mdns: this.#options.mdns ? { fleet: keyring.fleet } : undefined,
      connections: 2 * connections,
      judge: {
        certificate,
        judge: (text, peer) => this.#judge(text, peer),
        spoken: () => this.#node?.getProtocols() ?? [],
      },
      denied: (peer) => this.#denied(peer.toString()),
      gossip: gossipOptions(this.#topic, (peer) => this.standing.points(peer)),
    })
  }

  #newChannels(): Channels | undefined {
    const { seed, bulk, now = Date.now, onFault } = this.#options
    if (!bulk) return undefined
    return new Channels({
      ...bulk,
      key: privateKeyOf(seed),
      isMember: (peer) => this.#members.has(peer),
      hostOf: (peer) => {
        const open = this.#connections(peer).find(({ status }) => status === 'open')
        return /^\/ip[46]\/([^/]+)/.exec(open?.remoteAddr.toString() ?? '')?.[1]
      },
      ask: async (peer, payload, signal) =>
        collect(
          this.#exchange.request(peer, 'channel', payload, { signal, limit: MAX_CHANNEL_BYTES }),
          MAX_CHANNEL_BYTES,
        ),
      respond: (peer, name, payload, signal) => this.#respond(peer, name, payload, signal),
      blame: (peer, offence) => this.blame(peer, offence),
      fault: (error) => onFault?.('A request of a peer could not be answered', error),
      now,
    })
  }

  #newDialling(node: MeshNode): Dialling {
    return new Dialling({
      self: node.peerId.toString(),
      most: this.#options.connections ?? CONNECTIONS,
      connected: () => new Set(this.#members.keys()),
      allowed: (peer) => !this.standing.refused(peer),
      dial: async ({ peer, addresses }, signal) => {
        const targets = addresses.map((address) =>
          multiaddr(address.includes('/p2p/') ? address : `${address}/p2p/${peer}`),
        )
        await node.dial(targets, { signal })
      },
      clock: { ...wallClock, now: this.#options.now ?? Date.now },
      random: this.#options.random ?? Math.random,
    })
  }

  #running(): MeshNode {
    if (!this.#node) throw new RegistryError('unavailable', 'The mesh is not running')
    return this.#node
  }

  #connections(peer: string): Connection[] {
    return this.#node?.getConnections(peerIdFromString(peer)) ?? []
  }

  #denied(peer: string): boolean {
    const known = this.#shown.get(peer)
    return this.standing.refused(peer) || (known !== undefined && this.#options.revoked(known))
  }

  async #judge(text: string, peer: string): Promise<void> {
    const certificate = await verify(text, this.#options.keyring, this.#options.logTime())
    if (certificate.peer !== peer) throw new RegistryError('unauthenticated', 'The certificate belongs to another peer')
    if (this.#options.revoked(certificate)) throw new RegistryError('unauthenticated', 'The certificate was revoked')
    if (this.standing.refused(peer)) throw new RegistryError('forbidden', 'The peer is refused for what it did')
    this.#shown.set(peer, certificate)
  }

  async *#renewed(from: Member, payload: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
    await this.#judge(payload.toString('latin1'), from.peer)
    const certificate = this.#shown.get(from.peer)
    if (certificate && this.#members.has(from.peer)) this.#members.set(from.peer, { peer: from.peer, certificate })
    yield Uint8Array.of(1)
  }

  async *#about(): AsyncGenerator<Uint8Array, void, undefined> {
    yield Buffer.from(JSON.stringify(this.#options.site === undefined ? {} : { site: this.#options.site }))
  }

  /** What it does not tell, or too late, is not known. */
  async #askAbout(peer: string): Promise<void> {
    const signal = deadline(ABOUT_MS)
    const limit = MAX_ABOUT_BYTES
    try {
      const answer = await collect(this.#exchange.request(peer, 'about', Buffer.of(), { signal, limit }), limit)
      const { site } = about.parse(parseJson(answer))
      if (site !== undefined && this.#members.has(peer)) this.#sites.set(peer, site)
    } catch {
      // An older version, or a peer that is gone again.
    }
  }

  async *#channel(from: Member, payload: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
    if (!this.#channels) throw new RegistryError('unsupported', 'This node has no channel for bulk bytes')
    yield await this.#channels.answer(from.peer, payload)
  }

  #connected(id: PeerId): void {
    const peer = id.toString()
    const certificate = this.#shown.get(peer)
    if (!certificate) {
      this.#disconnect(peer, 'it showed no certificate')
      return
    }
    const member = { peer, certificate }
    this.#members.set(peer, member)
    void this.#askAbout(peer)
    this.#dialling?.changed(peer)
    for (const listener of this.#joined) listener(member)
  }

  #disconnected(id: PeerId): void {
    const peer = id.toString()
    const member = this.#members.get(peer)
    this.#members.delete(peer)
    this.#sites.delete(peer)
    this.#exchange.forget(peer)
    this.#channels?.drop(peer)
    this.#dialling?.changed(peer)
    if (member) for (const listener of this.#left) listener(member)
  }

  #disconnect(peer: string, reason: string): void {
    for (const connection of this.#connections(peer))
      connection.abort(new RegistryError('forbidden', `The peer was disconnected: ${reason}`))
  }

  async #validate(id: PeerId, message: Message): Promise<TopicValidatorResult> {
    const peer = id.toString()
    if (message.data.length <= MAX_GOSSIP_BYTES) {
      const verdict = await this.#verdict(message.data, peer)
      if (verdict !== 'reject') return VALIDATION[verdict]
    }
    this.blame(peer, 'invalid_gossip')
    return VALIDATION.reject
  }

  /** A handler that fails has no opinion about the sender. */
  async #verdict(bytes: Uint8Array, peer: string): Promise<Verdict> {
    try {
      return (await this.#gossipHandler?.(bytes, peer)) ?? 'ignore'
    } catch (error) {
      this.#options.onFault?.('A gossip message could not be judged', error)
      return 'ignore'
    }
  }

  #respond(peer: string, name: string, payload: Buffer, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const member = this.#members.get(peer)
    const handler = this.#handlers.get(name)
    if (!member) throw new RegistryError('forbidden', 'The peer is not a member')
    if (!handler) throw new RegistryError('unsupported', 'This request is not known here')
    return handler(member, payload, signal)
  }
}
