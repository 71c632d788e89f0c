/**
 * The fleet's members as the primary knows them: who may join, who did, how they are. A member's record is replicated, since
 * peers judge each other by it; join secrets, health and sync policies stay in Postgres. A secret works for one key only.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type pg from 'pg'
import { joinTokenText } from '../protocol/access/join-token.js'
import { RegistryError } from '../protocol/errors.js'
import { matchesAny } from '../protocol/glob.js'
import type { Ledger } from '../protocol/ledger.js'
import type { Metadata } from '../protocol/ports.js'
import { FLEET, type NodeRecord, type Position } from '../protocol/records.js'
import type { LastUses } from './accounts/token-use.js'
import { Turn } from './accounts/turn.js'
import type { Downloads } from './downloads.js'
import type { Heartbeat, Members, PeerAddress, SyncPolicy } from './fleet/fleet.js'
import { ephemeral } from './fleet/membership.js'

export interface NodesOptions {
  pool: pg.Pool
  ledger: Ledger
  metadata: Metadata
  downloads: Downloads
  lastUses?: Pick<LastUses, 'hear'>
  /** What a join token names and pins; both keys base64url. */
  primary: { url: string; logKey: string; tlsPin: string }
  /** Told once of each. */
  onAlarm?: (node: NodeRecord, sentence: string) => void
  nowMs?: () => number
}

export interface NodeDraft {
  /** '' lets the node bring its own. */
  name: string
  /** Globs over repository keys. */
  repositories: string[]
  /** A join key for many nodes that leave no trace, instead of a token for one. */
  ephemeral?: JoinKeyDraft | undefined
}

export interface JoinKeyDraft {
  /** How many nodes may join with it; undefined: as many as come. */
  uses?: number | undefined
  days: number
}

/** `key`: a join key for ephemeral nodes. */
export type NodeState = 'pending' | 'online' | 'offline' | 'revoked' | 'key'

export interface NodeView {
  id: string
  name: string
  state: NodeState
  repositories: string[]
  policies: SyncPolicy[]
  createdAt: string
  /** ISO 8601; undefined: never heard of. */
  heardAt: string | undefined
  heartbeat: Heartbeat | undefined
  /** Changes that the node had not applied when it was last heard of. */
  lag: number | undefined
  syncRequestedAt: string | undefined
  /** Why the log that this primary signs cannot be believed, as the node last said. */
  alarm: string | undefined
  /** Of a join key: how often it was used, and may be. */
  ephemeral: { used: number; uses: number | undefined; expiresAt: string } | undefined
}

const ONLINE_MS = 45_000
/** Longer than a short absence: an address that no longer answers costs a peer one attempt. */
const PEER_MS = 10 * 60_000
const DAY_MS = 24 * 3_600_000
const JOIN_MS = DAY_MS
const SECRET_BYTES = 32

const nobody = { peer: '', publicKey: '', revoked: false }

/** A heartbeat as it is kept, with where the log was then. */
type Kept = Heartbeat & { log?: Position }

interface JoinRow {
  id: string
  name: string
  repositories: string[]
  ephemeral: boolean
}

interface Row extends JoinRow {
  used: number
  uses: number | null
  expires_at: Date
  created_at: Date
  revoked: boolean
  at: Date | null
  status: string | null
  policies: string | null
  sync_requested_at: Date | null
}

export class Nodes implements Members {
  readonly #options: NodesOptions
  readonly #nowMs: () => number
  readonly #turn = new Turn()
  /** Sentences by node, of those whose last heartbeat brought one. */
  readonly #alarms = new Map<string, string>()

  constructor(options: NodesOptions) {
    this.#options = options
    this.#nowMs = options.nowMs ?? Date.now
  }

  /** The join token is shown once and is good for a day, or for as long as its draft says. */
  async create(
    { name, repositories, ephemeral: key }: NodeDraft,
    by: string,
  ): Promise<{ id: string; joinToken: string; expiresAt: string }> {
    const id = randomUUID()
    const secret = randomBytes(SECRET_BYTES).toString('base64url')
    const now = this.#nowMs()
    const createdAt = new Date(now).toISOString()
    const expiresAt = new Date(now + (key ? key.days * DAY_MS : JOIN_MS)).toISOString()
    await this.#options.pool.query(
      `insert into node_join (id, secret_hash, name, repositories, created_at, expires_at, ephemeral, uses)
       values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [id, sha256(secret), name, repositories, createdAt, expiresAt, key !== undefined, key?.uses ?? null],
    )
    // What its nodes may is decided by this one record, and ends with it.
    if (key) await this.#commit({ ...nobody, id, name: name || id, repositories, ephemeral: true, createdAt }, by)
    return { id, joinToken: joinTokenText({ ...this.#options.primary, secret, node: id }), expiresAt }
  }

  /**
   * Makes a member of whoever has the secret. The same key may ask again, since an answer can get lost; any other is refused.
   * Throws `unauthenticated`.
   */
  redeem(secret: string, node: { name: string; peer: string; publicKey: string }): Promise<NodeRecord> {
    return this.#turn.run(async () => {
      const { rows } = await this.#options.pool.query<JoinRow>(
        `update node_join set used_at = coalesce(used_at, $2), public_key = $3, used = used + 1
         where secret_hash = $1 and not revoked and case
           when ephemeral then expires_at > $2 and (uses is null or used < uses)
           else (used_at is null and expires_at > $2) or public_key = $3 end
         returning id, name, repositories, ephemeral`,
        [sha256(secret), this.#now(), node.publicKey],
      )
      const join = rows[0]
      if (!join)
        throw new RegistryError(
          'unauthenticated',
          'The join token is unknown, was used, or has expired; make a new one',
          { code: 'join_refused' },
        )
      const before = this.#options.metadata.access('node', join.id)
      if (before?.revoked)
        throw new RegistryError('unauthenticated', 'This node was removed from the fleet', { code: 'node_revoked' })
      if (before && join.ephemeral) return ephemeral(before, node)
      if (before && before.publicKey === node.publicKey && before.peer === node.peer) return before
      const record: NodeRecord = {
        id: join.id,
        name: join.name || node.name,
        peer: node.peer,
        publicKey: node.publicKey,
        repositories: join.repositories,
        revoked: false,
        createdAt: this.#now(),
      }
      await this.#commit(record, `node:${join.id}`)
      return record
    })
  }

  async heartbeat(node: NodeRecord, status: Heartbeat, { remote }: { remote: string }): Promise<void> {
    const { downloads, tokenUses, ...kept } = status
    this.#options.lastUses?.hear(tokenUses, this.#nowMs())
    this.#watch(node, alarmOf(status, this.#options.metadata.head))
    if (!node.ephemeral) await this.#keep(node.id, kept, remote)
    for (const { scope, path, count } of downloads) {
      const repository = this.#options.metadata.scope(scope)
      // A node speaks only of what it may hold.
      if (repository && matchesAny(node.repositories, repository.key)) this.#options.downloads.count(scope, path, count)
    }
  }

  /** How many nodes raise an alarm. */
  get alarms(): number {
    return this.#alarms.size
  }

  #watch(node: NodeRecord, sentence: string | undefined): void {
    if (sentence === undefined) this.#alarms.delete(node.id)
    else if (!this.#alarms.has(node.id)) this.#options.onAlarm?.(node, sentence)
    if (sentence !== undefined) this.#alarms.set(node.id, sentence)
  }

  async #keep(id: string, kept: Omit<Heartbeat, 'downloads' | 'tokenUses'>, remote: string): Promise<void> {
    await this.#options.pool.query({
      name: 'node_heartbeat',
      text: `insert into node_status (id, at, remote, status) values ($1, $2, $3, $4)
             on conflict (id) do update set at = excluded.at, remote = excluded.remote, status = excluded.status`,
      values: [id, this.#now(), remote, JSON.stringify({ ...kept, downloads: [], log: this.#options.metadata.head })],
    })
  }

  async peers(except: string): Promise<PeerAddress[]> {
    const { rows } = await this.#options.pool.query<{ id: string; status: string }>(
      'select id, status from node_status where id <> $1 and at > $2',
      [except, new Date(this.#nowMs() - PEER_MS).toISOString()],
    )
    return rows.flatMap(({ id, status }) => {
      const node = this.#options.metadata.access('node', id)
      return node && !node.revoked
        ? [{ node: id, peer: node.peer, addresses: (JSON.parse(status) as Heartbeat).addresses }]
        : []
    })
  }

  async policies(id: string): Promise<SyncPolicy[]> {
    return (await this.#policyRow(id)).policies
  }

  /** When an administrator last asked the node to fetch what its policies say, at once. ISO 8601. */
  async syncRequestedAt(id: string): Promise<string | undefined> {
    return (await this.#policyRow(id)).syncRequestedAt
  }

  /** Throws `missing` for a node that never joined, `conflict` for a revoked one. Returns when it was asked. */
  async requestSync(id: string): Promise<string> {
    const record = this.#options.metadata.access('node', id)
    if (!record) throw noNode(id)
    if (record.revoked) throw new RegistryError('conflict', 'The node was removed from the fleet')
    const at = this.#now()
    await this.#options.pool.query(
      `insert into node_policy (id, sync_requested_at) values ($1, $2) on conflict (id) do update set sync_requested_at = excluded.sync_requested_at`,
      [id, at],
    )
    return at
  }

  /** Throws `missing`. */
  async update(
    id: string,
    changes: { name?: string | undefined; repositories?: string[] | undefined; policies?: SyncPolicy[] | undefined },
    by: string,
  ): Promise<NodeView> {
    await this.#turn.run(async () => {
      const { name, repositories, policies } = changes
      const { rowCount } = await this.#options.pool.query(
        'update node_join set name = coalesce($2, name), repositories = coalesce($3, repositories) where id = $1 and not revoked',
        [id, name ?? null, repositories ?? null],
      )
      if (rowCount === 0) throw noNode(id)
      if (policies)
        await this.#options.pool.query(
          'insert into node_policy (id, policies) values ($1, $2) on conflict (id) do update set policies = excluded.policies',
          [id, JSON.stringify(policies)],
        )
      const record = this.#options.metadata.access('node', id)
      if (record && (name !== undefined || repositories !== undefined))
        await this.#commit(
          { ...record, name: name ?? record.name, repositories: repositories ?? record.repositories },
          by,
        )
    })
    return this.get(id)
  }

  /** Ends the member's rights and its join token. Doing it again changes nothing. Throws `missing`. */
  revoke(id: string, by: string): Promise<void> {
    return this.#turn.run(async () => {
      const { rowCount } = await this.#options.pool.query('update node_join set revoked = true where id = $1', [id])
      if (rowCount === 0) throw noNode(id)
      const record = this.#options.metadata.access('node', id)
      if (record && !record.revoked) await this.#commit({ ...record, revoked: true }, by)
    })
  }

  /** In order of their making. */
  async list(): Promise<NodeView[]> {
    return (await this.#rows(undefined)).map((row) => this.#view(row))
  }

  /** Throws `missing`. */
  async get(id: string): Promise<NodeView> {
    const [row] = await this.#rows(id)
    if (!row) throw noNode(id)
    return this.#view(row)
  }

  async #rows(id: string | undefined): Promise<Row[]> {
    const { rows } = await this.#options.pool.query<Row>(
      `select j.id, j.name, j.repositories, j.created_at, j.expires_at, j.revoked, j.ephemeral, j.used, j.uses, s.at, s.status, p.policies, p.sync_requested_at
       from node_join j left join node_status s on s.id = j.id left join node_policy p on p.id = j.id
       where $1::text is null or j.id = $1 order by j.created_at, j.id`,
      [id ?? null],
    )
    return rows
  }

  #view(row: Row): NodeView {
    const record = this.#options.metadata.access('node', row.id)
    const heartbeat = row.status === null ? undefined : (JSON.parse(row.status) as Kept)
    const online = row.at !== null && this.#nowMs() - row.at.getTime() < ONLINE_MS
    // What was written since the last heartbeat, a node that is there has by now.
    const head = (online && heartbeat?.log) || this.#options.metadata.head
    return {
      id: row.id,
      name: record?.name ?? row.name,
      state: row.revoked
        ? 'revoked'
        : row.ephemeral
          ? 'key'
          : record === undefined
            ? 'pending'
            : online
              ? 'online'
              : 'offline',
      repositories: record?.repositories ?? row.repositories,
      policies: JSON.parse(row.policies ?? '[]') as SyncPolicy[],
      createdAt: row.created_at.toISOString(),
      heardAt: row.at?.toISOString(),
      heartbeat,
      lag: heartbeat && behind(heartbeat.position, head),
      syncRequestedAt: row.sync_requested_at?.toISOString(),
      alarm: this.#alarms.get(row.id),
      ephemeral: row.ephemeral
        ? { used: row.used, uses: row.uses ?? undefined, expiresAt: row.expires_at.toISOString() }
        : undefined,
    }
  }

  async #policyRow(id: string): Promise<{ policies: SyncPolicy[]; syncRequestedAt: string | undefined }> {
    const { rows } = await this.#options.pool.query<{ policies: string; sync_requested_at: Date | null }>(
      'select policies, sync_requested_at from node_policy where id = $1',
      [id],
    )
    const row = rows[0]
    return {
      policies: JSON.parse(row?.policies ?? '[]') as SyncPolicy[],
      syncRequestedAt: row?.sync_requested_at?.toISOString(),
    }
  }

  async #commit(record: NodeRecord, by: string): Promise<void> {
    await this.#options.ledger.commit({
      scope: FLEET,
      steps: [{ kind: 'access', subject: 'node', id: record.id, record }],
      by,
    })
  }

  #now(): string {
    return new Date(this.#nowMs()).toISOString()
  }
}

function noNode(id: string): RegistryError {
  return new RegistryError('missing', `There is no node ${id}`)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function alarmOf({ contradiction, position }: Heartbeat, head: Position): string | undefined {
  if (contradiction) return contradiction.sentence
  return position.epoch === head.epoch && position.number > head.number
    ? `A log of ${position.number} changes was signed, and this primary has ${head.number}: it was restored from a backup; stop it and run cairn rescue --restored`
    : undefined
}

/** Changes that are missing at a position. */
function behind(position: Position, head: Position): number {
  return Math.max(0, position.epoch === head.epoch ? head.number - position.number : head.number)
}
