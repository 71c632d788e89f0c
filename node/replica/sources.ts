/** Who can be asked for the log: peers that hold at least what this node may see, and the primary. */
import { RegistryError } from '../../protocol/errors.js'
import { encodeRangeAsk, MAX_RANGE, MAX_RANGE_ANSWER_BYTES, type RangeAsk } from '../../protocol/wire/range.js'
import type { Link } from '../link/link.js'
import type { Mesh } from '../mesh/mesh.js'
import type { LogPeer } from './follow.js'
import type { LogSource } from './range-fetch.js'
import type { Replica } from './replica.js'

type Asked = Pick<Mesh, 'peers' | 'request'>

const IDLE_MS = 5_000
const TAIL_LIMIT_BYTES = 64 * 1024 * 1024
const MAX_NOTE_BYTES = 65_536

export function logPeers(mesh: Asked, repositories: readonly string[]): (LogPeer & LogSource)[] {
  return mesh
    .peers()
    .filter((peer) => repositories.every((glob) => peer.repositories.includes(glob) || peer.repositories.includes('*')))
    .map(({ peer }) => ({
      name: peer,
      note: (signal) => mesh.request(peer, 'note', Buffer.of(), { signal, limit: MAX_NOTE_BYTES }),
      tail: (after, limit, signal) =>
        mesh.request(peer, 'log', Buffer.from(JSON.stringify({ after, limit })), { signal, limit: TAIL_LIMIT_BYTES }),
      range: (ask, signal) =>
        mesh.request(peer, 'range', encodeRangeAsk(ask), { signal, limit: MAX_RANGE_ANSWER_BYTES, idleMs: IDLE_MS }),
    }))
}

/** Best first. The primary is asked for the newest few, and for what no peer has: it need not work for all who were away. */
export function logSources(
  mesh: Asked,
  link: Pick<Link, 'request' | 'reachable'>,
  repositories: readonly string[],
  { target, head }: Pick<Replica, 'target' | 'head'>,
): LogSource[] {
  const peers = logPeers(mesh, repositories)
  const primary: LogSource = { name: 'primary', range: (ask, signal) => rangeOfPrimary(link, ask, signal) }
  if (!link.reachable) return peers
  const isNear = (target?.checkpoint.number ?? 0) - head.number <= MAX_RANGE
  return isNear ? [primary, ...peers] : [...peers, { ...primary, isReserve: true }]
}

async function* rangeOfPrimary(
  link: Pick<Link, 'request'>,
  ask: RangeAsk,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const headers = { 'content-type': 'application/json' }
  const body = encodeRangeAsk(ask).toString('utf8')
  const reply = await link.request('POST', '/fleet/v1/range', { headers, body, signal, idleMs: IDLE_MS })
  if (reply.status === 200) {
    yield* reply.body
    return
  }
  await reply.body.dump()
  throw new RegistryError(reply.status === 404 ? 'missing' : 'unavailable', `The primary answered ${reply.status}`)
}
