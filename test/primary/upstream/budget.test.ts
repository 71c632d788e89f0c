/** What one upstream host is asked of, with a clock and chance of the test's own. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BUDGET, Budget, type BudgetOptions } from '../../../primary/upstream/budget.js'
import { retryAfterMs } from '../../../primary/upstream/retry-after.js'

const LIMITS = {
  ...BUDGET,
  concurrency: 2,
  waiting: 1,
  patienceMs: 0,
  failures: 3,
  backoffMs: 1000,
  maxBackoffMs: 4000,
}

function world(more: Partial<BudgetOptions> = {}) {
  const clock = { ms: 0 }
  return { clock, budget: new Budget({ ...LIMITS, nowMs: () => clock.ms, random: () => 1, ...more }) }
}

describe('a host’s budget', () => {
  it('lets so many through at a time, the others in order, and refuses those beyond', async () => {
    const { budget } = world()
    const [first] = [await budget.enter('h'), await budget.enter('h')]
    let third: (() => void) | undefined
    const waiting = budget.enter('h').then((leave) => {
      third = leave
    })
    await assert.rejects(budget.enter('h'), { kind: 'unavailable', retryAfter: 1 })
    assert.equal(third, undefined)
    first()
    first()
    await waiting
    assert.ok(third)
  })

  it('forgets one who waits no longer', async () => {
    const { budget } = world()
    const [first] = [await budget.enter('h'), await budget.enter('h')]
    const leaving = new AbortController()
    const waiting = budget.enter('h', leaving.signal)
    leaving.abort(new Error('gone'))
    await assert.rejects(waiting, /gone/)
    first()
    await budget.enter('h')
  })

  it('honours Retry-After, and says when to come back', async () => {
    const { budget, clock } = world()
    budget.throttled(30_000)
    await assert.rejects(budget.enter('h'), { kind: 'unavailable', retryAfter: 30, code: 'upstream_paused' })
    clock.ms = 30_000
    await budget.enter('h')
  })

  it('opens its circuit after failures in a row, lets one probe through, and closes it when that succeeds', async () => {
    const { budget, clock } = world()
    for (let i = 0; i < 3; i++) budget.failed()
    await assert.rejects(budget.enter('h'), { kind: 'unavailable' })
    clock.ms = 1000
    const probe = await budget.enter('h')
    await assert.rejects(budget.enter('h'), { kind: 'unavailable' })
    budget.failed()
    probe()
    clock.ms = 2999
    await assert.rejects(budget.enter('h'), { kind: 'unavailable', retryAfter: 1 })
    clock.ms = 3000
    const again = await budget.enter('h')
    budget.succeeded()
    again()
    await budget.enter('h')
    await budget.enter('h')
  })

  it('lets a second’s worth through at once and then so many in a second; who would wait too long is told when to come back', async () => {
    const { budget, clock } = world({ concurrency: 100, perSecond: 5, paceMs: 0 })
    const come = async () => void (await budget.enter('h'))
    for (let i = 0; i < 5; i++) await come()
    await assert.rejects(come(), { kind: 'unavailable', retryAfter: 1, code: 'upstream_paused' })
    clock.ms = 199
    await assert.rejects(come())
    clock.ms = 200
    await come()
    await assert.rejects(come())
    clock.ms = 60_000
    for (let i = 0; i < 5; i++) await come()
    await assert.rejects(come())
  })

  it('makes those wait whom the rate delays by less than that', async () => {
    const { budget } = world({ concurrency: 100, perSecond: 50, paceMs: 1000 })
    const order: number[] = []
    await Promise.all(Array.from({ length: 53 }, (_, i) => budget.enter('h').then(() => void order.push(i))))
    assert.deepEqual(
      order,
      Array.from({ length: 53 }, (_, i) => i),
    )
  })

  it('never pauses for longer than its longest back-off', async () => {
    const { budget, clock } = world()
    for (let i = 0; i < 50; i++) budget.failed()
    clock.ms = 4000
    await budget.enter('h')
  })
})

describe('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  for (const [header, ms] of [
    [undefined, undefined],
    ['7', 7000],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Thu, 01 Jan 2015 00:01:00 GMT', 0],
    ['soon', undefined],
    ['-1', undefined],
  ] as const)
    it(`of ${header} is ${ms}`, () => {
      const found = retryAfterMs(header, now)
      if (header === '-1') assert.ok(found === undefined || found === 0)
      else assert.equal(found, ms)
    })
})
