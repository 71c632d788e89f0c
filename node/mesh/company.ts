/**
 * The peers that take part in a transfer: whose news are followed, who of them is the home, whom to turn to next. What they tell
 * goes into the plan.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Stored } from '../../protocol/records.js'
import type { SwarmNews } from '../../protocol/wire/swarm.js'
import { Bitmap } from './bitmap.js'
import type { Clock } from './clock.js'
import { homesNearFirst } from './homes.js'
import type { Geometry } from './pieces.js'
import type { Plan } from './plan.js'
import { isGone, type Swarm } from './swarm.js'

export interface CompanyParts {
  stored: Stored
  scope: string
  geometry: Geometry
  plan: Plan
  swarm: Swarm
  clock: Clock
  /** Something may be asked now that could not be asked before. */
  changed: () => void
  /** Work that must be waited for. */
  run: (work: Promise<void>) => void
}

interface Followed {
  /** The first news is awaited. */
  waiting: boolean
  home: boolean
  stop: AbortController
}

/** Peers whose news are followed because they want the blob, too. */
const FOLLOWED = 12
/** Peers asked when the home and the primary are away. */
const EVERYBODY = 64
/** Who says nothing for so long is not waited for any more. */
const FIRST_NEWS_MS = 3000

export class Company {
  readonly #parts: CompanyParts
  readonly #followed = new Map<string, Followed>()
  /** Homes that were turned to. */
  readonly #tried = new Set<string>()
  #refused = false
  /** Does this node fetch for its site from another one. */
  #abroad = false
  #askedAll = false

  constructor(parts: CompanyParts) {
    this.#parts = parts
  }

  /** A peer has not yet said what it has. */
  get awaited(): boolean {
    for (const { waiting } of this.#followed.values()) if (waiting) return true
    return false
  }

  isHome(peer: string): boolean {
    return this.#followed.get(peer)?.home ?? false
  }

  /** Turns to the blob's home, the next one if it went away. False: this node is the home, or the home refused. */
  seekHome(): boolean {
    const { swarm, stored, scope } = this.#parts
    if (this.#refused) return false
    const near = (peer: string): boolean => swarm.near(peer)
    const all = homesNearFirst(stored.digest, swarm.self, swarm.entitled(scope), near)
    const home = all.find((peer) => !this.#tried.has(peer))
    if (home === undefined) return false
    this.#tried.add(home)
    this.#abroad = !near(home)
    this.#follow(home, true)
    return true
  }

  /** Turns to everybody. False when that was done already, or nobody is there. */
  seekEverybody(): boolean {
    if (this.#askedAll) return false
    this.#askedAll = true
    const { swarm, scope } = this.#parts
    for (const peer of swarm.entitled(scope).slice(0, EVERYBODY))
      if (!this.#followed.has(peer)) this.#follow(peer, false)
    return this.awaited
  }

  /** There was progress: whoever was asked in vain may be asked again. */
  progressed(): void {
    this.#askedAll = false
  }

  /** The home does not get what it does not have. */
  homeRefused(home: string): void {
    this.#refused = true
    this.#parts.plan.stopFetching(home)
  }

  /** Another node wants the blob, too: it will have pieces. `alike`: it takes them from the same home. */
  meet(peer: string, alike = false): void {
    const { swarm, scope, plan } = this.#parts
    if (peer === swarm.self) return
    // Who fetches for a site has nothing to gain from it; the others leave the way out to that one.
    if (swarm.near(peer) === this.#abroad) return
    if (alike) plan.meet(peer)
    if (this.#followed.has(peer)) return
    if (!swarm.entitled(scope).includes(peer)) return
    const farthest = this.#followed.size >= FOLLOWED ? this.#farthest(peer) : undefined
    if (farthest === peer) return
    if (farthest !== undefined) this.#unfollow(farthest)
    this.#follow(peer, false)
  }

  /** Has nothing to do with it any more. False when it had not before. */
  drop(peer: string): boolean {
    this.#parts.plan.leave(peer)
    return this.#unfollow(peer)
  }

  #unfollow(peer: string): boolean {
    this.#parts.plan.forget(peer)
    const followed = this.#followed.get(peer)
    if (!followed) return false
    this.#followed.delete(peer)
    followed.stop.abort(new RegistryError('unavailable', 'The peer is not asked any more'))
    return true
  }

  close(reason: unknown): void {
    for (const { stop } of this.#followed.values()) stop.abort(reason)
  }

  /** Of those that are followed, not as the home, and this one. */
  #farthest(peer: string): string {
    const { swarm } = this.#parts
    let [farthest, most] = [peer, distance(swarm.self, peer)]
    for (const [other, { home }] of this.#followed) {
      const far = distance(swarm.self, other)
      if (!home && far > most) [farthest, most] = [other, far]
    }
    return farthest
  }

  #follow(peer: string, home: boolean): void {
    const followed = { waiting: true, home, stop: new AbortController() }
    this.#followed.set(peer, followed)
    this.#parts.plan.join(peer, home)
    this.#parts.run(this.#listen(peer, followed))
    this.#parts.changed()
  }

  async #listen(peer: string, followed: Followed): Promise<void> {
    const { stored, scope, swarm, clock, changed } = this.#parts
    const cancel = clock.after(FIRST_NEWS_MS, () => {
      followed.waiting = false
      changed()
    })
    try {
      const ask = { digest: stored.digest, scope, fetch: followed.home }
      for await (const news of swarm.follow(peer, ask, followed.stop.signal)) {
        followed.waiting = false
        this.#heard(peer, news)
        changed()
      }
    } catch (error) {
      if (followed.home && !isGone(error)) this.#refused = true
      if (this.#followed.get(peer) === followed) this.drop(peer)
    } finally {
      cancel()
      followed.waiting = false
    }
  }

  #heard(peer: string, news: SwarmNews): void {
    const { geometry, plan } = this.#parts
    if (news.have?.pieceLeaves === geometry.pieceLeaves) {
      const map = Bitmap.parse(news.have.bitmap, geometry.pieces)
      for (let piece = 0; map && piece < map.size; piece++) if (map.has(piece)) plan.has(peer, piece)
    }
    for (const piece of news.add) plan.has(peer, piece)
    for (const other of news.peers) this.meet(other, this.isHome(peer))
  }
}

/**
 * Which of many a node follows must differ from node to node, or a few serve all and what others have is seen by nobody. So it
 * follows the nearest by a distance that means nothing, and is the same from both ends.
 */
function distance(a: string, b: string): number {
  const text = a < b ? `${a}\n${b}` : `${b}\n${a}`
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
