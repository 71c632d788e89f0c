/**
 * What one upstream host is asked of: so many requests at a time and in a second, none while it says to wait (429, Retry-After) or has failed
 * again and again (circuit breaker, one probe at a time). Whoever cannot be let through soon is told when to come back.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { RegistryError } from '../../protocol/errors.js'

export interface BudgetOptions {
  nowMs: () => number
  random: () => number
  /** Requests at a time. */
  concurrency: number
  /** Requests in a second, of which a second's worth may come at once; undefined: no limit. */
  perSecond?: number | undefined
  /** Requests that wait for their turn; more are refused. */
  waiting: number
  /** A pause up to this long is waited for. */
  patienceMs: number
  /** A request that the rate delays by more is refused. */
  paceMs: number
  /** Failures in a row that open the circuit. */
  failures: number
  /** First and longest pause after failures. */
  backoffMs: number
  maxBackoffMs: number
}

export const BUDGET: Omit<BudgetOptions, 'nowMs' | 'random'> = {
  concurrency: 32,
  waiting: 2000,
  patienceMs: 2_000,
  paceMs: 15_000,
  failures: 5,
  backoffMs: 1_000,
  maxBackoffMs: 60_000,
}
const LONGEST_RETRY_AFTER_MS = 3_600_000

export class Budget {
  readonly #options: BudgetOptions
  readonly #queue: (() => void)[] = []
  #running = 0
  #failed = 0
  /** Nothing is asked before. */
  #pausedUntilMs = 0
  /** When the next request is due by the rate. */
  #dueMs = Number.NEGATIVE_INFINITY

  constructor(options: BudgetOptions) {
    this.#options = options
  }

  /** Is the host being left alone. */
  get paused(): boolean {
    return this.#pausedUntilMs > this.#options.nowMs()
  }

  /**
   * Waits for a turn and returns how to end it. Throws `unavailable` with Retry-After. `spare`: without waiting, and never more
   * than half of the turns, since those who hold them may be waiting for somebody else's.
   */
  async enter(host: string, signal?: AbortSignal, spare = false): Promise<() => void> {
    await this.#pace(host, signal)
    await this.#patience(host, signal)
    // With an open circuit one request finds out whether the host is back.
    const all = this.#failed >= this.#options.failures ? 1 : this.#options.concurrency
    const most = spare ? Math.floor(all / 2) : all
    if (this.#running >= most) {
      if (spare || most === 1 || this.#queue.length >= this.#options.waiting) throw this.#later(host)
      await this.#turn(signal)
    } else this.#running++
    let left = false
    return () => {
      if (left) return
      left = true
      this.#leave()
    }
  }

  succeeded(): void {
    this.#failed = 0
    this.#pausedUntilMs = 0
  }

  /** It did not answer, or said that it is in trouble. */
  failed(): void {
    const { nowMs, random, failures, backoffMs, maxBackoffMs } = this.#options
    this.#failed++
    if (this.#failed < failures) return
    const longest = Math.min(maxBackoffMs, backoffMs * 2 ** Math.min(16, this.#failed - failures))
    this.#pause(nowMs() + longest * (0.5 + random() / 2))
  }

  /** It said that it is asked too much. `retryAfterMs`: as it said, if it did. */
  throttled(retryAfterMs: number | undefined): void {
    const { nowMs, random, backoffMs } = this.#options
    const pause = retryAfterMs ?? backoffMs * (1 + random())
    this.#pause(nowMs() + Math.min(pause, LONGEST_RETRY_AFTER_MS))
  }

  #pause(untilMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, untilMs)
  }

  async #pace(host: string, signal: AbortSignal | undefined): Promise<void> {
    const { nowMs, perSecond, paceMs } = this.#options
    if (perSecond === undefined) return
    const everyMs = 1000 / perSecond
    const dueMs = Math.max(this.#dueMs, nowMs() - 1000 + everyMs)
    const waitMs = dueMs - nowMs()
    if (waitMs > paceMs) throw this.#later(host, waitMs)
    this.#dueMs = dueMs + everyMs
    if (waitMs > 0) await delay(waitMs, undefined, signal ? { signal } : {})
  }

  async #patience(host: string, signal: AbortSignal | undefined): Promise<void> {
    const pause = this.#pausedUntilMs - this.#options.nowMs()
    if (pause <= 0) return
    if (pause > this.#options.patienceMs) throw this.#later(host)
    await delay(pause, undefined, signal ? { signal } : {})
    if (this.paused) throw this.#later(host)
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const go = (): void => {
        signal?.removeEventListener('abort', stop)
        resolve()
      }
      const stop = (): void => {
        const at = this.#queue.indexOf(go)
        if (at >= 0) this.#queue.splice(at, 1)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', stop, { once: true })
      this.#queue.push(go)
    })
  }

  #leave(): void {
    const next = this.#queue.shift()
    if (next) next()
    else this.#running--
  }

  #later(host: string, waitMs = this.#pausedUntilMs - this.#options.nowMs()): RegistryError {
    const pause = Math.max(1_000, waitMs)
    return new RegistryError(
      'unavailable',
      `The upstream ${host} is not to be asked now; what is held here is served`,
      {
        retryAfter: Math.ceil(pause / 1000),
        code: 'upstream_paused',
      },
    )
  }
}
