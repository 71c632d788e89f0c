/**
 * One request and its reply, once it takes more than a moment: the body that comes, the reply that goes, at the speed of
 * the slower side and with bounded memory. A reply is complete and right, or the connection is cut. It lives until the
 * response has ended or the client went away.
 */
import { setImmediate } from 'node:timers/promises'
import { isStream, isWhole, sizeOf } from './body.js'
import { checkHeaders } from './head.js'
import { Inbox } from './inbox.js'
import type { Incoming } from './incoming.js'
import type { Outlet } from './outlet.js'
import { peek } from './peek.js'
import type { Reply } from './reply.js'
import { COPY_LIMIT, Writer } from './writer.js'

export interface Patience {
  /** Without a byte moved in the direction that is waited for, the connection is cut. */
  idleMs: number
  /** What is still read, once the reply is out, so that a client that is busy sending gets to see it. */
  lingerMs: number
  lingerBytes: number
}

export interface Ending {
  status: number
  /** Of the body. */
  bytes: number
  /** What went wrong, if anything did. */
  error: unknown
}

export interface ExchangeContext {
  readonly patience: Patience
  /** The server is closing: clients are told not to come back on this connection. */
  readonly closing: boolean
  failed(error: unknown, request: Incoming): Reply
  ended(exchange: Exchange, ending: Ending): void
}

/** As in nginx's logs: the connection ended before the reply did. */
const CUT = 499
/** Bytes of a request's body that may still come when the reply is out, on a connection that is kept. */
const KEEP_LIMIT = 1024 * 1024

export class Exchange {
  readonly incoming: Incoming
  readonly #out: Outlet
  readonly #writer: Writer
  readonly #context: ExchangeContext
  readonly #inbox: Inbox | undefined
  #heardAt = performance.now()
  #stopLingering: (() => void) | undefined
  #ended = false
  #error: unknown

  /** To be made before the handler first waits, while `out` is certainly alive. */
  constructor(out: Outlet, incoming: Incoming, context: ExchangeContext) {
    this.#out = out
    this.#context = context
    this.incoming = incoming
    this.#writer = new Writer(out, incoming)
    incoming.detach()
    out.onAborted(() => this.#lose())
    this.#inbox = incoming.hasBody ? this.#receive() : undefined
    incoming.inbox = this.#inbox
  }

  /** Some of the request's body is still to come. */
  get receiving(): boolean {
    return this.#inbox !== undefined && !this.#inbox.complete
  }

  /** Sends the reply. Never throws: what fails before the first byte becomes an error reply, later the connection is cut. */
  async run(ready: Reply | Promise<Reply>, cut = false): Promise<void> {
    try {
      await this.#send(await this.#checked(ready), cut)
    } catch (error) {
      this.#error = error
      this.cut()
    }
  }

  /** To be called every few seconds. */
  tick(now: number): void {
    const sending = this.#writer.waiting
    const receiving = this.receiving && this.#inbox?.paused === false
    if (this.#ended || !this.#writer.alive || (!sending && !receiving)) return
    if (now - Math.max(this.#heardAt, this.#writer.movedAt) > this.#context.patience.idleMs) return this.cut()
    // The library closes connections after 10 s by a clock of its own, which this sets back.
    this.#out.pause()
    this.#out.resume()
  }

  /** Ends the connection at once: an incomplete reply must not look complete. */
  cut(): void {
    if (!this.#writer.alive) return
    this.#writer.stop()
    this.#out.close()
    this.#lose()
  }

  #lose(): void {
    this.#writer.stop()
    this.incoming.lose()
    this.#stopLingering?.()
    this.#end(CUT)
  }

  #end(status: number): void {
    if (this.#ended) return
    this.#ended = true
    this.#context.ended(this, { status, bytes: this.#writer.bytes, error: this.#error })
  }

  #receive(): Inbox {
    const inbox = new Inbox(this.#out)
    this.#out.onData((chunk, last) => {
      this.#heardAt = performance.now()
      inbox.push(new Uint8Array(chunk), last)
      if (inbox.received > this.#lingerUntil) this.#stopLingering?.()
    })
    return inbox
  }

  async #checked(ready: Reply | Promise<Reply>): Promise<Reply> {
    try {
      const reply = await ready
      checkHeaders(reply.headers)
      return reply
    } catch (error) {
      return this.#failed(error)
    }
  }

  #failed(error: unknown): Reply {
    this.#error = error
    return this.#context.failed(error, this.incoming)
  }

  async #send(reply: Reply, cut: boolean): Promise<void> {
    const { body } = reply
    if (body === undefined || isWhole(body) || this.incoming.method === 'HEAD') return await this.#sendWhole(reply, cut)
    const chunks = peek(isStream(body) ? body : body.read(undefined, this.incoming.signal))
    try {
      // Before the status line is written: a body that cannot even begin becomes an error reply, not a cut connection.
      await chunks.first()
    } catch (error) {
      return await this.#sendWhole(this.#failed(error), cut)
    }
    await this.#sendStream(reply, chunks, sizeOf(body), cut)
  }

  async #sendWhole(reply: Reply, cut: boolean): Promise<void> {
    const closes = await this.#turn(cut)
    const body = whole(reply.body)
    const size = sizeOf(reply.body) ?? 0
    const small = size <= COPY_LIMIT || this.incoming.method === 'HEAD'
    if (closes && this.receiving) {
      if (size > 0 && small && this.incoming.method !== 'HEAD') return await this.#sendAndLinger(reply, body)
      await this.#linger()
    }
    if (small || closes) this.#writer.whole(reply, body, size, closes, this.#context.closing)
    else await this.#writer.sized(reply, once(Buffer.from(body)), size, this.#context.closing)
    this.#end(reply.status)
  }
}
