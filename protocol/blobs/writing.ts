/** Bytes that arrive become a blob: hashed in one pass on their way into a file, which gets its name when they are durable. */
import type { WriteOptions } from '../ports.js'
import type { Stored } from '../records.js'
import { bounded } from './bounded.js'
import type { Buffers } from './buffers.js'
import { Hasher } from './hashing.js'
import type { Shelf } from './shelf.js'
import { Staging } from './staging.js'
import type { Temporary } from './temporary.js'
import { corrupt } from './trees.js'

export interface ReceiveOptions extends WriteOptions {
  /** Throws `corrupt` when the bytes are another blob's, and replaces what is held without looking at it. */
  expected?: Stored
}

export async function receive(
  shelf: Shelf,
  buffers: Buffers,
  body: AsyncIterable<Uint8Array>,
  options: ReceiveOptions,
): Promise<Stored> {
  const hasher = new Hasher(options.hashes)
  let file: Temporary | undefined
  const staging = new Staging(buffers, async () => {
    file = await shelf.create()
    return file.descriptor
  })
  try {
    for await (const chunk of bounded(body, options.limit, options.signal)) {
      hasher.update(chunk)
      await staging.push(chunk)
    }
    const { stored, leaves } = hasher.finish()
    if (options.expected) refuseOther(stored, options.expected)
    else if (staging.whole && (await shelf.holds(stored.digest, staging.whole))) return stored
    await staging.end()
    if (file) await shelf.place(file, stored.digest, leaves)
    return stored
  } catch (error) {
    await staging.release()
    await file?.discard()
    throw error
  } finally {
    await staging.release()
    file?.close()
  }
}

function refuseOther(stored: Stored, expected: Stored): void {
  if (stored.digest !== expected.digest || stored.root !== expected.root) throw corrupt(expected)
}
