/** The bytes of pieces that a node has in memory on their way in, over all transfers. Whoever finds no room waits for the next `freed`. */
import { Pulse } from './pulse.js'

export class Budget {
  readonly limit: number
  readonly freed = new Pulse()
  #used = 0

  constructor(limitBytes: number) {
    this.limit = limitBytes
  }

  get used(): number {
    return this.#used
  }

  /** False when there is no room. An ask larger than the whole limit passes when nothing else is under way. */
  take(bytes: number): boolean {
    if (this.#used > 0 && this.#used + bytes > this.limit) return false
    this.#used += bytes
    return true
  }

  give(bytes: number): void {
    this.#used -= bytes
    this.freed.beat()
  }
}
