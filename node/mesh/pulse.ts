/** Tells everyone who waits that something changed; they look for themselves what. Waiting holds nothing but a callback. */
export class Pulse {
  readonly #waiting = new Set<() => void>()

  /** Resolves at the next beat of any of them, after `timeoutMs` when given, or when the signal is aborted (without throwing). */
  static any(pulses: readonly Pulse[], options: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<void> {
    const { signal, timeoutMs } = options
    if (signal?.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        for (const pulse of pulses) pulse.#waiting.delete(wake)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      const timer = timeoutMs === undefined ? undefined : setTimeout(wake, timeoutMs)
      for (const pulse of pulses) pulse.#waiting.add(wake)
      signal?.addEventListener('abort', wake, { once: true })
    })
  }

  beat(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  next(options: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<void> {
    return Pulse.any([this], options)
  }
}
