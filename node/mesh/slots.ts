/** How many things may run at once, and how many may wait for that. */
import { RegistryError } from '../../protocol/errors.js'
import { Pulse } from './pulse.js'

export class Slots {
  readonly #most: number
  readonly #mostWaiting: number
  readonly #freed = new Pulse()
  #running = 0
  #waiting = 0

  constructor(most: number, mostWaiting: number) {
    this.#most = most
    this.#mostWaiting = mostWaiting
  }

  get idle(): boolean {
    return this.#running === 0 && this.#waiting === 0
  }

  /** Throws `throttled` when too many wait already, and the signal's reason. Whoever entered must `leave`. */
  async enter(signal: AbortSignal): Promise<void> {
    if (this.#running >= this.#most && this.#waiting >= this.#mostWaiting) {
      throw new RegistryError('throttled', 'Too many requests of this peer are waiting', { retryAfter: 1 })
    }
    this.#waiting++
    try {
      while (this.#running >= this.#most) {
        signal.throwIfAborted()
        await this.#freed.next({ signal })
      }
    } finally {
      this.#waiting--
    }
    signal.throwIfAborted()
    this.#running++
  }

  leave(): void {
    this.#running--
    this.#freed.beat()
  }
}
