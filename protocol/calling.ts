/** A call of a format's route: what the handler may ask for, made when it asks. */
import { createHash } from 'node:crypto'
import type { Gate } from './access/gate.js'
import { demand } from './access/refusal.js'
import { RegistryError } from './errors.js'
import { arrivingReply, type Count, fileReply, type Sending } from './file-reply.js'
import type { Call, Format, Rendered } from './format.js'
import { ageHeaders } from './http/age.js'
import { gather } from './http/gather.js'
import type { IndexCache } from './http/index-cache.js'
import { choose, type Prepared, prepare } from './http/prepared.js'
import type { Reply } from './http/reply.js'
import type { HttpRequest } from './http/request.js'
import type { Arrival } from './kinds/arrival.js'
import type { Accounts, Metadata, Principal } from './ports.js'
import type { Action, Digest, FileRecord, Held, RepositoryRecord } from './records.js'
import type { Freshness, Repository, Writable } from './repository.js'

/** What a call needs besides its request. */
export interface CallParts {
  access: Gate
  /** As seen from the client's address. */
  accounts: () => Accounts
  indexes: IndexCache
  count: Count | undefined
  /** A repository as the principal sees it, by key and by scope. */
  repository: (record: RepositoryRecord) => Repository
  metadata: Pick<Metadata, 'repository' | 'scope'>
  holders: ((digest: Digest) => Promise<{ scope: string; path: string }[]>) | undefined
}

export class Calling implements Call {
  readonly params: Record<string, string>
  readonly request: HttpRequest
  readonly repository: Repository
  readonly principal: Principal
  readonly #format: Format
  readonly #parts: CallParts
  /** The index that was found kept, if any. */
  made: { name: string; reference: string | undefined; stamp: string; prepared: Prepared } | undefined

  constructor(
    call: Pick<Call, 'params' | 'request' | 'repository' | 'principal'> & { format: Format },
    parts: CallParts,
  ) {
    this.params = call.params
    this.request = call.request
    this.repository = call.repository
    this.principal = call.principal
    this.#format = call.format
    this.#parts = parts
  }

  get accounts(): Accounts {
    return this.#parts.accounts()
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
    return this.#parts.access.decide(this.principal, action, this.repository.record, path).allowed
  }

  reach(): readonly string[] {
    return this.#parts.access.reach(this.principal, this.repository.record, ['read'])
  }

  demand(action: Action, path: string): void {
    demand(this.#parts.access, this.principal, action, this.repository.record, path)
  }

  elsewhere(key: string, path: string): Repository | undefined {
    const record = this.#parts.metadata.repository(key)
    return this.#reads(record, path) ? this.#parts.repository(record) : undefined
  }

  async copyOf(digest: Digest): Promise<Held | undefined> {
    const { metadata, holders } = this.#parts
    for (const { scope, path } of (await holders?.(digest)) ?? []) {
      const record = metadata.scope(scope)
      // As a list shows it: what may not be used there is not copied from there, and no origin is asked.
      const page = { prefix: path, limit: 1 }
      const [file] = this.#reads(record, path) ? await this.#parts.repository(record).files(page) : []
      if (file?.path === path && file.digest === digest) return file
    }
    return undefined
  }

  /** Is it a repository of this format, and may the principal read the path there. */
  #reads(record: RepositoryRecord | undefined, path: string): record is RepositoryRecord {
    return (
      record?.format === this.#format.name && this.#parts.access.decide(this.principal, 'read', record, path).allowed
    )
  }

  get #sending(): Sending {
    const { request, repository } = this
    return { format: this.#format, repository, request, count: this.#parts.count }
  }

  async index(
    name: string,
    variant: string,
    render: () => Promise<Rendered | undefined>,
    reference?: string,
  ): Promise<Reply> {
    const reply = await this.#index({ name, reference }, variant, render)
    return withAge(reply, this.repository.freshness?.(name, reference))
  }

  async #index(
    { name, reference }: { name: string; reference: string | undefined },
    variant: string,
    render: () => Promise<Rendered | undefined>,
  ): Promise<Reply> {
    const stamped = this.repository.stamp(name, reference)
    const stamp = typeof stamped === 'string' ? stamped : await stamped
    const key = this.#indexKey(name, variant, stamp)
    const kept = this.#parts.indexes.get(key)
    if (kept) {
      this.made = { name, reference, stamp, prepared: kept }
      return choose(this.request, kept)
    }
    // Of one reference, what may not be used was refused by itself.
    const making = reference === undefined ? () => this.#orRefused(name, render) : render
    let large: Reply | undefined
    const prepared = await this.#parts.indexes.once(key, async () => {
      const made = await this.#render(name, key, making)
      if ('size' in made) return made
      large = made
      return undefined
    })
    // Another request's flight may have found the index too large to keep: then this one renders its own stream.
    const reply = prepared ? choose(this.request, prepared) : (large ?? (await this.#render(name, key, making)))
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
    const body = await gather(rendered.body, this.#parts.indexes.maxEntryBytes)
    return 'whole' in body
      ? prepare({ status: 200, headers, body: body.whole })
      : { status: 200, headers, body: body.stream }
  }

  /** A package of which nothing may be used looks as if it were not there: then the reason is told instead. */
  async #orRefused(name: string, render: () => Promise<Rendered | undefined>): Promise<Rendered | undefined> {
    try {
      const rendered = await render()
      if (!rendered) await this.#refuseHidden(name)
      return rendered
    } catch (error) {
      if (error instanceof RegistryError && error.kind === 'missing') await this.#refuseHidden(name)
      throw error
    }
  }

  async #refuseHidden(name: string): Promise<void> {
    if ((await this.repository.package(name))?.versions !== 0) return
    for await (const _ of this.repository.versions(name)) return
  }

  async send(path: string, headers?: (file: FileRecord) => Record<string, string>): Promise<Reply | undefined> {
    const { repository, request } = this
    // A part is cut from what is known whole.
    const whole = !request.headers.has('range')
    const found = whole && repository.arrive ? await repository.arrive(path) : await repository.file(path)
    if (found === undefined) return undefined
    const file = 'digest' in found ? found : await (lacksLength(found, request) ? found.done : found.begun())
    if (file) return withAge(await this.file(file, headers?.(file)), repository.freshness?.(path))
    if ('digest' in found) return undefined
    return arrivingReply(this.#sending, path, found)
  }

  file(file: FileRecord, headers: Record<string, string> = {}): Promise<Reply> {
    return fileReply(this.#sending, file, headers)
  }
}

/** Only its end tells what a HEAD asks for. */
function lacksLength({ size }: Arrival, { method }: HttpRequest): boolean {
  return method === 'HEAD' && size === undefined
}

function withAge(reply: Reply, freshness: Freshness | undefined): Reply {
  return freshness?.stale ? { ...reply, headers: { ...reply.headers, ...ageHeaders(freshness) } } : reply
}
