/**
 * A file that is on its way from an origin: taken in once, read by many while it arrives. Nobody gets the last 64 KiB before the
 * bytes were found right and their record is committed, so that no wrong body is ever complete; when they are wrong, all readers
 * end with the error. Readers that cannot keep up go on from what was stored.
 */
import { rangeWithin } from '../blobs/disk-bytes.js'
import type { Bytes } from '../ports.js'
import type { FileRecord } from '../records.js'

export interface ArrivalParts {
  /** Bytes, when the origin told. */
  size: number | undefined
  /** Each chunk must stay as it is after the next one was asked for. */
  body: AsyncIterable<Uint8Array>
  /** Reads the body to its end, stores and checks it, and resolves once its record is committed. */
  take: (body: AsyncIterable<Uint8Array>) => Promise<FileRecord>
  open: (file: FileRecord) => Promise<Bytes>
}

const HELD_BACK = 64 * 1024
/** Kept in memory for readers; those that are further behind wait for the store. */
const WINDOW = 4 * 1024 * 1024
const CHUNK = 256 * 1024

export class Arrival {
  readonly size: number | undefined
  /** Rejects when the bytes were wrong or did not come. */
  readonly done: Promise<FileRecord>
  readonly #open: ArrivalParts['open']
  readonly #chunks: Uint8Array[] = []
  /** Where the first of the chunks begins, and where the last one ends. */
  #start = 0
  #received = 0
  #state: 'arriving' | 'taken' | 'failed' = 'arriving'
  #waiting: (() => void)[] = []

  constructor({ size, body, take, open }: ArrivalParts) {
    this.size = size
    this.#open = open
    this.done = take(this.#watch(body)).then(
      (file) => {
        this.#end('taken')
        return file
      },
      (error: unknown) => {
        this.#end('failed')
        throw error
      },
    )
    // Every reader hears of it; when there is none, nobody needs to.
    this.done.catch(() => undefined)
  }

  /** Resolves when there is something to send: the record when all of it is there already. Rejects as `done` does. */
  async begun(): Promise<FileRecord | undefined> {
    while (this.#state === 'arriving' && this.#sendable === 0) await this.#news()
    return this.#state === 'arriving' ? undefined : this.done
  }

  /** From the beginning to the end. */
  async *read(
    range?: { start: number; end: number },
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let { start: at, end } = range ?? { start: 0, end: this.size ?? Number.POSITIVE_INFINITY }
    while (at < end) {
      signal?.throwIfAborted()
      if (this.#state === 'failed') await this.done
      if (at < this.#start || this.#state === 'taken') {
        const file = await this.done
        end = Math.min(end, file.size)
        if (at < this.#start) {
          yield* (await this.#open(file)).read(rangeWithin(file.size, { start: at, end }), signal)
          return
        }
        if (at >= end) return
      }
      const chunk = this.#chunkAt(at, end)
      if (chunk) {
        at += chunk.length
        yield chunk
      } else await this.#news(signal)
    }
  }

  get #sendable(): number {
    if (this.#state === 'taken') return this.#received
    return Math.max(0, Math.min(this.#received, (this.size ?? this.#received) - HELD_BACK))
  }

  #chunkAt(at: number, end: number): Uint8Array | undefined {
    const most = Math.min(this.#sendable, end)
    let start = this.#start
    for (const chunk of this.#chunks) {
      if (at < start + chunk.length)
        return at < most
          ? chunk.subarray(at - start, Math.min(chunk.length, most - start, at - start + CHUNK))
          : undefined
      start += chunk.length
    }
    return undefined
  }

  async *#watch(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of body) {
      if (chunk.length === 0) continue
      this.#chunks.push(chunk)
      this.#received += chunk.length
      while (this.#received - this.#start > WINDOW && this.#chunks.length > 1)
        this.#start += this.#chunks.shift()?.length ?? 0
      this.#wake()
      yield chunk
    }
  }

  #end(state: 'taken' | 'failed'): void {
    this.#state = state
    this.#wake()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const go of waiting) go()
  }

  #news(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const stop = () => reject(signal?.reason)
      signal?.addEventListener('abort', stop, { once: true })
      this.#waiting.push(() => {
        signal?.removeEventListener('abort', stop)
        resolve()
      })
    })
  }
}
