import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { Asking } from '../../primary/fleet/asking.js'
import { leavesOf } from '../../protocol/blobs/trees.js'
import { LEAF_BYTES, Tree } from '../../protocol/merkle.js'
import type { Digest, Stored } from '../../protocol/records.js'
import type { Wanted } from '../../protocol/wire/wanted.js'

const bytes = randomBytes(3 * LEAF_BYTES + 10)
const tree = new Tree(leavesOf(bytes))
const stored: Stored = {
  digest: createHash('sha256').update(bytes).digest('hex') as Digest,
  size: bytes.length,
  root: Buffer.from(tree.root).toString('hex'),
  hashes: {},
}
const second = { bytes: bytes.subarray(LEAF_BYTES, 2 * LEAF_BYTES), proof: tree.proof(1, 1) }
/** A deadline that keeps the process alive, which `AbortSignal.timeout` does not. */
function ask(asking: Asking, ms = 5_000): Promise<Uint8Array | undefined> {
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort(), ms)
  return asking.ask(stored, 'scope', LEAF_BYTES, 2 * LEAF_BYTES, stop.signal).finally(() => clearTimeout(timer))
}

describe('what the primary lost', () => {
  it('is asked of nodes that may have it, and believed from whoever proves it', async () => {
    const asking = new Asking()
    const told: Wanted[] = []
    asking.listen(() => false)
    asking.listen((wanted) => told.push(wanted) > 0)
    const asked = ask(asking)
    assert.deepEqual(told, [{ scope: 'scope', digest: stored.digest, first: 1, count: 1 }])
    const spoiled = { ...second, bytes: Buffer.from(second.bytes).fill(0, 0, 1) }
    for (const [first, piece] of [
      [1, spoiled] as const,
      [2, second] as const,
      [1, { ...second, proof: second.proof.subarray(32) }] as const,
    ])
      assert.equal(asking.answer({ digest: stored.digest, first }, piece), false)
    assert.equal(asking.answer({ digest: stored.digest, first: 1 }, second), true)
    assert.deepEqual(Buffer.from((await asked) ?? []), second.bytes)
    assert.equal(asking.answer({ digest: stored.digest, first: 1 }, second), false)
  })

  it('goes to all who asked for it in the meantime', async () => {
    const asking = new Asking()
    asking.listen(() => true)
    const both = [ask(asking), ask(asking)]
    asking.answer({ digest: stored.digest, first: 1 }, second)
    for (const asked of both) assert.equal((await asked)?.length, LEAF_BYTES)
  })

  it('is not waited for where no node listens, nor again so soon when none had it', async () => {
    const asking = new Asking()
    assert.equal(await ask(asking), undefined)
    const other = new Asking()
    let told = 0
    other.listen(() => ++told > 0)
    assert.equal(await ask(other, 20), undefined)
    assert.equal(await ask(other), undefined)
    assert.equal(told, 1)
  })

  it('is asked of more nodes when the first ones say nothing', async () => {
    const asking = new Asking()
    let told = 0
    for (let i = 0; i < 10; i++) asking.listen(() => ++told > 0)
    const asked = ask(asking)
    assert.equal(told, 3)
    while (told < 10) await new Promise((resolve) => setTimeout(resolve, 20))
    asking.answer({ digest: stored.digest, first: 1 }, second)
    assert.ok(await asked)
  })
})
