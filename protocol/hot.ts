/**
 * Index replies that can be given again without waiting: remembered by what the request says, used only while nothing that they
 * followed from has changed (configuration, the gate's decision for this principal, the stamp of what was rendered). It decides
 * nothing itself and is only ever a shorter way to the same reply.
 */
import { LRUCache } from 'lru-cache'
import type { Gate } from './access/gate.js'
import type { Format } from './format.js'
import { choose, type Prepared } from './http/prepared.js'
import type { Reply } from './http/reply.js'
import type { HttpRequest } from './http/request.js'
import type { Metadata, Principal } from './ports.js'
import type { Repository } from './repository.js'

interface Hot {
  configured: number
  repository: Repository
  format: Format
  /** Without a leading slash. */
  path: string
  name: string
  stamp: string
  prepared: Prepared
}

const REMEMBERED = 20_000
/** A proxy's view decides about absolute URLs: such requests take the long way. */
const FORWARDED = ['x-forwarded-host', 'x-forwarded-proto', 'forwarded']

export class HotReplies {
  readonly #hot = new LRUCache<string, Hot>({ max: REMEMBERED })
  readonly #metadata: Pick<Metadata, 'configured'>
  readonly #gate: Gate

  constructor(metadata: Pick<Metadata, 'configured'>, gate: Gate) {
    this.#metadata = metadata
    this.#gate = gate
  }

  /** undefined: the request takes the long way, which also explains refusals. */
  reply(request: HttpRequest): Reply | undefined {
    if (request.method !== 'GET' && request.method !== 'HEAD') return undefined
    const hot = this.#hot.get(keyOf(request))
    if (!hot || hot.configured !== this.#metadata.configured) return undefined
    const principal = this.#principal(request, hot.format)
    if (!principal || !this.#gate.decide(principal, 'read', hot.repository.record, hot.path).allowed) return undefined
    return hot.repository.stamp(hot.name) === hot.stamp ? choose(request, hot.prepared) : undefined
  }

  /** `configured`: as it was before the reply was made. */
  remember(request: HttpRequest, hot: Hot): void {
    if (request.method !== 'GET' || FORWARDED.some((name) => request.headers.has(name))) return
    this.#hot.set(keyOf(request), hot)
  }

  #principal(request: HttpRequest, format: Format): Principal | undefined {
    const credentials = request.headers.get('authorization')
    if (credentials === undefined) return format.credentials?.(request) === undefined ? this.#gate.anonymous : undefined
    return this.#gate.known(credentials)
  }
}

/** A forwarded request is never remembered, so its key finds nothing that was made for another view. */
function keyOf({ path, query, headers }: HttpRequest): string {
  const view = FORWARDED.some((name) => headers.has(name)) ? 'forwarded' : (headers.get('host') ?? '')
  return `${path}\n${query}\n${headers.get('accept') ?? ''}\n${view}`
}
