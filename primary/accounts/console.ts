/**
 * Sessions of the console: a cookie that only the browser knows, its hash in Postgres. Every way of logging in ends in `open`,
 * which always makes a new value, so that a cookie that somebody else set is never taken over. A session ends when it lies idle,
 * when it is old, and with everything else of its user.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type pg from 'pg'
import type { Visitor } from '../../admin/console.js'
import { refuseCrossSite } from '../../protocol/access/refusal.js'
import { tokenId } from '../../protocol/access/token.js'
import { RegistryError } from '../../protocol/errors.js'
import { cookieOf } from '../../protocol/http/cookie.js'
import { isLocal, pathWithin } from '../../protocol/http/origin.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import type { Metadata } from '../../protocol/ports.js'
import type { UserRecord } from '../../protocol/records.js'
import { isService } from './users.js'

export interface ConsoleOptions {
  pool: Pick<pg.Pool, 'query'>
  metadata: Pick<Metadata, 'access'>
  nowMs: () => number
  /** Without a request that a person made, it ends. */
  idleMs: number
  /** However busy, it ends. */
  longestMs: number
}

export interface Opening {
  /** How the user was known: `password`, `passkey`, or a provider's key. */
  method: string
  /** Where to go; anything but a path of this origin leads to `/`. */
  next?: string | undefined
  /** What the provider calls its own session; which passkey it was. */
  providerSession?: string | undefined
}

/** How a session was opened. */
export type Origin = Pick<Opening, 'method' | 'providerSession'>

export interface ConsoleSession {
  id: string
  user: string
  method: string
  /** ISO 8601. */
  createdAt: string
  seenAt: string
  remote: string
  agent: string
}

interface Row {
  id: string
  hash: string
  user_name: string
  method: string
  created_at: Date
  seen_at: Date
  remote: string
  agent: string
}

const COOKIE_BYTES = 32
const SHAPE = /^[A-Za-z0-9_-]{43}$/
const AGENT_CHARACTERS = 200
/** How exactly the last use is known. */
const SEEN_MS = 60_000
const FRESH_MS = 10 * 60_000

export class ConsoleSessions {
  readonly #options: ConsoleOptions

  constructor(options: ConsoleOptions) {
    this.#options = options
  }

  /**
   * Logs a user in whose identity was proven just now, by whichever way, and leads on to `next`. The session that the browser
   * had ends.
   * Throws `forbidden` where the reply's cookie could be read on its way, and `unauthenticated` for a user who is disabled, and
   * for a service account.
   */
  async open(user: UserRecord, request: HttpRequest, { method, next, providerSession }: Opening): Promise<Reply> {
    const { name, attributes } = cookieFor(request.origin)
    const account = this.#options.metadata.access('user', user.name)
    if (account?.disabled !== false || isService(account))
      throw new RegistryError('unauthenticated', 'This account cannot log in', { code: 'login_failed' })
    await this.#forget(cookieOf(request.headers.get('cookie'), name))
    const value = randomBytes(COOKIE_BYTES).toString('base64url')
    const hash = sha256(value)
    const now = new Date(this.#options.nowMs()).toISOString()
    const agent = (request.headers.get('user-agent') ?? '').slice(0, AGENT_CHARACTERS)
    await this.#options.pool.query(
      `insert into console_session (id, hash, user_name, method, created_at, seen_at, remote, agent, provider_session)
       values ($1, $2, $3, $4, $5, $5, $6, $7, $8)`,
      [tokenId(hash), hash, user.name, method, now, request.remote, agent, providerSession ?? null],
    )
    return empty(303, {
      location: pathWithin(next ?? '/', request.origin),
      'cache-control': 'no-store',
      'set-cookie': `${name}=${value}; ${attributes}`,
    })
  }

  /** The session of a request's cookie. `asked`: a person did something, so it is not idle. */
  async find(request: HttpRequest, asked: boolean): Promise<Visitor | undefined> {
    const value = cookieOf(request.headers.get('cookie'), cookieName(request.origin))
    if (value === undefined || !SHAPE.test(value)) return undefined
    const row = await this.#row(value)
    const user = row && this.#options.metadata.access('user', row.user_name)
    if (!row || !user || user.disabled) return undefined
    const now = this.#options.nowMs()
    if (asked && now - row.seen_at.getTime() >= SEEN_MS)
      await this.#options.pool.query('update console_session set seen_at = $2 where id = $1', [
        row.id,
        new Date(now).toISOString(),
      ])
    return { principal: { name: user.name, user, token: undefined }, session: { id: row.id, csrf: csrfOf(value) } }
  }

  /**
   * What changes something must come from a page of this origin that was made for this very session. Throws `forbidden`.
   * `token`: what the form said.
   */
  demandOwn(request: HttpRequest, { session }: Visitor, token: string | undefined): void {
    refuseCrossSite(request)
    const expected = Buffer.from(session?.csrf ?? '')
    const given = Buffer.from(token ?? request.headers.get('x-csrf-token') ?? '')
    if (expected.length === 0 || expected.length !== given.length || !timingSafeEqual(expected, given))
      throw new RegistryError('forbidden', 'This form is not of your session; load the page again', { code: 'csrf' })
  }

  /** For what outlasts the session. Throws `forbidden` unless the visitor logged in within the last minutes. */
  async demandFresh({ principal, session }: Visitor): Promise<void> {
    const since = new Date(this.#options.nowMs() - FRESH_MS).toISOString()
    const { rows } = await this.#options.pool.query(
      'select 1 from console_session where user_name = $1 and id = $2 and created_at > $3',
      [principal.name, session?.id, since],
    )
    if (rows.length === 0)
      throw new RegistryError('forbidden', 'This needs a log-in of the last ten minutes; log out and in again', {
        code: 'session_old',
      })
  }

  /** Newest first. */
  async list(user: string): Promise<ConsoleSession[]> {
    const { rows } = await this.#options.pool.query<Row>(
      'select * from console_session where user_name = $1 and created_at > $2 and seen_at > $3 order by created_at desc, id',
      [user, ...this.#limits()],
    )
    return rows.map((row) => ({
      id: row.id,
      user: row.user_name,
      method: row.method,
      createdAt: row.created_at.toISOString(),
      seenAt: row.seen_at.toISOString(),
      remote: row.remote,
      agent: row.agent,
    }))
  }

  /** Of one of the user's sessions. */
  async originOf(user: string, id: string): Promise<Origin | undefined> {
    const { rows } = await this.#options.pool.query<{ method: string; provider_session: string | null }>(
      'select method, provider_session from console_session where user_name = $1 and id = $2',
      [user, id],
    )
    return rows[0] && { method: rows[0].method, providerSession: rows[0].provider_session ?? undefined }
  }

  /** Those that a provider opened, by what it calls them. */
  async ofProvider(method: string): Promise<{ user: string; providerSession: string }[]> {
    const { rows } = await this.#options.pool.query<{ user_name: string; provider_session: string }>(
      'select user_name, provider_session from console_session where method = $1 and provider_session is not null',
      [method],
    )
    return rows.map((row) => ({ user: row.user_name, providerSession: row.provider_session }))
  }

  /** false: the user has no such session. */
  async end(user: string, id: string): Promise<boolean> {
    const { rowCount } = await this.#options.pool.query(
      'delete from console_session where user_name = $1 and id = $2',
      [user, id],
    )
    return rowCount === 1
  }

  /** All that one passkey, or one session at a provider, opened. */
  async endOpenedBy(user: string, { method, providerSession }: Origin): Promise<void> {
    await this.#options.pool.query(
      'delete from console_session where user_name = $1 and method = $2 and provider_session = $3',
      [user, method, providerSession],
    )
  }

  /** Ends the session of the request, and takes the cookie away. */
  async leave(request: HttpRequest): Promise<Reply> {
    const name = cookieName(request.origin)
    await this.#forget(cookieOf(request.headers.get('cookie'), name))
    const attributes = name === SECURE_NAME ? SECURE : PLAIN
    return empty(303, {
      location: '/admin/login',
      'cache-control': 'no-store',
      'set-cookie': `${name}=; Max-Age=0; ${attributes}`,
    })
  }

  async sweep(): Promise<void> {
    await this.#options.pool.query(
      'delete from console_session where created_at <= $1 or seen_at <= $2',
      this.#limits(),
    )
  }

  async #row(value: string): Promise<Row | undefined> {
    const hash = sha256(value)
    const { rows } = await this.#options.pool.query<Row>({
      name: 'console_session',
      text: 'select * from console_session where id = $1 and created_at > $2 and seen_at > $3',
      values: [tokenId(hash), ...this.#limits()],
    })
    return rows[0]?.hash === hash ? rows[0] : undefined
  }

  async #forget(value: string | undefined): Promise<void> {
    if (value === undefined) return
    await this.#options.pool.query('delete from console_session where hash = $1', [sha256(value)])
  }

  #limits(): [created: string, seen: string] {
    const { nowMs, idleMs, longestMs } = this.#options
    const now = nowMs()
    return [new Date(now - longestMs).toISOString(), new Date(now - idleMs).toISOString()]
  }
}

const SECURE_NAME = '__Host-cairn'
const PLAIN_NAME = 'cairn'
// Lax, since identity providers lead back to here from their own site.
const PLAIN = 'Path=/; HttpOnly; SameSite=Lax'
const SECURE = `${PLAIN}; Secure`

/** The one place that decides how the cookie is set. Browsers keep no secure cookie that plain http brought. */
function cookieFor(origin: string): { name: string; attributes: string } {
  if (origin.startsWith('https:')) return { name: SECURE_NAME, attributes: SECURE }
  if (!isLocal(origin))
    throw new RegistryError(
      'forbidden',
      'Logging in to the console needs https (CAIRN_TLS_CERT, or CAIRN_PUBLIC_URLS behind a proxy), except on this machine itself',
      { code: 'insecure' },
    )
  return { name: PLAIN_NAME, attributes: PLAIN }
}

function cookieName(origin: string): string {
  return origin.startsWith('https:') ? SECURE_NAME : PLAIN_NAME
}

/** Follows from the cookie, which no other page can read, and does not tell it. */
function csrfOf(value: string): string {
  return createHash('sha256').update(`csrf\0${value}`).digest('base64url')
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
