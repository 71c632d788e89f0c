/** The primary as the source of a transfer: runs of pieces out of one range request, checked against the blob's leaf hashes. */
import { leavesOf } from '../../protocol/blobs/trees.js'
import { RegistryError } from '../../protocol/errors.js'
import { HASH_BYTES } from '../../protocol/merkle.js'
import type { Stored } from '../../protocol/records.js'
import { abortable } from './abortable.js'
import type { Verified } from './arriving.js'
import { type Geometry, spanOf } from './pieces.js'
import type { PrimaryBytes } from './primary-bytes.js'

export interface PrimarySourceParts {
  stored: Stored
  scope: string
  geometry: Geometry
  primary: PrimaryBytes
  /** Given all leaf hashes once they are known. Throws `corrupt`. */
  learn: (leaves: Uint8Array) => void
  /** Of the transfer. */
  signal: AbortSignal
}

/** After so many failures in a row it is not asked any more. */
const FAILURES = 2

export class PrimarySource {
  readonly #parts: PrimarySourceParts
  #failures = 0
  #leaves: Promise<Uint8Array> | undefined

  constructor(parts: PrimarySourceParts) {
    this.#parts = parts
  }

  /** Is it worth asking. */
  get helps(): boolean {
    return this.#failures < FAILURES && this.#parts.primary.reachable
  }

  get reachable(): boolean {
    return this.#parts.primary.reachable
  }

  /** Pieces from `first` on, in order, each in memory of its own. `progress`: some bytes came. */
  async *run(
    first: number,
    count: number,
    signal: AbortSignal,
    progress: () => void,
  ): AsyncGenerator<Verified, void, undefined> {
    const { stored, scope, geometry, primary } = this.#parts
    const { end } = spanOf(geometry, first + count - 1)
    try {
      // Asked for beside the first bytes, which come without proofs.
      const leaves = this.#allLeaves()
      const body = primary.read(stored, scope, spanOf(geometry, first).start, end, signal)
      let index = first
      for await (const bytes of cut(body, geometry, first, count, progress)) {
        yield { bytes, leaves: this.#leavesIn(await abortable(leaves, signal), index++, bytes), proof: undefined }
      }
      if (index < first + count) throw new RegistryError('upstream', 'The primary sent fewer bytes than were asked for')
      this.#failures = 0
    } catch (error) {
      this.#failures++
      throw error
    }
  }

  #allLeaves(): Promise<Uint8Array> {
    if (this.#leaves) return this.#leaves
    const { stored, scope, primary, learn, signal } = this.#parts
    const asked = primary.leaves(stored, scope, signal).then((leaves) => {
      learn(leaves)
      return leaves
    })
    asked.catch(() => {
      this.#leaves = undefined
    })
    this.#leaves = asked
    return asked
  }

  /** The leaf hashes of a piece, which must be among all those of the blob. Throws `corrupt`. */
  #leavesIn(all: Uint8Array, index: number, bytes: Uint8Array): Uint8Array {
    const { first, count } = spanOf(this.#parts.geometry, index)
    const leaves = leavesOf(bytes)
    const right = Buffer.compare(leaves, all.subarray(first * HASH_BYTES, (first + count) * HASH_BYTES)) === 0
    if (!right) throw new RegistryError('corrupt', `The primary sent other bytes than ${this.#parts.stored.digest}`)
    return leaves
  }
}

/** Whole pieces out of a stream that begins at one. What is too much is not read. */
async function* cut(
  body: AsyncIterable<Uint8Array>,
  geometry: Geometry,
  first: number,
  count: number,
  progress: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let index = first
  let piece = memoryFor(geometry, index)
  let filled = 0
  for await (const chunk of body) {
    progress()
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + piece.length - filled)
      piece.set(part, filled)
      filled += part.length
      at += part.length
      if (filled < piece.length) continue
      yield piece
      if (++index === first + count) return
      piece = memoryFor(geometry, index)
      filled = 0
    }
  }
}

function memoryFor(geometry: Geometry, index: number): Uint8Array {
  const { start, end } = spanOf(geometry, index)
  return Buffer.allocUnsafeSlow(end - start)
}
