/**
 * Index replies that can be given again without waiting: remembered by what the request says, used only while nothing that they
 * followed from has changed (configuration, the gate's decision for this principal, the stamp of what was rendered). It decides
 * nothing itself and is only ever a shorter way to the same reply.
 */
import { LRUCache } from 'lru-cache'
import type { Gate } from './access/gate.js'
import { credentialsOf, type Format } from './format.js'
import { choose, type Prepared } from './http/prepared.js'
import type { Reply } from './http/reply.js'
import type { HttpRequest } from './http/request.js'
import type { Metadata, Principal } from './ports.js'
import type { Repository } from './repository.js'

interface Found {
  configured: number
  repository: Repository
  format: Format
  /** What the gate is asked about. */
  subject: string
  name: string
  reference: string | undefined
  stamp: string
  prepared: Prepared
}

interface Hot extends Found {
  query: string
  accept: string | undefined
  host: string | undefined
}

const REMEMBERED = 20_000
/** Of one path: with and without a query, for npm and for browsers, by different names of this host. */
const FORMS = 8
/** A proxy's view decides about absolute URLs: such requests take the long way. */
const FORWARDED = ['x-forwarded-host', 'x-forwarded-proto', 'forwarded']

export class HotReplies {
  /** By path, since hashing a longer key costs more than comparing: the forms of one path that clients ask for. */
  readonly #hot = new LRUCache<string, Hot[]>({ max: REMEMBERED })
  readonly #metadata: Pick<Metadata, 'configured'>
  readonly #gate: Gate

  constructor(metadata: Pick<Metadata, 'configured'>, gate: Gate) {
    this.#metadata = metadata
    this.#gate = gate
  }

  /** undefined: the request takes the long way, which also explains refusals. */
  reply(request: HttpRequest): Reply | undefined {
    if (request.method !== 'GET' && request.method !== 'HEAD') return undefined
    const hot = this.#hot.get(request.path)?.find((each) => isFor(each, request))
    if (!hot || hot.configured !== this.#metadata.configured) return undefined
    const principal = this.#principal(request, hot.format)
    if (!principal || !this.#gate.decide(principal, 'read', hot.repository.record, hot.subject).allowed)
      return undefined
    const { repository, name, reference } = hot
    if (repository.stamp(name, reference) !== hot.stamp || repository.freshness?.(name, reference)?.stale)
      return undefined
    return choose(request, hot.prepared)
  }

  /** `configured`: as it was before the reply was made. */
  remember(request: HttpRequest, found: Found): void {
    if (request.method !== 'GET' || isForwarded(request)) return
    const { query, headers } = request
    const hot = { ...found, query, accept: headers.get('accept'), host: headers.get('host') }
    const others = this.#hot.get(request.path)?.filter((each) => !isFor(each, request)) ?? []
    this.#hot.set(request.path, [hot, ...others.slice(0, FORMS - 1)])
  }

  #principal(request: HttpRequest, format: Format): Principal | undefined {
    const credentials = credentialsOf(format, request)
    return credentials === undefined ? this.#gate.anonymous : this.#gate.known(credentials, request)
  }
}

function isFor(hot: Hot, request: HttpRequest): boolean {
  const { headers } = request
  return (
    hot.host === headers.get('host') &&
    hot.accept === headers.get('accept') &&
    hot.query === request.query &&
    !isForwarded(request)
  )
}

function isForwarded({ headers }: HttpRequest): boolean {
  return FORWARDED.some((name) => headers.has(name))
}
