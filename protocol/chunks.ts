/** Bytes in memory as a stream of chunks, and a stream of chunks as bytes in memory. */
import { RegistryError } from './errors.js'

/** A chunk as a stream. */
export async function* once(chunk: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield chunk
}

/** All of it, in memory of its own. Throws what `tooLong` makes, `too_large` by default, as soon as there are more bytes than `limit`. */
export async function collect(
  chunks: AsyncIterable<Uint8Array>,
  limit = Number.POSITIVE_INFINITY,
  tooLong: () => Error = () => new RegistryError('too_large', `The body is larger than ${limit} bytes`),
): Promise<Buffer> {
  const collected: Buffer[] = []
  let size = 0
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > limit) throw tooLong()
    // A copy: a chunk may be good only until the next one is asked for.
    collected.push(Buffer.from(chunk))
  }
  return Buffer.concat(collected, size)
}
