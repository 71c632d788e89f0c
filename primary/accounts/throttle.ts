/**
 * Slows guessing down, by address and by account, in memory. Only failures count. Nobody is locked out for good: the buckets
 * refill, and an address from which an account logged in before is not held back by what others try against that account.
 */
import { LRUCache } from 'lru-cache'
import { RegistryError } from '../../protocol/errors.js'

interface Rate {
  /** Failures that are allowed at once. */
  burst: number
  /** Milliseconds until one more is. */
  refillMs: number
}

interface Bucket {
  left: number
  atMs: number
}

export interface Rates {
  /** Of one account from one address. */
  pair: Rate
  address: Rate
  account: Rate
}

const PASSWORDS: Rates = {
  pair: { burst: 10, refillMs: 6_000 },
  address: { burst: 50, refillMs: 2_000 },
  account: { burst: 30, refillMs: 2_000 },
}
const REMEMBERED = 50_000

export class Throttle {
  readonly #nowMs: () => number
  readonly #rates: Rates
  readonly #buckets = new LRUCache<string, Bucket>({ max: REMEMBERED })
  readonly #familiar = new LRUCache<string, true>({ max: REMEMBERED })

  constructor(nowMs: () => number = Date.now, rates = PASSWORDS) {
    this.#nowMs = nowMs
    this.#rates = rates
  }

  /**
   * Takes an attempt before it is made, so that parallel ones count too. The returned function gives it back when it succeeded.
   * Throws `throttled`.
   */
  attempt(account: string, address: string | undefined): () => void {
    const pair = `${account}\0${address ?? ''}`
    const rates = this.#rates
    const keys: [string, Rate][] = []
    if (address !== undefined) keys.push([`pair\0${pair}`, rates.pair], [`address\0${address}`, rates.address])
    if (!this.#familiar.has(pair)) keys.push([`account\0${account}`, rates.account])
    const buckets = keys.map(([key, rate]) => ({ bucket: this.#bucket(key, rate), rate }))
    const waits = buckets
      .filter(({ bucket }) => bucket.left < 1)
      .map(({ bucket, rate }) => (1 - bucket.left) * rate.refillMs)
    if (waits.length > 0)
      throw new RegistryError('throttled', 'Too many failed attempts; wait a little and try again', {
        retryAfter: Math.ceil(Math.max(...waits) / 1000),
      })
    for (const { bucket } of buckets) bucket.left--
    return () => {
      for (const { bucket, rate } of buckets) bucket.left = Math.min(rate.burst, bucket.left + 1)
      if (address !== undefined) this.#familiar.set(pair, true)
    }
  }

  #bucket(key: string, rate: Rate): Bucket {
    const now = this.#nowMs()
    const bucket = this.#buckets.get(key) ?? { left: rate.burst, atMs: now }
    bucket.left = Math.min(rate.burst, bucket.left + Math.max(0, now - bucket.atMs) / rate.refillMs)
    bucket.atMs = now
    this.#buckets.set(key, bucket)
    return bucket
  }
}
