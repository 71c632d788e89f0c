import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { RegistryError } from '../../protocol/errors.js'
import {
  Frontier,
  HASH_BYTES,
  hashAt,
  inclusionProof,
  leafCount,
  leafHash,
  nodeHash,
  rootFromPiece,
  rootOf,
  Tree,
} from '../../protocol/merkle.js'

/** The eight leaves of the certificate transparency test vectors, and the root after each of them. */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

test('the roots of the known test vectors come out, at once and step by step', () => {
  const frontier = new Frontier()
  const hashes = LEAVES.map((leaf) => leafHash(Buffer.from(leaf, 'hex')))
  for (const [index, leaf] of hashes.entries()) {
    frontier.append(leaf)
    assert.equal(hex(frontier.root()), ROOTS[index])
    assert.equal(hex(rootOf(Buffer.concat(hashes.slice(0, index + 1)))), ROOTS[index])
    assert.equal(frontier.size, index + 1)
  }
})

test('a tree without leaves has the hash of nothing as its root', () => {
  const nothing = createHash('sha256').digest('hex')
  assert.equal(hex(rootOf(new Uint8Array(0))), nothing)
  assert.equal(hex(new Frontier().root()), nothing)
  assert.equal(leafCount(0), 0)
})

test('every size up to 70 agrees with the recursive definition of the RFC', () => {
  const frontier = new Frontier()
  for (let size = 1; size <= 70; size++) {
    frontier.append(leaf(size - 1))
    const expected = hex(recursiveRoot(packed(size)))
    assert.equal(hex(frontier.root()), expected)
    assert.equal(hex(rootOf(packed(size))), expected)
  }
})

test('a frontier goes on after it was stored, and the stored one is left as it was', () => {
  for (let size = 0; size <= 40; size++) {
    const frontier = new Frontier()
    for (let index = 0; index < size; index++) frontier.append(leaf(index))
    const stored = JSON.stringify(frontier)
    const again = Frontier.fromJSON(JSON.parse(stored))
    again.append(leaf(size))
    assert.equal(hex(again.root()), hex(rootOf(packed(size + 1))))
    assert.equal(JSON.stringify(frontier), stored)
  }
})

test('a frontier keeps its own copy of what it was given', () => {
  const frontier = new Frontier()
  const buffer = Uint8Array.from(leaf(0))
  frontier.append(buffer)
  buffer.fill(0)
  assert.equal(hex(frontier.root()), hex(leaf(0)))
})

test('what is no stored frontier is refused', () => {
  const edge = [hex(leaf(0))]
  for (const value of [
    null,
    7,
    {},
    { size: -1, edge: [] },
    { size: 2, edge: [] },
    { size: 3, edge },
    { size: 1, edge: ['x'] },
    { size: 1.5, edge },
  ])
    assert.throws(() => Frontier.fromJSON(value), { kind: 'corrupt' })
})

test('every piece of every tree up to 33 leaves leads to its root, and to no other', () => {
  for (let total = 1; total <= 33; total++) {
    const root = hex(rootOf(packed(total)))
    for (const [start, count] of pieces(total)) {
      const leaves = packed(total).subarray(start * HASH_BYTES, (start + count) * HASH_BYTES)
      const proof = inclusionProof(packed(total), start, count)
      assert.equal(hex(rootFromPiece(leaves, start, total, proof)), root, `${start}+${count} of ${total}`)
      const flipped = Uint8Array.from(leaves)
      flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1
      assert.notEqual(hex(rootFromPiece(flipped, start, total, proof)), root)
      for (let at = 0; at < proof.length; at += HASH_BYTES) {
        const wrong = Uint8Array.from(proof)
        wrong[at] = (wrong[at] ?? 0) ^ 0x80
        assert.notEqual(hex(rootFromPiece(leaves, start, total, wrong)), root)
      }
      assert.throws(() => rootFromPiece(leaves, start, total, Buffer.concat([proof, leaf(0)])), { kind: 'invalid' })
      if (proof.length > 0)
        assert.throws(() => rootFromPiece(leaves, start, total, proof.subarray(HASH_BYTES)), { kind: 'invalid' })
    }
  }
})

test('a piece does not verify at another place', () => {
  const total = 16
  const root = hex(rootOf(packed(total)))
  const proof = inclusionProof(packed(total), 4, 4)
  const leaves = packed(total).subarray(4 * HASH_BYTES, 8 * HASH_BYTES)
  for (const start of [0, 8, 12]) assert.notEqual(hex(rootFromPiece(leaves, start, total, proof)), root)
})

test('leaves that are not one aligned piece have no proof', () => {
  const tree = new Tree(packed(11))
  for (const [start, count] of [
    [0, 0],
    [1, 2],
    [0, 3],
    [2, 4],
    [8, 4],
    [-1, 1],
    [11, 1],
    [0.5, 1],
    [0, 12],
    [4, 3],
  ] as const)
    assert.throws(
      () => tree.proof(start, count),
      (error) => error instanceof RegistryError && error.kind === 'invalid',
      `${start}+${count}`,
    )
  assert.equal(tree.proof(8, 3).length, HASH_BYTES)
  assert.equal(tree.proof(0, 11).length, 0)
})

function* pieces(total: number): Generator<[start: number, count: number]> {
  for (let width = 1; width < 2 * total; width *= 2)
    for (let start = 0; start < total; start += width) yield [start, Math.min(width, total - start)]
}

function leaf(index: number): Uint8Array {
  return leafHash(Buffer.from(`leaf ${index}`))
}

function packed(size: number): Uint8Array {
  return Buffer.concat(Array.from({ length: size }, (_, index) => leaf(index)))
}

/** RFC 9162 section 2.1.1, as it is written there. */
function recursiveRoot(leaves: Uint8Array): Uint8Array {
  const size = leaves.length / HASH_BYTES
  if (size === 1) return hashAt(leaves, 0)
  let split = 1
  while (split * 2 < size) split *= 2
  return nodeHash(
    recursiveRoot(leaves.subarray(0, split * HASH_BYTES)),
    recursiveRoot(leaves.subarray(split * HASH_BYTES)),
  )
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
