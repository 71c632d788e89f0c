/**
 * The part of a blob's tree that is known while its pieces arrive. A piece is taken only when it leads to the root; what its
 * proof told is remembered, so that the piece can be passed on with a proof before the blob is complete.
 */
import {
  countOf,
  HASH_BYTES,
  hashAt,
  isRoot,
  nodeHash,
  pieceLevel,
  rootFromPiece,
  rootOf,
  siblingOf,
} from '../merkle.js'

export class PartialTree {
  readonly #total: number
  readonly #root: string
  /** Level by level, leaves first; a hash of zeros only is one that is not known. */
  readonly #levels: Uint8Array[] = []

  constructor(totalLeaves: number, root: string) {
    this.#total = totalLeaves
    this.#root = root
    for (let width = totalLeaves; width > 0; width = width === 1 ? 0 : Math.ceil(width / 2))
      this.#levels.push(new Uint8Array(width * HASH_BYTES))
  }

  get leaves(): Uint8Array {
    return this.#levels[0] ?? new Uint8Array(0)
  }

  /** False, and nothing is remembered, when the piece does not belong to the blob. Throws `invalid` for what is no piece. */
  add(start: number, leaves: Uint8Array, proof: Uint8Array): boolean {
    if (!isRoot(rootFromPiece(leaves, start, this.#total, proof), this.#root)) return false
    const level = pieceLevel(start, countOf(leaves), this.#total)
    this.leaves.set(leaves, start * HASH_BYTES)
    this.#set(level, start / 2 ** level, rootOf(leaves))
    this.#learn(level, start / 2 ** level, proof)
    return true
  }

  /** Without a proof: false when they contradict what is known; what cannot be told yet is taken. */
  accept(start: number, leaves: Uint8Array): boolean {
    const level = pieceLevel(start, countOf(leaves), this.#total)
    const known = this.#node(level, start / 2 ** level)
    if (known && Buffer.compare(known, rootOf(leaves)) !== 0) return false
    this.leaves.set(leaves, start * HASH_BYTES)
    return true
  }

  /** Sibling hashes of a piece, lowest first; undefined while some of them are not known. */
  proof(start: number, count: number): Uint8Array | undefined {
    const level = pieceLevel(start, count, this.#total)
    const siblings: Uint8Array[] = []
    let index = start / 2 ** level
    for (let at = level; at < this.#levels.length; at++) {
      const sibling = siblingOf(index)
      if (sibling < this.#width(at)) {
        const hash = this.#node(at, sibling)
        if (!hash) return undefined
        siblings.push(hash)
      }
      index = Math.floor(index / 2)
    }
    return Buffer.concat(siblings)
  }

  /** Remembers the siblings that a right proof names, and the parents on the way. */
  #learn(level: number, index: number, proof: Uint8Array): void {
    for (let at = level, used = 0; at < this.#levels.length; at++) {
      const sibling = siblingOf(index)
      if (sibling < this.#width(at)) this.#set(at, sibling, hashAt(proof, used++))
      index = Math.floor(index / 2)
    }
  }

  /** A hash that was told, or that follows from those below it. */
  #node(level: number, index: number): Uint8Array | undefined {
    const hashes = this.#levels[level]
    if (!hashes) return undefined
    const told = hashAt(hashes, index)
    if (told.some((byte) => byte !== 0)) return told
    if (level === 0) return undefined
    const left = this.#node(level - 1, 2 * index)
    const alone = 2 * index + 1 >= this.#width(level - 1)
    const right = alone || !left ? undefined : this.#node(level - 1, 2 * index + 1)
    const node = alone ? left : left && right && nodeHash(left, right)
    if (node) this.#set(level, index, node)
    return node
  }

  #set(level: number, index: number, hash: Uint8Array): void {
    this.#levels[level]?.set(hash, index * HASH_BYTES)
  }

  #width(level: number): number {
    return countOf(this.#levels[level] ?? new Uint8Array(0))
  }
}
