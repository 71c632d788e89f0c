/**
 * One request and its reply, once it takes more than a moment: the body that comes, the reply that goes, at the speed of
 * the slower side and with bounded memory. A reply is complete and right, or the connection is cut. The request's body is
 * thrown away from the moment a handler has returned its reply.
 */
import { setImmediate } from 'node:timers/promises'
import { once } from '../chunks.js'
import { bytesOf, isSmall, isStream, isWhole, sizeOf } from './body.js'
import { checkHeaders } from './head.js'
import { Inbox } from './inbox.js'
import type { Incoming } from './incoming.js'
import { negotiate } from './negotiate.js'
import type { Outlet } from './outlet.js'
import { peek } from './peek.js'
import type { Reply } from './reply.js'
import { type After, sentSize, Writer } from './writer.js'

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
  /** The response has ended, or is about to. */
  ended(exchange: Exchange, ending: Ending): void
  /** Nothing is done for the request any more. */
  left(exchange: Exchange): void
}

/** As in nginx's logs: the connection ended before the reply did. */
const CUT = 499
/** Bytes of a request's body that may still come when the reply is out, on a connection that is kept. */
const KEEP_LIMIT = 1024 * 1024

export class Exchange {
  readonly incoming: Incoming
  readonly #out: Outlet
  readonly #context: ExchangeContext
  readonly #writer: Writer
  readonly #inbox: Inbox | undefined
  #heardAt: number
  #lingers = true
  #lingerTo = Number.POSITIVE_INFINITY
  #stopLingering: (() => void) | undefined
  #status = CUT
  #ended = false
  #error: unknown
  #finished = Promise.resolve()

  /** To be made before the handler first waits, while `out` is certainly alive. */
  constructor(out: Outlet, incoming: Incoming, context: ExchangeContext) {
    this.#out = out
    this.#context = context
    this.incoming = incoming
    this.#heardAt = incoming.startedAt
    this.#writer = new Writer(out, incoming)
    if (incoming.hasBody) incoming.remember()
    out.onAborted(() => this.#lose())
    this.#inbox = incoming.hasBody ? this.#receive() : undefined
    incoming.inbox = this.#inbox
  }

  /** Some of the request's body is still to come. */
  get receiving(): boolean {
    return this.#inbox !== undefined && !this.#inbox.complete
  }

  /** Resolves when nothing is done for the request any more. Never fails. */
  get finished(): Promise<void> {
    return this.#finished
  }

  /**
   * Sends the reply; `close`: nothing else may come on this connection. What fails before the first byte becomes an error
   * reply, what fails later cuts the connection.
   */
  start(ready: Reply | Promise<Reply>, close: boolean): void {
    this.#lingers = !close
    this.#finished = this.#run(ready, close)
  }

  /** To be called every few seconds. */
  tick(now: number): void {
    if (!this.#writer.alive) return
    this.incoming.remember()
    const receiving = this.receiving && this.#inbox?.paused === false
    if (!receiving && !this.#writer.waiting) return
    if (now - Math.max(this.#heardAt, this.#writer.movedAt) > this.#context.patience.idleMs) this.cut()
    else this.#writer.rearm()
  }

  /** Ends the connection at once: an incomplete reply must not look complete. */
  cut(): void {
    if (this.#writer.alive) {
      this.#writer.stop()
      this.#out.close()
    }
    this.#lose()
  }

  async #run(ready: Reply | Promise<Reply>, close: boolean): Promise<void> {
    try {
      const reply = await this.#finish(ready)
      // Nearly all replies: in memory, small, to a request without a body.
      if (this.#inbox === undefined && !close && isSmall(reply)) this.#complete(reply, this.#keep())
      else await this.#send(reply, close)
    } catch (error) {
      this.#error = error
      this.cut()
    }
    this.#end()
    this.#context.left(this)
  }

  /** The reply as it goes out. */
  async #finish(ready: Reply | Promise<Reply>): Promise<Reply> {
    try {
      const whole = ready instanceof Promise ? await ready : ready
      const answer = negotiate(this.incoming, whole)
      const reply = answer instanceof Promise ? await answer : answer
      checkHeaders(reply.headers)
      return reply
    } catch (error) {
      return this.#failed(error)
    }
  }

  #lose(): void {
    this.#writer.stop()
    this.incoming.detach()
    if (this.#status === CUT) this.incoming.lose()
    this.#stopLingering?.()
    this.#end()
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#context.ended(this, { status: this.#status, bytes: this.#writer.bytes, error: this.#error })
  }

  #receive(): Inbox {
    const inbox = new Inbox(this.#out)
    this.#out.onData((chunk, last) => {
      this.#heardAt = performance.now()
      inbox.push(new Uint8Array(chunk), last)
      if (last || inbox.received > this.#lingerTo) this.#stopLingering?.()
    })
    return inbox
  }

  #failed(error: unknown): Reply {
    this.#error = error
    return this.#context.failed(error, this.incoming)
  }

  async #send(reply: Reply, close: boolean): Promise<void> {
    const after = await this.#stopReceiving(close)
    const { body } = reply
    if (this.incoming.method === 'HEAD' || body === undefined) return await this.#sendWhole(reply, after)
    if (isWhole(body)) return await this.#sendWhole(reply, after)
    let chunks: AsyncIterable<Uint8Array>
    try {
      chunks = await peek(isStream(body) ? body : body.read(undefined, this.incoming.signal))
    } catch (error) {
      return await this.#sendWhole(this.#failed(error), after)
    }
    await this.#stream(reply, chunks, sizeOf(body), after)
  }

  /** What to do with the connection after the reply. */
  async #stopReceiving(close: boolean): Promise<After> {
    const unread = this.receiving
      ? (this.incoming.length ?? Number.POSITIVE_INFINITY) - (this.#inbox?.received ?? 0)
      : 0
    this.#inbox?.discard()
    // Parsers are known to disagree about chunks: nothing behind a chunked request is taken for another one.
    if (!close && !this.incoming.chunked && unread <= KEEP_LIMIT) return this.#keep()
    // The library goes on parsing what came in the same segment until it is back in its loop: a reply given before would
    // have the next request there executed, one that is outstanding has the connection closed instead.
    await setImmediate()
    return 'close'
  }

  #keep(): After {
    return this.#context.closing ? 'farewell' : 'keep'
  }

  async #sendWhole(reply: Reply, after: After): Promise<void> {
    if (after === 'close' && this.receiving && this.#lingers) await this.#sendEarly(reply)
    else if (this.incoming.method === 'HEAD' || isSmall(reply)) this.#complete(reply, after)
    else await this.#stream(reply, once(bytesOf(reply)), sizeOf(reply.body), after)
  }

  #complete(reply: Reply, after: After): void {
    if (!this.#writer.alive) return
    this.#status = reply.status
    this.#writer.bytes = sentSize(this.incoming.method, reply)
    this.#end()
    this.#writer.whole(reply, after)
    this.incoming.detach()
  }

  async #stream(
    reply: Reply,
    chunks: AsyncIterable<Uint8Array>,
    size: number | undefined,
    after: After,
  ): Promise<void> {
    if (this.#writer.alive) this.incoming.remember()
    if (size) await this.#writer.sized(reply, chunks, size, after)
    else await this.#writer.chunked(reply, chunks, after)
    if (!this.#ended) this.#status = reply.status
  }

  /** The client is sending more than is worth taking. Closing under its hands would make it lose the reply. */
  async #sendEarly(reply: Reply): Promise<void> {
    const textual = /^text\/|[/+](?:json|xml)\b/.test(reply.headers['content-type'] ?? '')
    if (this.incoming.method === 'HEAD' || !textual || !isSmall(reply) || reply.body === undefined) {
      await this.#linger()
      return this.#complete(reply, 'close')
    }
    if (!this.#writer.alive) return
    this.#status = reply.status
    this.#writer.early(reply, bytesOf(reply))
    await this.#linger()
    this.cut()
  }

  async #linger(): Promise<void> {
    if (!this.#writer.alive || !this.receiving) return
    const { lingerMs, lingerBytes } = this.#context.patience
    this.#lingerTo = (this.#inbox?.received ?? 0) + lingerBytes
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#stopLingering = resolve
      timer = setTimeout(resolve, lingerMs)
    })
    clearTimeout(timer)
  }
}
