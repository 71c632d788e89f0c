/**
 * Roots and proofs over a log of any length: only the roots of its full tiles (256 leaves) are held, 32 bytes each; the leaves of
 * one tile are read when an entry in it is proved. A million entries: 128 KiB, and a proof of 20 hashes.
 */
import { countOf, HASH_BYTES, pieceLevel, rootOf, Tree } from '../merkle.js'
import { consistencyProof } from './consistency.js'

/** Packed leaf hashes of entries [start, end), counted from 0. */
export type ReadLeaves = (start: number, end: number) => Promise<Uint8Array>

const TILE = 256
/** Tiles that are read at a time when the tree is first built. */
const PAGE = 32

export class LogTree {
  readonly #read: ReadLeaves
  /** Packed roots of the full tiles, as far as anybody asked. */
  #roots: Uint8Array = new Uint8Array(0)
  #growing: Promise<void> = Promise.resolve()
  #upper: { length: number; tree: Tree } | undefined

  constructor(read: ReadLeaves) {
    this.#read = read
  }

  /** The sibling hashes, lowest first, that lead from the entry `number` (from 1) to the root of a log of `length` entries. */
  proof(number: number, length: number): Promise<Uint8Array> {
    return this.pieceProof(number - 1, 1, length)
  }

  /** The same from a piece (merkle.ts, `rootFromPiece`) of entries, counted from 0. Throws `invalid` for what is no piece. */
  async pieceProof(start: number, count: number, length: number): Promise<Uint8Array> {
    pieceLevel(start, count, length)
    const above = await this.#above(length)
    const tile = Math.floor(start / TILE)
    if (count > TILE) return above.proof(tile, Math.ceil(count / TILE))
    const first = tile * TILE
    const leaves = await this.#read(first, Math.min(first + TILE, length))
    return Buffer.concat([new Tree(leaves).proof(start - first, count), above.proof(tile, 1)])
  }

  /** The tree above the tiles. Those who catch up ask for one length again and again. */
  async #above(length: number): Promise<Tree> {
    if (this.#upper?.length === length) return this.#upper.tree
    const full = Math.floor(length / TILE)
    await this.#grow(full)
    const open = length % TILE === 0 ? [] : [rootOf(await this.#read(full * TILE, length))]
    const tree = new Tree(Buffer.concat([this.#roots.subarray(0, full * HASH_BYTES), ...open]))
    this.#upper = { length, tree }
    return tree
  }

  /** That a log of `from` entries is how one of `to` begins (consistency.ts). */
  consistency(from: number, to: number): Promise<Uint8Array> {
    return consistencyProof(from, to, (start, end) => this.#range(start, end))
  }

  /** The root of the first `length` entries. */
  root(length: number): Promise<Uint8Array> {
    return this.#range(0, length)
  }

  /** Of a subtree of the log: one larger than a tile begins at a tile. */
  async #range(start: number, end: number): Promise<Uint8Array> {
    if (end - start <= TILE) return rootOf(await this.#read(start, end))
    const full = Math.floor(end / TILE)
    await this.#grow(full)
    const roots = this.#roots.subarray((start / TILE) * HASH_BYTES, full * HASH_BYTES)
    return rootOf(end % TILE === 0 ? roots : Buffer.concat([roots, rootOf(await this.#read(full * TILE, end))]))
  }

  /** Once at a time: those who ask meanwhile find most of it done. */
  #grow(full: number): Promise<void> {
    this.#growing = this.#growing.catch(() => undefined).then(() => this.#growTo(full))
    return this.#growing
  }

  async #growTo(full: number): Promise<void> {
    for (let have = countOf(this.#roots); have < full; have = countOf(this.#roots)) {
      const end = Math.min(full, have + PAGE)
      const leaves = await this.#read(have * TILE, end * TILE)
      const roots = Array.from({ length: end - have }, (_, i) =>
        rootOf(leaves.subarray(i * TILE * HASH_BYTES, (i + 1) * TILE * HASH_BYTES)),
      )
      this.#roots = Buffer.concat([this.#roots, ...roots])
    }
  }
}
