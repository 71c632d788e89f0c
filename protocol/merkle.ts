/**
 * Merkle trees of RFC 9162 section 2.1.1 over SHA-256, for the change log and for the bytes of blobs. Lists of hashes are packed:
 * 32 bytes each, one after the other, in one Uint8Array. No leaves at all have the RFC's root, SHA-256 of nothing; an empty blob
 * therefore has no leaves and that root. A node without a sibling is its own parent, which is the RFC's tree seen level by level.
 */
import { createHash, hash } from 'node:crypto'
import { RegistryError } from './errors.js'

export const HASH_BYTES = 32
/** A blob is cut into leaves of this size; the last one is shorter. */
export const LEAF_BYTES = 64 * 1024

/** How many leaves a blob of `size` bytes has. */
export function leafCount(size: number): number {
  return Math.ceil(size / LEAF_BYTES)
}

/** SHA-256(0x00 || data). */
export function leafHash(data: Uint8Array): Uint8Array {
  return createHash('sha256').update(LEAF_PREFIX).update(data).digest()
}

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  NODE.set(left, 1)
  NODE.set(right, 1 + HASH_BYTES)
  return hash('sha256', NODE, 'buffer')
}

export function rootOf(leaves: Uint8Array): Uint8Array {
  return new Tree(leaves).root
}

/** Is `computed` the root that a record carries as lowercase hexadecimal. */
export function isRoot(computed: Uint8Array, root: string): boolean {
  return hexOf(computed) === root
}

/** The sibling hashes, lowest first, that lead from an aligned piece to the root. Many proofs over one blob: keep a Tree. */
export function inclusionProof(leaves: Uint8Array, start: number, count: number): Uint8Array {
  return new Tree(leaves).proof(start, count)
}

/**
 * The root that a piece and its proof lead to; the caller compares it. A piece is 2^k leaves beginning at a multiple of 2^k; the
 * last one of a tree may be shorter. Throws `invalid` for what is no piece, and for a proof of the wrong length.
 */
export function rootFromPiece(leaves: Uint8Array, start: number, total: number, proof: Uint8Array): Uint8Array {
  let level = pieceLevel(start, countOf(leaves), total)
  let index = start / 2 ** level
  let computed = rootOf(leaves)
  let used = 0
  for (let width = Math.ceil(total / 2 ** level); width > 1; width = Math.ceil(width / 2), level++) {
    const sibling = siblingOf(index)
    if (sibling < width) {
      const other = hashAt(proof, used++)
      if (other.length !== HASH_BYTES) throw new RegistryError('invalid', 'The proof of a piece is too short')
      computed = sibling > index ? nodeHash(computed, other) : nodeHash(other, computed)
    }
    index = Math.floor(index / 2)
  }
  if (proof.length !== used * HASH_BYTES) throw new RegistryError('invalid', 'The proof of a piece is too long')
  return computed
}

/** The level of a piece's own root: 0 is a leaf. Throws `invalid` when [start, start + count) is no piece of the tree. */
export function pieceLevel(start: number, count: number, total: number): number {
  const level = count > 1 ? Math.ceil(Math.log2(count)) : 0
  const end = start + count
  const inside = Number.isSafeInteger(start) && Number.isSafeInteger(count) && start >= 0 && count > 0 && end <= total
  if (!inside || start % 2 ** level !== 0 || (count !== 2 ** level && end !== total))
    throw new RegistryError('invalid', 'The asked leaves are not one piece of the blob')
  return level
}

/** A whole tree in memory, 64 bytes a leaf: proofs cost log n. */
export class Tree {
  readonly root: Uint8Array
  readonly leaves: Uint8Array
  readonly #levels: Uint8Array[]

  constructor(leaves: Uint8Array) {
    this.leaves = leaves
    this.#levels = [leaves]
    let level = leaves
    while (level.length > HASH_BYTES) {
      level = parentsOf(level)
      this.#levels.push(level)
    }
    this.root = countOf(leaves) === 0 ? createHash('sha256').digest() : level
  }

  get size(): number {
    return countOf(this.leaves)
  }

  /** See inclusionProof. */
  proof(start: number, count: number): Uint8Array {
    const level = pieceLevel(start, count, this.size)
    const siblings: Uint8Array[] = []
    let index = start / 2 ** level
    for (const hashes of this.#levels.slice(level)) {
      const sibling = hashAt(hashes, siblingOf(index))
      if (sibling.length > 0) siblings.push(sibling)
      index = Math.floor(index / 2)
    }
    return Buffer.concat(siblings)
  }
}

/**
 * A tree that only grows at the end: it keeps the roots of the full subtrees on its right edge, one per 1-bit of its size,
 * largest first. As JSON: {"size": 5, "edge": ["<64 hex>", "<64 hex>"]}.
 */
export class Frontier {
  #size = 0
  #edge: Uint8Array[] = []

  static fromJSON(value: unknown): Frontier {
    if (!isFrontierJson(value)) throw new RegistryError('corrupt', 'The stored edge of a Merkle tree is not one')
    const frontier = new Frontier()
    frontier.#size = value.size
    frontier.#edge = value.edge.map((text) => Buffer.from(text, 'hex'))
    return frontier
  }

  /** Leaves so far. */
  get size(): number {
    return this.#size
  }

  append(leaf: Uint8Array): void {
    if (leaf.length !== HASH_BYTES) throw new RegistryError('invalid', 'A leaf hash has 32 bytes')
    let node = leaf
    for (let full = this.#size; full % 2 === 1; full = Math.floor(full / 2)) {
      const left = this.#edge.pop()
      if (left) node = nodeHash(left, node)
    }
    // What the caller passed may be a view into a buffer that it uses again.
    this.#edge.push(node === leaf ? Uint8Array.from(leaf) : node)
    this.#size++
  }

  /** Is this how it begins: the edge of a tree of fewer leaves, smallest first. */
  begins(edge: readonly Uint8Array[]): boolean {
    return edge.every((hash, at) => Buffer.compare(hash, this.#edge[edge.length - 1 - at] ?? EMPTY) === 0)
  }

  root(): Uint8Array {
    return (
      this.#edge.reduceRight<Uint8Array | undefined>(
        (right, left) => (right ? nodeHash(left, right) : left),
        undefined,
      ) ?? rootOf(EMPTY)
    )
  }

  toJSON(): { size: number; edge: string[] } {
    return { size: this.#size, edge: this.#edge.map(hexOf) }
  }
}

const LEAF_PREFIX = Uint8Array.of(0)
/** The one input of nodeHash, used again: hashing is synchronous. */
const NODE = new Uint8Array(1 + 2 * HASH_BYTES).fill(1, 0, 1)
const EMPTY = new Uint8Array(0)

/** The hash at an index of a packed list; empty beyond its end. */
export function hashAt(hashes: Uint8Array, index: number): Uint8Array {
  return hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES)
}

/** How many hashes a packed list has. */
export function countOf(hashes: Uint8Array): number {
  if (hashes.length % HASH_BYTES !== 0)
    throw new RegistryError('invalid', 'A list of hashes has a multiple of 32 bytes')
  return hashes.length / HASH_BYTES
}

/** Not `index ^ 1`: a log may have more than 2^31 leaves. */
export function siblingOf(index: number): number {
  return index % 2 === 0 ? index + 1 : index - 1
}

function parentsOf(level: Uint8Array): Uint8Array {
  const width = countOf(level)
  const parents = new Uint8Array(Math.ceil(width / 2) * HASH_BYTES)
  for (let index = 0; index < width; index += 2) {
    const left = hashAt(level, index)
    parents.set(index + 1 < width ? nodeHash(left, hashAt(level, index + 1)) : left, (index / 2) * HASH_BYTES)
  }
  return parents
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

function isFrontierJson(value: unknown): value is { size: number; edge: string[] } {
  if (typeof value !== 'object' || value === null || !('size' in value) || !('edge' in value)) return false
  const { size, edge } = value
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0 || !Array.isArray(edge)) return false
  const subtrees = size.toString(2).replaceAll('0', '').length
  return edge.length === subtrees && edge.every((text) => typeof text === 'string' && /^[0-9a-f]{64}$/.test(text))
}
