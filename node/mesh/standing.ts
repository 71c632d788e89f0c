/**
 * What peers have done wrong. Offences add up and fade by half every ten minutes; at 100 a peer is refused for an hour. An
 * honest peer checks every byte before it sends it, so one wrong piece is enough.
 */
import { LRUCache } from 'lru-cache'

export type Offence = 'wrong_piece' | 'wrong_range' | 'malformed_frame' | 'invalid_gossip' | 'flood'

const WEIGHTS: Record<Offence, number> = {
  wrong_piece: 100,
  wrong_range: 100,
  malformed_frame: 40,
  invalid_gossip: 25,
  flood: 10,
}
const REFUSED_AT = 100
const REFUSED_MS = 3_600_000
const HALF_LIFE_MS = 600_000
const PEERS = 10_000

interface Conduct {
  points: number
  atMs: number
  refusedUntilMs: number
}

export class Standing {
  readonly #peers = new LRUCache<string, Conduct>({ max: PEERS })
  readonly #now: () => number
  readonly #counts = new Map<Offence, number>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** True when the peer is refused from now on. */
  blame(peer: string, offence: Offence): boolean {
    this.#counts.set(offence, (this.#counts.get(offence) ?? 0) + 1)
    const nowMs = this.#now()
    const points = this.points(peer) + WEIGHTS[offence]
    const before = this.#peers.get(peer)?.refusedUntilMs ?? 0
    this.#peers.set(peer, { points, atMs: nowMs, refusedUntilMs: points >= REFUSED_AT ? nowMs + REFUSED_MS : before })
    return points >= REFUSED_AT
  }

  points(peer: string): number {
    const record = this.#peers.get(peer)
    return record ? record.points * 0.5 ** ((this.#now() - record.atMs) / HALF_LIFE_MS) : 0
  }

  refused(peer: string): boolean {
    return (this.#peers.get(peer)?.refusedUntilMs ?? 0) > this.#now()
  }

  /** How often each offence was seen, for metrics. */
  get counts(): ReadonlyMap<Offence, number> {
    return this.#counts
  }
}
