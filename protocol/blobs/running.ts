/** Work in flight, so that closing can wait for it and nothing begins afterwards. */
import { RegistryError } from '../errors.js'

export class Running {
  readonly #work = new Set<Promise<unknown>>()
  #closed = false

  /** Throws `unavailable` once closed. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new RegistryError('unavailable', 'The store of blobs is closing')
    const running = work()
    this.#work.add(running)
    try {
      return await running
    } finally {
      this.#work.delete(running)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#work)
  }
}
