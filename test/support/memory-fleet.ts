/**
 * A primary and a node over one set of records in memory, without network: the ground for tests of formats. The node is the
 * same program as everywhere (Registry over Remote), its link to the primary is a function call that can be cut.
 */

import { formats } from '../../formats/index.js'
import { UpstreamClient, type UpstreamClientOptions } from '../../primary/upstream/client.js'
import { MemoryDocuments } from '../../primary/upstream/documents.js'
import { guard } from '../../primary/upstream/guard.js'
import { UpstreamOrigin } from '../../primary/upstream/origin.js'
import { Gate } from '../../protocol/access/gate.js'
import type { Passwords } from '../../protocol/access/passwords.js'
import { newToken, tokenHash } from '../../protocol/access/token.js'
import { MemoryBlobs } from '../../protocol/blobs/memory.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Grammar } from '../../protocol/format.js'
import { negotiate } from '../../protocol/http/negotiate.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import { Hosted } from '../../protocol/kinds/hosted.js'
import { Listings } from '../../protocol/kinds/listing.js'
import { Remote } from '../../protocol/kinds/remote.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import type { Accounts, Origin } from '../../protocol/ports.js'
import {
  type Digest,
  FLEET,
  type GrantRecord,
  type RepositoryRecord,
  type Step,
  type TokenRecord,
  type UserRecord,
} from '../../protocol/records.js'
import { Registry, type Upward } from '../../protocol/registry.js'
import { bodyOf, ORIGIN, requestOf } from './request.js'

export type Send = (url: string, init?: SendOptions) => Promise<Response>

export interface SendOptions {
  method?: string
  headers?: Record<string, string>
  body?: string | Uint8Array | AsyncIterable<Uint8Array>
}

export const PASSWORD = 'correct horse battery staple'

export class MemoryFleet {
  readonly ledger: MemoryLedger
  readonly blobs = new MemoryBlobs()
  readonly gate: Gate
  readonly nodeGate: Gate
  readonly accounts: Accounts
  readonly primary: Registry
  readonly node: Registry
  readonly failures: unknown[] = []
  /** Everybody has the same one. */
  readonly passwords: Passwords = { verify: async (_, password) => password === PASSWORD }
  cutOff = false
  /** Keys of repositories that the node may not hold. */
  readonly notHeld = new Set<string>()
  /** Keys of repositories that the node knows too little of lately. */
  readonly stale = new Set<string>()
  /** Of remote repositories; moved by tests. Milliseconds since 1970. */
  nowMs = Date.parse('2026-01-01T00:00:00Z')
  /** Authorization values for upstreams, by scope. */
  readonly credentials = new Map<string, string>()
  readonly upstreams: UpstreamClient
  #second = 0
  readonly #listings = new Listings(16 * 1024 * 1024)

  private constructor(ledger: MemoryLedger, client: Partial<UpstreamClientOptions>, maxUploadBytes: number) {
    this.ledger = ledger
    this.upstreams = new UpstreamClient({ guard: guard(['127.0.0.1']), ...client })
    const { passwords } = this
    const nowMs = () => Date.parse(this.now())
    this.gate = new Gate(ledger.state, passwords, { nowMs })
    const stale = ({ key }: RepositoryRecord) => (this.stale.has(key) ? `${key} is too old here.` : undefined)
    this.nodeGate = new Gate(ledger.state, passwords, { nowMs, stale })
    this.accounts = memoryAccounts(this)
    const parts = { blobs: this.blobs, ledger, now: () => this.now(), maxUploadBytes, restoreMs: 86_400_000 }
    const shared = {
      metadata: ledger.state,
      access: this.gate,
      accounts: () => this.accounts,
      formats,
      holders: (digest: Digest) => this.holders(digest),
      onError: (error: unknown) => void this.failures.push(error),
      cacheBytes: 16 * 1024 * 1024,
      nowMs: () => this.nowMs,
    }
    const origin = new UpstreamOrigin({
      ...parts,
      client: this.upstreams,
      documents: new MemoryDocuments(),
      credentials: {
        authorization: async (scope, origin) => this.#credential(scope, origin),
        headers: async () => undefined,
      },
      metadata: ledger.state,
      listings: this.#listings,
      formats,
      maxFileBytes: parts.maxUploadBytes,
    })
    this.primary = new Registry({
      ...shared,
      open: (record) =>
        record.type === 'remote'
          ? this.#remote(record, origin)
          : new Hosted(record, ledger.state, { ...parts, nameOf: nameOf(record) }),
    })
    this.node = new Registry({
      ...shared,
      access: this.nodeGate,
      open: (record) =>
        record.type === 'remote'
          ? this.#remote(record, this.#asOrigin())
          : new Remote(record, ledger.state, this.blobs, undefined, nameOf(record)),
      primary: this.#upward(),
      holds: ({ key }) => !this.notHeld.has(key),
    })
  }

  #credential(scope: string, origin: string): string | undefined {
    const { upstream } = this.ledger.state.scope(scope) ?? {}
    return upstream !== undefined && new URL(upstream).origin === origin ? this.credentials.get(scope) : undefined
  }

  #remote(record: RepositoryRecord, origin: Origin): Remote {
    const upstream = formats.find(({ name }) => name === record.format)?.upstream
    const listings = this.#listings
    const nowMs = () => this.nowMs
    return new Remote(record, this.ledger.state, this.blobs, upstream && { origin, upstream, listings, nowMs })
  }

  /** The primary, as nodes ask it. */
  #asOrigin(): Origin {
    const repository = (record: RepositoryRecord) => {
      if (this.cutOff) throw new RegistryError('unavailable', 'The primary cannot be reached from here')
      return this.primary.repository(record, this.gate.anonymous)
    }
    return {
      check: async (record, name, reference) =>
        (await repository(record).renew?.(name, reference)) ?? { known: false, stale: false },
      fetch: async (record, { path }) => {
        const found = await repository(record).arrive?.(path)
        return found && 'digest' in found ? repository(record).freshness?.(path) : found
      },
    }
  }

  close(): Promise<void> {
    return this.upstreams.close()
  }

  #upward(): Upward {
    const { primary } = this
    const cutOff = () => this.cutOff
    return {
      get reachable() {
        return !cutOff()
      },
      forward: async (request) => {
        if (cutOff()) throw new RegistryError('unavailable', 'The primary cannot be reached from here')
        const reply = await primary.handle(request)
        if (!reply) throw new RegistryError('missing', 'There is nothing at this address')
        return reply
      },
    }
  }

  async holders(digest: Digest): Promise<{ scope: string; path: string }[]> {
    const { state } = this.ledger
    const all = await Promise.all(
      state
        .repositories()
        .map(async ({ scope }) => (await state.files(scope, { limit: 10_000 })).map((file) => ({ scope, file }))),
    )
    return all.flat().flatMap(({ scope, file }) => (file.digest === digest ? [{ scope, path: file.path }] : []))
  }

  /** With the users `ann`, who may do everything in all repositories, and `bob`, who may not do anything but read. */
  static async open(
    client: Partial<UpstreamClientOptions> = {},
    { maxUploadBytes = 1024 ** 3 }: { maxUploadBytes?: number } = {},
  ): Promise<MemoryFleet> {
    const fleet: { of?: MemoryFleet } = {}
    const ledger = await MemoryLedger.open(() => fleet.of?.now() ?? '2026-01-01T00:00:00.000Z')
    fleet.of = new MemoryFleet(ledger, client, maxUploadBytes)
    await fleet.of.configure([access(user('ann')), access(user('bob')), grant('ann', '*')])
    return fleet.of
  }

  /** Each look is a millisecond later than the one before. */
  now(): string {
    return new Date(Date.parse('2026-01-01T00:00:00Z') + this.#second++).toISOString()
  }

  async configure(steps: Step[]): Promise<void> {
    await this.ledger.commit({ scope: FLEET, steps, by: 'test' })
  }

  async repository(key: string, format: string, more: Partial<RepositoryRecord> = {}): Promise<RepositoryRecord> {
    const record: RepositoryRecord = {
      scope: `scope-of-${key}`,
      key,
      name: key,
      format,
      type: 'local',
      public: true,
      redeploy: false,
      description: '',
      members: [],
      createdAt: this.now(),
      ...more,
    }
    await this.configure([{ kind: 'repository', key, record }])
    return record
  }

  async token(name: string, scopes = ['*']): Promise<string> {
    const principal = { name, user: this.ledger.state.access('user', name), token: undefined }
    return (await this.accounts.createToken(principal, { name: 'test', scopes })).value
  }

  /** A client of one side: URLs are absolute, below ORIGIN. */
  client(side: 'primary' | 'node', authorization?: string): Send {
    return clientOf((request) => this[side].handle(request), authorization)
  }
}

export function clientOf(answer: Registry['handle'], authorization?: string): Send {
  return async (url, { method = 'GET', headers = {}, body } = {}) => {
    const sent = Object.entries({ ...(authorization ? { authorization } : {}), ...headers })
    const target = new URL(url, ORIGIN)
    const plain = requestOf(method, target.pathname + target.search, {
      headers: Object.fromEntries(sent.map(([name, value]) => [name.toLowerCase(), value])),
    })
    const request = { ...plain, ...bodyFields(body) }
    const reply = await answer(request)
    if (!reply) return new Response(null, { status: 404 })
    return response(request, await negotiate(request, reply))
  }
}

function nameOf({ format }: RepositoryRecord): Grammar['name'] {
  return formats.find(({ name }) => name === format)?.grammar?.name
}

async function response(request: HttpRequest, reply: Reply): Promise<Response> {
  const bare = request.method === 'HEAD' || [204, 304].includes(reply.status)
  const body = bare ? null : new Uint8Array(await bodyOf(reply))
  return new Response(body, { status: reply.status, headers: reply.headers })
}

function bodyFields(body: SendOptions['body']): Pick<HttpRequest, 'body' | 'length'> {
  if (body === undefined) return { body: chunks(Buffer.alloc(0)), length: 0 }
  if (typeof body === 'object' && Symbol.asyncIterator in body) return { body, length: undefined }
  const bytes = Buffer.from(body)
  return { body: chunks(bytes), length: bytes.length }
}

/** In pieces, as a server hands it out: every chunk is overwritten when the next one is asked for. */
async function* chunks(bytes: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
  const size = 16 * 1024
  const buffer = Buffer.alloc(size)
  for (let at = 0; at < bytes.length; at += size) {
    const length = bytes.copy(buffer, 0, at, at + size)
    yield buffer.subarray(0, length)
    buffer.fill(0xff)
  }
}

export function user(name: string): UserRecord {
  return {
    id: name,
    name,
    email: `${name}@example.test`,
    admin: false,
    disabled: false,
    groups: [],
    createdAt: '2026-01-01T00:00:00.000Z',
  }
}

export function access(record: UserRecord): Step {
  return { kind: 'access', subject: 'user', id: record.id, record }
}

export function grant(name: string, repository: string, more: Partial<GrantRecord> = {}): Step {
  const id = `${name}-${repository}-${more.path ?? ''}`
  const record: GrantRecord = {
    id,
    subject: { kind: 'user', name },
    repository,
    path: '',
    actions: ['read', 'write', 'delete'],
    ...more,
  }
  return { kind: 'access', subject: 'grant', id, record }
}

/** Accounts as the primary keeps them, without Postgres: everybody has the same password. */
function memoryAccounts(fleet: MemoryFleet): Accounts {
  const { state } = fleet.ledger
  const tokensOf = (name: string | undefined) => state.accessAll('token').filter((token) => token.user === name)
  const accounts: Accounts = {
    async login(name, password, tokenName) {
      const found = state.access('user', name)
      if (!found || password !== PASSWORD) throw new RegistryError('unauthenticated', 'User name or password is wrong')
      return (await accounts.createToken({ name, user: found, token: undefined }, { name: tokenName, scopes: ['*'] }))
        .value
    },
    async createToken(principal, { name, scopes }) {
      const { value, id, hash } = newToken()
      const token: TokenRecord = { id, hash, name, user: principal.name, scopes, createdAt: fleet.now(), use: 'api' }
      await fleet.configure([{ kind: 'access', subject: 'token', id, record: token }])
      return { value, token }
    },
    async session(principal) {
      const { value } = await accounts.createToken(principal, { name: 'session', scopes: ['*'] })
      return { value, expiresInSeconds: 3600 }
    },
    async exchange() {
      throw new RegistryError('unauthenticated', 'Nobody is trusted here')
    },
    async revokeToken(principal, idOrValue) {
      const token = tokensOf(principal.name).find(({ id, hash }) => id === idOrValue || hash === tokenHash(idOrValue))
      if (token) await fleet.configure([{ kind: 'access', subject: 'token', id: token.id, record: null }])
      return token !== undefined
    },
    tokens: ({ user: asking }) => tokensOf(asking?.name),
  }
  return accounts
}
