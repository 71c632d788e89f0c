/**
 * Brings the replica to the newest checkpoint that it heard of: the pieces of the log that it lacks, some at a time, from all who
 * have them, applied in order as they arrive. A new node begins at the beginning; one that was interrupted goes on where it was.
 */
import type { KnownLog } from '../../protocol/log/range.js'
import { MAX_RANGE } from '../../protocol/wire/range.js'
import type { Fetched, RangeFetch } from './range-fetch.js'
import type { Replica } from './replica.js'

/** Pieces that are fetched while one is applied. */
const AHEAD = 6

/** True when it is there. Throws what `RangeFetch.fetch` and `Replica.extend` throw. */
export async function catchUp(
  replica: Pick<Replica, 'target' | 'head' | 'extend'>,
  ranges: Pick<RangeFetch, 'fetch'>,
  signal: AbortSignal,
): Promise<boolean> {
  const { target } = replica
  // Those of earlier versions are remembered without their note.
  if (!target || target.note === '') return false
  const { number: length, root } = target.checkpoint
  signal.throwIfAborted()
  const stop = new AbortController()
  const end = () => stop.abort(signal.reason)
  signal.addEventListener('abort', end)
  const pieces = new Pieces({ length, root }, replica.head.number, (log, start, end) =>
    ranges.fetch(log, start, end, stop.signal),
  )
  try {
    for (let piece = pieces.next(); piece && replica.head.number < length; piece = pieces.next())
      for (const { range, note } of await piece) await replica.extend(range, target.note, note)
  } finally {
    signal.removeEventListener('abort', end)
    stop.abort()
    await pieces.settled()
  }
  return replica.head.number >= length
}

class Pieces {
  readonly #log: KnownLog
  readonly #fetch: (log: KnownLog, start: number, end: number) => Promise<Fetched[]>
  readonly #underWay: Promise<Fetched[]>[] = []
  #start: number

  constructor(log: KnownLog, head: number, fetch: (log: KnownLog, start: number, end: number) => Promise<Fetched[]>) {
    this.#log = log
    this.#start = Math.floor(head / MAX_RANGE) * MAX_RANGE
    this.#fetch = fetch
  }

  next(): Promise<Fetched[]> | undefined {
    while (this.#underWay.length < AHEAD && this.#start < this.#log.length) {
      const end = Math.min(this.#start + MAX_RANGE, this.#log.length)
      const piece = this.#fetch(this.#log, this.#start, end)
      // It is looked at when its turn comes.
      piece.catch(() => undefined)
      this.#underWay.push(piece)
      this.#start = end
    }
    return this.#underWay.shift()
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay)
  }
}
