/** Whole fleets of the product's own code on a simulated clock and network (bench/simulation). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Outcome, type Scenario, simulate } from '../../../bench/simulation/scenario.js'

const MIB = 1_048_576
const FLEET: Scenario = { nodes: 64, seed: 1, blobBytes: 2 * MIB }

function last({ seconds, boundS }: Outcome): number {
  return (seconds.at(-1) ?? Number.POSITIVE_INFINITY) / boundS
}

test('sixty-four simulated nodes that want a blob at once all get it, from about one copy, and again in the same way', async () => {
  const outcome = await simulate(FLEET)
  assert.equal(outcome.unserved, 0)
  assert.equal(outcome.seconds.length, FLEET.nodes)
  assert.ok(outcome.copies <= 1.1, `${outcome.copies} copies left the primary`)
  assert.ok(outcome.waste < 0.02, `${outcome.waste} of the size was received in vain`)
  assert.equal((await simulate(FLEET)).trace, outcome.trace)
})

test('the time does not grow with the fleet: sixteen nodes take hardly longer than four', async () => {
  const [few, many] = await Promise.all([4, 16].map((nodes) => simulate({ ...FLEET, nodes, blobBytes: 16 * MIB })))
  assert.ok(few && last(few) < 1.5, `4 nodes took ${few && last(few)} times the bound`)
  assert.ok(many && last(many) < 2, `16 nodes took ${many && last(many)} times the bound`)
})

test('one node in twenty that lies and one that is slow cost little, and no wrong byte is seen', async () => {
  const outcome = await simulate({ ...FLEET, slow: 0.05, hostile: 0.05 })
  assert.equal(outcome.unserved, 0)
  assert.equal(outcome.errors, 0)
  assert.ok(outcome.copies <= 1.1, `${outcome.copies} copies left the primary`)
})

test('another seed is another run, and the same one is the same', async () => {
  const [one, two, again] = await Promise.all([1, 2, 1].map((seed) => simulate({ ...FLEET, nodes: 8, seed })))
  assert.notEqual(one?.trace, two?.trace)
  assert.deepEqual(one, again)
})

test('half of a fleet that was cut off in the middle gets the rest when it is back', async () => {
  const outcome = await simulate({ ...FLEET, nodes: 24, partition: { afterMs: 200, forMs: 120_000 } })
  assert.equal(outcome.unserved, 0)
  const before = outcome.finished.filter((seconds) => seconds < 60).length
  assert.ok(before >= 12, `only ${before} were served while the others were away`)
})
