/**
 * A kept-alive HTTP/1.1 connection for load generators: one request at a time, bodies counted and thrown away from one buffer, so
 * that the generator costs little of the processor that it shares with what it measures. Knows Content-Length only.
 */
import { connect, type Socket } from 'node:net'

export interface Ask {
  method?: string
  path: string
  headers?: Record<string, string>
  body?: Buffer
  /** Keep the body, up to 64 KiB of it. */
  keep?: boolean
}

export interface Answer {
  status: number
  /** Names in lower case. */
  headers: Map<string, string>
  /** Of the body. */
  bytes: number
  /** From sending the request until the first byte of the body, or until the end of an answer without one. */
  firstByteMs: number
  ms: number
  body: Buffer
}

export interface ConnectionOptions {
  /** Reads no faster than this, in bytes per second: a slow client. */
  pace?: number
  /** Told of bytes of bodies as they arrive. */
  onBytes?: (bytes: number) => void
}

const BUFFER_BYTES = 256 * 1024
const SLOW_BUFFER_BYTES = 64 * 1024
const MAX_HEAD_BYTES = 64 * 1024
const KEPT_BYTES = 64 * 1024

export class Connection {
  readonly #authority: string
  readonly #options: ConnectionOptions
  #socket: Socket | undefined
  #reading: Reading | undefined
  #timer: NodeJS.Timeout | undefined
  #closed: Error | undefined

  constructor(url: string, options: ConnectionOptions = {}) {
    this.#authority = new URL(url).host
    this.#options = options
  }

  open(): Promise<void> {
    const [host = '', port = '80'] = this.#authority.split(':')
    return new Promise((resolve, reject) => {
      const buffer = Buffer.allocUnsafe(this.#options.pace === undefined ? BUFFER_BYTES : SLOW_BUFFER_BYTES)
      const onread = { buffer, callback: (size: number) => this.#take(buffer.subarray(0, size)) }
      const socket = connect({ host, port: Number(port), noDelay: true, onread }, resolve)
      this.#socket = socket
      socket.on('error', (error) => {
        reject(error)
        this.#fail(error)
      })
      socket.on('close', () => this.#fail(new Error(`${this.#authority} closed the connection`)))
    })
  }

  async request({ method = 'GET', path, headers = {}, body, keep = false }: Ask): Promise<Answer> {
    if (!this.#socket) await this.open()
    const socket = this.#socket
    if (!socket || this.#closed) throw this.#closed ?? new Error('the connection is not open')
    const length: Record<string, string> = body ? { 'content-length': String(body.length) } : {}
    const lines = Object.entries({ host: this.#authority, ...headers, ...length }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    )
    return new Promise((resolve, reject) => {
      this.#reading = new Reading({ head: method === 'HEAD', keep, startedAt: performance.now(), resolve, reject })
      socket.cork()
      socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
      if (body) socket.write(body)
      socket.uncork()
    })
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#closed ??= new Error('the connection was closed here')
    this.#socket?.destroy()
  }

  /** Returns false to stop the socket from reading on. */
  #take(chunk: Uint8Array): boolean {
    const reading = this.#reading
    if (!reading) return true
    try {
      const body = reading.take(chunk)
      if (body > 0) this.#options.onBytes?.(body)
    } catch (error) {
      this.#socket?.destroy(error instanceof Error ? error : new Error(String(error)))
      return false
    }
    if (reading.done) this.#reading = undefined
    const { pace } = this.#options
    if (pace === undefined) return true
    this.#timer = setTimeout(() => this.#socket?.resume(), (chunk.length / pace) * 1000)
    return false
  }

  #fail(error: Error): void {
    this.#closed ??= error
    this.#reading?.reject(error)
    this.#reading = undefined
  }
}

interface Waiting {
  head: boolean
  keep: boolean
  startedAt: number
  resolve(answer: Answer): void
  reject(error: Error): void
}

/** One answer, while it arrives. */
class Reading {
  done = false
  readonly #waiting: Waiting
  #head: Buffer | undefined = Buffer.alloc(0)
  #status = 0
  #headers = new Map<string, string>()
  #length = 0
  #bytes = 0
  #firstByteMs: number | undefined
  readonly #kept: Buffer[] = []

  constructor(waiting: Waiting) {
    this.#waiting = waiting
  }

  reject(error: Error): void {
    this.#waiting.reject(error)
  }

  /** How many bytes of it belong to the body. */
  take(chunk: Uint8Array): number {
    const body = this.#head === undefined ? chunk : this.#takeHead(this.#head, chunk)
    if (body === undefined) return 0
    if (body.length > 0) this.#firstByteMs ??= performance.now() - this.#waiting.startedAt
    this.#bytes += body.length
    if (this.#waiting.keep && this.#bytes <= KEPT_BYTES) this.#kept.push(Buffer.from(body))
    if (this.#bytes > this.#length) throw new Error('more bytes arrived than were announced')
    if (this.#bytes === this.#length) this.#finish()
    return body.length
  }

  #takeHead(before: Buffer, chunk: Uint8Array): Uint8Array | undefined {
    const head = Buffer.concat([before, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) {
      if (head.length > MAX_HEAD_BYTES) throw new Error('the head of an answer is too long')
      this.#head = head
      return undefined
    }
    this.#head = undefined
    this.#parse(head.toString('latin1', 0, end))
    return head.subarray(end + 4)
  }

  #parse(text: string): void {
    const [first = '', ...lines] = text.split('\r\n')
    this.#status = Number(first.split(' ')[1])
    for (const line of lines) {
      const colon = line.indexOf(':')
      this.#headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
    }
    if (this.#headers.has('transfer-encoding')) throw new Error('this client does not read chunked answers')
    const empty = this.#waiting.head || this.#status === 204 || this.#status === 304
    this.#length = empty ? 0 : Number(this.#headers.get('content-length') ?? 0)
  }

  #finish(): void {
    this.done = true
    const ms = performance.now() - this.#waiting.startedAt
    this.#waiting.resolve({
      status: this.#status,
      headers: this.#headers,
      bytes: this.#bytes,
      firstByteMs: this.#firstByteMs ?? ms,
      ms,
      body: Buffer.concat(this.#kept),
    })
  }
}
