/** A limit in bytes per second that may differ by time of day, kept as a bucket of one tenth of a second. */
import type { Bandwidth } from '../../protocol/settings.js'
import { Pulse } from './pulse.js'

/** Whoever waits is woken so often. */
const WAKE_MS = 250
const BUCKET_S = 0.1

export class Rate {
  readonly #limit: Bandwidth
  readonly #now: () => number
  /** When all that was granted has gone through. */
  #freeMs = 0

  constructor(limit: Bandwidth, now: () => number) {
    this.#limit = limit
    this.#now = now
  }

  /** Resolves when the bytes may go, in the order of asking. Throws the signal's reason. `waiting`: called now and then meanwhile. */
  async take(bytes: number, signal: AbortSignal, waiting?: () => void): Promise<void> {
    const nowMs = this.#now()
    const startMs = Math.max(this.#freeMs, nowMs - BUCKET_S * 1000)
    this.#freeMs = startMs + (bytes / bytesPerSecond(this.#limit, nowMs)) * 1000
    for (let leftMs = startMs - nowMs; leftMs > 0; leftMs = startMs - this.#now()) {
      signal.throwIfAborted()
      await new Pulse().next({ signal, timeoutMs: Math.min(leftMs, WAKE_MS) })
      waiting?.()
    }
    signal.throwIfAborted()
  }
}

/** The first window that is open decides (UTC), else the general figure. */
export function bytesPerSecond({ general, windows }: Bandwidth, nowMs: number): number {
  const time = new Date(nowMs).toISOString().slice(11, 16)
  const open = windows.find(({ from, to }) => (from <= to ? time >= from && time < to : time >= from || time < to))
  return open?.bytesPerSecond ?? general
}
