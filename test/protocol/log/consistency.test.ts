import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { consistencyProof, isConsistent } from '../../../protocol/log/consistency.js'
import { LogTree } from '../../../protocol/log/tree.js'
import { rootOf } from '../../../protocol/merkle.js'

const all = Buffer.concat(Array.from({ length: 1100 }, (_, i) => createHash('sha256').update(String(i)).digest()))
const at = (number: number) => ({ number, root: rootOf(all.subarray(0, number * 32)) })
const tree = new LogTree(async (start, end) => all.subarray(start * 32, end * 32))

describe('consistency proofs of a log', () => {
  it('are those of RFC 9162 for its own example of seven entries', async () => {
    const range = async (start: number, end: number) => rootOf(all.subarray(start * 32, end * 32))
    const [c, d, g, h, k, l] = await Promise.all([
      range(2, 3),
      range(3, 4),
      range(0, 2),
      range(0, 4),
      range(4, 6),
      range(4, 7),
    ])
    const proof = (from: number) => consistencyProof(from, 7, range)
    assert.deepEqual(await proof(3), Buffer.concat([c, d, g, l]))
    assert.deepEqual(await proof(4), Buffer.from(l))
    assert.deepEqual(await proof(6), Buffer.concat([k, await range(6, 7), h]))
  })

  it('hold between any two lengths, and between no log and another one', async () => {
    const lengths = [1, 2, 3, 6, 7, 8, 255, 256, 257, 511, 512, 513, 700, 1024, 1100]
    for (const from of lengths)
      for (const to of lengths.filter((length) => length >= from)) {
        const proof = await tree.consistency(from, to)
        assert.equal(isConsistent(at(from), at(to), proof), true, `${from} of ${to}`)
        const other = { number: from, root: Buffer.alloc(32, 7) }
        assert.equal(isConsistent(other, at(to), proof), false)
        assert.equal(isConsistent(at(from), { number: to, root: Buffer.alloc(32, 7) }, proof), false)
        if (from === to) continue
        assert.equal(isConsistent(at(from), at(to), proof.subarray(32)), false)
        assert.equal(isConsistent(at(from), at(to), Buffer.concat([proof, Buffer.alloc(32)])), false)
      }
    await assert.rejects(tree.consistency(8, 7), { kind: 'invalid' })
    await assert.rejects(tree.consistency(0, 7), { kind: 'invalid' })
  })

  it('the root of any length is that of the whole tree', async () => {
    for (const length of [1, 256, 300, 768, 1100]) assert.deepEqual(await tree.root(length), at(length).root)
  })
})
