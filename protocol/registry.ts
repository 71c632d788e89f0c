/**
 * From a request to a repository's route: the same on the primary and on a node. Whatever URL form leads to an object, one path
 * is walked: resolve, authenticate, ask the gate, then the format's route or a plain file.
 *
 *     /repository/{key}/…   /{format}/{key}/…   /artifactory/{key}/…   /artifactory/api/{format}/{key}/…
 *
 * and /{root}/{key}/… for a format that owns a first segment (`Format.root`).
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Gate } from './access/gate.js'
import { demand, refuseCrossSite } from './access/refusal.js'
import { RegistryError } from './errors.js'
import { type Call, credentialsOf, type Format, type Rendered, type Route } from './format.js'
import { HotReplies } from './hot.js'
import { gather } from './http/gather.js'
import { IndexCache } from './http/index-cache.js'
import { contentTypeOf, downloadHeaders } from './http/mime.js'
import { parsePath } from './http/path.js'
import { choose, type Prepared, prepare } from './http/prepared.js'
import type { Reply } from './http/reply.js'
import type { HttpRequest } from './http/request.js'
import { compile, type Matcher } from './http/route.js'
import { errorHeaders, notAllowed, problem, statusOf } from './http/status.js'
import type { Arrival } from './kinds/arrival.js'
import { Virtual } from './kinds/virtual.js'
import type { Accounts, Bytes, Metadata, Principal } from './ports.js'
import type { Action, Digest, FileRecord, RepositoryRecord } from './records.js'
import type { Freshness, Repository, Writable } from './repository.js'
import type { RootCall, RootRoute } from './root.js'

export interface RegistryOptions {
  metadata: Metadata
  access: Gate
  /** Accounts as seen from a client's address. */
  accounts: (remote: string) => Accounts
  formats: readonly Format[]
  /** The repository of a record that is not virtual. */
  open: (record: RepositoryRecord) => Repository
  /** On a node: has it what is in this repository. Default: all of it. */
  holds?: (record: RepositoryRecord) => boolean
  /** On a node: where requests that change something go. */
  primary?: Upward
  /** Called for each file that a client gets. */
  count?: (record: RepositoryRecord, path: string) => void
  /** Where a digest is recorded, visible files only. Needed where formats write. */
  holders?: (digest: Digest) => Promise<{ scope: string; path: string }[]>
  /** A failure that is not the client's: logged once, here. */
  onError: (error: unknown, request: HttpRequest) => void
  cacheBytes: number
}

export interface Upward {
  /** Did the last exchange with the primary reach it. */
  reachable: boolean
  /** Sends a request to the primary and waits until its effect can be read here. */
  forward: (request: HttpRequest) => Promise<Reply>
}

interface Resolved {
  configured: number
  record: RepositoryRecord
  format: Format
  /** Decoded, with a leading slash, inside the repository. */
  path: string
  route: Route | undefined
  /** Methods that the path has, when the asked one is none of them. */
  allow: string[] | undefined
  params: Record<string, string>
}

const RESOLVED_REMEMBERED = 20_000
const IMMUTABLE = 'max-age=31536000, immutable'

export class Registry {
  readonly #options: RegistryOptions
  readonly #formats: ReadonlyMap<string, { format: Format; matcher: Matcher<Route> }>
  readonly #roots: ReadonlyMap<string, { format: Format; matcher: Matcher<RootRoute> }>
  readonly #resolved = new LRUCache<string, Resolved>({ max: RESOLVED_REMEMBERED })
  readonly #repositories = new Map<string, { record: RepositoryRecord; repository: Repository }>()
  readonly #indexes: IndexCache
  readonly #hot: HotReplies

  constructor(options: RegistryOptions) {
    this.#options = options
    this.#formats = new Map(options.formats.map((format) => [format.name, { format, matcher: compile(format.routes) }]))
    this.#roots = new Map(
      options.formats.flatMap((format) =>
        format.root === undefined ? [] : [[format.root, { format, matcher: compile(format.rootRoutes ?? []) }]],
      ),
    )
    this.#indexes = new IndexCache({ maxBytes: options.cacheBytes })
    this.#hot = new HotReplies(options.metadata, options.access)
  }

  /** undefined when the path belongs to no repository URL form. */
  handle(request: HttpRequest): Promise<Reply> | Reply | undefined {
    const hot = this.#hot.reply(request)
    if (hot) return hot
    const address = this.#address(request.path)
    if (address) return this.#answer(request, address)
    const root = this.#roots.get(request.path.split('/', 2)[1] ?? '')
    return root && this.#answerRoot(request, root)
  }

  /** A repository as a principal sees it; a virtual one through the members that may be read. */
  repository(record: RepositoryRecord, principal: Principal): Repository {
    if (record.type !== 'virtual') return this.#single(record)
    const all = this.#members(record, new Set())
    this.#refuseHalfKnown(record, all)
    const seen = new Set(all.filter((member) => this.#options.access.decide(principal, 'read', member).allowed))
    const hidden = all.filter((member) => member.type === 'local' && !seen.has(member))
    return new Virtual(
      record,
      [...seen].map((member) => this.#single(member)),
      hidden.map((member) => this.#single(member)),
    )
  }

  /** Without the names of every local member, a remote one could be asked for a name that is none of its business. */
  #refuseHalfKnown(record: RepositoryRecord, members: RepositoryRecord[]): void {
    const { holds } = this.#options
    if (!holds || !members.some(({ type }) => type === 'remote')) return
    const unknown = members.find((member) => member.type === 'local' && !holds(member))
    if (!unknown) return
    throw new RegistryError('unavailable', `This node does not hold all members of ${record.key}; ask another one`, {
      code: 'members_not_held',
      retryAfter: 60,
    })
  }

  /** The reply for a recorded file, as the format's own route gives it. */
  file(repository: Repository, file: FileRecord, request: HttpRequest): Promise<Reply> {
    const entry = this.#formats.get(repository.record.format)
    if (!entry) throw new RegistryError('missing', `There is no format ${repository.record.format} here`)
    return fileReply(this.#options, entry.format, repository, file, request, {})
  }

  async #answer(request: HttpRequest, address: Address): Promise<Reply> {
    let format: Format | undefined
    try {
      format = this.#formatAt(address)
      const resolved = this.#resolve(request, address)
      if (resolved.route?.writes) refuseCrossSite(request)
      const { primary } = this.#options
      if (resolved.route?.writes && primary) {
        // Cut off, the answer is the same for everyone: no credentials would help.
        if (primary.reachable) this.#refuseStrangers(request, resolved, resolved.route)
        return await primary.forward(request)
      }
      const principal = await this.#principal(request, resolved.format)
      return await this.#run(request, resolved, principal)
    } catch (error) {
      return this.#refuse(error, request, format)
    }
  }

  async #answerRoot(
    request: HttpRequest,
    { format, matcher }: { format: Format; matcher: Matcher<RootRoute> },
  ): Promise<Reply> {
    try {
      const found = matcher.match(request.method, parsePath(request.path).path)
      if (found.kind === 'method') return refuseMethod(request, found.allow, format)
      if (found.kind === 'none') throw new RegistryError('missing', 'There is nothing at this address')
      return await found.route.handle(this.#rootCall(request, format))
    } catch (error) {
      return this.#refuse(error, request, format)
    }
  }

  #rootCall(request: HttpRequest, format: Format): RootCall {
    const { access, accounts, metadata, primary } = this.#options
    return {
      request,
      accounts: accounts(request.remote),
      forward: primary && ((asked) => primary.forward(asked)),
      principal: (authorization) =>
        authorization === undefined
          ? this.#principal(request, format)
          : access.authenticate(authorization, request.remote),
      repositories: (principal) =>
        metadata
          .repositories()
          .filter((record) => record.format === format.name && access.sees(principal, record))
          .map((record) => ({
            repository: this.repository(record, principal),
            reads: (path) => access.decide(principal, 'read', record, path).allowed,
          })),
    }
  }

  #refuse(error: unknown, request: HttpRequest, format: Format | undefined): Reply {
    const status = statusOf(error)
    // That something is away or full is told to the client and counted; it is no fault to look into.
    const expected = error instanceof RegistryError && (error.kind === 'unavailable' || error.kind === 'over_quota')
    if (status >= 500 && !expected && !request.signal.aborted) this.#options.onError(error, request)
    if (!(error instanceof RegistryError) || !format?.error) return problem(error, request)
    const own = format.error(error, status, request)
    // The envelope is the ecosystem's; status, challenge and Retry-After are the same for all.
    return { ...own, status, headers: { 'cache-control': 'no-store', ...errorHeaders(error), ...own.headers } }
  }

  /** What nobody may do without credentials is not carried to the primary to be refused there, body and all. */
  #refuseStrangers(request: HttpRequest, { record, format, params, path }: Resolved, route: Route): void {
    if (credentialsOf(format, request) !== undefined || route.open || route.action === 'read') return
    const { access } = this.#options
    demand(access, access.anonymous, route.action, record, route.subject?.(params) ?? path.slice(1))
  }

  #formatAt(address: Address): Format | undefined {
    const record = this.#options.metadata.repository(address.key)
    return this.#formats.get(address.format ?? record?.format ?? '')?.format
  }

  #resolve(request: HttpRequest, address: Address): Resolved {
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const key = `${method} ${address.key} ${address.rest}`
    const known = this.#resolved.get(key)
    if (known && known.configured === this.#options.metadata.configured) return known
    const record = this.#options.metadata.repository(address.key)
    const entry = record && this.#formats.get(record.format)
    if (!record || !entry || (address.format !== undefined && address.format !== record.format))
      throw new RegistryError('missing', `There is no repository ${address.key} here`)
    const { path } = parsePath(address.rest)
    const found = entry.matcher.match(method, path)
    const resolved: Resolved = {
      configured: this.#options.metadata.configured,
      record,
      format: entry.format,
      path,
      route: found.kind === 'found' ? found.route : undefined,
      // A GET that no route knows is a file.
      allow:
        method === 'GET' || found.kind === 'found'
          ? undefined
          : found.kind === 'method'
            ? found.allow
            : ['GET', 'HEAD'],
      params: found.kind === 'found' ? found.params : {},
    }
    this.#resolved.set(key, resolved)
    return resolved
  }

  #principal(request: HttpRequest, format: Format): Principal | Promise<Principal> {
    const credentials = credentialsOf(format, request)
    return credentials === undefined
      ? this.#options.access.anonymous
      : this.#options.access.authenticate(credentials, request.remote)
  }

  async #run(request: HttpRequest, resolved: Resolved, principal: Principal): Promise<Reply> {
    const { record, route, path } = resolved
    const subject = route?.subject?.(resolved.params) ?? path.slice(1)
    if (!route?.open) demand(this.#options.access, principal, route?.action ?? 'read', record, subject)
    if (resolved.allow) return refuseMethod(request, resolved.allow, resolved.format)
    const repository = this.repository(record, principal)
    const others = this.#others(resolved.format, principal)
    const call = new Calling(this.#options, this.#indexes, request, resolved, repository, principal, others)
    if (route) {
      const { configured } = this.#options.metadata
      const reply = await route.handle(call)
      const made = call.made
      // Only what the handler returned as it was made, and what no principal's view of members went into.
      if (made && (reply === made.prepared.identity || reply === made.prepared.gzip) && record.type !== 'virtual')
        this.#hot.remember(request, { ...made, configured, repository, format: resolved.format, subject })
      return reply
    }
    const reply = await call.send(path.slice(1))
    if (!reply) throw new RegistryError('missing', `There is no ${path.slice(1) || 'such path'} in ${record.key}`)
    return reply
  }

  #others(format: Format, principal: Principal): Pick<Call, 'elsewhere' | 'copyOf'> {
    const { access, metadata, holders } = this.#options
    const reads = (record: RepositoryRecord | undefined, path: string): record is RepositoryRecord =>
      record?.format === format.name && access.decide(principal, 'read', record, path).allowed
    return {
      elsewhere: (key, path) => {
        const record = metadata.repository(key)
        return reads(record, path) ? this.repository(record, principal) : undefined
      },
      copyOf: async (digest) => {
        for (const { scope, path } of (await holders?.(digest)) ?? []) {
          const file = reads(metadata.scope(scope), path) ? await metadata.file(scope, path) : undefined
          if (file?.digest === digest) return file
        }
        return undefined
      },
    }
  }

  #single(record: RepositoryRecord): Repository {
    const known = this.#repositories.get(record.scope)
    if (known?.record === record) return known.repository
    const repository = this.#options.open(record)
    this.#repositories.set(record.scope, { record, repository })
    return repository
  }

  #members(record: RepositoryRecord, seen: Set<string>): RepositoryRecord[] {
    return record.members.flatMap((key) => {
      const member = this.#options.metadata.repository(key)
      if (!member || seen.has(key)) return []
      seen.add(key)
      return member.type === 'virtual' ? this.#members(member, seen) : [member]
    })
  }

  #address(raw: string): Address | undefined {
    const [, first = '', second = '', third = '', fourth = ''] = raw.split('/', 5)
    if (first === 'repository') return address(raw, second, 2)
    if (first === 'artifactory' && second === 'api' && this.#formats.has(third)) return address(raw, fourth, 4, third)
    if (first === 'artifactory') return address(raw, second, 2)
    const root = this.#roots.get(first)
    if (root) return rootAddress(raw, second, root.format.name)
    return this.#formats.has(first) ? address(raw, second, 2, first) : undefined
  }
}

interface Address {
  key: string
  format: string | undefined
  /** Raw path inside the repository, with a leading slash. */
  rest: string
}

function address(raw: string, key: string, segments: number, format?: string): Address {
  let at = 0
  for (let i = 0; i <= segments && at >= 0; i++) at = raw.indexOf('/', at + (i === 0 ? 0 : 1))
  return { key, format, rest: at < 0 ? '/' : raw.slice(at) }
}

/** No key begins with an underscore, so routes of the root that do are never taken for one. */
function rootAddress(raw: string, key: string, format: string): Address | undefined {
  if (key === '' || key.startsWith('_')) return undefined
  const { rest } = address(raw, key, 2)
  return { key, format, rest: raw.slice(0, raw.indexOf('/', 1)) + rest }
}

function refuseMethod(request: HttpRequest, allow: string[], format: Format): Reply {
  if (!format.error) return notAllowed(request.method, allow, request)
  const error = new RegistryError('unsupported', `${request.method} is not offered here`)
  const own = format.error(error, 405, request)
  return { ...own, status: 405, headers: { 'cache-control': 'no-store', ...own.headers, allow: allow.join(', ') } }
}

class Calling implements Call {
  readonly params: Record<string, string>
  readonly request: HttpRequest
  readonly repository: Repository
  readonly principal: Principal
  readonly #options: RegistryOptions
  readonly #indexes: IndexCache
  readonly #resolved: Resolved
  readonly elsewhere: Call['elsewhere']
  readonly copyOf: Call['copyOf']
  /** The index that was found kept, if any. */
  made: { name: string; stamp: string; prepared: Prepared } | undefined

  constructor(
    options: RegistryOptions,
    indexes: IndexCache,
    request: HttpRequest,
    resolved: Resolved,
    repository: Repository,
    principal: Principal,
    others: Pick<Call, 'elsewhere' | 'copyOf'>,
  ) {
    this.#options = options
    this.elsewhere = others.elsewhere
    this.copyOf = others.copyOf
    this.#indexes = indexes
    this.#resolved = resolved
    this.request = request
    this.repository = repository
    this.principal = principal
    this.params = resolved.params
  }

  get accounts(): Accounts {
    return this.#options.accounts(this.request.remote)
  }

  get base(): string {
    return `${this.request.origin}/repository/${this.repository.key}`
  }

  target(): Writable {
    const { target, record } = this.repository
    if (target) return target
    throw new RegistryError('unsupported', `${record.key} is a ${record.type} repository: publish to a local one`)
  }

  may(action: Action, path?: string): boolean {
    return this.#options.access.decide(this.principal, action, this.repository.record, path).allowed
  }

  demand(action: Action, path: string): void {
    demand(this.#options.access, this.principal, action, this.repository.record, path)
  }

  async index(name: string, variant: string, render: () => Promise<Rendered | undefined>): Promise<Reply> {
    const reply = await this.#index(name, variant, render)
    const freshness = this.repository.freshness?.(name)
    return freshness?.stale ? aged(reply, freshness) : reply
  }

  async #index(name: string, variant: string, render: () => Promise<Rendered | undefined>): Promise<Reply> {
    const stamped = this.repository.stamp(name)
    const stamp = typeof stamped === 'string' ? stamped : await stamped
    const key = this.#indexKey(name, variant, stamp)
    const kept = this.#indexes.get(key)
    if (kept) {
      this.made = { name, stamp, prepared: kept }
      return choose(this.request, kept)
    }
    let large: Reply | undefined
    const prepared = await this.#indexes.once(key, async () => {
      const made = await this.#render(name, key, render)
      if ('size' in made) return made
      large = made
      return undefined
    })
    // Another request's flight may have found the index too large to keep: then this one renders its own stream.
    const reply = prepared ? choose(this.request, prepared) : (large ?? (await this.#render(name, key, render)))
    return 'identity' in reply ? choose(this.request, reply) : reply
  }

  #indexKey(name: string, variant: string, stamp: string): string {
    return `${this.repository.record.scope}\0${variant}\0${name}\0${this.base}\0${stamp}`
  }

  async #render(name: string, key: string, render: () => Promise<Rendered | undefined>): Promise<Prepared | Reply> {
    const rendered = await render()
    if (!rendered) throw new RegistryError('missing', `There is no ${name} in ${this.repository.key}`)
    const headers = {
      'content-type': rendered.contentType,
      etag: `"${createHash('sha256').update(key).digest('base64url').slice(0, 27)}"`,
      'last-modified': new Date(rendered.modified).toUTCString(),
      'cache-control': this.repository.record.public ? 'public, no-cache' : 'private, no-cache',
      ...rendered.headers,
    }
    const body = await gather(rendered.body, this.#indexes.maxEntryBytes)
    return 'whole' in body
      ? prepare({ status: 200, headers, body: body.whole })
      : { status: 200, headers, body: body.stream }
  }

  async send(path: string, headers?: (file: FileRecord) => Record<string, string>): Promise<Reply | undefined> {
    const { repository, request } = this
    // A part, or the head alone, is cut from what is known whole.
    const whole = request.method === 'GET' && !request.headers.has('range')
    const found = whole && repository.arrive ? await repository.arrive(path) : await repository.file(path)
    if (found === undefined) return undefined
    const file = 'digest' in found ? found : await found.begun()
    if (file) return this.file(file, headers?.(file))
    if ('digest' in found) return undefined
    this.#options.count?.(repository.record, path)
    return arriving(this.#resolved.format, repository, path, found)
  }

  file(file: FileRecord, headers: Record<string, string> = {}): Promise<Reply> {
    return fileReply(this.#options, this.#resolved.format, this.repository, file, this.request, headers)
  }
}

async function fileReply(
  options: RegistryOptions,
  format: Format,
  repository: Repository,
  file: FileRecord,
  request: HttpRequest,
  headers: Record<string, string>,
): Promise<Reply> {
  const { record } = repository
  const bytes = request.method === 'HEAD' ? unread(file.size) : await repository.open(file)
  if (request.method === 'GET') options.count?.(record, file.path)
  const type = format.contentType?.(file.path) ?? contentTypeOf(file.path)
  return {
    status: 200,
    headers: {
      'content-type': type,
      ...downloadHeaders(file.path, type),
      etag: `"${file.digest}"`,
      'last-modified': new Date(file.publishedAt).toUTCString(),
      'cache-control': cachingOf(record, format, file.path),
      'x-checksum-sha256': file.digest,
      ...(file.hashes.sha1 ? { 'x-checksum-sha1': file.hashes.sha1 } : {}),
      ...(file.hashes.md5 ? { 'x-checksum-md5': file.hashes.md5 } : {}),
      'x-cairn-source': bytes.source,
      ...headers,
    },
    body: bytes,
  }
}

function cachingOf(record: RepositoryRecord, format: Format, path: string): string {
  const changes = record.redeploy || (record.type !== 'local' && format.upstream?.mutable?.(path) === true)
  return `${record.public ? 'public' : 'private'}, ${changes ? 'no-cache' : IMMUTABLE}`
}

/** Bytes whose digest nobody knows yet: the end of them comes only once it is known to be right. */
function arriving(format: Format, { record }: Repository, path: string, arrival: Arrival): Reply {
  const { size } = arrival
  const type = format.contentType?.(path) ?? contentTypeOf(path)
  const read: Bytes['read'] = (range, signal) => arrival.read(range, signal)
  return {
    status: 200,
    headers: {
      'content-type': type,
      ...downloadHeaders(path, type),
      'cache-control': cachingOf(record, format, path),
      'x-cairn-source': 'upstream',
    },
    body: size === undefined ? read() : { size, source: 'upstream', read },
  }
}

/** RFC 9111 section 5.5 has no warnings any more; clients that know them show them. */
function aged(reply: Reply, { ageSeconds }: Freshness): Reply {
  const age = ageSeconds === undefined ? {} : { age: String(ageSeconds) }
  return { ...reply, headers: { ...reply.headers, ...age, warning: '110 - "Response is Stale"' } }
}

/** Stands for the bytes of a HEAD reply, which nobody reads. */
function unread(size: number): Bytes {
  return {
    size,
    source: 'cache',
    read() {
      throw new Error('a HEAD reply has no body to read')
    },
  }
}
