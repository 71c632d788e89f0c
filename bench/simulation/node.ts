/** One simulated node: the product's NodeBlobs and Dialling on a simulated mesh and disk, with one client that wants the blob. */
import { NodeBlobs } from '../../node/blobs.js'
import { pause } from '../../node/mesh/clock.js'
import { Dialling } from '../../node/mesh/dialling.js'
import { RegistryError } from '../../protocol/errors.js'
import { type Blob, MemoryStore, SCOPE } from './blob.js'
import type { Host, Network } from './network.js'
import type { Origin } from './origin.js'
import { Post } from './post.js'
import { type Random, seeded } from './random.js'

export interface NodeParts {
  network: Network
  host: Host
  site: number
  origin: Origin
  blob: Blob
  seed: number
  /** Finds whoever is dialled; undefined: there is none. */
  find: (peer: string) => SimulatedNode | undefined
}

/** As the mesh does by default: dials up to so many connections, accepts twice as many. */
const CONNECTIONS = 64
/** Round trips of TCP, noise, certificates and the muxer. */
const HANDSHAKE_TRIPS = 4
const DIAL_DEADLINE_MS = 10_000

export class SimulatedNode {
  readonly host: Host
  readonly post: Post
  readonly blobs: NodeBlobs
  /** Of the client. */
  readonly begunMs: number
  doneMs: number | undefined
  /** Refusals that the client saw, each followed by another try. */
  errors = 0
  readonly #parts: NodeParts
  readonly #dialling: Dialling
  readonly #stop = new AbortController()

  constructor(parts: NodeParts) {
    const { network, host, site, origin, blob, seed } = parts
    const random: Random = seeded(seed)
    const clock = network.timeline
    this.#parts = parts
    this.host = host
    this.begunMs = clock.now()
    this.post = new Post(network, host, site)
    this.blobs = new NodeBlobs({
      cache: new MemoryStore(blob),
      mesh: this.post,
      primary: origin.seenFrom(host),
      entitled: (_certificate, scope, digest) =>
        scope === SCOPE && digest === blob.stored.digest ? blob.stored : undefined,
      covers: () => true,
      clock,
      random,
    })
    this.#dialling = new Dialling({
      self: host.name,
      most: CONNECTIONS,
      connected: () => this.post.connected,
      allowed: (peer) => !this.post.standing.refused(peer),
      dial: ({ peer }) => this.#dial(peer),
      clock,
      random,
    })
    this.post.onJoin((peer) => this.#dialling.changed(peer))
    this.post.onLeave(({ peer }) => this.#dialling.changed(peer))
  }

  introduce(peers: readonly string[]): void {
    this.#dialling.introduce(peers.map((peer) => ({ peer, addresses: [peer] })))
  }

  /** What a client does: it reads all, and when it is told to come back later it does. */
  async fetch(): Promise<void> {
    const { blob, network } = this.#parts
    const { signal } = this.#stop
    for (let at = 0; !signal.aborted; ) {
      try {
        const bytes = await this.blobs.open(blob.stored, SCOPE)
        for await (const chunk of bytes.read({ start: at, end: bytes.size }, signal)) {
          if (!blob.bytes.subarray(at, at + chunk.length).equals(chunk)) throw new Error('a wrong byte was seen')
          at += chunk.length
        }
        this.doneMs = network.timeline.now()
        return
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error
        if (signal.aborted) return
        this.errors++
        await pause(network.timeline, (error.retryAfter ?? 1) * 1000, signal)
      }
    }
  }

  /** The process is killed. */
  async kill(): Promise<void> {
    this.host.alive = false
    this.#stop.abort(new RegistryError('unavailable', 'The node was killed'))
    const closing = [this.#dialling.close(), this.blobs.close()]
    this.post.disconnectAll()
    await Promise.all(closing)
  }

  async #dial(peer: string): Promise<void> {
    const { network, find } = this.#parts
    const { timeline } = network
    const other = find(peer)
    const { signal } = this.#stop
    if (!other || !network.reaches(this.host, other.host)) {
      await pause(timeline, DIAL_DEADLINE_MS, signal)
      throw new RegistryError('unavailable', 'Nobody answers')
    }
    await pause(timeline, HANDSHAKE_TRIPS * 2 * network.latencyMs(this.host, other.host), signal)
    const full = other.post.size >= 2 * CONNECTIONS || this.post.size >= 2 * CONNECTIONS
    if (
      signal.aborted ||
      full ||
      !network.reaches(this.host, other.host) ||
      other.post.standing.refused(this.host.name)
    )
      throw new RegistryError('unavailable', 'The peer takes no more')
    this.post.connect(other.post)
  }
}
