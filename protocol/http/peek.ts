/** Waits for the first chunk of a stream, so that a failure to begin is known before anything is sent. */
export async function peek(chunks: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const iterator = chunks[Symbol.asyncIterator]()
  let first: Promise<IteratorResult<Uint8Array>> | undefined = Promise.resolve(await iterator.next())
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => {
        const next = first ?? iterator.next()
        first = undefined
        return next
      },
      return: async () => {
        await iterator.return?.()
        return { done: true, value: undefined }
      },
    }),
  }
}
