/**
 * Passwords that were found right lately, so that a client which sends one with every request costs one check a minute. Kept
 * under an HMAC with a key that this process made, never as text; forgotten after 60 s and when the user's record changes.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { UserRecord } from '../records.js'

export interface Passwords {
  /**
   * Takes as long for unknown users as for known ones. `remote`: the client's address, for throttling. Throws `unavailable`
   * when only the primary could tell, `throttled` after too many failures.
   */
  verify(user: string, password: string, remote?: string): Promise<boolean>
}

const REMEMBERED = 10_000
const PASSWORD_TTL_MS = 60_000

export class KnownPasswords {
  readonly #key = randomBytes(32)
  readonly #known = new LRUCache<string, { record: UserRecord; untilMs: number }>({ max: REMEMBERED })

  /** Under which a pair of user and password is remembered. */
  mark(user: string, password: string): string {
    return createHmac('sha256', this.#key).update(`${user}\0${password}`).digest('base64')
  }

  has(mark: string, record: UserRecord, nowMs: number): boolean {
    const known = this.#known.get(mark)
    // A clock that jumped back must not prolong what was meant to last a minute.
    return known?.record === record && nowMs < known.untilMs && nowMs >= known.untilMs - PASSWORD_TTL_MS
  }

  add(mark: string, record: UserRecord, nowMs: number): void {
    this.#known.set(mark, { record, untilMs: nowMs + PASSWORD_TTL_MS })
  }
}
