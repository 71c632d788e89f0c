/** One blob, and where simulated nodes keep it: in memory that all share, as it was verified by each of them. */
import { geometryOf } from '../../node/mesh/pieces.js'
import type { Incoming, Store } from '../../node/store.js'
import { hashBody } from '../../protocol/blobs/hashing.js'
import type { Piece } from '../../protocol/blobs/piece.js'
import { RegistryError } from '../../protocol/errors.js'
import { LEAF_BYTES, Tree } from '../../protocol/merkle.js'
import type { Bytes } from '../../protocol/ports.js'
import type { Digest, Stored } from '../../protocol/records.js'
import type { Random } from './random.js'

export const SCOPE = 'simulated'

export interface Blob {
  bytes: Buffer
  stored: Stored
  tree: Tree
}

export async function newBlob(size: number, random: Random): Promise<Blob> {
  const bytes = Buffer.alloc(size)
  // Every leaf differs from every other, which is all that matters.
  for (let at = 0; at < size; at += LEAF_BYTES / 2) bytes.writeUInt32LE(Math.floor(random() * 2 ** 32), at)
  const { stored, leaves } = await hashBody(
    (async function* () {
      yield bytes
    })(),
    { limit: size },
  )
  return { bytes, stored, tree: new Tree(leaves) }
}

/** Pieces by their first leaf, as they were written. */
type Pieces = Map<number, Uint8Array>

export class MemoryStore implements Store {
  readonly #blob: Blob
  readonly #pieceBytes: number
  #pieces: Pieces | undefined
  readonly disk = {
    piece: async (_: Stored, first: number, count: number) => this.#piece(this.#pieces, first, count) ?? missing(),
    write: () => Promise.reject(new RegistryError('unsupported', 'Simulated disks take no uploads')),
  }

  constructor(blob: Blob) {
    this.#blob = blob
    this.#pieceBytes = geometryOf(blob.stored.size).pieceBytes
  }

  heal(): void {
    // Simulated disks keep what they take.
  }

  has(digest: Digest): boolean {
    return this.#pieces !== undefined && digest === this.#blob.stored.digest
  }

  async open(file: Stored): Promise<Bytes | undefined> {
    const pieces = this.#pieces
    if (!pieces || !this.has(file.digest)) return undefined
    const read = this.#read
    const size = file.size
    const pieceBytes = this.#pieceBytes
    return {
      size,
      source: 'cache',
      read: async function* ({ start, end } = { start: 0, end: size }) {
        for (let at = start; at < end; ) {
          const stop = Math.min(end, (Math.floor(at / pieceBytes) + 1) * pieceBytes)
          yield read(pieces, at, stop) ?? missing()
          at = stop
        }
      },
    }
  }

  reserve(size: number): ReturnType<Store['reserve']> {
    return { size, keep: () => undefined, release: () => undefined }
  }

  async keep(): Promise<void> {
    // Small blobs are not simulated.
  }

  async partial(): Promise<Incoming> {
    const pieces: Pieces = new Map()
    return {
      learn: () => undefined,
      write: async (first, bytes) => {
        pieces.set(first, bytes)
      },
      read: async (start, end) => this.#read(pieces, start, end),
      has: (first) => pieces.has(first),
      piece: async (first, count = 1) => this.#piece(pieces, first, count),
      complete: async () => {
        this.#pieces = pieces
      },
      close: async () => undefined,
    }
  }

  #read = (pieces: Pieces, start: number, end: number): Uint8Array | undefined => {
    const from = Math.floor(start / this.#pieceBytes) * this.#pieceBytes
    return pieces.get(from / LEAF_BYTES)?.subarray(start - from, end - from)
  }

  #piece(pieces: Pieces | undefined, first: number, count: number): Piece | undefined {
    const bytes = pieces?.get(first)
    return bytes && { bytes, proof: this.#blob.tree.proof(first, count) }
  }
}

function missing(): never {
  throw new RegistryError('missing', 'The simulated disk does not have it')
}
