/**
 * Rendered indexes in memory, least recently used out first, within a number of bytes that holds for any load. One render
 * per key at a time: whoever comes meanwhile waits for it. Keys name the version of what they hold, so nothing is ever
 * invalidated. What is over the limit for one entry is handed out and not kept.
 */
import { LRUCache } from 'lru-cache'
import type { Prepared } from './prepared.js'

export interface IndexCacheOptions {
  maxBytes: number
  /** Default: an eighth of `maxBytes`. */
  maxEntryBytes?: number
}

export class IndexCache {
  readonly maxEntryBytes: number
  readonly #kept: LRUCache<string, Prepared>
  readonly #flights = new Map<string, Promise<Prepared | undefined>>()

  constructor(options: IndexCacheOptions) {
    this.maxEntryBytes = options.maxEntryBytes ?? Math.ceil(options.maxBytes / 8)
    this.#kept = new LRUCache({
      maxSize: options.maxBytes,
      maxEntrySize: this.maxEntryBytes,
      sizeCalculation: (prepared, key) => prepared.size + key.length * 2,
    })
  }

  get(key: string): Prepared | undefined {
    return this.#kept.get(key)
  }

  set(key: string, prepared: Prepared): void {
    this.#kept.set(key, prepared)
  }

  /** What is kept, else what `render` returns; an error reaches all that wait and is not kept, nor is `undefined`. */
  async once(key: string, render: () => Promise<Prepared | undefined>): Promise<Prepared | undefined> {
    const kept = this.#kept.get(key)
    if (kept !== undefined) return kept
    const flight = this.#flights.get(key) ?? this.#start(key, render)
    return await flight
  }

  /** Bytes kept now. */
  get size(): number {
    return this.#kept.calculatedSize
  }

  get entries(): number {
    return this.#kept.size
  }

  clear(): void {
    this.#kept.clear()
  }

  #start(key: string, render: () => Promise<Prepared | undefined>): Promise<Prepared | undefined> {
    const flight = this.#render(key, render)
    this.#flights.set(key, flight)
    return flight
  }

  async #render(key: string, render: () => Promise<Prepared | undefined>): Promise<Prepared | undefined> {
    try {
      // Not before the flight is registered, should `render` fail at once.
      await Promise.resolve()
      const prepared = await render()
      if (prepared !== undefined) this.#kept.set(key, prepared)
      return prepared
    } finally {
      this.#flights.delete(key)
    }
  }
}
