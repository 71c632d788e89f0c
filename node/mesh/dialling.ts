/**
 * Keeps this node connected to the peers that it was told about: dials, dials again with back-off, up to a number of
 * connections. Of two peers the one with the smaller id dials first, so that they do not cross.
 */
import type { Clock } from './clock.js'

export interface Introduction {
  /** libp2p peer id, text form. */
  peer: string
  /** Multiaddrs, for instance /ip4/10.0.0.7/tcp/4001. */
  addresses: string[]
}

export interface DiallingOptions {
  self: string
  /** No further dials at so many connections. */
  most: number
  connected: () => ReadonlySet<string>
  /** May this peer be dialled at all. */
  allowed: (peer: string) => boolean
  dial: (introduction: Introduction, signal: AbortSignal) => Promise<void>
  clock: Clock
  random: () => number
}

interface Acquaintance {
  addresses: string[]
  failures: number
  nextMs: number
}

const LEAST_MS = 500
const MOST_MS = 60_000
const POLITE_MS = 1500
const AT_ONCE = 8
const KNOWN = 2048
const ADDRESSES = 16

/** Doubling from half a second to a minute, with a quarter of jitter either way. */
export function backoffMs(failures: number, random: () => number): number {
  return Math.min(MOST_MS, LEAST_MS * 2 ** Math.min(failures, 16)) * (0.75 + random() / 2)
}

export class Dialling {
  readonly #options: DiallingOptions
  readonly #known = new Map<string, Acquaintance>()
  readonly #dials = new Map<string, Promise<void>>()
  readonly #stop = new AbortController()
  #endTimer: () => void = () => undefined

  constructor(options: DiallingOptions) {
    this.#options = options
  }

  /** Adds to what is known; the newest addresses of a peer replace older ones. */
  introduce(list: readonly Introduction[]): void {
    const nowMs = this.#options.clock.now()
    for (const { peer, addresses } of list) {
      if (peer === this.#options.self || addresses.length === 0) continue
      const known = this.#known.get(peer)
      if (!known && this.#known.size >= KNOWN) continue
      const fresh = !known || addresses.some((address) => !known.addresses.includes(address))
      if (!fresh) continue
      const politeMs = this.#options.self < peer ? 0 : POLITE_MS
      this.#known.set(peer, { addresses: addresses.slice(0, ADDRESSES), failures: 0, nextMs: nowMs + politeMs })
    }
    this.wake()
  }

  /** Call when a connection came or went. */
  changed(peer: string): void {
    const known = this.#known.get(peer)
    if (known) {
      known.failures = 0
      known.nextMs = this.#options.clock.now() + backoffMs(0, this.#options.random)
    }
    this.wake()
  }

  wake(): void {
    if (this.#stop.signal.aborted) return
    this.#endTimer()
    const connected = this.#options.connected()
    const nowMs = this.#options.clock.now()
    const absent = [...this.#known].filter(
      ([peer]) => !connected.has(peer) && !this.#dials.has(peer) && this.#options.allowed(peer),
    )
    absent.sort(([, a], [, b]) => a.nextMs - b.nextMs)
    for (const [peer, known] of absent) {
      if (connected.size + this.#dials.size >= this.#options.most || this.#dials.size >= AT_ONCE) return
      if (known.nextMs > nowMs) {
        this.#later(known.nextMs - nowMs)
        return
      }
      this.#dial(peer, known)
    }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#endTimer()
    await Promise.all(this.#dials.values())
  }

  #later(delayMs: number): void {
    this.#endTimer = this.#options.clock.after(delayMs, () => this.wake())
  }

  #dial(peer: string, known: Acquaintance): void {
    const dial = this.#options
      .dial({ peer, addresses: known.addresses }, this.#stop.signal)
      .then(
        () => 0,
        () => known.failures + 1,
      )
      .then((failures) => {
        known.failures = failures
        known.nextMs = this.#options.clock.now() + backoffMs(failures, this.#options.random)
        this.#dials.delete(peer)
        this.wake()
      })
    this.#dials.set(peer, dial)
  }
}
