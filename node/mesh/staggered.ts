/**
 * Several ways to the same thing: the next is begun when the one before failed or takes longer than `staggerMs`; the first to
 * succeed wins and the others are told to stop. Throws the last failure when all fail, and the signal's reason.
 */
export type Attempt<T> = (signal: AbortSignal) => Promise<T>

export function staggered<T>(
  attempts: readonly Attempt<T>[],
  options: { staggerMs: number; signal: AbortSignal },
): Promise<T> {
  const { staggerMs, signal } = options
  return new Promise<T>((resolve, reject) => {
    const stop = new AbortController()
    let [begun, running] = [0, 0]
    let timer: NodeJS.Timeout | undefined
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      settle()
      stop.abort(signal.reason ?? new Error('Another way was faster'))
    }
    const abort = (): void => end(() => reject(signal.reason))
    const begin = (): void => {
      clearTimeout(timer)
      const attempt = attempts[begun++]
      if (!attempt) return
      running++
      timer = setTimeout(begin, staggerMs)
      attempt(stop.signal).then(
        (value) => end(() => resolve(value)),
        (error: unknown) => {
          running--
          if (stop.signal.aborted) return
          if (begun < attempts.length) begin()
          else if (running === 0) end(() => reject(error))
        },
      )
    }
    if (signal.aborted) return reject(signal.reason)
    if (attempts.length === 0) return reject(new Error('There is no way to try'))
    signal.addEventListener('abort', abort, { once: true })
    begin()
  })
}
