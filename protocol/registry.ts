/**
 * From a request to a repository's route: the same on the primary and on a node. Whatever URL form leads to an object, one path
 * is walked: resolve, authenticate, ask the gate, then the format's route or a plain file.
 *
 *     /repository/{key}/…   /{format}/{key}/…   /artifactory/{key}/…   /artifactory/api/{format}/{key}/…
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { RegistryError } from './errors.js'
import type { Call, Format, Rendered, Route } from './format.js'
import { IndexCache, type Prepared } from './http/index-cache.js'
import { parsePath } from './http/path.js'
import type { Reply } from './http/reply.js'
import type { HttpRequest } from './http/request.js'
import { compile, type Matcher } from './http/route.js'
import { problem, statusOf } from './http/status.js'
import { contentTypeOf, guarded } from './http/mime.js'
import { Virtual } from './kinds/virtual.js'
import type { Access, Accounts, Bytes, Metadata, Principal } from './ports.js'
import type { Action, FileRecord, RepositoryRecord } from './records.js'
import type { Repository, Writable } from './repository.js'

export interface RegistryOptions {
  metadata: Metadata
  access: Access
  accounts: Accounts
  formats: readonly Format[]
  /** The repository of a record that is not virtual. */
  open: (record: RepositoryRecord) => Repository
  /** On a node: sends a request that changes something to the primary and waits until its effect can be read here. */
  forward?: (request: HttpRequest) => Promise<Reply>
  /** Called for each file that a client gets. */
  count?: (record: RepositoryRecord, path: string) => void
  /** A failure that is not the client's: logged once, here. */
  onError: (error: unknown, request: HttpRequest) => void
  cacheBytes: number
}

interface Resolved {
  configured: number
  record: RepositoryRecord
  format: Format
  /** Decoded, with a leading slash, inside the repository. */
  path: string
  route: Route | undefined
  params: Record<string, string>
}

const RESOLVED_REMEMBERED = 20_000
const INDEX_ENTRY_LIMIT = 8 * 1024 * 1024
const IMMUTABLE = 'max-age=31536000, immutable'

export class Registry {
  readonly #options: RegistryOptions
  readonly #formats: ReadonlyMap<string, { format: Format; matcher: Matcher }>
  readonly #resolved = new LRUCache<string, Resolved>({ max: RESOLVED_REMEMBERED })
  readonly #repositories = new Map<string, { record: RepositoryRecord; repository: Repository }>()
  readonly #indexes: IndexCache

  constructor(options: RegistryOptions) {
    this.#options = options
    this.#formats = new Map(options.formats.map((format) => [format.name, { format, matcher: compile(format.routes) }]))
    this.#indexes = new IndexCache({ maxBytes: options.cacheBytes })
  }

  /** undefined when the path belongs to no repository URL form. */
  handle(request: HttpRequest): Promise<Reply> | undefined {
    const address = this.#address(request.path)
    return address && this.#answer(request, address)
  }

  /** A repository as a principal sees it; a virtual one through the members that may be read. */
  repository(record: RepositoryRecord, principal: Principal): Repository {
    if (record.type !== 'virtual') return this.#single(record)
    const members = this.#members(record, new Set()).filter((member) => this.#options.access.decide(principal, 'read', member).allowed)
    return new Virtual(record, members.map((member) => this.#single(member)))
  }

  async #answer(request: HttpRequest, address: Address): Promise<Reply> {
    let format: Format | undefined
    try {
      format = this.#formatAt(address)
      const resolved = this.#resolve(request, address)
      if (resolved.route?.writes && this.#options.forward) return await this.#options.forward(request)
      const principal = await this.#principal(request, resolved.format)
      this.#admit(principal, resolved)
      return await this.#run(request, resolved, principal)
    } catch (error) {
      return this.#refuse(error, request, format)
    }
  }

  #refuse(error: unknown, request: HttpRequest, format: Format | undefined): Reply {
    const known = error instanceof RegistryError ? error : undefined
    const status = statusOf(error)
    if (status >= 500 && !request.signal.aborted) this.#options.onError(error, request)
    const plain = problem(error, request)
    if (!known || !format?.error) return plain
    const own = format.error(known, status, request)
    // The envelope is the ecosystem's; status, challenge and Retry-After are the same for all.
    const { 'content-type': _, ...headers } = plain.headers
    return { ...own, status, headers: { ...headers, ...own.headers } }
  }

  #formatAt(address: Address): Format | undefined {
    const record = this.#options.metadata.repository(address.key)
    return record && this.#formats.get(record.format)?.format
  }

  #resolve(request: HttpRequest, address: Address): Resolved {
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const key = `${method} ${request.path}`
    const known = this.#resolved.get(key)
    if (known && known.configured === this.#options.metadata.configured) return known
    const record = this.#options.metadata.repository(address.key)
    const entry = record && this.#formats.get(record.format)
    if (!record || !entry || (address.format !== undefined && address.format !== record.format))
      throw new RegistryError('missing', `There is no repository ${address.key} here`)
    const { path } = parsePath(address.rest)
    const found = entry.matcher.find(method, path)
    const resolved = { configured: this.#options.metadata.configured, record, format: entry.format, path, route: found?.route, params: found?.params ?? {} }
    this.#resolved.set(key, resolved)
    return resolved
  }

  #principal(request: HttpRequest, format: Format): Principal | Promise<Principal> {
    const credentials = request.headers.get('authorization') ?? format.credentials?.(request)
    return credentials === undefined ? this.#options.access.anonymous : this.#options.access.authenticate(credentials)
  }

  #admit(principal: Principal, { route, record, path }: Resolved): void {
    const { access } = this.#options
    const action = route?.action ?? 'read'
    const decision = access.decide(principal, action, record, path)
    if (decision.allowed) return
    if (principal === access.anonymous) throw new RegistryError('unauthenticated', `This needs credentials: ${decision.reason}`)
    if (action !== 'read' && access.decide(principal, 'read', record, path).allowed) throw new RegistryError('forbidden', decision.reason)
    throw new RegistryError('missing', `There is no repository ${record.key} here`)
  }

  async #run(request: HttpRequest, resolved: Resolved, principal: Principal): Promise<Reply> {
    const repository = this.repository(resolved.record, principal)
    const call = new Calling(this.#options, this.#indexes, request, resolved, repository, principal)
    if (resolved.route) return resolved.route.handle(call)
    const file = await repository.file(resolved.path.slice(1))
    if (!file) throw new RegistryError('missing', `There is no ${resolved.path.slice(1) || 'such path'} in ${resolved.record.key}`)
    return call.file(file)
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

class Calling implements Call {
  readonly params: Record<string, string>
  readonly request: HttpRequest
  readonly repository: Repository
  readonly principal: Principal
  readonly accounts: Accounts
  readonly #options: RegistryOptions
  readonly #indexes: IndexCache
  readonly #resolved: Resolved

  constructor(options: RegistryOptions, indexes: IndexCache, request: HttpRequest, resolved: Resolved, repository: Repository, principal: Principal) {
    this.#options = options
    this.#indexes = indexes
    this.#resolved = resolved
    this.request = request
    this.repository = repository
    this.principal = principal
    this.params = resolved.params
    this.accounts = options.accounts
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

  async index(name: string, variant: string, render: () => Promise<Rendered | undefined>): Promise<Reply> {
    const stamp = await this.repository.stamp(name)
    const key = `${this.repository.record.scope}\0${variant}\0${name}\0${this.base}\0${stamp}`
    const etag = `"${createHash('sha256').update(key).digest('base64url').slice(0, 27)}"`
    return this.#indexes.reply(key, this.request, async () => {
      const rendered = await render()
      if (!rendered) throw new RegistryError('missing', `There is no ${name} in ${this.repository.key}`)
      return this.#prepare(rendered, etag)
    })
  }

  async #prepare(rendered: Rendered, etag: string): Promise<Prepared> {
    const { record } = this.repository
    return {
      status: 200,
      headers: {
        'content-type': rendered.contentType,
        'cache-control': record.public ? 'public, no-cache' : 'private, no-cache',
        ...rendered.headers,
      },
      body: rendered.body,
      etag,
      modified: rendered.modified,
      keepUpTo: INDEX_ENTRY_LIMIT,
    }
  }

  async file(file: FileRecord, headers: Record<string, string> = {}): Promise<Reply> {
    const { record } = this.repository
    const bytes = this.request.method === 'HEAD' ? unread(file.size) : await this.repository.open(file)
    if (this.request.method === 'GET') this.#options.count?.(record, file.path)
    const type = this.#resolved.format.contentType?.(file.path) ?? contentTypeOf(file.path)
    return {
      status: 200,
      headers: {
        ...guarded(type, file.path),
        etag: `"${file.digest}"`,
        'last-modified': new Date(file.publishedAt).toUTCString(),
        'cache-control': record.redeploy ? `${record.public ? 'public' : 'private'}, no-cache` : `${record.public ? 'public' : 'private'}, ${IMMUTABLE}`,
        'x-checksum-sha256': file.digest,
        ...(file.hashes.sha1 ? { 'x-checksum-sha1': file.hashes.sha1 } : {}),
        ...(file.hashes.md5 ? { 'x-checksum-md5': file.hashes.md5 } : {}),
        'x-cairn-source': bytes.source,
        ...headers,
      },
      body: bytes,
    }
  }
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
