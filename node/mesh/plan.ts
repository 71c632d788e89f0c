/**
 * Which piece is asked of whom, and when. Pure: no clock, no network, no randomness but what it is given, so that a simulation
 * of thousands of nodes runs the same code. Each reader has a window of missing pieces that follows it: its next two are urgent,
 * the others are asked rarest first, random among equals. What only those have that have all (or get all, as the home does) is
 * taken from them by its owner alone (owners.ts); everybody else takes it from there. Peers before the primary; a source that makes no progress for longer
 * than it usually takes is hedged by another, then by the primary, and at last given up.
 */
import { Bitmap } from './bitmap.js'
import { Owners } from './owners.js'

/** The primary as a source. No peer id looks like it. */
export const PRIMARY = 'primary'

/** Pieces that somebody waits for: from `next` on, up to and without `end`. */
export interface Demand {
  next: number
  end: number
}

/** Ask `source` for `count` consecutive pieces; more than one only of the primary. */
export interface Ask {
  source: string
  first: number
  count: number
}

export interface PlanOptions {
  pieces: number
  /** This node among the sources of others. */
  self: string
  /** Most asks under way at one peer. */
  depth: number
  random: () => number
  /** Missing pieces ahead of a reader that may be asked for. Default 64. */
  window?: number
  /** Consecutive pieces in one ask of the primary. Default 16. */
  run?: number
  /** Asks under way at the primary. Default 2. */
  runs?: number
}

interface Asked {
  sinceMs: number
}

interface Choice {
  source: string
  cost: number
}

interface Source {
  map: Bitmap
  /** It gets what it does not have when asked: the home. */
  fetches: boolean
  /** By piece, or by first piece of a run. */
  asked: Map<number, Asked>
  /** Last sign of life, and last piece. */
  lastMs: number
  arrivedMs: number
  /** Smoothed time that a piece takes; undefined until something arrived. */
  tookMs: number | undefined
  /** In a row. */
  failures: number
}

const URGENT = 2
const HEDGES = 3
const UNKNOWN_PATIENCE_MS = 1500
const LEAST_PATIENCE_MS = 400
const MOST_PATIENCE_MS = 5000
const PATIENCE_FACTOR = 6
/** After so many patiences without progress another peer is asked, the primary is asked, the ask is given up. */
const [HEDGE, BACKUP, GIVE_UP] = [1, 2, 4]
const MOST_FAILURES = 3
const LEAST_DEPTH = 2
const QUEUED_MS = 250
/** So long a piece is left to its owner, and then to the next. */
const LEFT_MS = 1500

export class Plan {
  /** What has arrived. */
  readonly have: Bitmap
  /** May the primary be asked for anything: this node is the home, or there is none. */
  direct = false
  /** May the primary be asked when peers are late. */
  backup = false
  readonly #options: Required<PlanOptions>
  readonly #demands = new Set<Demand>()
  readonly #sources = new Map<string, Source>()
  readonly #copies: Uint16Array
  /** Pieces under way: who was asked. */
  readonly #underWay = new Map<number, Set<string>>()
  readonly #owners: Owners
  /** Pieces that are left to others, and since when. */
  readonly #left = new Map<number, number>()
  #runs = 0
  /** Everything before it is there. */
  #floor = 0

  constructor(options: PlanOptions) {
    this.#options = { window: 64, run: 16, runs: 2, ...options }
    this.have = new Bitmap(options.pieces)
    this.#copies = new Uint16Array(options.pieces)
    this.#sources.set(PRIMARY, newSource(options.pieces))
    this.#owners = new Owners(options.self, options.pieces)
  }

  /** The caller moves `next` as it reads. */
  want(demand: Demand): void {
    this.#demands.add(demand)
  }

  unwant(demand: Demand): void {
    this.#demands.delete(demand)
  }

  get wanted(): boolean {
    return this.#demands.size > 0
  }

  /** Is anything wanted that is not there. */
  get hungry(): boolean {
    for (const demand of this.#demands) if (this.#nextMissing(demand.next, demand.end) < demand.end) return true
    return false
  }

  get underWay(): number {
    return this.#underWay.size
  }

  /** Something is left to others, who will have it soon. */
  get waiting(): boolean {
    return this.#left.size > 0
  }

  /** Another one takes the blob from the same home; it need not be a source. */
  meet(peer: string): void {
    this.#owners.add(peer)
  }

  get sources(): string[] {
    return [...this.#sources.keys()].filter((source) => source !== PRIMARY)
  }

  join(source: string, fetches = false): void {
    const known = this.#sources.get(source)
    if (known) known.fetches ||= fetches
    else this.#sources.set(source, { ...newSource(this.#options.pieces), fetches })
    if (fetches) this.#owners.remove(source)
  }

  /** It said no: it has what it has. */
  stopFetching(source: string): void {
    const known = this.#sources.get(source)
    if (known) known.fetches = false
  }

  /** It is gone, or as good as. */
  leave(source: string): void {
    this.#owners.remove(source)
    this.forget(source)
  }

  /** Forgets the source, not that it wants the blob; what was asked of it is asked again. */
  forget(source: string): void {
    const known = this.#sources.get(source)
    if (!known || source === PRIMARY) return
    this.#sources.delete(source)
    for (let piece = 0; piece < this.#options.pieces; piece++) if (known.map.has(piece)) this.#count(piece, -1)
    for (const piece of known.asked.keys()) this.#release(source, piece)
  }

  has(source: string, piece: number): void {
    const map = this.#sources.get(source)?.map
    if (!map?.add(piece)) return
    this.#count(piece, 1)
    if (map.full) this.#owners.remove(source)
  }

  /** A part of an answer came: the source is alive. */
  progress(source: string, nowMs: number): void {
    const known = this.#sources.get(source)
    if (known) known.lastMs = nowMs
  }

  /** False when it was there already. The ask itself ends with `ended`. */
  arrived(source: string, piece: number, nowMs: number): boolean {
    const known = this.#sources.get(source)
    const sinceMs = known?.asked.get(piece)?.sinceMs
    if (known && sinceMs !== undefined) {
      const tookMs = nowMs - Math.max(sinceMs, known.arrivedMs)
      known.tookMs = known.tookMs === undefined ? tookMs : known.tookMs * 0.8 + tookMs * 0.2
      known.arrivedMs = nowMs
      known.lastMs = nowMs
      known.failures = 0
    }
    this.#left.delete(piece)
    return this.have.add(piece)
  }

  /** It did not give what it was asked for. True when the source has used up its chances. */
  failed(source: string, piece: number): boolean {
    const known = this.#sources.get(source)
    if (!known) return false
    if (known.map.remove(piece)) this.#count(piece, -1)
    return ++known.failures >= MOST_FAILURES
  }

  /** The ask is over, whatever came of it. Counts for pieces of a run one by one. */
  ended(source: string, piece: number): void {
    this.#sources.get(source)?.asked.delete(piece)
    this.#release(source, piece)
  }

  runEnded(): void {
    this.#runs--
  }

  /** What to ask now. `room` says whether another ask fits, and takes the room when it does. */
  next(nowMs: number, room: () => boolean): Ask[] {
    const asks: Ask[] = []
    const urgent = new Set<number>()
    for (const piece of this.#left.keys()) if (this.have.has(piece) || !this.#isWanted(piece)) this.#left.delete(piece)
    for (const piece of this.#candidates(urgent)) {
      const source = this.#peerFor(piece, urgent.has(piece), nowMs)
      if (source === undefined) continue
      if (!room()) return asks
      this.#left.delete(piece)
      asks.push(this.#ask(source, piece, 1, nowMs))
    }
    this.#askPrimary(asks, urgent, nowMs, room)
    this.#hedge(asks, urgent, nowMs, room)
    return asks
  }

  /** Asks that made no progress for so long that their source is as good as dead for them. */
  overdue(nowMs: number): Ask[] {
    const late: Ask[] = []
    for (const [source, known] of this.#sources) {
      const limitMs = this.#patienceMs(known) * giveUpAfter(known)
      for (const [first, { sinceMs }] of known.asked)
        if (nowMs - Math.max(sinceMs, known.lastMs) > limitMs) late.push({ source, first, count: 1 })
    }
    return late
  }

  /** Milliseconds until something may be late; undefined while nothing is under way. */
  patienceMs(nowMs: number): number | undefined {
    let least: number | undefined
    for (const sinceMs of this.#left.values())
      least = Math.min(least ?? LEFT_MS, Math.max(LEFT_MS - ((nowMs - sinceMs) % LEFT_MS), LEAST_PATIENCE_MS))
    for (const known of this.#sources.values()) {
      for (const { sinceMs } of known.asked.values()) {
        const quietMs = nowMs - Math.max(sinceMs, known.lastMs)
        const patienceMs = this.#patienceMs(known)
        const leftMs = Math.min(
          ...[HEDGE, BACKUP, GIVE_UP].map((step) => step * patienceMs - quietMs).filter((ms) => ms > 0),
          MOST_PATIENCE_MS,
        )
        least = Math.min(least ?? leftMs, Math.max(leftMs, 10))
      }
    }
    return least
  }

  /** Missing pieces that are not under way, urgent ones first, then the rarest. */
  #candidates(urgent: Set<number>): number[] {
    const found = new Map<number, number>()
    for (const demand of this.#demands) {
      let piece = this.#nextMissing(demand.next, demand.end)
      for (let seen = 0; piece < demand.end && seen < this.#options.window; seen++) {
        if (seen < URGENT) urgent.add(piece)
        if (!this.#underWay.has(piece))
          found.set(piece, (urgent.has(piece) ? 0 : 1 + (this.#copies[piece] ?? 0)) + this.#options.random())
        piece = this.#nextMissing(piece + 1, demand.end)
      }
    }
    return [...found].sort(([, a], [, b]) => a - b).map(([piece]) => piece)
  }

  /** The least busy peer that has it, or, for an urgent piece that nobody has, the home. */
  #peerFor(piece: number, urgent: boolean, nowMs: number): string | undefined {
    let provider: Choice | undefined
    let other: Choice | undefined
    let [providers, passedOn] = [0, false]
    for (const [source, known] of this.#sources) {
      if (source === PRIMARY) continue
      const provides = known.fetches || known.map.full
      if (provides) providers++
      const gets = urgent && known.fetches && this.#copies[piece] === 0
      if ((!known.map.has(piece) && !gets) || known.asked.has(piece)) continue
      if (!provides) passedOn = true
      if (known.asked.size >= this.#depth(known)) continue
      const cost = (known.asked.size + 1) * (known.tookMs ?? 1) + this.#options.random()
      if (provides && (!provider || cost < provider.cost)) provider = { source, cost }
      if (!provides && (!other || cost < other.cost)) other = { source, cost }
    }
    const crowded = this.#owners.others >= providers
    const left = crowded && provider && !other && (passedOn || this.#owners.turn(piece) > 0)
    if (left) return this.#isLeft(piece, nowMs) ? undefined : provider?.source
    this.#left.delete(piece)
    const direct = provider && (!other || (!crowded && provider.cost < other.cost))
    return direct ? provider?.source : other?.source
  }

  /** Is it still left to others. */
  #isLeft(piece: number, nowMs: number): boolean {
    const sinceMs = this.#left.get(piece) ?? nowMs
    this.#left.set(piece, sinceMs)
    const rounds = Math.floor((nowMs - sinceMs) / LEFT_MS)
    // One more, two more, four more: were it all at once, who has it all would be asked for it by all.
    return rounds === 0 || this.#owners.turn(piece) >= 2 ** rounds
  }

  /** Runs of pieces that no peer has: urgent ones, then the lowest. */
  #askPrimary(asks: Ask[], urgent: Set<number>, nowMs: number, room: () => boolean): void {
    if (!this.direct) return
    for (const first of this.#candidates(urgent).sort(
      (a, b) => Number(urgent.has(b)) - Number(urgent.has(a)) || a - b,
    )) {
      // The first piece is what somebody waits for most: nothing runs beside it.
      if (this.#runs >= (this.have.count === 0 ? 1 : this.#options.runs)) return
      if (this.#underWay.has(first) || this.#held(first)) continue
      let count = 1
      while (count < this.#options.run && this.#free(first + count) && this.#isWanted(first + count)) count++
      if (!room()) return
      this.#runs++
      asks.push(this.#ask(PRIMARY, first, count, nowMs))
    }
  }

  /** Second and third asks for pieces whose sources are all late. */
  #hedge(asks: Ask[], urgent: Set<number>, nowMs: number, room: () => boolean): void {
    for (const [piece, asked] of this.#underWay) {
      if (
        this.have.has(piece) ||
        asked.size >= HEDGES ||
        !this.#isWanted(piece) ||
        !this.#allLate(piece, asked, HEDGE, nowMs)
      )
        continue
      const peer = this.#peerFor(piece, urgent.has(piece), nowMs)
      const backup = this.#primaryHelps(asked) && this.#allLate(piece, asked, BACKUP, nowMs)
      const source = peer ?? (backup ? PRIMARY : undefined)
      if (source === undefined) continue
      if (!room()) return
      if (source === PRIMARY) this.#runs++
      asks.push(this.#ask(source, piece, 1, nowMs))
    }
  }

  #primaryHelps(asked: Set<string>): boolean {
    return (this.direct || this.backup) && !asked.has(PRIMARY) && this.#runs < this.#options.runs
  }

  #ask(source: string, first: number, count: number, nowMs: number): Ask {
    const known = this.#sources.get(source)
    for (let piece = first; piece < first + count; piece++) {
      known?.asked.set(piece, { sinceMs: nowMs })
      const asked = this.#underWay.get(piece)
      if (asked) asked.add(source)
      else this.#underWay.set(piece, new Set([source]))
    }
    return { source, first, count }
  }

  #release(source: string, piece: number): void {
    const asked = this.#underWay.get(piece)
    asked?.delete(source)
    if (asked?.size === 0) this.#underWay.delete(piece)
  }

  #allLate(piece: number, asked: Set<string>, step: number, nowMs: number): boolean {
    for (const source of asked) {
      const known = this.#sources.get(source)
      const sinceMs = known?.asked.get(piece)?.sinceMs
      if (known && sinceMs !== undefined && nowMs - Math.max(sinceMs, known.lastMs) < step * this.#patienceMs(known))
        return false
    }
    return true
  }

  /** As many asks as keep the source busy for a moment: what waits there longer could come from elsewhere meanwhile. */
  #depth({ tookMs }: Source): number {
    return Math.min(this.#options.depth, Math.max(LEAST_DEPTH, Math.ceil(QUEUED_MS / (tookMs ?? QUEUED_MS))))
  }

  #patienceMs({ tookMs }: Source): number {
    if (tookMs === undefined) return UNKNOWN_PATIENCE_MS
    return Math.min(MOST_PATIENCE_MS, Math.max(LEAST_PATIENCE_MS, tookMs * PATIENCE_FACTOR))
  }

  #free(piece: number): boolean {
    return piece < this.#options.pieces && !this.have.has(piece) && !this.#underWay.has(piece) && !this.#held(piece)
  }

  #held(piece: number): boolean {
    return (this.#copies[piece] ?? 0) > 0
  }

  #isWanted(piece: number): boolean {
    for (const { next, end } of this.#demands) if (piece >= next && piece < end) return true
    return false
  }

  #nextMissing(from: number, end: number): number {
    while (this.have.has(this.#floor)) this.#floor++
    let piece = Math.max(from, this.#floor)
    while (piece < end && this.have.has(piece)) piece++
    return piece
  }

  #count(piece: number, by: number): void {
    this.#copies[piece] = (this.#copies[piece] ?? 0) + by
  }
}

/** Who never gave anything gets no second chance. */
function giveUpAfter({ tookMs }: Source): number {
  return tookMs === undefined ? BACKUP : GIVE_UP
}

function newSource(pieces: number): Source {
  return {
    map: new Bitmap(pieces),
    fetches: false,
    asked: new Map(),
    lastMs: 0,
    arrivedMs: 0,
    tookMs: undefined,
    failures: 0,
  }
}
