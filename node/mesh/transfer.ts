/**
 * One blob on its way into this node, shared by all who read it. Plan decides what is asked of whom; this carries it out,
 * verifies every piece before anybody sees it, and gives bytes to readers in order while others still arrive. It finds sources
 * by itself: the blob's home, the primary, at last everybody who is connected.
 */
import { setMaxListeners } from 'node:events'
import { type Piece, verifyPiece } from '../../protocol/blobs/piece.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Stored } from '../../protocol/records.js'
import type { Incoming } from '../store.js'
import { Arriving, type Verified } from './arriving.js'
import type { Budget } from './budget.js'
import type { Clock } from './clock.js'
import { Company } from './company.js'
import { nobodyHas } from './nobody.js'
import { type Geometry, geometryOf, spanOf } from './pieces.js'
import { type Ask, type Demand, Plan, PRIMARY } from './plan.js'
import type { PrimaryBytes } from './primary-bytes.js'
import { PrimarySource } from './primary-source.js'
import type { Pulse } from './pulse.js'
import { isGone, isRefusal, isRubbish, type Swarm } from './swarm.js'

export interface TransferParts {
  stored: Stored
  scope: string
  /** What people call it, for sentences: a path or the digest. */
  name: string
  /** Where it is put; the transfer closes it. */
  partial: Incoming
  swarm: Swarm
  primary: PrimaryBytes
  budget: Budget
  clock: Clock
  random: () => number
  /** How long it goes on when nobody waits for it. Default 5 s. */
  lingerMs?: number
}

export type Outcome = 'complete' | 'failed' | 'stopped'

/** An ask that is under way. */
interface Asked extends Ask {
  stop: AbortController
}

const LINGER_MS = 5000
/** Bytes asked of one peer at once. */
const UNDER_WAY_BYTES = 2_097_152
/** Of a reader: with many of them this is what a cold start costs. */
const READ_BYTES = 131_072

export class Transfer {
  /** Never rejects. */
  readonly done: Promise<Outcome>
  readonly #parts: TransferParts
  readonly #geometry: Geometry
  readonly #plan: Plan
  readonly #arriving: Arriving
  readonly #primary: PrimarySource
  readonly #company: Company
  readonly #stop = new AbortController()
  readonly #work = new Set<Promise<void>>()
  readonly #asks = new Set<Asked>()
  readonly #endLeave: () => void
  #settle: (outcome: Outcome) => void = () => undefined
  #first: 'peer' | 'primary' | undefined
  #error: RegistryError | undefined
  #outcome: Outcome | undefined
  #readers = 0
  #endTimer: () => void = () => undefined
  #endLinger: (() => void) | undefined
  #pumping = false
  #awaitingRoom = false
  #closed = false

  constructor(parts: TransferParts) {
    const { stored, scope, swarm, primary, clock, random } = parts
    const { signal } = this.#stop
    setMaxListeners(0, signal)
    const geometry = geometryOf(stored.size)
    const depth = Math.max(2, Math.floor(UNDER_WAY_BYTES / geometry.pieceBytes))
    const arriving = new Arriving(parts.partial, geometry)
    const plan = new Plan({ pieces: geometry.pieces, self: swarm.self, depth, random })
    this.#parts = parts
    this.#geometry = geometry
    this.#plan = plan
    this.#arriving = arriving
    const learn = (leaves: Uint8Array): void => arriving.learn(leaves)
    this.#primary = new PrimarySource({ stored, scope, geometry, primary, learn, signal })
    const [changed, run] = [() => this.#pump(), (work: Promise<void>) => this.#run(work)]
    this.#company = new Company({ stored, scope, geometry, plan, swarm, clock, changed, run })
    this.#endLeave = swarm.onLeave((peer) => this.#drop(peer))
    this.done = new Promise((resolve) => {
      this.#settle = resolve
    })
    this.#rest()
  }

  /** Can it be read from. */
  get open(): boolean {
    return !this.#closed && this.#outcome !== 'failed' && this.#outcome !== 'stopped'
  }

  /** Beats when a piece arrived or the transfer ended. */
  get changed(): Pulse {
    return this.#arriving.changed
  }

  /** Written pieces, in the order in which they arrived. */
  get arrivals(): readonly number[] {
    return this.#arriving.arrivals
  }

  /** What is here now. */
  map(): { pieceLeaves: number; bitmap: Uint8Array } {
    return { pieceLeaves: this.#geometry.pieceLeaves, bitmap: this.#plan.have.toBytes() }
  }

  /** Bytes in order, each chunk valid until the next; `end` exclusive. Throws `unavailable` when nobody has them. */
  async *read(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const { pieceBytes } = this.#geometry
    const demand = { next: Math.floor(start / pieceBytes), end: Math.ceil(end / pieceBytes) }
    const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, end - start))
    this.#readers++
    this.#want(demand)
    try {
      for (let at = start; at < end; ) {
        demand.next = Math.floor(at / pieceBytes)
        await this.#until(demand.next, signal)
        const stop = Math.min(end, at + buffer.length, (demand.next + 1) * pieceBytes)
        const bytes = await this.#arriving.read(at, stop, buffer)
        if (!bytes) throw this.#ended()
        yield bytes
        at = stop
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
        await this.changed.next()
      }
      return this.#first
    } finally {
      this.#unwant(demand)
    }
  }

  has(firstLeaf: number, count: number): boolean {
    return this.#arriving.hasPiece(firstLeaf, count)
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

  /** Gets all of it until `stay` resolves, for peers that follow. */
  async whole(stay: Promise<void>): Promise<void> {
    const demand = { next: 0, end: this.#geometry.pieces }
    this.#want(demand)
    await stay
    this.#unwant(demand)
  }

  /** A piece for a peer; undefined: it is not here. */
  async piece(firstLeaf: number, count: number): Promise<Piece | undefined> {
    if (!this.open) return undefined
    this.#readers++
    try {
      return await this.#arriving.piece(firstLeaf, count)
    } finally {
      this.#readers--
      this.#finish()
    }
  }

  /** Another node wants the blob, too. */
  meet(peer: string): void {
    if (!this.#outcome) this.#company.meet(peer)
  }

  /** Ends it whatever has arrived; waits for everything that runs. */
  async close(): Promise<void> {
    this.#end('stopped', new RegistryError('unavailable', 'The node is stopping', { retryAfter: 5 }))
    while (this.#work.size > 0) await Promise.all(this.#work)
    await this.#arriving.close()
  }

  // Demand.

  #want(demand: Demand): void {
    this.#endLinger?.()
    this.#endLinger = undefined
    this.#plan.want(demand)
    this.#pump()
  }

  #unwant(demand: Demand): void {
    this.#plan.unwant(demand)
    this.#rest()
  }

  #rest(): void {
    if (this.#plan.wanted || this.#outcome || this.#endLinger) return
    const error = new RegistryError('unavailable', 'Nobody waits for these bytes any more', { retryAfter: 1 })
    const { clock, lingerMs = LINGER_MS } = this.#parts
    this.#endLinger = clock.after(lingerMs, () => this.#end('stopped', error))
  }

  async #until(piece: number, signal?: AbortSignal): Promise<void> {
    while (!this.#arriving.has(piece)) {
      signal?.throwIfAborted()
      if (this.#outcome) throw this.#ended()
      await this.changed.next(signal ? { signal } : {})
    }
  }

  #ended(): RegistryError {
    const sentence = `The transfer of ${this.#parts.name} ended`
    return this.#error ?? new RegistryError('unavailable', sentence, { retryAfter: 1 })
  }

  // What is asked.

  /** Asks what the plan says now, and looks for other sources when there is nothing to ask. Called whenever something changed. */
  #pump(): void {
    if (this.#pumping || this.#outcome) return
    this.#pumping = true
    const nowMs = this.#parts.clock.now()
    this.#plan.backup = this.#primary.helps
    this.#giveUp(nowMs)
    let full = false
    const room = (): boolean => {
      full = !this.#parts.budget.take(this.#geometry.pieceBytes)
      return !full
    }
    for (const ask of this.#plan.next(nowMs, room)) this.#begin(ask)
    this.#pumping = false
    if (full) this.#awaitRoom()
    else if (this.#plan.hungry && this.#plan.underWay === 0 && !this.#plan.waiting && !this.#company.awaited)
      this.#seek()
    this.#watchTime(nowMs)
  }

  #awaitRoom(): void {
    if (this.#awaitingRoom) return
    this.#awaitingRoom = true
    const freed = this.#parts.budget.freed.next({ signal: this.#stop.signal })
    this.#run(
      freed.then(() => {
        this.#awaitingRoom = false
      }),
    )
  }

  /** Nothing is under way: the next source is the home, then the primary, then everybody. */
  #seek(): void {
    if (!this.#plan.direct && this.#company.seekHome()) return
    if (!this.#plan.direct && this.#primary.helps) {
      this.#plan.direct = true
      this.#pump()
    } else if (!this.#company.seekEverybody()) {
      this.#end('failed', nobodyHas(this.#parts.stored, this.#parts.name, this.#primary.reachable))
    }
  }

  #giveUp(nowMs: number): void {
    for (const { source, first } of this.#plan.overdue(nowMs)) {
      for (const asked of this.#asks) {
        const late = asked.source === source && first >= asked.first && first < asked.first + asked.count
        if (late) asked.stop.abort(new RegistryError('unavailable', 'It took too long'))
      }
      if (source === PRIMARY) continue
      this.#parts.swarm.silent(source)
      this.#drop(source)
    }
  }

  #watchTime(nowMs: number): void {
    this.#endTimer()
    const patienceMs = this.#plan.patienceMs(nowMs)
    if (patienceMs === undefined || this.#outcome) return
    this.#endTimer = this.#parts.clock.after(patienceMs + 1, () => this.#pump())
  }

  /** Work that may change what can be asked. */
  #run(work: Promise<void>): void {
    const tracked = work
      .catch((cause: unknown) =>
        this.#end('failed', new RegistryError('unavailable', 'The transfer failed', { cause })),
      )
      .then(() => {
        this.#work.delete(tracked)
        this.#pump()
        this.#finish()
      })
    this.#work.add(tracked)
  }

  #begin(ask: Ask): void {
    const asked = { ...ask, stop: new AbortController() }
    this.#asks.add(asked)
    const work = ask.source === PRIMARY ? this.#askPrimary(asked) : this.#askPeer(asked)
    this.#run(work.finally(() => this.#over(asked)))
  }

  #over(asked: Asked): void {
    const { source, first, count } = asked
    this.#asks.delete(asked)
    if (source === PRIMARY) this.#plan.runEnded()
    for (let piece = first; piece < first + count; piece++) this.#plan.ended(source, piece)
    this.#parts.budget.give(this.#geometry.pieceBytes)
  }

  async #askPrimary({ first, count, stop }: Asked): Promise<void> {
    let index = first
    try {
      const progress = (): void => this.#plan.progress(PRIMARY, this.#parts.clock.now())
      for await (const piece of this.#primary.run(first, count, stop.signal, progress)) {
        await this.#keep(PRIMARY, index, piece)
        this.#plan.ended(PRIMARY, index++)
      }
    } catch {
      // Why does not matter: what it does not send is asked for elsewhere, and at last there is a sentence for the reader.
      if (!this.#primary.helps) this.#plan.direct = false
    }
  }

  async #askPeer({ source, first, stop }: Asked): Promise<void> {
    let piece: Verified | undefined
    try {
      piece = await this.#pieceOf(source, first, stop.signal)
    } catch (error) {
      if (!this.#outcome) this.#failed(source, first, error)
      return
    }
    if (piece) return this.#keep(source, first, piece)
    this.#drop(source)
    this.#parts.swarm.wrongPiece(source)
  }

  /** undefined: what it sent does not belong to the blob. */
  async #pieceOf(peer: string, index: number, signal: AbortSignal): Promise<Verified | undefined> {
    const { stored, scope, swarm, clock } = this.#parts
    const { start, end, first, count } = spanOf(this.#geometry, index)
    const ask = { digest: stored.digest, scope, first, count, fetch: this.#company.isHome(peer) }
    const answer = await swarm.piece(peer, ask, end - start, signal, () => this.#plan.progress(peer, clock.now()))
    const leaves = answer.first === first ? verifyPiece(stored, first, answer) : undefined
    return leaves && { bytes: answer.bytes, proof: answer.proof, leaves }
  }

  #failed(peer: string, piece: number, error: unknown): void {
    if (isRubbish(error)) this.#parts.swarm.wrongPiece(peer)
    else if (this.#company.isHome(peer) && isRefusal(error)) this.#company.homeRefused(peer)
    const spent = this.#plan.failed(peer, piece)
    if (spent || isGone(error) || isRubbish(error)) this.#drop(peer)
  }

  #drop(peer: string): void {
    if (!this.#company.drop(peer)) return
    const gone = new RegistryError('unavailable', 'The peer is gone', { code: 'peer_gone' })
    for (const { source, stop } of this.#asks) if (source === peer) stop.abort(gone)
    this.#pump()
  }

  /** What the disk says ends the transfer; it is nobody else's fault. */
  async #keep(source: string, index: number, piece: Verified): Promise<void> {
    try {
      this.#first ??= source === PRIMARY ? 'primary' : 'peer'
      if (!(await this.#arriving.keep(index, piece))) return
      this.#plan.arrived(source, index, this.#parts.clock.now())
      this.#company.progressed()
      if (!this.#plan.have.full) return
      await this.#arriving.complete()
      this.#end('complete')
    } catch (cause) {
      const failed = new RegistryError('unavailable', 'The node cannot keep these bytes', { cause })
      this.#end('failed', cause instanceof RegistryError ? cause : failed)
    }
  }

  // The end.

  #end(outcome: Outcome, error?: RegistryError): void {
    if (this.#outcome) return
    this.#outcome = outcome
    this.#error = error
    this.#endTimer()
    this.#endLinger?.()
    this.#endLeave()
    const reason = error ?? new RegistryError('unavailable', 'The transfer is complete')
    this.#stop.abort(reason)
    for (const { stop } of this.#asks) stop.abort(reason)
    this.#company.close(reason)
    this.changed.beat()
    this.#settle(outcome)
    this.#finish()
  }

  /** The file is closed when the last reader is done with it. */
  #finish(): void {
    if (!this.#outcome || this.#readers > 0 || this.#work.size > 0 || this.#closed) return
    this.#closed = true
    this.#arriving.close().catch(() => undefined)
  }
}
