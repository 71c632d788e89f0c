/**
 * Takes requests as they come in, has them answered, and sees the replies out. A reply that is there at once and small is
 * sent without a detour; everything else becomes an Exchange. Knows which exchanges run, their limits and their patience.
 */
import { setTimeout } from 'node:timers/promises'
import { RegistryError } from '../errors.js'
import { isWhole, sizeOf } from './body.js'
import { type Ending, Exchange, type ExchangeContext, type Patience } from './exchange.js'
import type { Fault } from './framing.js'
import { checkHeaders, writeHead } from './head.js'
import type { Incoming } from './incoming.js'
import { negotiate } from './negotiate.js'
import type { Outlet } from './outlet.js'
import type { Reply } from './reply.js'
import type { HttpRequest } from './request.js'
import { problem, refusal } from './status.js'
import { COPY_LIMIT, endWhole } from './writer.js'

export type Handle = (request: HttpRequest) => Reply | Promise<Reply>

export interface LogEntry {
  id: string
  /** Did the client choose the id: it will want to find the request. */
  traced: boolean
  method: string
  /** Without the query, which may hold secrets; cut at 512 characters. */
  path: string
  /** 499: the connection ended before the reply did. */
  status: number
  /** From the request's head to the last byte handed to the kernel. */
  ms: number
  /** Of the reply's body. */
  bytes: number
  remote: string
  /** For status 500 and above, and for replies that were cut. */
  error?: unknown
}

export interface DispatchOptions {
  patience: Patience
  /** Requests with a body that are answered at a time. */
  maxBodies: number
  log: ((entry: LogEntry) => void) | undefined
  failed: ((error: unknown, request: HttpRequest) => Reply) | undefined
}

/** How often idle clients are looked for. Below the 10 s after which the library closes connections on its own. */
const TICK_MS = 2_000
/** What handlers that ignore their signal get once their connections are gone. */
const LAST_MS = 1_000

export class Dispatcher implements ExchangeContext {
  readonly patience: Patience
  closing = false
  readonly #handle: Handle
  readonly #options: DispatchOptions
  readonly #exchanges = new Map<Exchange, number>()
  readonly #running = new Set<Promise<void>>()
  readonly #ticker: NodeJS.Timeout
  #bodies = 0

  constructor(handle: Handle, options: DispatchOptions) {
    this.#handle = handle
    this.#options = options
    this.patience = options.patience
    this.#ticker = setInterval(() => this.#tick(), Math.min(TICK_MS, options.patience.idleMs / 2)).unref()
  }

  get running(): number {
    return this.#exchanges.size
  }

  accept(out: Outlet, incoming: Incoming, fault: Fault | undefined): void {
    const startedAt = performance.now()
    const open = () => this.#open(out, incoming, startedAt)
    if (fault !== undefined) {
      this.#run(open(), refused(fault, incoming), true)
      return
    }
    // A body can arrive as soon as this returns, so its inbox must be there before the handler is.
    const exchange = incoming.hasBody ? open() : undefined
    const ready = exchange !== undefined && this.#bodies > this.#options.maxBodies ? busy() : this.#answer(incoming)
    if (exchange !== undefined || ready instanceof Promise || !isSmall(ready))
      this.#run(exchange ?? open(), ready, false)
    else this.#reply(out, incoming, ready, startedAt)
  }

  failed(error: unknown, request: HttpRequest): Reply {
    return this.#options.failed?.(error, request) ?? problem(error, request)
  }

  ended(exchange: Exchange, { status, bytes, error }: Ending): void {
    const startedAt = this.#exchanges.get(exchange) ?? performance.now()
    this.#exchanges.delete(exchange)
    if (exchange.incoming.hasBody) this.#bodies--
    this.#log(exchange.incoming, startedAt, { status, bytes, error })
  }

  /** Waits for what runs, then cuts it. `sever` ends all connections, the idle ones too. */
  async close(graceMs: number, sever: () => void): Promise<void> {
    this.closing = true
    await this.#settle(graceMs)
    sever()
    for (const exchange of this.#exchanges.keys()) exchange.cut()
    await this.#settle(LAST_MS)
    clearInterval(this.#ticker)
  }

  #answer(incoming: Incoming): Reply | Promise<Reply> {
    try {
      const reply = this.#handle(incoming)
      if (reply instanceof Promise) return reply.then((value) => negotiate(incoming, value))
      const answer = negotiate(incoming, reply)
      if (!(answer instanceof Promise)) checkHeaders(answer.headers)
      return answer
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #reply(out: Outlet, incoming: Incoming, reply: Reply, startedAt: number): void {
    const body = reply.body !== undefined && isWhole(reply.body) ? reply.body : ''
    const size = sizeOf(reply.body) ?? 0
    // Asked for while the connection can still tell.
    if (this.#options.log !== undefined) incoming.detach()
    writeHead(out, reply, incoming.id)
    const close = this.closing
    const bytes = endWhole(out, incoming.method, { reply, body, size, close })
    this.#log(incoming, startedAt, { status: reply.status, bytes, error: undefined })
  }

  #open(out: Outlet, incoming: Incoming, startedAt: number): Exchange {
    const exchange = new Exchange(out, incoming, this)
    this.#exchanges.set(exchange, startedAt)
    if (incoming.hasBody) this.#bodies++
    return exchange
  }

  #run(exchange: Exchange, ready: Reply | Promise<Reply>, close: boolean): void {
    const run = exchange.run(ready, close)
    this.#running.add(run)
    run.finally(() => this.#running.delete(run))
  }

  #tick(): void {
    const now = performance.now()
    for (const exchange of this.#exchanges.keys()) exchange.tick(now)
  }

  async #settle(withinMs: number): Promise<void> {
    const timeout = new AbortController()
    const expired = setTimeout(withinMs, undefined, { signal: timeout.signal }).catch(() => undefined)
    while (this.#running.size > 0) {
      const all = Promise.all(this.#running).then(() => 'settled' as const)
      if ((await Promise.race([all, expired])) !== 'settled') break
    }
    timeout.abort()
  }

  #log(incoming: Incoming, startedAt: number, { status, bytes, error }: Ending): void {
    if (this.#options.log === undefined) return
    const { id, traced, method, path, remote } = incoming
    const entry = {
      id,
      traced,
      method,
      path: path.slice(0, 512),
      status,
      ms: performance.now() - startedAt,
      bytes,
      remote,
    }
    this.#options.log(error !== undefined && (status >= 500 || status === 499) ? { ...entry, error } : entry)
  }
}

function isSmall({ body }: Reply): boolean {
  return body === undefined || (isWhole(body) && body.length <= COPY_LIMIT)
}

function refused({ status, detail }: Fault, incoming: Incoming): Reply {
  return refusal(status, detail, 'bad_request', incoming)
}

function busy(): Promise<Reply> {
  return Promise.reject(new RegistryError('unavailable', 'Too many uploads at once', { retryAfter: 1, code: 'busy' }))
}
