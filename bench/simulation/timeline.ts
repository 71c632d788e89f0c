/** Simulated time: events in order, equal times in the order of asking. What an event resolved has run before the next one. */
import type { Clock } from '../../node/mesh/clock.js'

interface Event {
  atMs: number
  order: number
  call: (() => void) | undefined
  /** It may wake product code, which then runs before time goes on. */
  wakes: boolean
}

const START_MS = 1_000_000

export class Timeline implements Clock {
  readonly #heap: Event[] = []
  #nowMs = START_MS
  #order = 0

  readonly now = (): number => this.#nowMs

  /** Since the start. */
  get elapsedMs(): number {
    return this.#nowMs - START_MS
  }

  readonly after = (delayMs: number, call: () => void): (() => void) => {
    const event = this.#push(this.#nowMs + Math.max(0, delayMs), call, true)
    return () => {
      event.call = undefined
    }
  }

  /** For the simulation's own events. `wakes`: product code may have something to do afterwards. */
  at(atMs: number, call: () => void, wakes: boolean): void {
    this.#push(atMs, call, wakes)
  }

  /** Until it is so, or there are no events, or it is too late. */
  async run(until: () => boolean, limitMs = Number.POSITIVE_INFINITY): Promise<void> {
    const endMs = this.#nowMs + limitMs
    await settled()
    for (let event = this.#pop(endMs); event && !until(); event = this.#pop(endMs)) {
      const { call, wakes, atMs } = event
      if (!call) continue
      this.#nowMs = atMs
      call()
      if (wakes) await settled()
    }
  }

  #push(atMs: number, call: () => void, wakes: boolean): Event {
    const event = { atMs, order: this.#order++, call, wakes }
    const heap = this.#heap
    let at = heap.length
    while (at > 0) {
      const up = (at - 1) >> 1
      const parent = heap[up] as Event
      if (before(parent, event)) break
      heap[at] = parent
      at = up
    }
    heap[at] = event
    return event
  }

  #pop(endMs: number): Event | undefined {
    const heap = this.#heap
    const [first] = heap
    if (!first || first.atMs > endMs) return undefined
    const last = heap.pop() as Event
    if (heap.length > 0) this.#sink(last)
    return first
  }

  #sink(event: Event): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      const [left, right] = [heap[child], heap[child + 1]]
      if (!left) break
      if (right && before(right, left)) child++
      const least = heap[child] as Event
      if (before(event, least)) break
      heap[at] = least
      at = child
    }
    heap[at] = event
  }
}

function before(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

/** All promises that can go on have gone on. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
