import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Knowledge } from '../../node/replica/knowledge.js'
import type { Checkpoint } from '../../protocol/log/checkpoint.js'

const START = Date.parse('2026-01-01T00:00:00Z')
const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

describe('how old knowledge is', () => {
  let dir: string
  let now: { wallMs: number; steadyMs: number }
  let knowledge: Knowledge
  const open = async (highest?: Checkpoint) => {
    const clock = { wallMs: () => now.wallMs, steadyMs: () => now.steadyMs }
    knowledge = await Knowledge.open({ dir, fleet: 'testfleet', highest, clock, onAlarm: assert.fail })
  }
  /** Off for so long by the wall clock, which was set by `setMs` meanwhile. */
  const restart = async (offMs: number, setMs = 0) => {
    await knowledge.close()
    now = { wallMs: now.wallMs + offMs + setMs, steadyMs: 7 }
    await open()
  }
  const pass = (ms: number) => {
    now.wallMs += ms
    now.steadyMs += ms
  }
  const signed = (ms: number, number = 5): Checkpoint => {
    return { fleet: 'testfleet', epoch: 1, number, root: new Uint8Array(32), time: new Date(START + ms).toISOString() }
  }
  const age = (number = 5) => knowledge.ageMs({ epoch: 1, number })

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cairn-knowledge-'))
    now = { wallMs: START + 3 * DAY, steadyMs: 1000 }
    await open()
    knowledge.hear(signed(0), true)
  })
  afterEach(() => rm(dir, { recursive: true }))

  it('is nothing when the primary says so, whatever the wall clock says', () => {
    assert.equal(age(), 0)
    assert.equal(knowledge.nowMs, START)
    assert.equal(knowledge.asOf, '2026-01-01T00:00:00.000Z')
  })

  it('grows while the wall clock goes back', () => {
    pass(MINUTE)
    now.wallMs -= DAY
    pass(MINUTE)
    assert.equal(age(), 2 * MINUTE)
    assert.equal(knowledge.nowMs, START + 2 * MINUTE)
  })

  it('grows with the wall clock while the steady one stands, and is right at once with the next news', () => {
    now.wallMs += DAY
    assert.equal(age(), DAY)
    knowledge.hear(signed(15_000), true)
    assert.equal(age(), 0)
    pass(10_000)
    assert.equal(age(), 10_000)
  })

  it('is no less for hearing the same word again', () => {
    pass(MINUTE)
    knowledge.hear(signed(0), true)
    assert.equal(age(), MINUTE)
  })

  it('is what remains when others pass on what is old', () => {
    pass(10 * MINUTE)
    knowledge.hear(signed(4 * MINUTE), false)
    assert.equal(age(), 6 * MINUTE)
    knowledge.hear(signed(3 * MINUTE), false)
    assert.equal(age(), 6 * MINUTE)
    assert.equal(knowledge.nowMs, START + 10 * MINUTE)
  })

  it('is nothing when the primary confirms what others brought first', () => {
    pass(MINUTE)
    knowledge.hear(signed(30_000), false)
    assert.equal(age(), 30_000)
    knowledge.hear(signed(30_000), true)
    assert.equal(age(), 0)
  })

  it('follows a primary whose clock was set back', () => {
    pass(MINUTE)
    knowledge.hear(signed(-DAY, 6), true)
    assert.equal(age(6), 0)
    assert.equal(knowledge.nowMs, START - DAY)
  })

  it('counts the time that the node was off', async () => {
    pass(MINUTE)
    await restart(10 * MINUTE)
    pass(MINUTE)
    assert.equal(age(), 12 * MINUTE)
  })

  it('is unknown after a start with the wall clock behind, until there are news', async () => {
    await restart(10 * MINUTE, -DAY)
    assert.ok(age() > 3650 * DAY)
    assert.ok(knowledge.nowMs > START + 3650 * DAY)
    knowledge.hear(signed(MINUTE), false)
    assert.ok(age() > 3640 * DAY)
    knowledge.hear(signed(MINUTE), true)
    assert.equal(age(), 0)
  })

  it('is not shortened by a wall clock that was set right a little', async () => {
    pass(5 * MINUTE)
    await restart(0, -30_000)
    assert.equal(age(), 5 * MINUTE)
  })

  it('after a start is nothing as soon as the primary says that there is nothing newer', async () => {
    await restart(DAY)
    knowledge.hear(signed(0), true)
    assert.equal(age(), 0)
  })

  it('is unknown while less is applied than was known', () => {
    assert.ok(age(4) > 3650 * DAY)
    assert.equal(knowledge.ageMs({ epoch: 2, number: 1 }), 0)
  })

  it('is unknown when its file is lost or damaged', async () => {
    await knowledge.close()
    await writeFile(join(dir, 'knowledge'), 'nonsense')
    await open(signed(0))
    assert.ok(age() > 3640 * DAY)
    assert.equal(knowledge.asOf, '2026-01-01T00:00:00.000Z')
  })

  it('is unknown to a node that has heard nothing, whose time is the wall clock’s', async () => {
    const other = await mkdtemp(join(tmpdir(), 'cairn-knowledge-'))
    const clock = { wallMs: () => START, steadyMs: () => 0 }
    const none = await Knowledge.open({ dir: other, fleet: 'f', highest: undefined, clock, onAlarm: assert.fail })
    assert.ok(none.ageMs({ epoch: 1, number: 0 }) > 3650 * DAY)
    assert.equal(none.nowMs, START)
    await none.close()
    await rm(other, { recursive: true })
  })
})
