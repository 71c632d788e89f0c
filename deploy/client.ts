/**
 * The registry as a client command sees it: JSON calls and raw ones, with credentials for exactly one origin. A refusal becomes
 * a `RegistryError` with the server's own sentence; a server that does not answer becomes `unavailable`.
 */
import { deadline } from '../protocol/deadline.js'
import { type ErrorKind, RegistryError } from '../protocol/errors.js'

export interface ClientOptions {
  /** Scheme and authority, no slash at the end. */
  url: string
  token: string | undefined
  signal?: AbortSignal
}

export interface RawRequest {
  headers?: Record<string, string>
  body?: Uint8Array | string | AsyncIterable<Uint8Array>
  /** Statuses besides 2xx that are for the caller. */
  accept?: readonly number[]
  signal?: AbortSignal
}

const JSON_DEADLINE_MS = 60_000
const MAX_ERROR_BYTES = 64 * 1024
const MAX_JSON_BYTES = 64 * 1024 * 1024
const MAX_SENTENCE = 500
const MAX_ENTRIES = 1_000_000
const KINDS: Readonly<Record<number, ErrorKind>> = {
  400: 'invalid',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'missing',
  405: 'unsupported',
  409: 'conflict',
  410: 'missing',
  412: 'precondition',
  413: 'too_large',
  416: 'range',
  429: 'throttled',
  502: 'upstream',
  503: 'unavailable',
  504: 'unavailable',
  507: 'over_quota',
}

export class Client {
  readonly url: string
  readonly #token: string | undefined
  readonly #signal: AbortSignal | undefined

  constructor(options: ClientOptions) {
    this.url = options.url
    this.#token = options.token
    this.#signal = options.signal
  }

  /** A call of the REST interface; `path` begins with '/'. The parsed reply, undefined for none. */
  async json(method: string, path: string, body?: unknown): Promise<unknown> {
    const signal = deadline(JSON_DEADLINE_MS)
    const headers: Record<string, string> = { accept: 'application/json' }
    if (body !== undefined) headers['content-type'] = 'application/json'
    const reply = await this.raw(method, path, {
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal,
    })
    const text = await readText(reply, MAX_JSON_BYTES)
    if (text === '') return undefined
    try {
      return JSON.parse(text)
    } catch (cause) {
      throw new RegistryError('upstream', `${this.url} did not answer as a Cairn registry does`, { cause })
    }
  }

  /** Every page of a list, entry by entry. `path` may carry a query. */
  async *list(path: string): AsyncIterable<Record<string, unknown>> {
    let after: string | undefined
    do {
      const cursor = after === undefined ? '' : `${path.includes('?') ? '&' : '?'}after=${encodeURIComponent(after)}`
      const page = record(await this.json('GET', `${path}${cursor}`))
      for (const item of Array.isArray(page.items) ? page.items : []) yield record(item)
      after = typeof page.next === 'string' ? page.next : undefined
    } while (after !== undefined)
  }

  /** The whole of a list; at most `limit` entries. */
  async all(path: string, limit = MAX_ENTRIES): Promise<Record<string, unknown>[]> {
    const found: Record<string, unknown>[] = []
    for await (const item of this.list(path)) {
      found.push(item)
      if (found.length >= limit) break
    }
    return found
  }

  /** Resolves when headers are there. The body is the caller's to read. */
  async raw(method: string, path: string, request: RawRequest = {}): Promise<Response> {
    const signals = [request.signal, this.#signal].filter((signal) => signal !== undefined)
    const init: RequestInit & { duplex?: 'half' } = {
      method,
      headers: { ...request.headers, ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }) },
      // A redirect could lead the credentials elsewhere, and this server sends none.
      redirect: 'manual',
      signal: AbortSignal.any(signals),
    }
    if (request.body !== undefined) {
      init.body = bodyOf(request.body)
      init.duplex = 'half'
    }
    const reply = await this.#fetch(path, init)
    if (reply.ok || request.accept?.includes(reply.status)) return reply
    throw await refusal(reply, this.url)
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(`${this.url}${path}`, init)
    } catch (cause) {
      this.#signal?.throwIfAborted()
      throw new RegistryError('unavailable', `Nothing answers at ${this.url} (${reasonOf(cause)})`, { cause })
    }
  }
}

/** A JSON object, or an empty one for anything else. */
export function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}

/** Throws `upstream` for more than `limit` bytes. */
export async function readText(reply: Response, limit: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of bodyBytes(reply)) {
    size += chunk.length
    if (size > limit) throw new RegistryError('upstream', 'The reply is larger than it can be')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

export async function* bodyBytes(reply: Response): AsyncIterable<Uint8Array> {
  if (!reply.body) return
  try {
    for await (const chunk of reply.body) yield chunk
  } catch (cause) {
    throw new RegistryError('unavailable', `The connection broke (${reasonOf(cause)})`, { cause })
  }
}

function bodyOf(body: Uint8Array | string | AsyncIterable<Uint8Array>): NonNullable<RequestInit['body']> {
  if (typeof body === 'string' || body instanceof Uint8Array) return body as NonNullable<RequestInit['body']>
  return ReadableStream.from(body) as NonNullable<RequestInit['body']>
}

async function refusal(reply: Response, url: string): Promise<RegistryError> {
  const text = await readText(reply, MAX_ERROR_BYTES).catch(() => '')
  const document = parsed(text)
  const said = [document.detail, document.error, document.title].find((word) => typeof word === 'string' && word !== '')
  const sentence = typeof said === 'string' ? printable(said) : `${url} answered ${reply.status}`
  const kind = KINDS[reply.status] ?? (reply.status >= 500 ? 'upstream' : 'invalid')
  const code = typeof document.code === 'string' && document.code !== 'usage' ? { code: document.code } : {}
  const retryAfter = Number(reply.headers.get('retry-after'))
  return new RegistryError(kind, sentence, { ...code, ...(retryAfter > 0 ? { retryAfter } : {}) })
}

function parsed(text: string): Record<string, unknown> {
  try {
    return record(JSON.parse(text))
  } catch {
    return {}
  }
}

/** What a server says goes to a terminal: no control characters. */
export function printable(text: string): string {
  return text.slice(0, MAX_SENTENCE).replace(/[\p{Cc}\p{Cf}]+/gu, ' ')
}

function reasonOf(error: unknown): string {
  let last = error
  while (last instanceof Error && last.cause instanceof Error) last = last.cause
  return last instanceof Error ? ((last as NodeJS.ErrnoException).code ?? last.message) : String(last)
}
