/**
 * A signal that is aborted after some milliseconds, or with one of the others. Not `AbortSignal.timeout`: Node 20 collects one that only
 * `AbortSignal.any` refers to, and then nothing is ever aborted. Here the timer itself holds what it aborts. It does not keep the
 * process alive.
 */
export function deadline(ms: number, ...others: AbortSignal[]): AbortSignal {
  const late = new AbortController()
  setTimeout(() => late.abort(new DOMException(`Not done after ${ms} ms`, 'TimeoutError')), ms).unref()
  return others.length === 0 ? late.signal : AbortSignal.any([late.signal, ...others])
}
