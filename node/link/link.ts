/**
 * A node's connection to its primary: HTTPS whose key is pinned by the join token, every request signed by the node. It knows
 * whether the primary can be reached, and says so without asking.
 */

import { createHash, type KeyObject } from 'node:crypto'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import { collect } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import { kindOf } from '../../protocol/http/status.js'
import { NODE_HEADER, nodeIdentity } from '../../protocol/wire/identity.js'

const CONNECT_MS = 3_000
const FIRST_BYTE_MS = 30_000
const IDLE_MS = 30_000
const REFRESH_BEFORE_MS = 60_000

export interface LinkIdentity {
  key: KeyObject
  node: string
  fleet: string
  /** Of an ephemeral node, which is known by nothing else. */
  certificate?: () => string
}

export interface LinkOptions {
  /** For instance https://10.0.0.1:9080 */
  url: string
  /** base64url SHA-256 of the primary's SubjectPublicKeyInfo. */
  pin: string
  /** undefined until the node has joined. */
  identity: LinkIdentity | undefined
  now: () => number
}

export interface LinkRequest {
  headers?: Record<string, string>
  body?: string | AsyncIterable<Uint8Array>
  signal?: AbortSignal
  /** Without a byte for so long the exchange ends. */
  idleMs?: number
}

export interface LinkReply {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: AsyncIterable<Uint8Array> & { dump(): Promise<void>; text(): Promise<string> }
}

export class Link {
  readonly #options: LinkOptions
  readonly #agent: Agent
  #identity: { text: string; expiresMs: number } | undefined
  /** Primary's clock minus ours, so that a wrong clock here does not end the connection. */
  #skewMs = 0
  #reachable = false
  #since: number

  constructor(options: LinkOptions) {
    this.#options = options
    this.#since = options.now()
    this.#agent = new Agent({
      connect: pinned(options.pin),
      connections: 64,
      pipelining: 1,
      headersTimeout: FIRST_BYTE_MS,
      bodyTimeout: IDLE_MS,
      keepAliveTimeout: 30_000,
    })
  }

  /** Did the last exchange reach the primary. */
  get reachable(): boolean {
    return this.#reachable
  }

  /** Milliseconds since `reachable` last changed. */
  get forMs(): number {
    return this.#options.now() - this.#since
  }

  mark(reachable: boolean): void {
    if (reachable === this.#reachable) return
    this.#reachable = reachable
    this.#since = this.#options.now()
  }

  /**
   * Throws `unavailable` when the primary does not answer; any status that it answers is returned. An exchange that breaks while
   * a body is sent says nothing about the primary: it may be the client who sends it that was too slow.
   */
  async request(method: string, path: string, options: LinkRequest = {}): Promise<LinkReply> {
    let sending = false
    const begin = () => {
      sending = true
    }
    const { body } = options
    const noted = typeof body === 'object' ? { ...options, body: noting(body, begin) } : options
    try {
      const reply = await this.#send(method, path, noted)
      this.mark(true)
      return reply
    } catch (cause) {
      if (options.signal?.aborted || cause instanceof RegistryError) throw cause
      if (sending)
        throw new RegistryError('unavailable', 'The request broke off on its way to the primary', {
          cause,
          retryAfter: 1,
          code: 'broken_off',
        })
      this.mark(false)
      throw new RegistryError('unavailable', 'The primary cannot be reached', {
        cause,
        retryAfter: 10,
        code: 'cut_off',
      })
    }
  }

  /** A JSON exchange; throws the primary's own words for a status of 400 and above. */
  async json(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<unknown> {
    const reply = await this.request(method, path, {
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    })
    const text = await limited(reply.body, 4 * 1024 * 1024)
    if (reply.status >= 400) throw refusal(reply, text)
    return JSON.parse(text)
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #send(method: string, path: string, options: LinkRequest): Promise<LinkReply> {
    const headers = { ...options.headers, ...(await this.#credentials()) }
    const reply = await this.#agent.request({
      origin: this.#options.url,
      path,
      method: method as Dispatcher.HttpMethod,
      headers,
      ...(options.body === undefined ? {} : { body: options.body as string }),
      ...(options.signal ? { signal: options.signal } : {}),
      ...(options.idleMs === undefined ? {} : { bodyTimeout: options.idleMs }),
    })
    const time = Number(reply.headers['x-cairn-time'])
    if (Number.isFinite(time) && time > 0) this.#adjust(time)
    return { status: reply.statusCode, headers: reply.headers, body: reply.body as unknown as LinkReply['body'] }
  }

  #adjust(primaryMs: number): void {
    const skew = primaryMs - this.#options.now()
    if (Math.abs(skew - this.#skewMs) < 10_000) return
    this.#skewMs = skew
    this.#identity = undefined
  }

  async #credentials(): Promise<Record<string, string>> {
    const { identity, now } = this.#options
    if (!identity) return {}
    const at = now() + this.#skewMs
    if (!this.#identity || this.#identity.expiresMs - at < REFRESH_BEFORE_MS)
      this.#identity = await nodeIdentity(identity.key, identity.node, identity.fleet, at, identity.certificate?.())
    return { [NODE_HEADER]: this.#identity.text }
  }
}

async function* noting(
  body: AsyncIterable<Uint8Array>,
  begin: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  begin()
  yield* body
}

/** The body as text; throws when it is longer than `limit` bytes. */
export async function limited(body: AsyncIterable<Uint8Array>, limit: number): Promise<string> {
  const tooLong = () => new RegistryError('upstream', 'The primary sent more than expected')
  return (await collect(body, limit, tooLong)).toString('utf8')
}

/** The primary's own words, in the kind that its status stands for. */
export function refusal({ status, headers }: Pick<LinkReply, 'status' | 'headers'>, text: string): RegistryError {
  const kind = kindOf(status) ?? (status < 500 ? 'invalid' : 'unavailable')
  let detail = `The primary answered ${status}`
  try {
    const problem: unknown = JSON.parse(text)
    if (typeof problem === 'object' && problem !== null && 'detail' in problem && typeof problem.detail === 'string')
      detail = problem.detail
  } catch {
    // Not a problem document: the status has to do.
  }
  const retryAfter = Number(headers['retry-after'])
  return new RegistryError(kind, detail, Number.isFinite(retryAfter) ? { retryAfter } : {})
}

/** Connects by TLS and goes on only if the server holds the pinned key; names and authorities do not matter. */
function pinned(pin: string): buildConnector.connector {
  // A resumed TLS session shows no certificate, so none is resumed.
  const connect = buildConnector({
    rejectUnauthorized: false,
    timeout: CONNECT_MS,
    keepAlive: true,
    maxCachedSessions: 0,
  })
  return (options, callback) =>
    connect(options, (error, socket) => {
      if (error || !socket) return callback(error ?? new Error('no socket'), null)
      const certificate = 'getPeerX509Certificate' in socket ? socket.getPeerX509Certificate() : undefined
      const spki = certificate?.publicKey.export({ type: 'spki', format: 'der' })
      if (spki && createHash('sha256').update(spki).digest('base64url') === pin) return callback(null, socket)
      socket.destroy()
      callback(new Error('the server does not hold the key that the join token pins'), null)
    })
}
