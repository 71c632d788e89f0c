/**
 * The other nodes, as transfers see them: who may have a blob, their pieces, their have-maps. An interface, so that a simulation
 * can stand in for it, and its implementation over the mesh.
 */
import type { Certificate } from '../../protocol/certificate.js'
import { RegistryError } from '../../protocol/errors.js'
import {
  BUNDLE_OVERHEAD_BYTES,
  type Bundled,
  decodeBundle,
  decodePieceAnswer,
  decodeSwarmNews,
  encodeBundleAsk,
  encodePieceAsk,
  encodeSwarmAsk,
  PIECE_OVERHEAD_BYTES,
  type PieceAnswer,
  type PieceAsk,
  type SwarmAsk,
  type SwarmNews,
} from '../../protocol/wire/swarm.js'
import { Bundles } from './bundles.js'
import { Limits } from './limits.js'
import type { Neighbours } from './neighbours.js'
import { Slots } from './slots.js'

export interface Swarm {
  /** This node among peers, in the form of peer ids. */
  readonly self: string
  /** Connected peers whose certificate covers the scope's repository, without those that were silent a moment ago. */
  entitled(scope: string): string[]
  /** Is the peer at this node's site. */
  near(peer: string): boolean
  /** Unverified. `bytes`: how many are expected. `progress` is called as they arrive. */
  piece(peer: string, ask: PieceAsk, bytes: number, signal: AbortSignal, progress?: () => void): Promise<PieceAnswer>
  /** A whole small blob, unverified. */
  small(peer: string, ask: SwarmAsk, bytes: number, signal: AbortSignal): Promise<Uint8Array>
  /** What the peer has, and then everything it gets, until the reader stops. */
  follow(peer: string, ask: SwarmAsk, signal: AbortSignal): AsyncIterable<SwarmNews>
  /** It let this node wait in vain: it is left alone for half a minute, or until it is connected anew. */
  silent(peer: string): void
  /** It sent wrong bytes: thrown out. */
  wrongPiece(peer: string): void
  /** The returned function ends it. */
  onLeave(listener: (peer: string) => void): () => void
}

/** Pieces asked of one peer at once, over all transfers; further ones wait here. */
const ASKS_PER_PEER = 16
/** Fewer bytes are no sign of life: a peer that drips is as bad as one that is silent. */
const PROGRESS_BYTES = 32_768
/** A home may need this long to get a piece itself. */
const PIECE_IDLE_MS = 30_000
const SILENT_MS = 30_000
const FOLLOW_LIMIT_BYTES = 268_435_456

export class MeshSwarm implements Swarm {
  readonly #mesh: Neighbours
  readonly #covers: (certificate: Certificate, scope: string) => boolean
  readonly #now: () => number
  readonly #limits: Limits
  readonly #slots = new Map<string, Slots>()
  readonly #silentUntilMs = new Map<string, number>()
  readonly #bundles = new Bundles((...bundle) => this.#bundle(...bundle))
  #received = 0

  /** `covers`: may the certificate's owner hold what belongs to the scope. */
  constructor(
    mesh: Neighbours,
    covers: (certificate: Certificate, scope: string) => boolean,
    now: () => number,
    limits = new Limits({}, now),
  ) {
    this.#limits = limits
    this.#mesh = mesh
    this.#covers = covers
    this.#now = now
    mesh.onLeave(({ peer }) => {
      this.#silentUntilMs.delete(peer)
      limits.forget(peer)
    })
  }

  get self(): string {
    return this.#mesh.self
  }

  /** Bytes of answers to `piece` since the start, whether they were of use or not. */
  get received(): number {
    return this.#received
  }

  entitled(scope: string): string[] {
    const nowMs = this.#now()
    return this.#mesh.members().flatMap(({ peer, certificate }) => {
      const quiet = (this.#silentUntilMs.get(peer) ?? 0) > nowMs
      return !quiet && this.#covers(certificate, scope) ? [peer] : []
    })
  }

  near(peer: string): boolean {
    return this.#mesh.near(peer)
  }

  async piece(
    peer: string,
    ask: PieceAsk,
    bytes: number,
    signal: AbortSignal,
    progress?: () => void,
  ): Promise<PieceAnswer> {
    const slots = this.#slots.get(peer) ?? new Slots(ASKS_PER_PEER, Number.POSITIVE_INFINITY)
    this.#slots.set(peer, slots)
    await slots.enter(signal)
    try {
      await this.#limits.download(peer, bytes, signal, progress)
      const limit = bytes + PIECE_OVERHEAD_BYTES
      const into = Buffer.allocUnsafeSlow(bytes)
      const parts: Uint8Array[] = []
      let unseen = 0
      for await (const part of this.#mesh.request(peer, 'piece', encodePieceAsk(ask), {
        signal,
        limit,
        idleMs: PIECE_IDLE_MS,
        into,
        bulk: true,
      })) {
        parts.push(part)
        this.#received += part.length
        unseen += part.length
        if (unseen < PROGRESS_BYTES) continue
        unseen = 0
        progress?.()
      }
      return decodePieceAnswer(parts)
    } finally {
      slots.leave()
      if (slots.idle) this.#slots.delete(peer)
    }
  }

  small(peer: string, ask: SwarmAsk, bytes: number, signal: AbortSignal): Promise<Uint8Array> {
    return this.#bundles.get(peer, ask, bytes, signal)
  }

  async *#bundle(
    peer: string,
    asks: readonly SwarmAsk[],
    bytes: number,
    signal: AbortSignal,
  ): AsyncGenerator<Bundled, void, undefined> {
    const [{ scope, fetch } = { scope: '', fetch: false }] = asks
    await this.#limits.download(peer, bytes, signal)
    const limit = bytes + BUNDLE_OVERHEAD_BYTES
    const payload = encodeBundleAsk({ scope, fetch, digests: asks.map(({ digest }) => digest) })
    const options = { signal, limit, idleMs: PIECE_IDLE_MS, bulk: true }
    for await (const blob of decodeBundle(this.#mesh.request(peer, 'bundle', payload, options))) {
      this.#received += blob.bytes.length
      yield blob
    }
  }

  async *follow(peer: string, ask: SwarmAsk, signal: AbortSignal): AsyncGenerator<SwarmNews, void, undefined> {
    const options = { signal, limit: FOLLOW_LIMIT_BYTES, idleMs: Number.POSITIVE_INFINITY }
    for await (const part of this.#mesh.request(peer, 'swarm', encodeSwarmAsk(ask), options))
      yield decodeSwarmNews(part)
  }

  silent(peer: string): void {
    if (this.#mesh.member(peer)) this.#silentUntilMs.set(peer, this.#now() + SILENT_MS)
  }

  wrongPiece(peer: string): void {
    this.#mesh.blame(peer, 'wrong_piece')
  }

  onLeave(listener: (peer: string) => void): () => void {
    return this.#mesh.onLeave(({ peer }) => listener(peer))
  }
}

/** What the peer answered breaks the rules of the wire: it is no honest peer. */
export function isRubbish(error: unknown): boolean {
  return error instanceof RegistryError && (error.code === 'answer_too_long' || error.code === 'malformed_message')
}

/** The peer said that it does not get the blob for this node. */
export function isRefusal(error: unknown): boolean {
  const kinds = ['missing', 'forbidden', 'unavailable', 'too_large']
  return error instanceof RegistryError && !isGone(error) && kinds.includes(error.kind)
}

/** The peer is not connected any more, rather than saying no. */
export function isGone(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'peer_gone'
}
