/**
 * Takes requests as they come in, has them answered, and sees the replies out. A reply that is there at once and small is
 * sent without a detour; everything else becomes an Exchange. Knows which exchanges run, their limits and their patience.
 */
import { setTimeout } from 'node:timers/promises'
import { RegistryError } from '../errors.js'
import { isSmall } from './body.js'
import { type Ending, Exchange, type ExchangeContext, type Patience } from './exchange.js'
import type { Fault } from './framing.js'
import { checkHeaders, writeHead } from './head.js'
import type { Incoming } from './incoming.js'
import { negotiate } from './negotiate.js'
import type { Outlet } from './outlet.js'
import type { Reply } from './reply.js'
import type { HttpRequest } from './request.js'
import { problem, refusal } from './status.js'
import { endWhole, sentSize } from './writer.js'

export type Handle = (request: HttpRequest) => Reply | Promise<Reply>

export interface LogEntry {
  readonly id: string
  /** Did the client choose the id: it will want to find the request. */
  readonly traced: boolean
  readonly method: string
  /** Without the query, which may hold secrets; cut at 512 characters. */
  readonly path: string
  /** 499: the connection ended before the reply did. */
  readonly status: number
  /** From the request's head to the end of its reply. */
  readonly ms: number
  /** Of the reply's body. */
  readonly bytes: number
  /** Asking for it costs more than all the rest of a small reply: ask inside the call, and only when it is needed. */
  readonly remote: string
  /** For status 500 and above, and for replies that were cut. */
  readonly error: unknown
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
  readonly #running = new Set<Exchange>()
  readonly #ticker: NodeJS.Timeout
  #bodies = 0

  constructor(handle: Handle, options: DispatchOptions) {
    this.#handle = handle
    this.#options = options
    this.patience = options.patience
    this.#ticker = setInterval(() => this.#tick(), Math.min(TICK_MS, options.patience.idleMs / 2)).unref()
  }

  get running(): number {
    return this.#running.size
  }

  accept(out: Outlet, incoming: Incoming, fault: Fault | undefined): void {
    if (fault !== undefined || incoming.hasBody) {
      this.#acceptBody(out, incoming, fault)
      return
    }
    const reply = this.#now(incoming)
    if (reply instanceof Promise || !isSmall(reply)) this.#run(new Exchange(out, incoming, this), reply, false)
    else this.#reply(out, incoming, reply)
  }

  failed(error: unknown, request: HttpRequest): Reply {
    return this.#options.failed?.(error, request) ?? problem(error, request)
  }

  ended(exchange: Exchange, ending: Ending): void {
    this.#log(exchange.incoming, ending)
  }

  left(exchange: Exchange): void {
    this.#running.delete(exchange)
  }

  /** Waits for what runs, then cuts it. `sever` ends all connections, the idle ones too. */
  async close(graceMs: number, sever: () => void): Promise<void> {
    this.closing = true
    await this.#settle(graceMs)
    sever()
    for (const exchange of this.#running) exchange.cut()
    await this.#settle(LAST_MS)
    clearInterval(this.#ticker)
  }

  /** A body can arrive as soon as this returns, so its inbox must be there before the handler is. */
  #acceptBody(out: Outlet, incoming: Incoming, fault: Fault | undefined): void {
    const exchange = new Exchange(out, incoming, this)
    if (fault !== undefined) this.#run(exchange, refused(fault, incoming), true)
    else if (this.#bodies >= this.#options.maxBodies) this.#run(exchange, busy(), false)
    else this.#run(exchange, this.#called(incoming), false)
  }

  async #called(incoming: Incoming): Promise<Reply> {
    this.#bodies++
    try {
      return await this.#handle(incoming)
    } finally {
      this.#bodies--
    }
  }

  /** The reply, checked and negotiated, when it is there at once. Otherwise the exchange does the same. */
  #now(incoming: Incoming): Reply | Promise<Reply> {
    try {
      const reply = this.#handle(incoming)
      if (reply instanceof Promise || !isSmall(reply)) return reply
      const answer = negotiate(incoming, reply)
      // The exchange negotiates once more, which changes nothing.
      if (!(answer instanceof Promise)) checkHeaders(answer.headers)
      return answer
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #reply(out: Outlet, incoming: Incoming, reply: Reply): void {
    this.#log(incoming, { status: reply.status, bytes: sentSize(incoming.method, reply), error: undefined })
    writeHead(out, reply, incoming.id)
    endWhole(out, incoming.method, reply, this.closing)
    incoming.detach()
  }

  #run(exchange: Exchange, ready: Reply | Promise<Reply>, close: boolean): void {
    this.#running.add(exchange)
    exchange.start(ready, close)
  }

  #tick(): void {
    const now = performance.now()
    for (const exchange of this.#running) exchange.tick(now)
  }

  async #settle(withinMs: number): Promise<void> {
    const timeout = new AbortController()
    const expired = setTimeout(withinMs, undefined, { signal: timeout.signal }).catch(() => undefined)
    while (this.#running.size > 0) {
      const all = Promise.all([...this.#running].map((exchange) => exchange.finished)).then(() => 'settled' as const)
      if ((await Promise.race([all, expired])) !== 'settled') break
    }
    timeout.abort()
  }

  /** Before the response ends where that is possible: afterwards the connection cannot be asked for its address. */
  #log(incoming: Incoming, { status, bytes, error }: Ending): void {
    if (this.#options.log === undefined) return
    const telling = status >= 500 || status === 499 ? error : undefined
    this.#options.log(new Entry(incoming, status, bytes, telling))
  }
}

/** Made for every request, so by a class: an accessor in an object literal costs more than the whole reply. */
class Entry implements LogEntry {
  readonly status: number
  readonly bytes: number
  readonly error: unknown
  readonly ms: number
  readonly #incoming: Incoming

  constructor(incoming: Incoming, status: number, bytes: number, error: unknown) {
    this.status = status
    this.bytes = bytes
    this.error = error
    this.ms = performance.now() - incoming.startedAt
    this.#incoming = incoming
  }

  get id(): string {
    return this.#incoming.id
  }

  get traced(): boolean {
    return this.#incoming.traced
  }

  get method(): string {
    return this.#incoming.method
  }

  get path(): string {
    return this.#incoming.path.slice(0, 512)
  }

  get remote(): string {
    return this.#incoming.remote
  }
}

function refused({ status, detail }: Fault, incoming: Incoming): Reply {
  return refusal(status, detail, 'bad_request', incoming)
}

function busy(): Promise<Reply> {
  return Promise.reject(new RegistryError('unavailable', 'Too many uploads at once', { retryAfter: 1, code: 'busy' }))
}
