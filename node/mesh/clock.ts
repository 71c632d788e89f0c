/** Time as an argument: what waits or measures takes a clock, so that a simulation of hours runs the same code in seconds. */
export interface Clock {
  /** Milliseconds since whenever; only ever compared with each other. */
  now(): number
  /** Calls once after so many milliseconds; the returned function takes it back. Does not keep the process alive. */
  after(delayMs: number, call: () => void): () => void
}

/** The machine's own. */
export const wallClock: Clock = {
  now: Date.now,
  after: (delayMs, call) => {
    const timer = setTimeout(call, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** Resolves after so many milliseconds, or when the signal is aborted, without throwing. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const wake = (): void => {
      cancel()
      signal.removeEventListener('abort', wake)
      resolve()
    }
    const cancel = clock.after(delayMs, wake)
    signal.addEventListener('abort', wake, { once: true })
  })
}
