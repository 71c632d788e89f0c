/** What peers are told of the log: its newest checkpoint, proved parts of it, and, for older versions, tails. */
import { RegistryError } from '../../protocol/errors.js'
import type { LogItem } from '../../protocol/log/entry.js'
import { Ranges, shownTo } from '../../protocol/log/ranges.js'
import { encodeFrame } from '../../protocol/wire/feed.js'
import { decodeRangeAsk } from '../../protocol/wire/range.js'
import type { Member, Mesh } from '../mesh/mesh.js'
import type { Replica } from './replica.js'

const MAX_TAIL = 5000

/** `sees`: may this peer see a scope's changes. It throws where that cannot be said, since what is left out is missing there. */
export function tellLog(
  mesh: Pick<Mesh, 'handle'>,
  replica: Replica,
  sees: (from: Member, scope: string) => boolean,
): void {
  const ranges = new Ranges(replica.ranges)
  const visible = (from: Member) => (item: LogItem) => shownTo(item, (scope) => sees(from, scope))
  mesh.handle('log', (from, payload) => tail(replica, visible(from), payload))
  mesh.handle('range', async function* (from, payload) {
    yield await ranges.answer(decodeRangeAsk(payload), visible(from))
  })
  mesh.handle('note', async function* () {
    const { target } = replica
    if (!target || target.note === '') return
    yield* beginnings(replica)
    yield encodeFrame({ type: 'checkpoint', note: target.note })
  })
}

/** The missing tail of the log, as far as the peer may see it. */
async function* tail(
  replica: Replica,
  visible: (item: LogItem) => LogItem,
  payload: Buffer,
): AsyncGenerator<Uint8Array, void, undefined> {
  const asked: unknown = JSON.parse(payload.toString('utf8'))
  const { after, limit } = (typeof asked === 'object' && asked !== null ? asked : {}) as {
    after?: unknown
    limit?: unknown
  }
  if (typeof after !== 'number' || typeof limit !== 'number' || !Number.isSafeInteger(after) || after < 0)
    throw new RegistryError('invalid', 'That is no request for a tail of the log')
  const found = await replica.tail(after, Math.min(Math.max(1, limit), MAX_TAIL))
  if (!found) throw new RegistryError('missing', 'There is nothing newer here')
  yield* beginnings(replica)
  for (const item of found.items) yield encodeFrame({ type: 'item', item: visible(item) })
  yield encodeFrame({ type: 'checkpoint', note: found.note })
}

/** Of epochs, which go before what was signed in them. */
function* beginnings(replica: Replica): Generator<Uint8Array, void, undefined> {
  for (const note of replica.beginnings) yield encodeFrame({ type: 'beginning', note })
}
