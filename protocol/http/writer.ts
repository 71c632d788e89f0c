/**
 * The outgoing side of one response: puts bytes on the connection at the client's speed, holding no more than one chunk.
 * Does nothing once the response has ended or the connection is gone.
 */
import { RegistryError } from '../errors.js'
import { isWhole, sizeOf } from './body.js'
import { writeHead } from './head.js'
import type { Outlet } from './outlet.js'
import type { Reply } from './reply.js'

/** Bytes of a chunked body handed over at a time. */
const SLICE = 64 * 1024
/** After the first sign of a slow client, since the library copies what it cannot send of a chunked body. */
const SLOW_SLICE = 16 * 1024

/** What becomes of the connection. `farewell`: the client is asked to close it. `close`: it carries no other request. */
export type After = 'keep' | 'farewell' | 'close'

export class Writer {
  readonly #out: Outlet
  readonly #request: { readonly method: string; readonly id: string }
  #alive = true
  #deaf = false
  #wake: (() => void) | undefined
  #listening = false
  #slice = SLICE
  /** Of the body. */
  bytes = 0
  /** When the client last took something. */
  movedAt = performance.now()

  constructor(out: Outlet, request: { readonly method: string; readonly id: string }) {
    this.#out = out
    this.#request = request
  }

  /** The response may be touched. */
  get alive(): boolean {
    return this.#alive
  }

  /** For the client to read. */
  get waiting(): boolean {
    return this.#wake !== undefined
  }

  /** The response has ended, or its connection is gone. */
  stop(): void {
    this.#alive = false
    this.#wake?.()
  }

  /** The library closes idle connections after 10 s by a clock of its own. This sets it back. */
  rearm(): void {
    this.#out.pause()
    if (!this.#deaf) this.#out.resume()
  }

  /** The response at once: its body is small, or the request is a HEAD. */
  whole(reply: Reply, after: After): void {
    if (!this.#alive) return
    // Without a body the library cannot be told to close: then nothing behind this request is read any more.
    if (after === 'close' && isBodiless(this.#request.method, reply)) this.#out.pause()
    this.#out.cork(() => {
      // Asked to close, the library says so itself.
      this.#head(reply, after === 'close' ? 'keep' : after)
      endWhole(this.#out, this.#request.method, reply, after === 'close')
    })
    this.stop()
  }

  /**
   * The response at once, while the client is still sending; the connection stays open. The library cannot do that, so
   * head and body go out in one header line, whose line end becomes part of the body: for text only.
   */
  early(reply: Reply, body: Uint8Array): void {
    if (!this.#alive) return
    this.bytes = body.byteLength + 2
    this.#out.cork(() => {
      writeHead(this.#out, reply, this.#request.id)
      this.#out.writeHeader('connection', `close\r\ncontent-length: ${this.bytes}\r\n\r\n${Buffer.from(body)}`)
    })
  }

  /** With a Content-Length of `size`, which is not 0 and which the chunks must add up to. */
  async sized(reply: Reply, chunks: AsyncIterable<Uint8Array>, size: number, after: After): Promise<void> {
    this.#begin(reply, after)
    // The chunk that completes the body waits, as a copy, until the bytes have really ended: more of them make it wrong. What is
    // larger is a body in memory, whose length is no promise but a fact.
    let last: Uint8Array | undefined
    for await (const chunk of chunks) {
      if (!this.#alive) return
      if (last !== undefined || this.bytes + chunk.byteLength > size) throw wrongLength(size)
      if (this.bytes + chunk.byteLength === size && chunk.byteLength <= HOLD_LIMIT)
        last = Uint8Array.prototype.slice.call(chunk)
      else await this.#push(chunk, size)
    }
    if (last) await this.#push(last, size)
    if (this.#alive) throw wrongLength(size)
  }

  async chunked(reply: Reply, chunks: AsyncIterable<Uint8Array>, after: After): Promise<void> {
    this.#begin(reply, after)
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.byteLength && this.#alive; ) at += await this.#write(chunk, at)
      if (!this.#alive) return
    }
    if (!this.#alive) return
    this.#out.cork(() => this.#out.end(''))
    this.stop()
  }

  #begin(reply: Reply, after: After): void {
    if (!this.#alive) return
    // A streamed response cannot tell the library to close. Nothing behind this request is read any more, and the
    // library's idle timeout ends the connection if the client does not.
    this.#deaf = after === 'close'
    if (this.#deaf) this.#out.pause()
    this.#out.cork(() => this.#head(reply, after))
  }

  #head(reply: Reply, after: After): void {
    writeHead(this.#out, reply, this.#request.id)
    if (after !== 'keep') this.#out.writeHeader('connection', 'close')
  }

  /** Returns when all of the chunk is with the kernel: its buffer may be used again. */
  async #push(chunk: Uint8Array, size: number): Promise<void> {
    for (let at = 0; at < chunk.byteLength && this.#alive; ) {
      const rest = at === 0 ? chunk : chunk.subarray(at)
      const [sent, complete] = this.#try(rest, size)
      at += sent
      this.bytes += sent
      if (complete) return this.stop()
      if (sent < rest.byteLength) await this.#writable()
      else this.movedAt = performance.now()
    }
  }

  #try(chunk: Uint8Array, size: number): [sent: number, complete: boolean] {
    let result: [number, boolean] = [0, false]
    this.#out.cork(() => {
      const before = this.#out.getWriteOffset()
      const [, complete] = this.#out.tryEnd(chunk, size)
      result = complete ? [chunk.byteLength, true] : [this.#out.getWriteOffset() - before, false]
    })
    return result
  }

  /** Returns how many bytes went, from `at` on. */
  async #write(chunk: Uint8Array, at: number): Promise<number> {
    const slice = chunk.subarray(at, at + this.#slice)
    let taken = true
    this.#out.cork(() => {
      taken = this.#out.write(slice)
    })
    this.bytes += slice.byteLength
    if (taken) this.movedAt = performance.now()
    else {
      this.#slice = SLOW_SLICE
      await this.#writable()
    }
    return slice.byteLength
  }

  async #writable(): Promise<void> {
    if (!this.#listening) this.#listen()
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#wake = undefined
  }

  #listen(): void {
    this.#listening = true
    this.#out.onWritable(() => {
      this.movedAt = performance.now()
      this.#wake?.()
      return true
    })
  }
}

/** To be called inside a cork, after the head; the body is in memory. `close`: the connection is, where that can be had. */
export function endWhole(out: Outlet, method: string, reply: Reply, close: boolean): void {
  const { body = '' } = reply
  if (isBodiless(method, reply)) endBodiless(out, reply, close)
  else if (isWhole(body)) out.end(body, close)
  else throw new TypeError('Not a body in memory')
}

/** How many bytes of a body in memory go out. */
export function sentSize(method: string, reply: Reply): number {
  return isBodiless(method, reply) ? 0 : (sizeOf(reply.body) ?? 0)
}

function isBodiless(method: string, { status }: Reply): boolean {
  return method === 'HEAD' || hasNoContent(status)
}

/** Neither a body nor a Content-Length (RFC 9110, 8.6). */
function hasNoContent(status: number): boolean {
  return status === 204 || status === 304
}

/** The library's own way of ending with a length but no body leaves the response unfinished, and aborts the process. */
function endBodiless(out: Outlet, reply: Reply, close: boolean): void {
  const length = hasNoContent(reply.status) ? undefined : lengthOf(reply)
  if (length !== undefined) out.writeHeader('content-length', String(length))
  if (close) out.writeHeader('connection', 'close')
  out.endWithoutBody()
}

/** A handler that answers HEAD without opening a body says the length itself. */
function lengthOf(reply: Reply): number | string | undefined {
  return reply.body === undefined ? (reply.headers['content-length'] ?? 0) : sizeOf(reply.body)
}

/** No source of bytes gives larger chunks than this. */
const HOLD_LIMIT = 1024 * 1024

function wrongLength(size: number): RegistryError {
  return new RegistryError('corrupt', `A body of ${size} bytes was announced, and the bytes are more or fewer`)
}
