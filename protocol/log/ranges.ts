/** Answers those who ask for a part of the log (wire/range.ts), from a log that is held: the primary's, or a node's copy. */
import { RegistryError } from '../errors.js'
import { encodeRange, MAX_RANGE_BYTES, type RangeAsk } from '../wire/range.js'
import { decodeChange, type LogItem, leafOf } from './entry.js'
import type { LogTree } from './tree.js'

export interface RangeLog {
  /** How many entries are held. */
  length(): number
  /** Entries [start, end), counted from 0, in order. May end early: what is missing cannot be told. */
  items(start: number, end: number): AsyncIterable<LogItem>
  /** Another one once a part of the log was taken back. */
  readonly tree: Pick<LogTree, 'pieceProof'>
  /** The last checkpoint of (start, end]. */
  note(start: number, end: number): Promise<string | undefined>
}

export class Ranges {
  readonly #log: RangeLog

  constructor(log: RangeLog) {
    this.#log = log
  }

  /** `visible`: an entry as the asker may see it. Throws `missing` for more than is held, `unavailable` where something is damaged. */
  async answer(ask: RangeAsk, visible: (item: LogItem) => LogItem): Promise<Buffer> {
    if (ask.length > this.#log.length()) throw new RegistryError('missing', 'The log is not so far here')
    const { items, end } = await this.#wanted(ask, visible)
    const count = end - ask.start
    const proof = await this.#log.tree.pieceProof(ask.start, count, ask.length)
    return encodeRange({ count, proof, items, note: await this.#log.note(ask.start, end) })
  }

  /** As many as one answer holds, and the end of the piece that they are all of what is wanted of. */
  async #wanted(
    { start, count, wanted = [[start, start + count]] }: RangeAsk,
    visible: (item: LogItem) => LogItem,
  ): Promise<{ items: LogItem[]; end: number }> {
    const items: LogItem[] = []
    let bytes = 0
    for (const [from, to] of wanted) {
      let next = from
      for await (const item of this.#log.items(from, to)) {
        if (item.number !== next + 1) break
        const shown = visible(item)
        bytes += 'leaf' in shown ? shown.leaf.length : shown.body.length
        if (bytes > MAX_RANGE_BYTES && next > start) return cut(items, start, next)
        items.push(shown)
        next++
      }
      if (next < to)
        throw new RegistryError('unavailable', `Entry ${next + 1} of the log is damaged here; ask another node`)
    }
    return { items, end: start + count }
  }
}

/** An entry as those may see it who see these scopes. */
export function shownTo(item: LogItem, sees: (scope: string) => boolean): LogItem {
  return 'leaf' in item || sees(decodeChange(item.body).scope) ? item : { number: item.number, leaf: leafOf(item) }
}

/** The largest piece that ends where nothing was left out yet. */
function cut(items: LogItem[], start: number, reached: number): { items: LogItem[]; end: number } {
  const end = start + 2 ** Math.floor(Math.log2(reached - start))
  return { items: items.filter(({ number }) => number <= end), end }
}
