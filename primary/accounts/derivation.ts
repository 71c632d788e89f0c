/**
 * scrypt, one key at a time, in a thread of its own (scrypt-worker.ts) that is there from the first use on. Those who wait are few: a
 * key takes 80 ms, and whoever comes when the queue is full is told to come back.
 */
import type { ScryptOptions } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { RegistryError } from '../../protocol/errors.js'

export interface Asked {
  id: number
  password: string
  salt: Uint8Array
  /** Of the key. */
  bytes: number
  options: ScryptOptions
}

export type Derived = { id: number; key: Uint8Array } | { id: number; failure: string }

interface Waiting {
  resolve: (key: Buffer) => void
  reject: (error: unknown) => void
}

const MAX_WAITING = 64
/** About what those need who wait already. */
const RETRY_SECONDS = 5

export class Derivation {
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  #id = 0

  /** Throws `throttled` when too many wait: for those who can ask before they have done anything else. */
  demandRoom(): void {
    if (this.#waiting.size <= MAX_WAITING) return
    // Not all at the same moment again.
    const retryAfter = RETRY_SECONDS + Math.floor(Math.random() * RETRY_SECONDS)
    throw new RegistryError('throttled', 'Too many passwords are being checked at the moment', { retryAfter })
  }

  /** Throws `throttled`. */
  async key(asked: Omit<Asked, 'id'>): Promise<Buffer> {
    this.demandRoom()
    const worker = this.#running()
    const id = ++this.#id
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      // Work that is under way keeps the process, a thread that waits does not.
      worker.ref()
      worker.postMessage({ ...asked, id })
    })
  }

  #running(): Worker {
    if (this.#worker) return this.#worker
    const worker = new Worker(new URL('./scrypt-worker.js', import.meta.url))
    worker.unref()
    worker.on('message', (derived: Derived) => this.#take(worker, derived))
    worker.on('error', (error) => this.#lose(worker, error))
    worker.on('exit', () => this.#lose(worker, new Error('the thread for passwords ended')))
    this.#worker = worker
    return worker
  }

  #take(worker: Worker, derived: Derived): void {
    const waiting = this.#waiting.get(derived.id)
    this.#waiting.delete(derived.id)
    if (this.#waiting.size === 0) worker.unref()
    if ('key' in derived) waiting?.resolve(Buffer.from(derived.key))
    else waiting?.reject(new Error(derived.failure))
  }

  /** The next who comes gets a new thread. */
  #lose(worker: Worker, error: unknown): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
  }
}
