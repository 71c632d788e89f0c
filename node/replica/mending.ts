/**
 * Looks through the log that is held here, at a bounded rate, for entries that the disk damaged or lost, and fetches just these: a
 * piece of the log in which some are missing is asked of others without those that are there, and proved as a whole. Rows are kept
 * apart and mend themselves (level-rows.ts); without this a peer that asks for such an entry would be the first to notice.
 */
import { setTimeout } from 'node:timers/promises'
import type { LogItem } from '../../protocol/log/entry.js'
import type { KnownLog } from '../../protocol/log/range.js'
import { Periodic } from '../../protocol/periodic.js'
import { MAX_RANGE } from '../../protocol/wire/range.js'
import type { RangeFetch } from './range-fetch.js'
import type { Replica } from './replica.js'

export interface MendOptions {
  replica: Pick<Replica, 'head' | 'root' | 'entries' | 'mend'>
  ranges: Pick<RangeFetch, 'fetch'>
  bytesPerSecond: number
}

/** How many entries were put back. Throws what `RangeFetch.fetch` throws. */
export async function mendLog({ replica, ranges, bytesPerSecond }: MendOptions, signal: AbortSignal): Promise<number> {
  const { epoch, number: length } = replica.head
  const log: KnownLog = { length, root: replica.root }
  const begunMs = performance.now()
  let [mended, read] = [0, 0]
  for (let start = 0; start < length; start += MAX_RANGE) {
    signal.throwIfAborted()
    const end = Math.min(start + MAX_RANGE, length)
    const held = await replica.entries(start, end)
    const lost = held.filter((item) => item === undefined).length
    for (const { range } of lost > 0 ? await ranges.fetch(log, start, end, signal) : [])
      await replica.mend(range, epoch)
    mended += lost
    read += held.reduce((sum, item) => sum + sizeOf(item), 0)
    const aheadMs = (read / bytesPerSecond) * 1000 - (performance.now() - begunMs)
    await setTimeout(Math.max(0, aheadMs), undefined, { signal })
  }
  return mended
}

function sizeOf(item: LogItem | undefined): number {
  if (!item) return 0
  return 'leaf' in item ? item.leaf.length : item.body.length
}

const EVERY_MS = 86_400_000
const FIRST_MS = 30_000

/** Soon after the start, and once a day, until it is closed. */
export class Mender {
  readonly #options: MendOptions
  readonly #stop = new AbortController()
  readonly #periodic: Periodic
  /** Entries since the start. */
  mended = 0

  constructor(options: MendOptions & { onError: (error: unknown) => void }) {
    this.#options = options
    this.#periodic = new Periodic(() => this.#run(), EVERY_MS, options.onError)
  }

  start(): void {
    this.#periodic.start(FIRST_MS)
  }

  close(): Promise<void> {
    this.#stop.abort()
    return this.#periodic.close()
  }

  async #run(): Promise<void> {
    try {
      this.mended += await mendLog(this.#options, this.#stop.signal)
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error
    }
  }
}
