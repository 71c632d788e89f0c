/**
 * GET from upstreams. Sockets only where the guard allows, redirects followed by hand and each looked at anew, credentials for
 * the host that they were given for and no other, a limit for every wait, one budget per host. Bodies are neither decoded nor
 * believed here.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { RegistryError } from '../../protocol/errors.js'
import { BUDGET, Budget, type BudgetOptions } from './budget.js'
import { Egress, type EgressOptions } from './egress.js'
import { retryAfterMs } from './retry-after.js'

export interface UpstreamClientOptions extends Omit<EgressOptions, 'connectMs' | 'connections'> {
  nowMs?: () => number
  random?: () => number
  connectMs?: number
  /** Until the head of the reply. */
  firstByteMs?: number
  /** Between two chunks of a body. */
  idleMs?: number
  /** Slower than this, over all the time after the first `idleMs`, is given up. */
  minBytesPerSecond?: number
  budget?: Partial<BudgetOptions>
}

export interface Asked {
  headers?: Record<string, string>
  /** An Authorization value, for the URL's own origin only. */
  authorization?: string | undefined
  /** Further headers for the URL's own origin only. */
  own?: Record<string, string> | undefined
  /** Its answer may not be wanted after all: only with room to spare, else `unavailable`. */
  spare?: boolean
  signal?: AbortSignal
}

export interface UpstreamReply {
  status: number
  /** Names in lowercase; a repeated one is joined. */
  headers: ReadonlyMap<string, string>
  /** Where it came from in the end. */
  url: URL
  /** Must be read to its end or left, either of which gives the connection back. */
  body: AsyncIterable<Uint8Array>
  /** Ends the exchange without reading on. */
  cancel(): void
}

const MAX_REDIRECTS = 5
const ATTEMPTS = 3
const RETRY_MS = 200
const REDIRECTS = new Set([301, 302, 303, 307, 308])
/** Worth another try at once. */
const PASSING = new Set([500, 502, 504])
const HOSTS_REMEMBERED = 1000

export class UpstreamClient {
  readonly #options: UpstreamClientOptions
  readonly #egress: Egress
  readonly #budgets = new Map<string, Budget>()
  readonly #nowMs: () => number
  readonly #random: () => number
  readonly #firstByteMs: number
  readonly #idleMs: number
  readonly #stop = new AbortController()

  constructor(options: UpstreamClientOptions) {
    this.#options = options
    this.#nowMs = options.nowMs ?? Date.now
    this.#random = options.random ?? Math.random
    this.#firstByteMs = options.firstByteMs ?? 20_000
    this.#idleMs = options.idleMs ?? 30_000
    const connections = (options.budget?.concurrency ?? BUDGET.concurrency) * 2
    this.#egress = new Egress({ ...options, connectMs: options.connectMs ?? 10_000, connections })
  }

  /** Any status but a redirect, 429 and 5xx, which throw `unavailable` or `upstream`. */
  async get(address: URL, asked: Asked = {}): Promise<UpstreamReply> {
    let url = address
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const reply = await this.#patiently(url, address, asked)
      if (!REDIRECTS.has(reply.status)) return reply
      reply.cancel()
      url = redirected(url, reply.headers.get('location'))
    }
    throw new RegistryError('upstream', `The upstream ${address.host} redirects without end`)
  }

  async close(): Promise<void> {
    this.#stop.abort(new RegistryError('unavailable', 'The primary is stopping', { retryAfter: 5 }))
    await this.#egress.close()
  }

  async #patiently(url: URL, first: URL, asked: Asked): Promise<UpstreamReply> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(url, first, asked)
      } catch (error) {
        if (attempt === ATTEMPTS || !isPassing(error) || this.#budget(url).paused) throw error
        await delay(RETRY_MS * attempt * (0.5 + this.#random()), undefined, { signal: this.#signal(asked) })
      }
    }
  }

  async #once(url: URL, first: URL, asked: Asked): Promise<UpstreamReply> {
    const budget = this.#budget(url)
    const leave = await budget.enter(url.host, this.#signal(asked), asked.spare)
    const cancelling = new AbortController()
    try {
      const reply = await this.#egress.to(url).request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: 'GET',
        headers: {
          'user-agent': 'cairn',
          accept: '*/*',
          ...asked.headers,
          ...(url.origin === first.origin ? ownHeaders(asked) : {}),
        },
        headersTimeout: this.#firstByteMs,
        bodyTimeout: this.#idleMs,
        signal: AbortSignal.any([this.#signal(asked), cancelling.signal]),
      })
      const headers = flat(reply.headers)
      // Aborting is an error of the body, which nobody may be reading.
      reply.body.on('error', () => undefined)
      const cancel = () => {
        cancelling.abort()
        leave()
      }
      const trouble = this.#trouble(reply.statusCode, headers, url, budget)
      if (trouble) {
        cancel()
        throw trouble
      }
      return { status: reply.statusCode, headers, url, cancel, body: this.#reading(reply.body, url, leave, cancel) }
    } catch (error) {
      leave()
      throw this.#explained(error, url, budget, asked)
    }
  }

  #trouble(status: number, headers: ReadonlyMap<string, string>, url: URL, budget: Budget): RegistryError | undefined {
    const wait = retryAfterMs(headers.get('retry-after'), this.#nowMs())
    if (status === 429 || (status === 503 && wait !== undefined)) {
      budget.throttled(wait)
      return new RegistryError('unavailable', `The upstream ${url.host} asks to be left alone for a while`, {
        retryAfter: Math.max(1, Math.ceil((wait ?? 1000) / 1000)),
        code: 'upstream_throttled',
      })
    }
    if (status < 500) {
      budget.succeeded()
      return undefined
    }
    budget.failed()
    return new RegistryError('unavailable', `The upstream ${url.host} answered ${status}`, {
      retryAfter: 5,
      code: PASSING.has(status) ? 'upstream_passing' : 'upstream_failed',
    })
  }

  async *#reading(
    body: AsyncIterable<Uint8Array>,
    url: URL,
    leave: () => void,
    cancel: () => void,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { minBytesPerSecond = 512 } = this.#options
    const startMs = this.#nowMs()
    let bytes = 0
    try {
      for await (const chunk of body) {
        bytes += chunk.length
        yield chunk
        const ms = this.#nowMs() - startMs
        if (ms > this.#idleMs && (bytes * 1000) / ms < minBytesPerSecond) throw tooSlow(url)
      }
      leave()
    } catch (cause) {
      if (cause instanceof RegistryError) throw cause
      throw new RegistryError('upstream', `The upstream ${url.host} broke off`, { cause, code: 'upstream_broke_off' })
    } finally {
      cancel()
    }
  }

  /** What the guard, the caller or the budget said is passed on; everything else means that the host cannot be reached. */
  #explained(error: unknown, url: URL, budget: Budget, asked: Asked): unknown {
    if (asked.signal?.aborted || this.#stop.signal.aborted) return asked.signal?.reason ?? this.#stop.signal.reason
    const own = ownError(error)
    if (own) return own
    budget.failed()
    const hung = error instanceof Error && /Timeout/.test(error.name + ('code' in error ? String(error.code) : ''))
    return new RegistryError(
      'unavailable',
      `The upstream ${url.host} ${hung ? 'does not answer' : 'cannot be reached'}`,
      {
        cause: error,
        retryAfter: 5,
        code: hung ? 'upstream_hangs' : 'upstream_passing',
      },
    )
  }

  #budget({ origin }: URL): Budget {
    const known = this.#budgets.get(origin)
    if (known) return known
    if (this.#budgets.size >= HOSTS_REMEMBERED) this.#budgets.clear()
    const budget = new Budget({ ...BUDGET, ...this.#options.budget, nowMs: this.#nowMs, random: this.#random })
    this.#budgets.set(origin, budget)
    return budget
  }

  #signal({ signal }: Asked): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal
  }
}

function redirected(from: URL, location: string | undefined): URL {
  const to = location !== undefined && URL.canParse(location, from.href) ? new URL(location, from) : undefined
  if (!to || !/^https?:$/.test(to.protocol) || to.username !== '' || to.password !== '')
    throw new RegistryError('upstream', `The upstream ${from.host} redirects to nowhere`)
  if (from.protocol === 'https:' && to.protocol === 'http:')
    throw new RegistryError('upstream', `The upstream ${from.host} redirects from https to http`)
  return to
}

function ownHeaders({ authorization, own }: Asked): Record<string, string> {
  return { ...own, ...(authorization === undefined ? {} : { authorization }) }
}

function flat(headers: Record<string, string | string[] | undefined>): ReadonlyMap<string, string> {
  const out = new Map<string, string>()
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined) out.set(name.toLowerCase(), Array.isArray(value) ? value.join(', ') : value)
  return out
}

/** A RegistryError, also where the library wrapped it. */
function ownError(error: unknown): RegistryError | undefined {
  if (error instanceof RegistryError) return error
  if (error instanceof AggregateError) return error.errors.map(ownError).find((one) => one !== undefined)
  return error instanceof Error && error.cause !== undefined ? ownError(error.cause) : undefined
}

function isPassing(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'upstream_passing'
}

function tooSlow(url: URL): RegistryError {
  return new RegistryError('upstream', `The upstream ${url.host} sends too slowly`, { code: 'upstream_slow' })
}
