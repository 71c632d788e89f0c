/**
 * From a request to a repository's route: the same on the primary and on a node. Whatever URL form (address.ts) leads to an object,
 * one path is walked: resolve, authenticate, ask the gate, then the format's route or a plain file.
 */
import { LRUCache } from 'lru-cache'
import type { Gate } from './access/gate.js'
import { demand, refuseCrossSite, refuseStale, tooOld, unseen } from './access/refusal.js'
import { type Address, type AddressForms, addressOf } from './address.js'
import { Calling } from './calling.js'
import { RegistryError } from './errors.js'
import { type Count, fileReply } from './file-reply.js'
import { credentialsOf, type Format, type Route } from './format.js'
import { HotReplies } from './hot.js'
import { IndexCache } from './http/index-cache.js'
import { parsePath } from './http/path.js'
import type { Reply } from './http/reply.js'
import type { HttpRequest } from './http/request.js'
import { compile, type Matcher } from './http/route.js'
import { errorHeaders, notAllowed, problem, statusOf } from './http/status.js'
import { Virtual } from './kinds/virtual.js'
import { Withheld } from './kinds/withheld.js'
import { type Member, Members } from './members.js'
import type { Accounts, Metadata, Principal } from './ports.js'
import type { Digest, FileRecord, RepositoryRecord } from './records.js'
import type { Repository, Single } from './repository.js'
import type { RootCall, RootRoute } from './root.js'

export interface RegistryOptions {
  metadata: Metadata
  access: Gate
  /** Accounts as seen from a client's address. */
  accounts: (remote: string) => Accounts
  formats: readonly Format[]
  /** The repository of a record that is not virtual. */
  open: (record: RepositoryRecord) => Single
  /** On a node: has it what is in this repository. Default: all of it. */
  holds?: (record: RepositoryRecord) => boolean
  /** On a node: where requests that change something go. */
  primary?: Upward
  count?: Count
  /** Where a digest is recorded, visible files only. Needed where formats write. */
  holders?: (digest: Digest) => Promise<{ scope: string; path: string }[]>
  /** A failure that is not the client's: logged once, here. */
  onError: (error: unknown, request: HttpRequest) => void
  cacheBytes: number
  /** What cooldowns are reckoned by; default the machine's clock. */
  nowMs?: () => number
}

export interface Upward {
  /** Did the last exchange with the primary reach it. */
  reachable: boolean
  /** Sends a request to the primary and waits until its effect can be read here. */
  forward: (request: HttpRequest) => Promise<Reply>
  /** Is it this node, and not the primary, that publishes under the name; undefined: one that only the body tells. Default: never. */
  takes?: (record: RepositoryRecord, name: string | undefined) => boolean
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

export class Registry {
  readonly #options: RegistryOptions
  readonly #formats: ReadonlyMap<string, { format: Format; matcher: Matcher<Route> }>
  readonly #roots: ReadonlyMap<string, { format: Format; matcher: Matcher<RootRoute> }>
  readonly #logins: readonly { format: Format; matcher: Matcher<RootRoute> }[]
  readonly #resolved = new LRUCache<string, Resolved>({ max: RESOLVED_REMEMBERED })
  readonly #members: Members
  readonly #indexes: IndexCache
  readonly #hot: HotReplies
  readonly #forms: AddressForms

  constructor(options: RegistryOptions) {
    this.#options = options
    this.#formats = new Map(options.formats.map((format) => [format.name, { format, matcher: compile(format.routes) }]))
    this.#roots = new Map(
      options.formats.flatMap((format) => {
        const routes = format.rootRoutes ?? []
        const matcher = compile(routes)
        return [...new Set(routes.map(({ pattern }) => firstOf(pattern)))].map((first) => [first, { format, matcher }])
      }),
    )
    this.#logins = options.formats.map((format) => ({ format, matcher: compile(format.logins ?? []) }))
    const owners = new Map(options.formats.flatMap(({ root, name }) => (root === undefined ? [] : [[root, name]])))
    this.#members = new Members({
      ...options,
      grammar: ({ format }) => this.#formats.get(format)?.format.grammar,
      nowMs: options.nowMs ?? Date.now,
    })
    this.#indexes = new IndexCache({ maxBytes: options.cacheBytes })
    this.#hot = new HotReplies(options.metadata, options.access)
    this.#forms = {
      isFormat: (name) => this.#formats.has(name),
      rootOf: (segment) => owners.get(segment),
    }
  }

  /** undefined when the path belongs to no repository URL form. */
  handle(request: HttpRequest): Promise<Reply> | Reply | undefined {
    const hot = this.#hot.reply(request)
    if (hot) return hot
    const address = addressOf(request.path, this.#forms)
    if (address) return this.#answer(request, address)
    const root = this.#roots.get(firstOf(request.path))
    return root && this.#answerRoot(request, root)
  }

  /** A repository as a principal sees it; a virtual one through the members that may be read. */
  repository(record: RepositoryRecord, principal: Principal): Repository {
    if (record.type !== 'virtual') return this.#members.single(record)
    const all = this.#members.of(record)
    this.#refuseHalfKnown(record, all)
    const members: Repository[] = []
    const hidden: Repository[] = []
    for (const { record: member, repository } of all) {
      const { allowed, stale, reason } = this.#options.access.decide(principal, 'read', member)
      if (allowed) members.push(repository)
      else if (stale) members.push(new Withheld(repository, tooOld(reason)))
      else if (member.type === 'local') hidden.push(repository)
    }
    return new Virtual(record, { members, hidden, merges: (name) => this.merges(record, name) })
  }

  /** What a repository is made of, in order, whoever asks. */
  members(record: RepositoryRecord): Member[] {
    return this.#members.of(record)
  }

  /** Does a virtual repository show all members' versions of a name. */
  merges(record: RepositoryRecord, name: string): boolean {
    return this.#members.merges(record, name)
  }

  /** May the fleet pass on bytes of a scope: not when every record of them there is blocked. Their age is no reason. */
  async passes(scope: string, digest: Digest): Promise<boolean> {
    const { metadata, holders } = this.#options
    const record = metadata.scope(scope)
    const single = record && record.type !== 'virtual' ? this.#members.single(record) : undefined
    if (!single?.blocks || !holders) return true
    const paths = (await holders(digest)).filter((holder) => holder.scope === scope).map(({ path }) => path)
    for (const path of paths) {
      const file = await metadata.file(scope, path)
      if (file && !(await single.blocks(file))) return true
    }
    return paths.length === 0
  }

  /** Without the names of every local member, a remote one could be asked for a name that is none of its business. */
  #refuseHalfKnown(record: RepositoryRecord, members: Member[]): void {
    const { holds } = this.#options
    if (!holds || !members.some((member) => member.record.type === 'remote')) return
    const unknown = members.find((member) => member.record.type === 'local' && !holds(member.record))
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
    return fileReply({ format: entry.format, repository, request, count: this.#options.count }, file)
  }

  /** Until somebody is known to see the repository, nothing is said that would not be said if it were not there. */
  async #answer(request: HttpRequest, address: Address): Promise<Reply> {
    const { access, primary } = this.#options
    let principal = access.anonymous
    try {
      if (!isRead(request)) refuseCrossSite(request)
      const resolved = this.#resolve(request, address)
      const named = this.#named(address)
      if (resolved?.route && primary?.reachable && this.#isCarried(resolved, resolved.route)) {
        if (!this.#login(request, address, named)) this.#refuseStrangers(request, resolved, resolved.route)
        return await primary.forward(request)
      }
      principal = await this.#principal(request, named)
      const seen = resolved && access.sees(principal, resolved.record)
      const login = this.#login(request, address, seen ? resolved.format : named)
      if (login) return await (primary ? primary.forward(request) : login())
      if (!seen) throw unseen(access, principal, address.key)
      return await this.#run(request, resolved, principal)
    } catch (error) {
      return this.#refuse(error, request, this.#formatFor(address, principal))
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
      return await found.route.handle(this.#rootCall(request, format, found.params))
    } catch (error) {
      return this.#refuse(error, request, format)
    }
  }

  /** At a repository's address, of one format or of any. */
  #login(request: HttpRequest, { rest }: Address, of: Format | undefined): (() => Promise<Reply>) | undefined {
    if (isRead(request)) return undefined
    for (const { format, matcher } of this.#logins) {
      const found = of === undefined || of === format ? matcher.match(request.method, parsePath(rest).path) : undefined
      if (found?.kind !== 'found') continue
      const call = this.#rootCall(request, format, found.params)
      return () => found.route.handle(call).catch((error: unknown) => this.#refuse(error, request, format))
    }
    return undefined
  }

  #rootCall(request: HttpRequest, format: Format, params: Record<string, string>): RootCall {
    const { access, accounts, metadata, primary } = this.#options
    return {
      request,
      params,
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
            reach: access.reach(principal, record, ['read']),
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

  /** Is it the primary's to answer: what changes something, but for names that are this node's to give. */
  #isCarried(resolved: Resolved, route: Route): boolean {
    const { primary } = this.#options
    return primary !== undefined && route.writes && !primary.takes?.(resolved.record, nameIn(resolved, route))
  }

  /** Whose error documents somebody gets: the format of what may not be seen is not told. */
  #formatFor(address: Address, principal: Principal): Format | undefined {
    const { access, metadata } = this.#options
    const record = metadata.repository(address.key)
    const seen = record && access.sees(principal, record)
    return this.#named(address) ?? (seen ? this.#formats.get(record.format)?.format : undefined)
  }

  #named(address: Address): Format | undefined {
    return this.#formats.get(address.format ?? '')?.format
  }

  /** undefined: there is no such repository, or it is of another format. Throws `invalid` for a path that is none. */
  #resolve(request: HttpRequest, address: Address): Resolved | undefined {
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const key = `${method} ${address.key} ${address.rest}`
    const known = this.#resolved.get(key)
    if (known && known.configured === this.#options.metadata.configured) return known
    const { path } = parsePath(address.rest)
    const record = this.#options.metadata.repository(address.key)
    const entry = record && this.#formats.get(record.format)
    if (!entry || (address.format !== undefined && address.format !== record.format)) return undefined
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

  /** Where no format is named, any way of sending credentials will do: that one is taken tells nothing of what is there. */
  #principal(request: HttpRequest, named: Format | undefined): Principal | Promise<Principal> {
    const formats = named ? [named] : this.#options.formats
    const own = formats.map((format) => format.credentials?.(request)).find((one) => one !== undefined)
    const credentials = own ?? request.headers.get('authorization')
    return credentials === undefined
      ? this.#options.access.anonymous
      : this.#options.access.authenticate(credentials, request.remote)
  }

  async #run(request: HttpRequest, resolved: Resolved, principal: Principal): Promise<Reply> {
    const { record, route, path } = resolved
    const { access, primary } = this.#options
    const subject = route?.subject?.(resolved.params) ?? path.slice(1)
    const listed = route?.lists && access.reach(principal, record, ['read']).length > 0
    const forwarded = route !== undefined && this.#isCarried(resolved, route)
    // Cut off, the answer is the same for all who see it: no credentials would help.
    if (forwarded && primary) return primary.forward(request)
    if (listed) refuseStale(access, record)
    else if (!route?.open) demand(access, principal, route?.action ?? 'read', record, subject)
    if (resolved.allow) return refuseMethod(request, resolved.allow, resolved.format)
    const repository = this.repository(record, principal)
    const call = this.#call(request, resolved, repository, principal)
    if (route) {
      const { configured } = this.#options.metadata
      const reply = await route.handle(call)
      const made = call.made
      // Only what the handler returned as it was made, and what no principal's view of members went into.
      if (made && (reply === made.prepared.identity || reply === made.prepared.gzip) && record.type !== 'virtual')
        this.#hot.remember(request, { ...made, configured, repository, format: resolved.format, subject })
      return route.writes && primary ? pending(reply) : reply
    }
    const reply = await call.send(path.slice(1))
    if (!reply) throw new RegistryError('missing', `There is no ${path.slice(1) || 'such path'} in ${record.key}`)
    return reply
  }

  #call(request: HttpRequest, { params, format }: Resolved, repository: Repository, principal: Principal): Calling {
    const { access, accounts, count, metadata, holders } = this.#options
    return new Calling(
      { params, request, repository, principal, format },
      {
        access,
        accounts: () => accounts(request.remote),
        indexes: this.#indexes,
        count,
        repository: (record) => this.repository(record, principal),
        metadata,
        holders,
      },
    )
  }
}

/** Of what was published here, and is still to be told the primary. */
function pending(reply: Reply): Reply {
  return reply.status < 300 ? { ...reply, headers: { ...reply.headers, 'x-cairn-pending': 'true' } } : reply
}

/** The package that a request is about; undefined: its body tells, or it is about none. */
function nameIn({ format, params, path }: Resolved, { subject }: Route): string | undefined {
  if (subject) return subject(params)
  const { listing } = format.upstream ?? {}
  return listing ? listing.packageOf(path.slice(1)) : path.slice(1)
}

function isRead({ method }: HttpRequest): boolean {
  return method === 'GET' || method === 'HEAD'
}

function firstOf(path: string): string {
  return path.split('/', 2)[1] ?? ''
}

function refuseMethod(request: HttpRequest, allow: string[], format: Format): Reply {
  if (!format.error) return notAllowed(request.method, allow, request)
  const error = new RegistryError('unsupported', `${request.method} is not offered here`)
  const own = format.error(error, 405, request)
  return { ...own, status: 405, headers: { 'cache-control': 'no-store', ...own.headers, allow: allow.join(', ') } }
}
