/** Tells everyone who waits that something changed; they look for themselves what. Waiting holds nothing but a callback. */
export class Pulse {
  readonly #waiting = new Set<() => void>()

  beat(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  /** Resolves at the next beat, after `timeoutMs` when given, or when the signal is aborted (without throwing). */
  next(options: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<void> {
    const { signal, timeoutMs } = options
    if (signal?.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      const timer = timeoutMs === undefined ? undefined : setTimeout(wake, timeoutMs)
      this.#waiting.add(wake)
      signal?.addEventListener('abort', wake, { once: true })
    })
  }
}
