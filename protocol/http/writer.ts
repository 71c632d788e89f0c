/**
 * The outgoing side of one response: puts bytes on the connection at the client's speed, holding no more than one chunk.
 * Does nothing once the response has ended or the connection is gone.
 */
import { RegistryError } from '../errors.js'
import { writeHead } from './head.js'
import type { Outlet } from './outlet.js'
import type { Reply } from './reply.js'

/** Larger bodies are not handed to the library whole: it would copy what a slow client does not take. */
export const COPY_LIMIT = 64 * 1024
/** After the first sign of a slow client, since the library copies what it cannot send of a chunked body. */
const SLOW_SLICE = 16 * 1024

export class Writer {
  readonly #out: Outlet
  readonly #method: string
  readonly #requestId: string
  #alive = true
  #wake: (() => void) | undefined
  #listening = false
  #slice = COPY_LIMIT
  /** Of the body. */
  bytes = 0
  /** When the client last took something. */
  movedAt = performance.now()

  constructor(out: Outlet, request: { method: string; id: string }) {
    this.#out = out
    this.#method = request.method
    this.#requestId = request.id
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

  /** The whole response at once. `cut`: the connection is closed when it is out. */
  whole(reply: Reply, body: string | Uint8Array, size: number, cut: boolean, farewell: boolean): void {
    if (!this.#alive) return
    this.#out.cork(() => {
      this.#head(reply, farewell && !cut)
      this.bytes = endWhole(this.#out, this.#method, reply, body, size, cut)
    })
    this.stop()
  }

  /** With a Content-Length of `size`, which the chunks must add up to. The first is there already. */
  async sized(reply: Reply, chunks: AsyncIterable<Uint8Array>, size: number, farewell: boolean): Promise<void> {
    for await (const chunk of chunks) {
      if (!this.#alive) return
      if (this.bytes + chunk.byteLength > size) throw wrongLength(size)
      if (this.bytes === 0) this.#out.cork(() => this.#head(reply, farewell))
      await this.#push(chunk, size)
    }
    if (this.bytes < size && this.#alive) throw wrongLength(size)
  }

  /** Chunked, and left open: `finish` says that it is complete. */
  async chunked(reply: Reply, chunks: AsyncIterable<Uint8Array>, farewell: boolean): Promise<void> {
    let begun = false
    for await (const chunk of chunks) {
      if (!begun && this.#alive) this.#out.cork(() => this.#head(reply, farewell))
      begun = true
      for (let at = 0; at < chunk.byteLength && this.#alive; ) at += await this.#write(chunk, at)
      if (!this.#alive) return
    }
    if (!begun && this.#alive) this.#out.cork(() => this.#head(reply, farewell))
  }

  /** The end of a chunked body. */
  finish(cut: boolean): void {
    if (!this.#alive) return
    this.#out.cork(() => this.#out.end('', cut))
    this.stop()
  }

  #head(reply: Reply, farewell: boolean): void {
    writeHead(this.#out, reply, this.#requestId)
    if (farewell) this.#out.writeHeader('connection', 'close')
  }

  /** Returns when all of the chunk is with the kernel: the chunk may be used again. */
  async #push(chunk: Uint8Array, size: number): Promise<void> {
    const start = this.bytes
    while (this.#alive && this.bytes < start + chunk.byteLength) {
      const rest = chunk.subarray(this.bytes - start)
      let done = false
      this.#out.cork(() => {
        const before = this.#out.getWriteOffset()
        const [taken, complete] = this.#out.tryEnd(rest, size)
        done = complete
        this.bytes += complete || taken ? rest.byteLength : this.#out.getWriteOffset() - before
      })
      if (done) return this.stop()
      if (this.bytes < start + chunk.byteLength) await this.#writable()
      else this.movedAt = performance.now()
    }
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
    if (!this.#listening) {
      this.#listening = true
      this.#out.onWritable(() => {
        this.movedAt = performance.now()
        this.#wake?.()
        return true
      })
    }
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#wake = undefined
  }
}

/** To be called inside a cork, after the head. Returns how many bytes of the body went. */
export function endWhole(
  out: Outlet,
  method: string,
  reply: Reply,
  body: string | Uint8Array,
  size: number,
  cut: boolean,
): number {
  if (method !== 'HEAD' && reply.status !== 204 && reply.status !== 304) {
    out.end(body, cut)
    return size
  }
  if (method === 'HEAD' && reply.status !== 204 && reply.status !== 304) out.endWithoutBody(announced(reply, size), cut)
  // Without an argument the library writes no Content-Length, as it must be; but only with one can it be told to cut.
  else if (cut) out.endWithoutBody(0, true)
  else out.endWithoutBody()
  return 0
}

/** A handler that answers HEAD without opening a body says the length itself. */
function announced(reply: Reply, size: number): number {
  const said = reply.body === undefined ? reply.headers['content-length'] : undefined
  return said === undefined ? size : Number(said)
}

function wrongLength(size: number): RegistryError {
  return new RegistryError('corrupt', `A body of ${size} bytes was announced and the bytes are more or fewer`)
}
