/** A piece of a blob as peers exchange it: an aligned run of leaves (merkle.ts) that can be verified alone. */
import { RegistryError } from '../errors.js'
import { isRoot, LEAF_BYTES, leafCount, rootFromPiece } from '../merkle.js'
import type { Stored } from '../records.js'
import { leavesOf } from './trees.js'

export interface Piece {
  bytes: Uint8Array
  /** Sibling hashes on the way to the root, lowest first, 32 bytes each. */
  proof: Uint8Array
}

/** The leaf hashes of a piece that belongs to the blob at that place; undefined when it does not. */
export function verifyPiece(stored: Stored, firstLeaf: number, { bytes, proof }: Piece): Uint8Array | undefined {
  const total = leafCount(stored.size)
  const length = Math.min(leafCount(bytes.length) * LEAF_BYTES, stored.size - firstLeaf * LEAF_BYTES)
  if (bytes.length !== length) return undefined
  const leaves = leavesOf(bytes)
  try {
    return isRoot(rootFromPiece(leaves, firstLeaf, total, proof), stored.root) ? leaves : undefined
  } catch (error) {
    if (error instanceof RegistryError && error.kind === 'invalid') return undefined
    throw error
  }
}
