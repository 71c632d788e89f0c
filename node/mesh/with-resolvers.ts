/** `Promise.withResolvers` for Node 20, which libp2p 3 calls. Call it before libp2p is imported; newer versions keep their own. */
export function provideWithResolvers(): void {
  if ('withResolvers' in Promise) return
  Object.defineProperty(Promise, 'withResolvers', { value: withResolvers, configurable: true, writable: true })
}

export interface Resolvers<T> {
  promise: Promise<T>
  resolve: (value: T | PromiseLike<T>) => void
  reject: (reason: unknown) => void
}

export function withResolvers<T>(): Resolvers<T> {
  const made: Partial<Resolvers<T>> = {}
  const promise = new Promise<T>((resolve, reject) => {
    made.resolve = resolve
    made.reject = reject
  })
  // The executor has run by now: both functions are there.
  return { promise, resolve: (value) => made.resolve?.(value), reject: (reason) => made.reject?.(reason) }
}
