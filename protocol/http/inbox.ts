/**
 * A request's body on its way from the socket to one reader. Holds little more than a quarter of a mebibyte: when that
 * is reached the socket is not read until the reader has caught up. Iterates once; fails when the client goes away.
 */
export interface Valve {
  pause(): void
  resume(): void
}

/** Bytes; and what one read of the socket adds (512 KiB at most). */
const QUEUE_LIMIT = 256 * 1024

export class Inbox implements AsyncIterable<Uint8Array> {
  readonly #valve: Valve
  #queue: Uint8Array[] = []
  #queued = 0
  #paused = false
  #taken = false
  #discarding = false
  #failure: unknown
  #wake: (() => void) | undefined
  #settle: (() => void) | undefined
  /** Bytes that came, read or not. */
  received = 0
  /** All of the body has come. */
  complete = false

  constructor(valve: Valve) {
    this.#valve = valve
  }

  get paused(): boolean {
    return this.#paused
  }

  /** Copies what it keeps. */
  push(chunk: Uint8Array, last: boolean): void {
    this.received += chunk.byteLength
    this.complete ||= last
    if (!this.#discarding && chunk.byteLength > 0) {
      this.#queue.push(Uint8Array.prototype.slice.call(chunk))
      this.#queued += chunk.byteLength
      if (this.#queued >= QUEUE_LIMIT && !last && !this.#paused) {
        this.#paused = true
        this.#valve.pause()
      }
    }
    this.#wake?.()
    if (last) this.#settle?.()
  }

  /** A body that has come whole can still be read whole. */
  fail(error: unknown): void {
    if (this.complete) return
    this.#failure ??= error
    this.#queue = []
    this.#wake?.()
    this.#settle?.()
  }

  /** From here on what comes is thrown away. */
  discard(): void {
    this.#discarding = true
    this.#queue = []
    this.#queued = 0
    this.#open()
  }

  /** Resolves when nothing more is to come. */
  async settled(): Promise<void> {
    if (this.complete || this.#failure !== undefined) return
    await new Promise<void>((resolve) => {
      this.#settle = resolve
    })
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    if (this.#taken) throw new TypeError('A request body can be read only once')
    this.#taken = true
    try {
      for (;;) {
        const chunk = this.#queue.shift()
        if (chunk !== undefined) {
          this.#queued -= chunk.byteLength
          if (this.#queued <= QUEUE_LIMIT / 2) this.#open()
          yield chunk
        } else if (this.#failure !== undefined) throw this.#failure
        else if (this.complete || this.#discarding) return
        else await this.#more()
      }
    } finally {
      this.discard()
    }
  }

  #open(): void {
    if (!this.#paused) return
    this.#paused = false
    if (!this.complete && this.#failure === undefined) this.#valve.resume()
  }

  async #more(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#wake = undefined
  }
}

/** The body of a request that has none. */
export const NOTHING: AsyncIterable<Uint8Array> = {
  async *[Symbol.asyncIterator]() {},
}
