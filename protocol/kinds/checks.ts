/**
 * What an origin was asked about, when, and what it said. Who can be served with what is kept does not wait for it: what is older
 * than its time to live is asked about behind the reader's back (stale-while-revalidate), once for all that read it meanwhile.
 */
import { LRUCache } from 'lru-cache'
import type { OriginCheck } from '../ports.js'
import type { Freshness } from '../repository.js'

/** `part`: worth serving only if the origin cannot be asked. `final`: it stays as it is. */
export type Kept = 'nothing' | 'part' | 'all' | 'final'

export interface Inquiry {
  kept: () => Promise<Kept>
  ask: () => Promise<OriginCheck>
  /** When the origin said so, where nothing is remembered. Milliseconds since 1970. */
  confirmedMs?: number
}

export interface ChecksOptions {
  nowMs: () => number
  ttlMs: number
  /** How long an absence is believed. */
  absentMs: number
  /** How many keys are kept in mind. */
  remembered: number
  /** Told why something that is kept could not be looked at again. */
  onFault?: ((error: unknown, key: string) => void) | undefined
}

interface Check {
  /** Something is kept, so there is no need to wait for the origin. */
  held: boolean
  /** Until then nothing is asked. */
  untilMs: number
  /** When the origin last said that it is so. */
  confirmedMs: number | undefined
  /** The origin could not be asked when it should have been. */
  stale: boolean
}

/** After an origin that failed: behind the reader's back, so it may be soon. */
const RETRY_MS = 10_000

export class Checks {
  readonly #options: ChecksOptions
  readonly #checks: LRUCache<string, Check>
  readonly #running = new Map<string, Promise<void>>()

  constructor(options: ChecksOptions) {
    this.#options = options
    this.#checks = new LRUCache({ max: options.remembered })
  }

  freshness(key: string): Freshness | undefined {
    const check = this.#checks.get(key)
    if (!check) return undefined
    const { confirmedMs, stale } = check
    const age = confirmedMs === undefined ? undefined : Math.max(0, (this.#now - confirmedMs) / 1000)
    return { stale, ...(age === undefined ? {} : { ageSeconds: Math.floor(age) }) }
  }

  /** When the origin last said that it is as it is recorded. */
  confirmedMs(key: string): number | undefined {
    return this.#checks.get(key)?.confirmedMs
  }

  /** undefined: what is kept is all there is to say now. Rejects when nothing is, and the origin cannot be asked. */
  known(key: string, inquiry: () => Inquiry): Promise<void> | undefined {
    const check = this.#checks.get(key)
    if (check && check.untilMs > this.#now) return undefined
    if (!check?.held) return this.#first(key, inquiry())
    this.#behind(key, inquiry())
    return undefined
  }

  /** Waits for the origin unless it was asked lately. */
  async renew(key: string, inquiry: Inquiry): Promise<OriginCheck> {
    const isDue = (this.#checks.get(key)?.untilMs ?? 0) <= this.#now
    if (isDue && !this.#isFinal(key, await inquiry.kept())) await this.ask(key, inquiry)
    return { known: this.#checks.get(key)?.held === true, stale: false, ...this.freshness(key) }
  }

  ask(key: string, inquiry: Inquiry): Promise<void> {
    const running = this.#running.get(key) ?? this.#ask(key, inquiry).finally(() => this.#running.delete(key))
    this.#running.set(key, running)
    return running
  }

  get #now(): number {
    return this.#options.nowMs()
  }

  async #first(key: string, inquiry: Inquiry): Promise<void> {
    const kept = await inquiry.kept()
    if (this.#isFinal(key, kept)) return
    if (kept !== 'all') return this.ask(key, inquiry)
    const { confirmedMs } = inquiry
    if (!this.#checks.has(key)) this.#checks.set(key, { held: true, untilMs: 0, confirmedMs, stale: false })
    this.#behind(key, inquiry)
  }

  #isFinal(key: string, kept: Kept): boolean {
    if (kept !== 'final') return false
    this.#checks.set(key, { held: true, untilMs: Number.POSITIVE_INFINITY, confirmedMs: undefined, stale: false })
    return true
  }

  #behind(key: string, inquiry: Inquiry): void {
    // What went wrong is in the check: the next reader sees that what it gets is old.
    void this.ask(key, inquiry).catch(() => undefined)
  }

  async #ask(key: string, { kept, ask }: Inquiry): Promise<void> {
    const { ttlMs, absentMs, onFault } = this.#options
    const before = this.#checks.get(key)
    try {
      const { known, stale, ageSeconds } = await ask()
      const confirmedMs = known && ageSeconds !== undefined ? this.#now - ageSeconds * 1000 : undefined
      const ageMs = (ageSeconds ?? 0) * 1000
      // Who was asked is about to look again itself.
      const isOld = known && ageMs > 0 && ageMs >= ttlMs
      const untilMs = this.#now + (stale || isOld ? RETRY_MS : known ? ttlMs : absentMs)
      this.#checks.set(key, { held: known, untilMs, confirmedMs, stale })
    } catch (error) {
      if ((await kept()) === 'nothing') throw error
      const confirmedMs = before?.confirmedMs
      this.#checks.set(key, { held: true, untilMs: this.#now + RETRY_MS, confirmedMs, stale: true })
      onFault?.(error, key)
    }
  }
}
