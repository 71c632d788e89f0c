/**
 * Buffers of one size that are used again, each at the beginning of a memory page: processors copy up to four times as fast to
 * there as to where `malloc` may put them. 16 MiB of them are kept; more than that under load are left to the collector.
 */

/** What is read at a time, and passed on: a hop to the thread pool costs about as much as copying this. */
export const READ_BYTES = 512 * 1024
export const WRITE_BYTES = 256 * 1024

const KEPT_BYTES = 16 * 1024 * 1024
const PLENTY_BYTES = 8 * 1024 * 1024

export class Buffers {
  readonly #bytes: number
  readonly #free: Uint8Array[] = []
  #taken = 0

  /** `bytes`: of each. */
  constructor(bytes: number) {
    this.#bytes = bytes
  }

  /** So few are in use that a reader may have a second one, to be a chunk ahead. With more readers one is ahead of another anyway. */
  get plenty(): boolean {
    return this.#taken * this.#bytes < PLENTY_BYTES
  }

  take(): Uint8Array {
    this.#taken++
    // What could be resized lies in pages of its own.
    return this.#free.pop() ?? this.#whole(new ArrayBuffer(this.#bytes, { maxByteLength: this.#bytes }))
  }

  /** Once for each that was taken, or a part of it. The giver must not touch it any more. */
  give({ buffer }: Uint8Array): void {
    this.#taken--
    if (this.#free.length * this.#bytes < KEPT_BYTES) this.#free.push(this.#whole(buffer))
  }

  #whole(buffer: ArrayBufferLike): Uint8Array {
    return new Uint8Array(buffer, 0, this.#bytes)
  }
}
