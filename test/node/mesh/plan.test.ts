import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Ask, Plan, PRIMARY } from '../../../node/mesh/plan.js'

const room = () => true

function newPlan(pieces = 100, options: { depth?: number; window?: number } = {}): Plan {
  const plan = new Plan({ pieces, self: 'self', depth: 4, random: seeded(7), ...options })
  plan.want({ next: 0, end: pieces })
  return plan
}

/** A generator that gives the same numbers in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function give(plan: Plan, source: string, pieces: Iterable<number>): void {
  plan.join(source)
  plan.meet(source)
  for (const piece of pieces) plan.has(source, piece)
}

function settle(plan: Plan, { source, first, count }: Ask, nowMs: number): void {
  for (let piece = first; piece < first + count; piece++) {
    plan.arrived(source, piece, nowMs)
    plan.ended(source, piece)
  }
  if (source === PRIMARY) plan.runEnded()
}

test('nothing is asked that nobody waits for', () => {
  const plan = new Plan({ pieces: 10, self: 'self', depth: 4, random: seeded(1) })
  give(plan, 'a', [0, 1, 2])
  plan.direct = true
  assert.deepEqual(plan.next(0, room), [])
})

test('urgent pieces come first, then the rarest of the window', () => {
  const plan = newPlan(100, { depth: 5, window: 10 })
  give(plan, 'a', Array(99).keys())
  give(plan, 'b', [2, 3, 4, 5, 6])
  plan.leave('b')
  give(plan, 'c', [2, 3, 4, 5, 6])
  const ofA = (asks: Ask[]) => asks.filter(({ source }) => source === 'a')
  const first = ofA(plan.next(0, room))
  assert.deepEqual(new Set(first.map((ask) => ask.first)), new Set([0, 1]))
  for (const ask of first) settle(plan, ask, 1)
  for (const { first: piece } of ofA(plan.next(1, room)))
    assert.ok(piece < 4 || (piece >= 7 && piece < 12), `piece ${piece} is neither urgent nor the rarest`)
})

test('a peer is never asked for more than its depth, and never for what it does not have', () => {
  const plan = newPlan()
  give(plan, 'a', [5, 6, 7, 8, 9, 10, 11])
  // Nobody knows yet how fast it is.
  const first = plan.next(0, room)
  assert.equal(first.length, 2)
  assert.deepEqual(plan.next(1, room), [])
  for (const ask of first) settle(plan, ask, 1)
  const asks = plan.next(1, room)
  assert.equal(asks.length, 4)
  for (const ask of [...first, ...asks]) assert.ok(ask.first >= 5 && ask.first <= 11)
  assert.deepEqual(plan.next(2, room), [])
})

test('the home is asked for the urgent pieces that nobody has, and for no others', () => {
  const plan = newPlan()
  plan.join('home', true)
  assert.deepEqual(
    plan
      .next(0, room)
      .map(({ source, first }) => [source, first])
      .sort(),
    [
      ['home', 0],
      ['home', 1],
    ],
  )
})

test('of what only the home has each piece is asked for by one of those that want it, and in time by all', () => {
  const names = ['a', 'b', 'c', 'd']
  const plans = names.map((self) => {
    const plan = new Plan({ pieces: 60, self, depth: 60, random: seeded(1) })
    plan.want({ next: 0, end: 60 })
    plan.join('home', true)
    for (const name of names) if (name !== self) plan.meet(name)
    for (let piece = 0; piece < 60; piece++) plan.has('home', piece)
    return plan
  })
  const asked: number[] = []
  // Each answer says that the home is fast.
  for (let nowMs = 0; nowMs < 1000; nowMs++) {
    for (const plan of plans) {
      for (const ask of plan.next(nowMs, room)) {
        asked.push(ask.first)
        settle(plan, ask, nowMs)
      }
    }
  }
  assert.deepEqual(
    asked.sort((a, b) => a - b),
    [...Array(60).keys()],
  )
  const [plan] = plans
  assert.ok(plan?.waiting && plan.next(1600, room).length > 0)
})

test('a piece that another has who wants the rest is taken from there, not from the home', () => {
  const plan = newPlan(10)
  plan.join('home', true)
  for (let piece = 0; piece < 10; piece++) plan.has('home', piece)
  give(plan, 'a', [0, 1, 2])
  const asked = plan.next(0, room).filter(({ first }) => first < 3)
  assert.deepEqual(new Set(asked.map(({ source }) => source)), new Set(['a']))
})

test('the primary is asked by the home only, in runs, and for nothing that a peer has', () => {
  const plan = newPlan()
  assert.deepEqual(plan.next(0, room), [])
  plan.direct = true
  give(plan, 'a', [3])
  const asks = plan.next(0, room)
  assert.deepEqual(asks.find(({ source }) => source === 'a')?.first, 3)
  const run = asks.find(({ source }) => source === PRIMARY)
  assert.deepEqual(run && [run.first, run.count], [0, 3])
})

test('without room nothing more is asked', () => {
  const plan = newPlan()
  give(plan, 'a', [0, 1, 2, 3])
  let left = 2
  assert.equal(plan.next(0, () => left-- > 0).length, 2)
})

test('a piece whose source is silent is asked of another peer, later of the primary, and then given up', () => {
  const plan = newPlan(1)
  give(plan, 'slow', [0])
  plan.backup = true
  assert.equal(plan.next(0, room).length, 1)
  give(plan, 'other', [0])
  assert.deepEqual(plan.next(1000, room), [])
  assert.deepEqual(plan.next(1600, room), [{ source: 'other', first: 0, count: 1 }])
  assert.deepEqual(plan.next(2900, room), [])
  assert.deepEqual(plan.overdue(2900), [])
  assert.deepEqual(
    plan.overdue(3100).map(({ source }) => source),
    ['slow'],
  )
  assert.deepEqual(plan.next(4700, room), [{ source: PRIMARY, first: 0, count: 1 }])
})

test('a source that makes progress is not late, however long its piece takes', () => {
  const plan = newPlan(1)
  give(plan, 'a', [0])
  give(plan, 'b', [0])
  const [ask] = plan.next(0, room)
  for (let nowMs = 0; nowMs < 10_000; nowMs += 1000) plan.progress(ask?.source ?? '', nowMs)
  assert.deepEqual(plan.next(10_000, room), [])
  assert.deepEqual(plan.overdue(10_000), [])
})

test('what was asked of a peer that left is asked again at once', () => {
  const plan = newPlan(2)
  give(plan, 'a', [0, 1])
  assert.equal(plan.next(0, room).length, 2)
  plan.leave('a')
  give(plan, 'b', [0, 1])
  assert.deepEqual(new Set(plan.next(1, room).map(({ source }) => source)), new Set(['b']))
})

test('a source that fails three times in a row has used up its chances', () => {
  const plan = newPlan()
  give(plan, 'a', [0, 1, 2, 3])
  assert.deepEqual(
    [0, 1, 2].map((piece) => plan.failed('a', piece)),
    [false, false, true],
  )
})

test('thirty-two simulated nodes take one copy from the primary, and no node serves everybody', () => {
  const [pieces, nodes, capacity] = [96, 32, 4]
  const name = (at: number) => (at === 0 ? 'home' : `node-${at}`)
  const plans = Array.from({ length: nodes }, (_, at) => {
    const plan = new Plan({ pieces, self: name(at), depth: 4, random: seeded(at) })
    plan.want({ next: 0, end: pieces })
    return plan
  })
  for (const [at, plan] of plans.entries()) {
    for (let other = 0; other < nodes; other++)
      if (other !== at) {
        if (other === 0 || (other + at) % 3 === 0) plan.join(name(other), other === 0)
        if (other !== 0) plan.meet(name(other))
      }
  }
  const [home] = plans
  if (home) home.direct = true
  const served = new Map<string, number>()
  let fromPrimary = 0
  let queue: { to: number; ask: Ask }[] = []
  let round = 0
  for (; plans.some((plan) => plan.hungry); round++) {
    assert.ok(round < 1000, 'it does not end')
    const nowMs = round * 10
    for (const [to, plan] of plans.entries()) for (const ask of plan.next(nowMs, room)) queue.push({ to, ask })
    const load = new Map<string, number>()
    const waiting: typeof queue = []
    for (const { to, ask } of queue) {
      const holder = ask.source === PRIMARY ? undefined : plans[ask.source === 'home' ? 0 : Number(ask.source.slice(5))]
      const busy = load.get(ask.source) ?? 0
      const ready = holder === undefined || holder.have.has(ask.first)
      if (!ready || busy >= (ask.source === PRIMARY ? 1 : capacity)) {
        plans[to]?.progress(ask.source, nowMs)
        waiting.push({ to, ask })
        continue
      }
      load.set(ask.source, busy + 1)
      if (ask.source === PRIMARY) fromPrimary += ask.count
      else served.set(ask.source, (served.get(ask.source) ?? 0) + 1)
      const plan = plans[to]
      if (plan) settle(plan, ask, nowMs)
      for (let piece = ask.first; piece < ask.first + ask.count; piece++)
        for (const other of plans) other.has(name(to), piece)
    }
    queue = waiting
  }
  assert.equal(fromPrimary, pieces)
  assert.ok((served.get('home') ?? 0) <= 4 * pieces, `the home served ${served.get('home')} of ${pieces * (nodes - 1)}`)
})
