/** 256 KiB buffers that are used again. A few are kept; more than that under load are left to the collector. */
export const BUFFER_BYTES = 256 * 1024
const KEPT = 32

export class Buffers {
  readonly #free: Uint8Array[] = []

  take(): Uint8Array {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
  }

  /** The giver must not touch it any more. */
  give(buffer: Uint8Array): void {
    if (this.#free.length < KEPT && buffer.length === BUFFER_BYTES) this.#free.push(buffer)
  }
}
