/** What the page shows, gathered over ports: only what this viewer may see is in it, so the page cannot show more. */
import type { Gate } from '../protocol/access/gate.js'
import { snippetOf } from '../protocol/api/reads.js'
import type { Format } from '../protocol/format.js'
import type { Metadata, Principal } from '../protocol/ports.js'
import type { RepositoryType } from '../protocol/records.js'

export interface View {
  version: string
  fleet: string
  origin: string
  /** Changes in the log. */
  changes: number
  uptimeMs: number
  anonymous: boolean
  /** undefined: not for this viewer. */
  nodes: NodeCard[] | undefined
  repositories: RepositoryCard[]
  /** How many more there are than shown. */
  moreRepositories: number
}

export interface NodeCard {
  name: string
  state: 'pending' | 'online' | 'offline' | 'revoked'
  url: string | undefined
  version: string | undefined
  lag: number | undefined
  /** Milliseconds. */
  heardAgo: number | undefined
  cache: { used: number; limit: number } | undefined
}

export interface RepositoryCard {
  key: string
  format: string
  type: RepositoryType
  public: boolean
  description: string
  url: string
  snippet: string
  usedBytes: number | undefined
  quotaBytes: number | undefined
}

export interface ViewSource {
  metadata: Metadata
  gate: Gate
  formats: readonly Format[]
  /** Revoked ones are left out of the page. */
  nodes: () => Promise<NodeCard[]>
  usage: (scope: string) => Promise<number>
  version: string
  fleet: string
  startedAtMs: number
  nowMs: () => number
  /** May anonymous see the nodes. */
  open: boolean
}

const SHOWN = 50

export async function gather(source: ViewSource, principal: Principal, origin: string): Promise<View> {
  const { metadata, gate, nowMs } = source
  const seen = metadata.repositories().filter((record) => gate.sees(principal, record))
  const anonymous = principal.user === undefined
  return {
    version: source.version,
    fleet: source.fleet,
    origin,
    changes: metadata.head.number,
    uptimeMs: nowMs() - source.startedAtMs,
    anonymous,
    nodes: anonymous && !source.open ? undefined : (await source.nodes()).filter((node) => node.state !== 'revoked'),
    repositories: await Promise.all(
      seen.slice(0, SHOWN).map(async (record) => ({
        ...snippetOf(record, source.formats, origin),
        type: record.type,
        public: record.public,
        description: record.description,
        usedBytes: record.type === 'virtual' ? undefined : await source.usage(record.scope),
        quotaBytes: record.quota,
      })),
    ),
    moreRepositories: Math.max(0, seen.length - SHOWN),
  }
}
