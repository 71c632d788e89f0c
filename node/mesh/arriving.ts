/**
 * The verified pieces of a blob that is not complete. A piece can be read, and passed on with its proof, as soon as it is
 * verified, while the disk still takes it; `arrivals` and have-maps tell of what is written.
 */
import type { Piece } from '../../protocol/blobs/piece.js'
import { HASH_BYTES, Tree } from '../../protocol/merkle.js'
import type { Incoming } from '../store.js'
import { Bitmap } from './bitmap.js'
import { type Geometry, spanOf } from './pieces.js'
import { Pulse } from './pulse.js'

/** A verified piece: its leaf hashes lead to the root by `proof`, or are among all leaf hashes that were learned. */
export interface Verified {
  bytes: Uint8Array
  leaves: Uint8Array
  proof: Uint8Array | undefined
}

/** Up to so many leaves their tree is held, to prove pieces that are not on disk yet: 1 GiB of bytes, 1 MiB of memory. */
const PROVEN_LEAVES = 16_384

export class Arriving {
  /** In order. */
  readonly arrivals: number[] = []
  /** Beats when a piece was verified, and when it was written. */
  readonly changed = new Pulse()
  readonly #partial: Incoming
  readonly #geometry: Geometry
  readonly #fresh = new Map<number, Verified>()
  readonly #written: Bitmap
  #tree: Tree | undefined

  constructor(partial: Incoming, geometry: Geometry) {
    this.#partial = partial
    this.#geometry = geometry
    this.#written = new Bitmap(geometry.pieces)
  }

  /** All leaf hashes of the blob. Throws `corrupt` when they do not lead to its root. */
  learn(leaves: Uint8Array): void {
    this.#partial.learn(leaves)
    if (leaves.length <= PROVEN_LEAVES * HASH_BYTES) this.#tree ??= new Tree(leaves)
  }

  /** Can it be read. */
  has(index: number): boolean {
    return this.#written.has(index) || this.#fresh.has(index)
  }

  /** Writes it. False when it is here already: it was asked for twice. */
  async keep(index: number, piece: Verified): Promise<boolean> {
    if (this.has(index)) return false
    this.#fresh.set(index, piece)
    this.changed.beat()
    try {
      await this.#partial.write(spanOf(this.#geometry, index).first, piece.bytes, piece.leaves, piece.proof)
      this.#written.add(index)
    } finally {
      this.#fresh.delete(index)
    }
    this.arrivals.push(index)
    this.changed.beat()
    return true
  }

  /** Bytes [start, end), which lie in one piece, in `into` or in the piece's own memory. */
  async read(start: number, end: number, into: Uint8Array): Promise<Uint8Array | undefined> {
    const { pieceBytes } = this.#geometry
    const offset = start % pieceBytes
    const fresh = this.#fresh.get(Math.floor(start / pieceBytes))
    return fresh?.bytes.subarray(offset, offset + end - start) ?? this.#partial.read(start, end, into)
  }

  /** Is there enough to pass these leaves on. */
  hasPiece(firstLeaf: number, count: number): boolean {
    return this.#partial.has(firstLeaf, count) || this.#freshPiece(firstLeaf, count) !== undefined
  }

  /** undefined: it is not here. */
  async piece(firstLeaf: number, count: number): Promise<Piece | undefined> {
    return this.#freshPiece(firstLeaf, count) ?? this.#partial.piece(firstLeaf, count)
  }

  /** Makes it a blob, once all is written. */
  complete(): Promise<void> {
    return this.#partial.complete()
  }

  async close(): Promise<void> {
    await this.#partial.close()
  }

  #freshPiece(firstLeaf: number, count: number): Piece | undefined {
    const index = firstLeaf / this.#geometry.pieceLeaves
    const fresh = this.#fresh.get(index)
    if (!fresh || spanOf(this.#geometry, index).count !== count) return undefined
    const proof = fresh.proof ?? this.#tree?.proof(firstLeaf, count)
    return proof && { bytes: fresh.bytes, proof }
  }
}
