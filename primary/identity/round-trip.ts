/**
 * A log-in on its way over a provider's page: what was sent along is kept by the browser that began, sealed, for ten minutes, and
 * counts once. Another browser, or another provider, cannot end it.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { RegistryError } from '../../protocol/errors.js'
import { cookieOf } from '../../protocol/http/cookie.js'
import { pathWithin } from '../../protocol/http/origin.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import { seal, unseal } from '../upstream/credentials.js'
import type { Once } from './once.js'

export interface Trip {
  state: string
  nonce: string
  /** Of PKCE (RFC 7636). */
  verifier: string
  /** As the provider was told. */
  redirectUri: string
  /** A path of this origin. */
  next: string
}

export interface RoundTripOptions {
  /** Key of the provider. */
  provider: string
  key: Uint8Array
  once: Once
  nowMs: () => number
  /** The provider's page posts a form to here, with which browsers send no cookie that is Lax. */
  posted?: boolean
}

const LIFETIME_MS = 10 * 60_000
const SECRET_BYTES = 32
const MAX_NEXT_CHARACTERS = 1024

export class RoundTrips {
  readonly #options: RoundTripOptions

  constructor(options: RoundTripOptions) {
    this.#options = options
  }

  /** `setCookie` goes with the reply that leads to the provider. */
  begin(request: HttpRequest): { trip: Trip; setCookie: string } {
    const { provider, key, nowMs } = this.#options
    const next = new URLSearchParams(request.query).get('next') ?? '/'
    const trip: Trip = {
      state: secret(),
      nonce: secret(),
      verifier: secret(),
      redirectUri: `${request.origin}/admin/login/${provider}/callback`,
      next: next.length > MAX_NEXT_CHARACTERS ? '/' : pathWithin(next, request.origin),
    }
    const kept = JSON.stringify({ ...trip, untilMs: nowMs() + LIFETIME_MS })
    const value = seal(key, this.#scope(), kept).toString('base64url')
    const attributes = `Path=/; Max-Age=${LIFETIME_MS / 1000}; HttpOnly${this.#sameSite(request)}`
    return { trip, setCookie: `${this.#cookie(request)}=${value}; ${attributes}` }
  }

  /** Throws `invalid` for what this browser did not begin lately, or ended before. */
  async end(request: HttpRequest): Promise<Trip> {
    const trip = this.under(request)
    const states = new URLSearchParams(request.query).getAll('state')
    if (!trip || states.length !== 1 || !equal(trip.state, states[0] ?? '')) throw notBegun()
    if (!(await this.spend(trip))) throw notBegun()
    return trip
  }

  /** What this browser began lately, whether it ended since or not. */
  under(request: HttpRequest): Trip | undefined {
    const kept = this.#kept(request)
    return kept && kept.untilMs >= this.#options.nowMs() ? kept : undefined
  }

  /** false: it ended before. */
  spend({ state }: Trip): Promise<boolean> {
    const { once, nowMs } = this.#options
    return once.use('login', state, nowMs() + LIFETIME_MS)
  }

  #kept(request: HttpRequest): (Trip & { untilMs: number }) | undefined {
    const value = cookieOf(request.headers.get('cookie'), this.#cookie(request))
    if (value === undefined) return undefined
    try {
      return JSON.parse(unseal(this.#options.key, this.#scope(), Buffer.from(value, 'base64url')))
    } catch {
      return undefined
    }
  }

  #cookie({ origin }: HttpRequest): string {
    return `${origin.startsWith('https:') ? '__Host-' : ''}cairn-login-${this.#options.provider}`
  }

  /** Lax where the provider's page leads back to here; in plain http, which is for this machine only, None is not to be had. */
  #sameSite({ origin }: HttpRequest): string {
    const secure = origin.startsWith('https:')
    if (this.#options.posted) return secure ? '; SameSite=None; Secure' : ''
    return `; SameSite=Lax${secure ? '; Secure' : ''}`
  }

  #scope(): string {
    return `login/${this.#options.provider}`
  }
}

function secret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url')
}

function equal(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
}

function notBegun(): RegistryError {
  return new RegistryError('invalid', 'This log-in was not begun in this browser, or is over; begin it again', {
    code: 'login_state',
  })
}
