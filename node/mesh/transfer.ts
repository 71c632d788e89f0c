/**
 * One blob on its way into this node, shared by all who read it. Plan decides what is asked of whom; this carries it out,
 * verifies every piece before anybody sees it, gives bytes to readers in order while others still arrive, and tells peers what
 * is here. It finds sources by itself: the blob's home, the primary, at last everybody who is connected.
 */
import { leavesOf } from '../../protocol/blobs/trees.js'
import type { Partial } from '../../protocol/blobs/partial.js'
import { type Piece, verifyPiece } from '../../protocol/blobs/piece.js'
import { RegistryError } from '../../protocol/errors.js'
import { HASH_BYTES, Tree } from '../../protocol/merkle.js'
import type { Stored } from '../../protocol/records.js'
import type { SwarmNews } from '../../protocol/wire/swarm.js'
import { abortable } from './abortable.js'
import { Bitmap } from './bitmap.js'
import type { Budget } from './budget.js'
import { homes } from './homes.js'
import { type Geometry, geometryOf, spanOf } from './pieces.js'
import { type Ask, type Demand, Plan, PRIMARY } from './plan.js'
import type { PrimaryBytes } from './primary-bytes.js'
import { Pulse } from './pulse.js'
import { isGone, type Swarm } from './swarm.js'

export interface TransferParts {
  stored: Stored
  scope: string
  /** What people call it, for sentences: a path or the digest. */
  name: string
  /** Where it is put; the transfer closes it. */
  partial: Partial
  swarm: Swarm
  primary: PrimaryBytes
  budget: Budget
  now: () => number
  random: () => number
  /** How long it goes on when nobody waits for it. Default 5 s. */
  lingerMs?: number
}

/** An ask that is under way. */
interface Asked extends Ask {
  stop: AbortController
}

export type Outcome = 'complete' | 'failed' | 'stopped'

const LINGER_MS = 5000
/** Bytes asked of one peer at once. */
const UNDER_WAY_BYTES = 2_097_152
const READ_BYTES = 262_144
/** Peers whose have-maps are followed. */
const FOLLOWED = 12
/** Peers asked when the home and the primary are away. */
const EVERYBODY = 64
const PRIMARY_FAILURES = 2
/** Up to so many leaves their tree is held, to pass pieces on before they are on disk: 1 GiB of bytes, 1 MiB of memory. */
const PROVEN_LEAVES = 16_384

export class Transfer {
  readonly stored: Stored
  readonly scope: string
  /** Never rejects. */
  readonly done: Promise<Outcome>
  readonly #parts: TransferParts
  readonly #geometry: Geometry
  readonly #plan: Plan
  readonly #changed = new Pulse()
  readonly #stop = new AbortController()
  readonly #work = new Set<Promise<void>>()
  readonly #asks = new Set<Asked>()
  /** Followed peers; the value says whether the first news is still awaited. */
  readonly #followed = new Map<string, { waiting: boolean; home: boolean; stop: AbortController }>()
  readonly #tried = new Set<string>()
  readonly #arrivals: number[] = []
  /** Verified pieces that are still being written: who waits for one need not wait for the disk. */
  readonly #fresh = new Map<number, { bytes: Uint8Array; proof: Uint8Array | undefined }>()
  #first: 'peer' | 'primary' | undefined
  #homeRefused = false
  #askedAll = false
  #primaryFailures = 0
  #learned: Promise<Uint8Array> | undefined
  #tree: Tree | undefined
  #error: RegistryError | undefined
  #outcome: Outcome | undefined
  #readers = 0
  #timer: NodeJS.Timeout | undefined
  #linger: NodeJS.Timeout | undefined
  #pumping = false
  #closed = false
  #settle: (outcome: Outcome) => void = () => undefined
  readonly #endLeave: () => void

  constructor(parts: TransferParts) {
    this.stored = parts.stored
    this.scope = parts.scope
    this.#parts = parts
    this.#geometry = geometryOf(parts.stored.size)
    const depth = Math.max(2, Math.floor(UNDER_WAY_BYTES / this.#geometry.pieceBytes))
    this.#plan = new Plan({ pieces: this.#geometry.pieces, depth, random: parts.random })
    this.done = new Promise((resolve) => {
      this.#settle = resolve
    })
    this.#endLeave = parts.swarm.onLeave((peer) => this.#drop(peer))
    this.#rest()
  }

  /** `start` inclusive, `end` exclusive. Bytes in order, each chunk valid until the next; throws `unavailable` when nobody has them. */
  async *read(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const { pieceBytes } = this.#geometry
    const demand = { next: Math.floor(start / pieceBytes), end: Math.ceil(end / pieceBytes) }
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, end - start))
    this.#readers++
    this.#want(demand)
    try {
      for (let at = start; at < end; ) {
        const index = Math.floor(at / pieceBytes)
        await this.#until(index, signal)
        const stop = Math.min(end, at + buffer.length, (index + 1) * pieceBytes)
        const fresh = this.#fresh.get(index)?.bytes.subarray(at % pieceBytes, (at % pieceBytes) + stop - at)
        const bytes = fresh ?? (await this.#parts.partial.read(at, stop, buffer))
        if (!bytes) throw this.#ended()
        yield bytes
        at = stop
        demand.next = Math.floor(at / pieceBytes)
      }
    } finally {
      this.#readers--
      this.#unwant(demand)
      this.#finish()
    }
  }

  /** Where its first piece came from. Throws what made it fail before that. */
  async begun(): Promise<'peer' | 'primary'> {
    const demand = { next: 0, end: 1 }
    this.#want(demand)
    try {
      while (!this.#first) {
        if (this.#outcome) throw this.#ended()
        await this.#changed.next()
      }
      return this.#first
    } finally {
      this.#unwant(demand)
    }
  }

  /** Can it be read from. */
  get open(): boolean {
    return !this.#closed && this.#outcome !== 'failed' && this.#outcome !== 'stopped'
  }

  has(firstLeaf: number, count: number): boolean {
    return this.#parts.partial.has(firstLeaf, count) || this.#freshPiece(firstLeaf, count) !== undefined
  }

  /** Wants the piece that a leaf is in, and waits for it. */
  async arrival(firstLeaf: number, signal: AbortSignal): Promise<void> {
    const next = Math.floor(firstLeaf / this.#geometry.pieceLeaves)
    const demand = { next, end: next + 1 }
    this.#want(demand)
    try {
      await this.#until(next, signal)
    } finally {
      this.#unwant(demand)
    }
  }

  /** A piece for a peer; undefined: it is not here. */
  async piece(firstLeaf: number, count: number): Promise<Piece | undefined> {
    if (!this.open) return undefined
    this.#readers++
    try {
      return this.#freshPiece(firstLeaf, count) ?? (await this.#parts.partial.piece(firstLeaf, count))
    } finally {
      this.#readers--
      this.#finish()
    }
  }

  /** Beats when a piece arrived or the transfer ended. */
  get changed(): Pulse {
    return this.#changed
  }

  /** What is here now. */
  map(): { pieceLeaves: number; bitmap: Uint8Array } {
    return { pieceLeaves: this.#geometry.pieceLeaves, bitmap: this.#plan.have.toBytes() }
  }

  /** Pieces in the order in which they arrived. */
  get arrivals(): readonly number[] {
    return this.#arrivals
  }

  /** Gets all of it for as long as `stay` does not resolve, for peers that follow. */
  async whole(stay: Promise<void>): Promise<void> {
    const demand = { next: 0, end: this.#geometry.pieces }
    this.#want(demand)
    await stay
    this.#unwant(demand)
  }

  /** Another node wants the blob, too: it will have pieces. */
  meet(peer: string): void {
    if (this.#outcome || peer === this.#parts.swarm.self || this.#followed.has(peer) || this.#followed.size >= FOLLOWED) return
    if (this.#parts.swarm.entitled(this.scope).includes(peer)) this.#follow(peer, false)
  }

  /** Ends it whatever has arrived; waits for everything that runs. */
  async close(): Promise<void> {
    this.#end('stopped', new RegistryError('unavailable', 'The node is stopping', { retryAfter: 5 }))
    while (this.#work.size > 0) await Promise.all(this.#work)
    await this.#parts.partial.close()
  }

  // Demand.

  #want(demand: Demand): void {
    clearTimeout(this.#linger)
    this.#linger = undefined
    this.#plan.want(demand)
    this.#pump()
  }

  #unwant(demand: Demand): void {
    this.#plan.unwant(demand)
    this.#rest()
  }

  #rest(): void {
    if (this.#plan.wanted || this.#outcome || this.#linger) return
    const stop = (): void => this.#end('stopped', new RegistryError('unavailable', 'Nobody waits for these bytes any more', { retryAfter: 1 }))
    this.#linger = setTimeout(stop, this.#parts.lingerMs ?? LINGER_MS)
    this.#linger.unref()
  }

  async #until(piece: number, signal?: AbortSignal): Promise<void> {
    while (!this.#plan.have.has(piece) && !this.#fresh.has(piece)) {
      signal?.throwIfAborted()
      if (this.#outcome) throw this.#ended()
      await this.#changed.next(signal ? { signal } : {})
    }
  }

  #ended(): RegistryError {
    return this.#error ?? new RegistryError('unavailable', `The transfer of ${this.#parts.name} ended`, { retryAfter: 1 })
  }

  // What is asked.

  /** Asks what the plan says now, and looks for other sources when there is nothing to ask. Called whenever something changed. */
  #pump(): void {
    if (this.#pumping || this.#outcome) return
    this.#pumping = true
    const nowMs = this.#parts.now()
    this.#plan.backup = this.#primaryHelps
    this.#giveUp(nowMs)
    let full = false
    const room = (): boolean => {
      full = !this.#parts.budget.take(this.#geometry.pieceBytes)
      return !full
    }
    for (const ask of this.#plan.next(nowMs, room)) this.#run(ask.source === PRIMARY ? this.#askPrimary(ask) : this.#askPeer(ask))
    this.#pumping = false
    if (full) this.#run(this.#parts.budget.freed.next({ signal: this.#stop.signal }))
    else if (this.#plan.hungry && this.#plan.underWay === 0 && !this.#awaitingNews) this.#seek()
    this.#watchTime(nowMs)
  }

  #giveUp(nowMs: number): void {
    for (const { source, first } of this.#plan.overdue(nowMs)) {
      for (const asked of this.#asks) {
        const late = asked.source === source && first >= asked.first && first < asked.first + asked.count
        if (late) asked.stop.abort(new RegistryError('unavailable', 'It took too long'))
      }
    }
  }

  #watchTime(nowMs: number): void {
    clearTimeout(this.#timer)
    const patienceMs = this.#plan.patienceMs(nowMs)
    if (patienceMs === undefined || this.#outcome) return
    this.#timer = setTimeout(() => this.#pump(), patienceMs + 1)
    this.#timer.unref()
  }

  /** Work that may change what can be asked. */
  #run(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#end('failed', new RegistryError('unavailable', 'The transfer failed', { cause: error })))
      .then(() => {
        this.#work.delete(tracked)
        this.#pump()
        this.#finish()
      })
    this.#work.add(tracked)
  }

  async #askPeer(ask: Ask): Promise<void> {
    const { source, first } = ask
    const asked = this.#begin(ask)
    try {
      const piece = await this.#pieceOf(source, first, asked.stop.signal)
      if (piece) await this.#keep(source, first, piece.bytes, piece.leaves, piece.proof)
    } finally {
      this.#finished(asked)
    }
  }

  /** A verified piece; undefined when the peer did not give it. */
  async #pieceOf(peer: string, index: number, signal: AbortSignal): Promise<(Piece & { leaves: Uint8Array }) | undefined> {
    const span = spanOf(this.#geometry, index)
    const { stored, scope } = this
    const ask = { digest: stored.digest, scope, first: span.first, count: span.count, fetch: this.#followed.get(peer)?.home ?? false }
    try {
      const progress = (): void => this.#plan.progress(peer, this.#parts.now())
      const answer = await this.#parts.swarm.piece(peer, ask, span.end - span.start, signal, progress)
      const leaves = answer.first === span.first ? verifyPiece(stored, span.first, answer) : undefined
      if (leaves) return { bytes: answer.bytes, proof: answer.proof, leaves }
      this.#drop(peer)
      this.#parts.swarm.wrongPiece(peer)
    } catch (error) {
      if (!this.#outcome) this.#peerFailed(peer, index, error)
    }
    return undefined
  }

  #peerFailed(peer: string, piece: number, error: unknown): void {
    const home = this.#followed.get(peer)?.home === true
    if (home && error instanceof RegistryError && !isGone(error) && ['missing', 'forbidden', 'unavailable', 'too_large'].includes(error.kind)) {
      this.#plan.stopFetching(peer)
      this.#homeRefused = true
    }
    if (this.#plan.failed(peer, piece) || isGone(error)) this.#drop(peer)
  }

  async #askPrimary(ask: Ask): Promise<void> {
    const { first, count } = ask
    const asked = this.#begin(ask)
    const { signal } = asked.stop
    const start = spanOf(this.#geometry, first).start
    const { end } = spanOf(this.#geometry, first + count - 1)
    let next = first
    try {
      const learned = this.#learn()
      for await (const bytes of this.#cut(this.#parts.primary.read(this.stored, this.scope, start, end, signal), first, signal)) {
        await this.#keep(PRIMARY, next, bytes, this.#leavesIn(await abortable(learned, signal), next, bytes))
        this.#plan.ended(PRIMARY, next++)
      }
      if (next < first + count) throw new RegistryError('upstream', 'The primary sent fewer bytes than were asked for')
      this.#primaryFailures = 0
    } catch {
      // Why does not matter: what it does not send is asked for elsewhere, and at last there is a sentence for the reader.
      this.#primaryFailures++
      if (!this.#primaryHelps) this.#plan.direct = false
    } finally {
      this.#plan.runEnded()
      this.#finished(asked)
    }
  }

  /** All leaf hashes, asked for beside the first bytes: pieces from the primary come without proofs. */
  #learn(): Promise<Uint8Array> {
    if (this.#learned) return this.#learned
    const { partial, primary } = this.#parts
    const learned = primary.leaves(this.stored, this.scope, this.#stop.signal).then((leaves) => {
      partial.learn(leaves)
      return leaves
    })
    learned.catch(() => {
      this.#learned = undefined
    })
    this.#learned = learned
    return learned
  }

  /** The leaf hashes of a piece, which must be among all those of the blob. Throws `corrupt`. */
  #leavesIn(all: Uint8Array, index: number, bytes: Uint8Array): Uint8Array {
    const { first, count } = spanOf(this.#geometry, index)
    const leaves = leavesOf(bytes)
    const right = Buffer.compare(leaves, all.subarray(first * HASH_BYTES, (first + count) * HASH_BYTES)) === 0
    if (!right) throw new RegistryError('corrupt', `The primary sent other bytes than ${this.stored.digest}`)
    if (all.length <= PROVEN_LEAVES * HASH_BYTES) this.#tree ??= new Tree(all)
    return leaves
  }

  #freshPiece(firstLeaf: number, count: number): Piece | undefined {
    const index = firstLeaf / this.#geometry.pieceLeaves
    const fresh = this.#fresh.get(index)
    if (!fresh || spanOf(this.#geometry, index).count !== count) return undefined
    const proof = fresh.proof ?? this.#tree?.proof(firstLeaf, count)
    return proof && { bytes: fresh.bytes, proof }
  }

  /** Whole pieces out of a stream that begins at one, in memory of their own. */
  async *#cut(body: AsyncIterable<Uint8Array>, first: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    let index = first
    let span = spanOf(this.#geometry, index)
    let piece = Buffer.allocUnsafeSlow(span.end - span.start)
    let filled = 0
    for await (const chunk of body) {
      signal.throwIfAborted()
      this.#plan.progress(PRIMARY, this.#parts.now())
      for (let at = 0; at < chunk.length; ) {
        const part = chunk.subarray(at, at + piece.length - filled)
        piece.set(part, filled)
        filled += part.length
        at += part.length
        if (filled < piece.length) continue
        yield piece
        span = spanOf(this.#geometry, ++index)
        // Beyond the last piece nothing is taken: a body that is too long ends here.
        if (span.end <= span.start) return
        piece = Buffer.allocUnsafeSlow(span.end - span.start)
        filled = 0
      }
    }
  }

  /** A verified piece is written, and everybody told. What the disk says ends the transfer; it is nobody else's fault. */
  async #keep(source: string, index: number, bytes: Uint8Array, leaves: Uint8Array, proof?: Uint8Array): Promise<void> {
    // A hedged piece that came twice.
    if (this.#plan.have.has(index) || this.#fresh.has(index)) return
    this.#fresh.set(index, { bytes, proof })
    this.#first ??= source === PRIMARY ? 'primary' : 'peer'
    this.#changed.beat()
    try {
      await this.#parts.partial.write(spanOf(this.#geometry, index).first, bytes, leaves, proof)
    } catch (error) {
      return this.#end('failed', keepingFailed(error))
    } finally {
      this.#fresh.delete(index)
    }
    if (!this.#plan.arrived(source, index, this.#parts.now())) return
    // Whoever was asked in vain may be asked again once there was progress.
    this.#askedAll = false
    this.#arrivals.push(index)
    this.#changed.beat()
    if (this.#plan.have.full) await this.#complete()
  }

  async #complete(): Promise<void> {
    try {
      await this.#parts.partial.complete()
      this.#end('complete')
    } catch (error) {
      this.#end('failed', keepingFailed(error))
    }
  }

  #begin(ask: Ask): Asked {
    const asked = { ...ask, stop: new AbortController() }
    this.#asks.add(asked)
    return asked
  }

  #finished(asked: Asked): void {
    const { source, first, count } = asked
    this.#asks.delete(asked)
    for (let piece = first; piece < first + count; piece++) this.#plan.ended(source, piece)
    this.#parts.budget.give(this.#geometry.pieceBytes)
  }

  // Who is asked.

  get #primaryHelps(): boolean {
    return this.#primaryFailures < PRIMARY_FAILURES && this.#parts.primary.reachable
  }

  get #awaitingNews(): boolean {
    for (const { waiting } of this.#followed.values()) if (waiting) return true
    return false
  }

  /** Nothing is under way: the next source is the home, then the primary, then everybody. */
  #seek(): void {
    const { swarm } = this.#parts
    const home = this.#homeRefused || this.#plan.direct ? undefined : this.#nextHome()
    if (home !== undefined && home !== swarm.self) return this.#follow(home, true)
    if (!this.#plan.direct && this.#primaryHelps) {
      this.#plan.direct = true
      return this.#pump()
    }
    if (this.#askedAll) return this.#end('failed', this.#nobody())
    this.#askedAll = true
    for (const peer of swarm.entitled(this.scope).slice(0, EVERYBODY)) if (!this.#followed.has(peer)) this.#follow(peer, false)
    if (!this.#awaitingNews) this.#end('failed', this.#nobody())
  }

  #nextHome(): string | undefined {
    const { swarm } = this.#parts
    const home = homes(this.stored.digest, [swarm.self, ...swarm.entitled(this.scope)]).find((peer) => !this.#tried.has(peer))
    if (home !== undefined && home !== swarm.self) this.#tried.add(home)
    return home
  }

  #follow(peer: string, home: boolean): void {
    const entry = { waiting: true, home, stop: new AbortController() }
    this.#followed.set(peer, entry)
    this.#plan.join(peer, home)
    this.#run(this.#listen(peer, entry))
    this.#pump()
  }

  async #listen(peer: string, entry: { waiting: boolean; home: boolean; stop: AbortController }): Promise<void> {
    const ask = { digest: this.stored.digest, scope: this.scope, fetch: entry.home }
    try {
      for await (const news of this.#parts.swarm.follow(peer, ask, entry.stop.signal)) {
        entry.waiting = false
        this.#heard(peer, news)
        this.#pump()
      }
    } catch (error) {
      if (entry.home && !isGone(error)) this.#homeRefused = true
      if (this.#followed.get(peer) === entry) this.#drop(peer)
    } finally {
      entry.waiting = false
    }
  }

  #heard(peer: string, news: SwarmNews): void {
    if (news.have?.pieceLeaves === this.#geometry.pieceLeaves) {
      const map = Bitmap.parse(news.have.bitmap, this.#geometry.pieces)
      for (let piece = 0; map && piece < map.size; piece++) if (map.has(piece)) this.#plan.has(peer, piece)
    }
    for (const piece of news.add) this.#plan.has(peer, piece)
    for (const other of news.peers) this.meet(other)
  }

  #drop(peer: string): void {
    const entry = this.#followed.get(peer)
    if (!entry) return
    this.#followed.delete(peer)
    entry.stop.abort(new RegistryError('unavailable', 'The peer is not asked any more'))
    this.#plan.leave(peer)
    const gone = new RegistryError('unavailable', 'The peer is gone', { code: 'peer_gone' })
    for (const { source, stop } of this.#asks) if (source === peer) stop.abort(gone)
    this.#pump()
  }

  #nobody(): RegistryError {
    const why = this.#parts.primary.reachable ? 'the primary does not give it' : 'the primary cannot be reached'
    return new RegistryError('unavailable', `No reachable node has ${this.#parts.name} (${this.stored.digest}), and ${why}`, {
      code: 'blob_unavailable',
      retryAfter: 10,
    })
  }

  // The end.

  #end(outcome: Outcome, error?: RegistryError): void {
    if (this.#outcome) return
    this.#outcome = outcome
    this.#error = error
    clearTimeout(this.#timer)
    clearTimeout(this.#linger)
    this.#endLeave()
    this.#stop.abort(error ?? new RegistryError('unavailable', 'The transfer is complete'))
    for (const { stop } of this.#asks) stop.abort(this.#stop.signal.reason)
    for (const { stop } of this.#followed.values()) stop.abort(this.#stop.signal.reason)
    this.#changed.beat()
    this.#settle(outcome)
    this.#finish()
  }

  /** The file is closed when the last reader is done with it. */
  #finish(): void {
    if (!this.#outcome || this.#readers > 0 || this.#work.size > 0 || this.#closed) return
    this.#closed = true
    this.#parts.partial.close().catch(() => undefined)
  }
}

function keepingFailed(error: unknown): RegistryError {
  return error instanceof RegistryError ? error : new RegistryError('unavailable', 'The node cannot keep these bytes', { cause: error })
}
