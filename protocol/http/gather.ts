/**
 * Collects a rendered body up to a limit. What is small comes back whole, to be kept; what is larger comes back as a stream
 * that begins with what was collected, so memory stays bounded however long an index is.
 */
type Parts = AsyncIterable<string | Uint8Array>

export type Gathered = { whole: Uint8Array } | { stream: AsyncIterable<Uint8Array> }

export async function gather(body: string | Uint8Array | Parts, limitBytes: number): Promise<Gathered> {
  if (typeof body === 'string') return { whole: Buffer.from(body) }
  if (body instanceof Uint8Array) return { whole: body }
  const iterator = body[Symbol.asyncIterator]()
  const collected: Uint8Array[] = []
  let size = 0
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
    const part = bytes(next.value)
    collected.push(part)
    size += part.byteLength
    if (size > limitBytes) return { stream: resume(collected, iterator) }
  }
  return { whole: Buffer.concat(collected, size) }
}

async function* resume(collected: Uint8Array[], rest: AsyncIterator<string | Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* collected.splice(0)
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield bytes(next.value)
  } finally {
    await rest.return?.()
  }
}

/** Copies: a chunk may be valid only until the next one is asked for. */
function bytes(part: string | Uint8Array): Uint8Array {
  return typeof part === 'string' ? Buffer.from(part) : Uint8Array.prototype.slice.call(part)
}
