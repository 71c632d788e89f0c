/**
 * Consistency proofs of RFC 9162 section 2.1.4: that a log of `from` entries is how a log of `to` entries begins. Packed hashes, in
 * the order of the RFC.
 */
import { RegistryError } from '../errors.js'
import { countOf, hashAt, nodeHash } from '../merkle.js'

/** The root of entries [start, end), counted from 0. */
export type RangeRoot = (start: number, end: number) => Promise<Uint8Array>

/** Section 2.1.4.1. Empty for equal lengths. Throws `invalid` unless 1 ≤ from ≤ to. */
export async function consistencyProof(from: number, to: number, root: RangeRoot): Promise<Uint8Array> {
  if (!(Number.isSafeInteger(from) && Number.isSafeInteger(to) && from >= 1 && from <= to))
    throw new RegistryError('invalid', 'A log is consistent with a longer one only')
  const hashes: Uint8Array[] = []
  let [start, end, old, known] = [0, to, from, true]
  while (old !== end - start) {
    const half = below(end - start)
    if (old <= half) {
      hashes.push(await root(start + half, end))
      end = start + half
    } else {
      hashes.push(await root(start, start + half))
      start += half
      old -= half
      known = false
    }
  }
  if (!known) hashes.push(await root(start, end))
  return Buffer.concat(hashes.reverse())
}

/** Section 2.1.4.2. */
export function isConsistent(
  from: { number: number; root: Uint8Array },
  to: { number: number; root: Uint8Array },
  proof: Uint8Array,
): boolean {
  if (from.number < 1 || from.number > to.number || proof.length % 32 !== 0) return false
  if (from.number === to.number) return proof.length === 0 && same(from.root, to.root)
  // The first hash is left out of a proof when it is the old root itself.
  const path = isPowerOfTwo(from.number) ? Buffer.concat([from.root, proof]) : proof
  if (path.length === 0) return false
  let [old, last] = [from.number - 1, to.number - 1]
  while (old % 2 === 1) [old, last] = [Math.floor(old / 2), Math.floor(last / 2)]
  let oldRoot = hashAt(path, 0)
  let newRoot = oldRoot
  for (let i = 1; i < countOf(path); i++) {
    const hash = hashAt(path, i)
    if (last === 0) return false
    if (old % 2 === 1 || old === last) {
      oldRoot = nodeHash(hash, oldRoot)
      newRoot = nodeHash(hash, newRoot)
      while (old % 2 === 0 && old !== 0) [old, last] = [Math.floor(old / 2), Math.floor(last / 2)]
    } else newRoot = nodeHash(newRoot, hash)
    ;[old, last] = [Math.floor(old / 2), Math.floor(last / 2)]
  }
  return last === 0 && same(oldRoot, from.root) && same(newRoot, to.root)
}

/** The largest power of two below a number above 1. */
function below(size: number): number {
  let half = 1
  while (half * 2 < size) half *= 2
  return half
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value))
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0
}
