/**
 * What nodes ask of the primary, on its TLS port below /fleet/v1/. Everything but joining needs a member's signature, and what a
 * node gets is limited to the repositories of its record. Whatever else arrives on that port is a request that a node forwards.
 *
 *     POST join          {secret, name, peer, publicKey}   -> {node, certificate, fleet, logKey}
 *     POST renew                                           -> {certificate}
 *     POST heartbeat     {position, addresses, cache, …}   -> {peers, certificate?, policies}
 *     GET  feed                                            -> frames without end
 *     GET  log?after&limit                                 -> frames: entries, then a checkpoint that covers them
 *     POST range                                           wire/range.ts
 *     GET  blobs/{digest}?scope                            -> bytes, with ranges
 *     GET  leaves/{digest}?scope                           -> 32 bytes for each 64 KiB
 *     GET  listing?scope&package&reference                 -> {known, stale, age, epoch, number}: recorded as of that position
 *     GET  arriving?scope&path                             -> bytes on their way from an upstream; 204: recorded, with Age and
 *                                                             Warning when it may be old; 404: there is none
 *     PUT, POST leases/…                                      returning.ts
 *     PUT  pieces/{digest}?scope, a piece with its proof   -> 204; 404: it is not wanted, or wrong
 *     PUT  holdings/{id}?site, digests                     -> 204; 404: nobody waits for it
 *     POST authenticate  {authorization}                   -> {user}
 */

import type pg from 'pg'
import { z } from 'zod'
import type { Gate } from '../../protocol/access/gate.js'
import { collect } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import { ageHeaders } from '../../protocol/http/age.js'
import { empty, json, type Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import type { Arrival } from '../../protocol/kinds/arrival.js'
import { verifyCheckpoint } from '../../protocol/log/checkpoint.js'
import { contradictionShape } from '../../protocol/log/contradiction.js'
import { Ranges, shownTo } from '../../protocol/log/ranges.js'
import { LEAF_BYTES } from '../../protocol/merkle.js'
import type { Blobs, Bytes, Metadata, Principal } from '../../protocol/ports.js'
import {
  type Digest,
  type FileRecord,
  FLEET,
  type NodeRecord,
  type RepositoryRecord,
  type Stored,
} from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { decodeHoldings, MAX_ANSWER_BYTES } from '../../protocol/wire/holdings.js'
import { decodeRangeAsk } from '../../protocol/wire/range.js'
import { decodePieceAnswer } from '../../protocol/wire/swarm.js'
import { MOST_WANTED_LEAVES } from '../../protocol/wire/wanted.js'
import { rangeLog } from '../log/held.js'
import { readLog, type Signer } from '../log/signer.js'
import type { Asking } from './asking.js'
import { encodeBatch, feed } from './feed.js'
import type { Holdings } from './holdings.js'
import { Membership } from './membership.js'
import type { Returning } from './returning.js'

const MAX_BODY_BYTES = 256 * 1024
const MAX_LOG_PAGE = 5000
const MAX_SITE = 256
/** With its proof. */
const MAX_PIECE_BYTES = MOST_WANTED_LEAVES * LEAF_BYTES + 4096
/** For a question that an upstream has to answer: less than a node waits before it takes the primary for gone. */
const UPSTREAM_MS = 20_000

export interface Members {
  redeem(secret: string, node: { name: string; peer: string; publicKey: string }): Promise<NodeRecord>
  heartbeat(node: NodeRecord, status: Heartbeat, request: { remote: string }): Promise<void>
  /** Addresses of the other members that were heard of lately. */
  peers(except: string): Promise<PeerAddress[]>
  policies(id: string): Promise<SyncPolicy[]>
  /** When the node was last asked to fetch what its policies say at once. ISO 8601. */
  syncRequestedAt(id: string): Promise<string | undefined>
}

const heartbeatSchema = z.object({
  position: z.object({ epoch: z.number().int().nonnegative(), number: z.number().int().nonnegative() }),
  /** Multiaddrs without the peer id. */
  addresses: z.array(z.string().max(256)).max(32),
  url: z.string().max(256),
  cache: z.object({ used: z.number().nonnegative(), limit: z.number().nonnegative() }),
  peers: z.number().int().nonnegative(),
  version: z.string().max(64),
  /** The node believes nothing any more, and why. */
  contradiction: contradictionShape.optional(),
  /** Downloads since the last heartbeat. */
  downloads: z.array(z.object({ scope: z.string(), path: z.string(), count: z.number().int().positive() })).max(1000),
  /** Last uses of tokens since the last heartbeat. Older nodes tell none. */
  tokenUses: z
    .array(z.object({ id: z.string().max(64), at: z.iso.datetime(), remote: z.string().max(64) }))
    .max(1000)
    .default([]),
})
export type Heartbeat = z.infer<typeof heartbeatSchema>

export interface PeerAddress {
  node: string
  peer: string
  addresses: string[]
}

export interface SyncPolicy {
  /** Glob over repository keys. */
  repository: string
  mode: 'on_demand' | 'scheduled' | 'eager'
  include: string[]
  exclude: string[]
  /** What it names is not evicted. */
  pin?: boolean | undefined
  /** 'HH:MM-HH:MM' in UTC, for `scheduled`. */
  window?: string | undefined
}

export interface FleetOptions {
  fleet: string
  logKey: Uint8Array
  pool: pg.Pool
  metadata: Metadata
  gate: Pick<Gate, 'node' | 'decide'>
  blobs: Blobs & { leaves(stored: Stored): Promise<Uint8Array> }
  signer: Signer
  asking: Asking
  holdings: Holdings
  members: Members
  /** A repository that is not virtual, as the primary itself serves it. */
  open: (repository: RepositoryRecord) => Repository
  /** May bytes of the scope be passed on, by its rules. */
  passes: (scope: string, digest: Digest) => Promise<boolean>
  /** What comes back from nodes that have leases. */
  returning: Pick<Returning, 'handle'>
  issue: (node: NodeRecord) => Promise<string>
  /** Checks an Authorization header; the name of the user. */
  authenticate: (authorization: string, remote: string) => Promise<string>
  /** Told of bytes of blobs as they leave. */
  onBlobBytes: (bytes: number) => void
  nowMs: () => number
}

export class Fleet {
  readonly #options: FleetOptions
  readonly #membership: Membership
  readonly #ranges: Ranges
  readonly #stop = new AbortController()

  constructor(options: FleetOptions) {
    this.#options = options
    this.#ranges = new Ranges(rangeLog(options.pool, options.signer))
    this.#membership = new Membership(options)
  }

  /** Ends the feeds, which would not end by themselves. */
  async close(): Promise<void> {
    this.#stop.abort()
  }

  /** The member that signed the request. Throws `unauthenticated`. */
  member(request: HttpRequest): Promise<NodeRecord> {
    return this.#membership.member(request)
  }

  async handle(request: HttpRequest): Promise<Reply> {
    const time = { 'x-cairn-time': String(this.#options.nowMs()), 'cache-control': 'no-store' }
    const reply = await this.#route(request)
    return { ...reply, headers: { ...reply.headers, ...time } }
  }

  async #route(request: HttpRequest): Promise<Reply> {
    const [, , , verb = '', argument = ''] = request.path.split('/')
    const query = new URLSearchParams(request.query)
    if (request.method === 'POST' && verb === 'join') return this.#join(request)
    if (verb === 'time') return empty()
    const node = await this.member(request)
    // As long as a feed lasts: a node that was removed, or got other repositories, is told nothing else from then on.
    const principal = this.#options.gate.node(node.id)
    const sees = (scope: string) => this.#covers(principal, node.id, scope)
    switch (`${request.method} ${verb}`) {
      case 'POST renew':
        return json({ certificate: await this.#options.issue(node) })
      case 'POST heartbeat':
        return this.#heartbeat(node, request)
      case 'GET feed':
        return {
          status: 200,
          headers: { 'content-type': 'application/octet-stream' },
          body: feed(this.#options, sees, AbortSignal.any([request.signal, this.#stop.signal])),
        }
      case 'GET log':
        return this.#log(query, sees)
      case 'POST range':
        return this.#range(request, sees)
      case 'HEAD blobs':
      case 'GET blobs': {
        const file = await this.#file(argument, query.get('scope') ?? '', sees)
        return {
          status: 200,
          headers: { 'content-type': 'application/octet-stream', etag: `"${file.digest}"` },
          body: this.#counted(await this.#options.blobs.open(file, query.get('scope') ?? '')),
        }
      }
      case 'GET leaves': {
        const file = await this.#file(argument, query.get('scope') ?? '', sees)
        return {
          status: 200,
          headers: { 'content-type': 'application/octet-stream' },
          body: await this.#options.blobs.leaves(file),
        }
      }
      case 'PUT pieces':
        return this.#piece(argument, query.get('scope') ?? '', request, sees)
      case 'PUT holdings':
        return this.#holdings(node, argument, query.get('site') ?? undefined, request)
      case 'GET listing':
        return this.#listing(this.#remote(query, sees), query)
      case 'GET arriving':
        return this.#arriving(this.#remote(query, sees), query.get('path') ?? '')
      case 'PUT leases':
      case 'POST leases':
        return this.#options.returning.handle(node, request.path.split('/').slice(4), request)
      case 'POST authenticate': {
        const { authorization, remote } = await parseBody(
          request,
          z.object({ authorization: z.string().max(8192), remote: z.string().max(64) }),
        )
        return json({ user: await this.#options.authenticate(authorization, remote) })
      }
      default:
        throw new RegistryError('missing', 'There is no such fleet endpoint')
    }
  }

  async #piece(digest: string, scope: string, request: HttpRequest, sees: (scope: string) => boolean): Promise<Reply> {
    if (!sees(scope)) throw new RegistryError('missing', 'There is no such scope')
    const { first, ...piece } = decodePieceAnswer([await collect(request.body, MAX_PIECE_BYTES)])
    const right = this.#options.asking.answer({ digest: digest as Digest, first }, piece)
    if (!right) throw new RegistryError('missing', 'Nobody waits for this, or it is not right')
    return empty()
  }

  async #holdings(node: NodeRecord, id: string, site: string | undefined, request: HttpRequest): Promise<Reply> {
    const digests = new Set(decodeHoldings(await collect(request.body, MAX_ANSWER_BYTES)))
    const isWaitedFor = this.#options.holdings.answer(id, node.peer, { node, site: site?.slice(0, MAX_SITE), digests })
    if (!isWaitedFor) throw new RegistryError('missing', 'Nobody waits for this')
    return empty()
  }

  #remote(query: URLSearchParams, sees: (scope: string) => boolean): Repository {
    const scope = query.get('scope') ?? ''
    const record = this.#options.metadata.scope(scope)
    if (record?.type === 'remote' && sees(scope)) return this.#options.open(record)
    throw new RegistryError('missing', 'This node may hold no such remote repository')
  }

  async #listing(repository: Repository, query: URLSearchParams): Promise<Reply> {
    const name = query.get('package') ?? ''
    const check = await soon(repository.renew?.(name, query.get('reference') ?? undefined))
    const { known = false, stale = false, ageSeconds: age } = check ?? {}
    return json({ known, stale, age, ...this.#options.metadata.head })
  }

  async #arriving(repository: Repository, path: string): Promise<Reply> {
    const { found, file } = await soon(begun(repository, path))
    if (file) return empty(204, ageHeaders(repository.freshness?.(path)))
    if (!found) throw new RegistryError('missing', `There is no ${path}`)
    const { size } = found
    const read: Bytes['read'] = (range, signal) => found.read(range, signal)
    const headers = { 'content-type': 'application/octet-stream' }
    return { status: 200, headers, body: size === undefined ? read() : { size, source: 'upstream', read } }
  }

  async #join(request: HttpRequest): Promise<Reply> {
    const schema = z.object({
      secret: z.string().min(32).max(128),
      name: z.string().min(1).max(64),
      peer: z.string().max(128),
      publicKey: z.string().length(43),
    })
    const { secret, ...draft } = await parseBody(request, schema)
    const node = await this.#options.members.redeem(secret, draft)
    const { fleet, logKey, issue } = this.#options
    return json({ node, certificate: await issue(node), fleet, logKey: Buffer.from(logKey).toString('base64url') })
  }

  async #heartbeat(node: NodeRecord, request: HttpRequest): Promise<Reply> {
    const { members } = this.#options
    const status = await parseBody(request, heartbeatSchema)
    await members.heartbeat(node, this.#substantiated(status), { remote: request.remote })
    return json({
      peers: await members.peers(node.id),
      policies: await members.policies(node.id),
      repositories: node.repositories,
      syncRequestedAt: await members.syncRequestedAt(node.id),
    })
  }

  /** Without an accusation whose notes were not signed here. */
  #substantiated(status: Heartbeat): Heartbeat {
    const { fleet, logKey } = this.#options
    try {
      // A node of an earlier version has not kept the first one.
      for (const note of status.contradiction?.notes ?? []) if (note !== '') verifyCheckpoint(note, fleet, logKey)
      return status
    } catch {
      return { ...status, contradiction: undefined }
    }
  }

  async #log(query: URLSearchParams, sees: (scope: string) => boolean): Promise<Reply> {
    const after = whole(query.get('after'))
    const limit = Math.min(Math.max(whole(query.get('limit')), 1), MAX_LOG_PAGE)
    const { beginnings } = this.#options.signer
    const end = await this.#checkpoint(after, limit)
    if (!end)
      return {
        status: 200,
        headers: {},
        body: encodeBatch({ items: [], note: this.#options.signer.latest.note, beginnings }, sees),
      }
    const items = await readLog(this.#options.pool, after, end.number - after)
    return {
      status: 200,
      headers: { 'content-type': 'application/octet-stream' },
      body: encodeBatch({ items, note: end.note, beginnings }, sees),
    }
  }

  async #range(request: HttpRequest, sees: (scope: string) => boolean): Promise<Reply> {
    const ask = decodeRangeAsk(await collect(request.body, MAX_BODY_BYTES))
    const body = await this.#ranges.answer(ask, (item) => shownTo(item, sees))
    return { status: 200, headers: { 'content-type': 'application/octet-stream' }, body }
  }

  /** The last checkpoint within the page, or the first beyond it. */
  async #checkpoint(after: number, limit: number): Promise<{ number: number; note: string } | undefined> {
    const { rows } = await this.#options.pool.query<{ number: string; note: string }>(
      `(select number, note from checkpoint where number > $1 and number <= $1 + $2 order by epoch desc, number desc limit 1)
       union all (select number, note from checkpoint where number > $1 + $2 order by epoch desc, number limit 1) limit 1`,
      [after, limit],
    )
    return rows[0] && { number: Number(rows[0].number), note: rows[0].note }
  }

  async #file(digest: string, scope: string, sees: (scope: string) => boolean): Promise<Stored> {
    if (!/^[0-9a-f]{64}$/.test(digest)) throw new RegistryError('invalid', 'That is no SHA-256 digest')
    const { rows } = await this.#options.pool.query<{ value: string }>({
      name: 'row_digest',
      text: `select value from record where kind = 'file' and digest = $1 and scope = $2 and until is null and value::json ->> 'removedAt' is null
             union all select value::json ->> 'blob' from record where kind = 'listing' and listing_digest = $1 and scope = $2 and until is null limit 1`,
      values: [digest as Digest, scope],
    })
    if (!rows[0] || !sees(scope))
      throw new RegistryError('missing', `No repository that this node may hold has the blob ${digest}`)
    if (!(await this.#options.passes(scope, digest as Digest)))
      throw new RegistryError('forbidden', `The blob ${digest} is blocked there`, { code: 'blocked' })
    return JSON.parse(rows[0].value) as Stored
  }

  #counted(bytes: Bytes): Bytes {
    const count = this.#options.onBlobBytes
    return {
      size: bytes.size,
      source: bytes.source,
      async *read(range, signal) {
        for await (const chunk of bytes.read(range, signal)) {
          count(chunk.length)
          yield chunk
        }
      },
    }
  }

  #covers(principal: Principal, id: string, scope: string): boolean {
    const { metadata, gate } = this.#options
    if (scope === FLEET) return metadata.access('node', id)?.revoked === false
    const repository = metadata.scope(scope)
    return repository !== undefined && gate.decide(principal, 'read', repository).allowed
  }
}

async function begun(
  repository: Repository,
  path: string,
): Promise<{ found?: Arrival; file?: FileRecord | undefined }> {
  const found = await repository.arrive?.(path)
  if (!found) return {}
  return 'digest' in found ? { file: found } : { found, file: await found.begun() }
}

/** What was begun goes on when the time is up; whoever asks again finds it further. */
async function soon<T>(answer: Promise<T> | T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const error = new RegistryError('unavailable', 'The upstream has not answered yet', {
      retryAfter: 2,
      code: 'upstream_hangs',
    })
    timer = setTimeout(() => reject(error), UPSTREAM_MS)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

/** A JSON body that a schema accepts. Throws `invalid` with the first thing that is wrong, `too_large` beyond 256 KiB. */
async function parseBody<T>(request: HttpRequest, schema: z.ZodType<T>): Promise<T> {
  const tooLong = () => new RegistryError('too_large', 'The message is too large')
  const bytes = await collect(request.body, MAX_BODY_BYTES, tooLong)
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new RegistryError('invalid', 'The body is not JSON', { cause })
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new RegistryError('invalid', `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'not accepted'}`)
}

function whole(text: string | null): number {
  const value = Number(text ?? 0)
  return Number.isSafeInteger(value) && value >= 0 ? value : 0
}
