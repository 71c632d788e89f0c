/**
 * Answers what peers ask about blobs. A peer gets bytes only of scopes that its certificate covers and of blobs that this node's
 * own records know in that scope; it makes this node fetch only as the blob's home; and only so many pieces at once.
 */
import type { DiskBlobs } from '../../protocol/blobs/disk.js'
import type { Certificate } from '../../protocol/certificate.js'
import { RegistryError } from '../../protocol/errors.js'
import { leafCount, pieceLevel } from '../../protocol/merkle.js'
import type { Digest, Stored } from '../../protocol/records.js'
import {
  type BundleAsk,
  decodeBundleAsk,
  decodePieceAsk,
  decodeSwarmAsk,
  encodeBundled,
  encodePieceAnswer,
  encodeSwarmNews,
  MAX_BUNDLE_BYTES,
  type PieceAnswer,
  type PieceAsk,
  type SwarmAsk,
} from '../../protocol/wire/swarm.js'
import { type Clock, pause } from './clock.js'
import { outranks } from './homes.js'
import type { Limits } from './limits.js'
import type { Member } from './mesh.js'
import type { Neighbours } from './neighbours.js'
import { geometryOf, isSmall } from './pieces.js'
import { Pulse } from './pulse.js'
import { type Roster, Rosters } from './rosters.js'
import { Slots } from './slots.js'
import type { Transfer } from './transfer.js'
import { withResolvers } from './with-resolvers.js'

/** The blob's record as this node has it, or undefined: the peer may not have it, or nothing is known of it. */
export type Entitled = (
  certificate: Certificate,
  scope: string,
  digest: Digest,
) => Promise<Stored | undefined> | Stored | undefined

/** What the node has and can get, as serving sees it. */
export interface Holdings {
  readonly disk: Pick<DiskBlobs, 'piece'>
  /** In the cache, and not being repaired. */
  holds(digest: Digest): boolean
  transfer(digest: Digest): Transfer | undefined
  /** Begins or joins a transfer; undefined when there is no room for it. */
  begin(stored: Stored, scope: string): Promise<Transfer | undefined>
  /** A small blob, wherever it is. */
  small(stored: Stored, scope: string): Promise<Uint8Array>
}

/** Pieces sent to one peer at once, and asks of it that wait. */
const AT_ONCE = 4
const WAITING = 64
/** Pieces in memory for all peers together. */
const ALL_AT_ONCE = 16
const ALL_WAITING = 1024

/** News are gathered for so long before they are sent: the first ones are awaited most. */
const [FIRST_NEWS_MS, NEWS_MS] = [5, 50]
const FIRST_PIECES = 16
const NEWS_PIECES = 4096
const NEWS_PEERS = 64

export class Serving {
  readonly #holdings: Holdings
  readonly #entitled: Entitled
  readonly #mesh: Neighbours
  readonly #limits: Limits
  readonly #clock: Clock
  readonly #slots = new Map<string, Slots>()
  readonly #rosters = new Rosters()
  readonly #all = new Slots(ALL_AT_ONCE, ALL_WAITING)
  #served = 0

  constructor(mesh: Neighbours, holdings: Holdings, entitled: Entitled, limits: Limits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
    this.#mesh = mesh
    this.#holdings = holdings
    this.#entitled = entitled
    mesh.handle('piece', (from, payload, signal) => this.#piece(from, decodePieceAsk(payload), signal))
    mesh.handle('bundle', (from, payload, signal) => this.#bundle(from, decodeBundleAsk(payload), signal))
    mesh.handle('swarm', (from, payload, signal) => this.#swarm(from, decodeSwarmAsk(payload), signal))
  }

  /** Bytes of pieces sent to peers since the start. */
  get served(): number {
    return this.#served
  }

  async *#piece(from: Member, ask: PieceAsk, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const stored = await this.#check(from, ask)
    pieceLevel(ask.first, ask.count, leafCount(stored.size))
    if (ask.count > geometryOf(stored.size).pieceLeaves) throw new RegistryError('invalid', 'A piece is not that large')
    const transfer = await this.#available(from, ask, stored, signal)
    const leave = await this.#enter(from, signal)
    try {
      const answer = await this.#read(ask, stored, transfer, signal)
      await this.#send(from, answer.bytes, signal)
      yield* encodePieceAnswer(answer)
    } finally {
      leave()
    }
  }

  /** Blobs as soon as they are here; of those that are not, and those that are too much, nothing is said. */
  async *#bundle(from: Member, ask: BundleAsk, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const { scope, fetch } = ask
    const leave = await this.#enter(from, signal)
    try {
      let bytes = 0
      const reading = new Map<number, Promise<{ place: number; bytes: Uint8Array | undefined }>>()
      for (const [place, digest] of ask.digests.entries()) {
        const stored = await this.#check(from, { scope, digest, fetch })
        bytes += stored.size
        if (!isSmall(stored.size) || (place > 0 && bytes > MAX_BUNDLE_BYTES)) continue
        const piece = { digest, scope, fetch, first: 0, count: leafCount(stored.size) }
        const read = this.#read(piece, stored, undefined, signal)
        reading.set(
          place,
          read.then(
            (answer) => ({ place, bytes: answer.bytes }),
            () => ({ place, bytes: undefined }),
          ),
        )
      }
      while (reading.size > 0) {
        const { place, bytes: blob } = await Promise.race(reading.values())
        reading.delete(place)
        if (!blob) continue
        await this.#send(from, blob, signal)
        yield* encodeBundled({ place, bytes: blob })
      }
    } finally {
      leave()
    }
  }

  /** The returned function leaves the place in the queue to others. */
  async #enter({ peer }: Member, signal: AbortSignal): Promise<() => void> {
    const slots = this.#slots.get(peer) ?? new Slots(AT_ONCE, WAITING)
    this.#slots.set(peer, slots)
    const leave = (): void => {
      slots.leave()
      if (slots.idle) this.#slots.delete(peer)
    }
    await slots.enter(signal)
    await this.#all.enter(signal).catch((error: unknown) => {
      leave()
      throw error
    })
    return () => {
      this.#all.leave()
      leave()
    }
  }

  async #send({ peer }: Member, { length }: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#limits.upload(peer, length, signal)
    this.#served += length
  }

  /** Waits, without holding a slot, until a fetched piece is here. */
  async #available(from: Member, ask: PieceAsk, stored: Stored, signal: AbortSignal): Promise<Transfer | undefined> {
    if (this.#holdings.holds(stored.digest)) return undefined
    const transfer = this.#holdings.transfer(stored.digest)
    if (!ask.fetch || transfer?.has(ask.first, ask.count)) return transfer
    if (!this.#mayMakeFetch(from, stored) || isSmall(stored.size)) return transfer
    const begun = transfer ?? (await this.#holdings.begin(stored, ask.scope))
    await begun?.arrival(ask.first, signal)
    return begun
  }

  async #read(
    ask: PieceAsk,
    stored: Stored,
    transfer: Transfer | undefined,
    signal: AbortSignal,
  ): Promise<PieceAnswer> {
    const { first, count, scope } = ask
    const here = await transfer?.piece(first, count)
    if (here) return { first, ...here }
    if (this.#holdings.holds(stored.digest))
      return { first, ...(await this.#holdings.disk.piece(stored, first, count, scope, signal)) }
    if (ask.fetch && isSmall(stored.size)) {
      const bytes = await this.#holdings.small(stored, scope)
      return { first, proof: new Uint8Array(0), bytes }
    }
    throw new RegistryError('missing', 'This node does not have the piece')
  }

  async *#swarm(from: Member, ask: SwarmAsk, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const stored = await this.#check(from, ask)
    const fetch = ask.fetch && this.#mayMakeFetch(from, stored)
    const transfer = this.#holdings.holds(stored.digest) ? undefined : await this.#following(stored, ask.scope, fetch)
    const roster = this.#rosters.join(stored.digest, from.peer)
    transfer?.meet(from.peer)
    const listening = withResolvers<void>()
    const whole = fetch ? transfer?.whole(listening.promise) : undefined
    try {
      yield* news(from.peer, { roster, transfer, stored, clock: this.#clock, signal })
    } finally {
      this.#rosters.leave(stored.digest, from.peer)
      listening.resolve()
      await whole
    }
  }

  async #following(stored: Stored, scope: string, fetch: boolean): Promise<Transfer> {
    const transfer =
      this.#holdings.transfer(stored.digest) ?? (fetch ? await this.#holdings.begin(stored, scope) : undefined)
    if (transfer) return transfer
    throw new RegistryError(fetch ? 'unavailable' : 'missing', 'This node does not have the blob')
  }

  async #check(from: Member, { scope, digest }: SwarmAsk): Promise<Stored> {
    const stored = await this.#entitled(from.certificate, scope, digest)
    if (!stored) throw new RegistryError('forbidden', 'The peer may not have this blob, or it is not known here')
    if (stored.size === 0) throw new RegistryError('invalid', 'An empty blob has no pieces')
    return stored
  }

  #mayMakeFetch(from: Member, { digest }: Stored): boolean {
    return outranks(digest, this.#mesh.self, from.peer)
  }
}

interface NewsParts {
  roster: Roster
  transfer: Transfer | undefined
  stored: Stored
  clock: Clock
  signal: AbortSignal
}

/** What a peer is told that follows a blob: first what is here, then what comes and who else wants it. Ends with a failed transfer. */
async function* news(
  to: string,
  { roster, transfer, stored, clock, signal }: NewsParts,
): AsyncGenerator<Uint8Array, void, undefined> {
  let [told, introduced] = [transfer?.arrivals.length ?? 0, 0]
  yield encodeSwarmNews({ have: transfer ? transfer.map() : everything(stored) })
  const pulses = transfer ? [roster.joined, transfer.changed] : [roster.joined]
  const { pieces } = geometryOf(stored.size)
  // A transfer that is complete closes at once: its last pieces are told after that.
  const whole = (): boolean => !transfer || transfer.arrivals.length === pieces
  while (!signal.aborted && (whole() || transfer?.open)) {
    const add = transfer?.arrivals.slice(told, told + NEWS_PIECES) ?? []
    const others = roster.peers.slice(introduced, introduced + NEWS_PEERS)
    told += add.length
    introduced += others.length
    const peers = others.flatMap((peer) => (peer === undefined || peer === to ? [] : [peer]))
    if (add.length + peers.length > 0) yield encodeSwarmNews({ add, peers })
    if (told < (transfer?.arrivals.length ?? 0) || introduced < roster.peers.length) continue
    await Pulse.any(pulses, { signal })
    await pause(clock, told < FIRST_PIECES ? FIRST_NEWS_MS : NEWS_MS, signal)
  }
}

function everything(stored: Stored): { pieceLeaves: number; bitmap: Uint8Array } {
  const { pieces, pieceLeaves } = geometryOf(stored.size)
  return { pieceLeaves, bitmap: new Uint8Array(Math.ceil(pieces / 8)).fill(0xff) }
}
