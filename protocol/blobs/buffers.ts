/**
 * 256 KiB buffers that are used again, each at the beginning of a memory page: the kernel copies four times as fast to there as to
 * where `malloc` puts them (16 bytes behind). Some are kept; more than that under load are left to the collector.
 */
export const BUFFER_BYTES = 256 * 1024
const KEPT = 64
const PLENTY = 32

export class Buffers {
  readonly #free: Uint8Array[] = []
  #taken = 0

  /** So few are in use that a reader may have a second one, to be a chunk ahead. With more readers one is ahead of another anyway. */
  get plenty(): boolean {
    return this.#taken < PLENTY
  }

  take(): Uint8Array {
    this.#taken++
    // What could be resized lies in pages of its own.
    return this.#free.pop() ?? whole(new ArrayBuffer(BUFFER_BYTES, { maxByteLength: BUFFER_BYTES }))
  }

  /** Once for each that was taken, or a part of it. The giver must not touch it any more. */
  give({ buffer }: Uint8Array): void {
    this.#taken--
    if (this.#free.length < KEPT) this.#free.push(whole(buffer))
  }
}

function whole(buffer: ArrayBufferLike): Uint8Array {
  return new Uint8Array(buffer, 0, BUFFER_BYTES)
}
