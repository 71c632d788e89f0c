/** Those who are asked for parts of a log, without a network: honest ones over a replica, and ones that are not. */
import type { LogSource } from '../../node/replica/range-fetch.js'
import type { Replica } from '../../node/replica/replica.js'
import type { LogItem } from '../../protocol/log/entry.js'
import { Ranges } from '../../protocol/log/ranges.js'
import { decodeRange, encodeRange, type RangeAnswer, type RangeAsk } from '../../protocol/wire/range.js'

export interface Counted extends LogSource {
  asks: RangeAsk[]
  bytes: number
}

export function honest(name: string, replica: Replica, visible: (item: LogItem) => LogItem = (item) => item): Counted {
  const ranges = new Ranges(replica.ranges)
  return counted(name, async function* (ask) {
    yield await ranges.answer(ask, visible)
  })
}

/** What an honest one would say, changed. */
export function lying(name: string, replica: Replica, change: (answer: RangeAnswer) => RangeAnswer): Counted {
  const ranges = new Ranges(replica.ranges)
  return counted(name, async function* (ask) {
    yield await encodeRange(change(await decodeRange(await ranges.answer(ask, (item) => item))))
  })
}

export function counted(
  name: string,
  answer: (ask: RangeAsk, signal: AbortSignal) => AsyncIterable<Uint8Array>,
): Counted {
  const source: Counted = {
    name,
    asks: [],
    bytes: 0,
    async *range(ask, signal) {
      source.asks.push(ask)
      for await (const chunk of answer(ask, signal)) {
        source.bytes += chunk.length
        yield chunk
      }
    },
  }
  return source
}
