/** A body that cannot be longer than its limit and ends when its signal says so, even while it waits for the next chunk. */
import { RegistryError } from '../errors.js'

/** Throws `too_large`, or the signal's reason. The body is told when reading stops early. */
export async function* bounded(
  body: AsyncIterable<Uint8Array>,
  limit: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = body[Symbol.asyncIterator]()
  let size = 0
  let ended = false
  try {
    for (;;) {
      const next = await nextOf(iterator, signal)
      ended = next.done === true
      if (next.done) return
      size += next.value.length
      if (size > limit) throw new RegistryError('too_large', `The body is larger than ${limit} bytes`)
      yield next.value
    }
  } finally {
    // Not awaited: an iterator that hangs in next() answers return() only afterwards. Its errors have nobody to go to.
    if (!ended) void iterator.return?.().then(undefined, () => undefined)
  }
}

function nextOf(iterator: AsyncIterator<Uint8Array>, signal?: AbortSignal): Promise<IteratorResult<Uint8Array>> {
  if (!signal) return iterator.next()
  if (signal.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    const settle = (): void => signal.removeEventListener('abort', abort)
    iterator.next().then(
      (next) => {
        settle()
        resolve(next)
      },
      (error: unknown) => {
        settle()
        reject(error)
      },
    )
  })
}
