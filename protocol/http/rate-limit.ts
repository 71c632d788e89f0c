/**
 * How many requests one client may make in a minute, by class: logging in (by address), the REST interface and pages, and
 * downloads (each by user, where the credentials are known to be right, else by address). Fixed windows, in memory of this
 * process. What is not limited costs nothing; replies say what is left (draft-ietf-httpapi-ratelimit-headers), but for
 * downloads only where they are refused, since what is sent again and again is laid out once.
 */
import { LRUCache } from 'lru-cache'
import { RegistryError } from '../errors.js'
import type { Reply } from './reply.js'
import type { HttpRequest } from './request.js'
import { problem } from './status.js'

/** Requests in a minute; 0: no limit. */
export interface RateLimits {
  logins: number
  api: number
  downloads: number
}

export interface RateOptions {
  limits: RateLimits
  /** The user behind credentials that were found right before; must not wait. */
  userOf: (authorization: string) => string | undefined
  nowMs: () => number
}

type Handle = (request: HttpRequest) => Promise<Reply> | Reply

interface Window {
  left: number
  untilMs: number
}

const WINDOW_SECONDS = 60
const REMEMBERED = 50_000
/** A provider that ends sessions (`backchannel`) does that for many, from one address. */
const LOGINS =
  /^\/(?:api\/v1\/auth\/(?:login|refresh)|admin\/(?:login(?:\/(?!.*\/backchannel$).*)?|second-factor|passkey(?:\/options)?))$/
const OWN = new Set(['/health', '/ready', '/metrics'])

export function rateLimited(answer: Handle, options: RateOptions): Handle {
  const { logins, api, downloads } = options.limits
  const windows = new LRUCache<string, Window>({ max: REMEMBERED })
  return (request) => {
    const kind = kindOf(request)
    const limit = kind === 'downloads' ? downloads : kind === 'api' ? api : kind === 'logins' ? logins : 0
    if (kind === undefined || limit === 0) return answer(request)
    const now = options.nowMs()
    const window = windowOf(windows, `${kind} ${clientOf(request, kind, options)}`, limit, now)
    const refused = window.left <= 0
    if (!refused) window.left--
    if (!refused && kind === 'downloads') return answer(request)
    const resetSeconds = Math.max(1, Math.ceil((window.untilMs - now) / 1000))
    const headers = {
      ratelimit: `"${kind}";r=${window.left};t=${resetSeconds}`,
      'ratelimit-policy': `"${kind}";q=${limit};w=${WINDOW_SECONDS}`,
    }
    if (refused) return withHeaders(problem(tooMany(limit, resetSeconds), request), headers)
    const reply = answer(request)
    return reply instanceof Promise ? reply.then((made) => withHeaders(made, headers)) : withHeaders(reply, headers)
  }
}

function kindOf({ method, path }: HttpRequest): keyof RateLimits | undefined {
  if (OWN.has(path)) return undefined
  if (path.startsWith('/api/v1/') || path.startsWith('/scim/') || path.startsWith('/admin/') || path === '/')
    return method !== 'GET' && LOGINS.test(path) ? 'logins' : 'api'
  return 'downloads'
}

/** Wrong credentials do not help: they count for the address that they come from. */
function clientOf(request: HttpRequest, kind: keyof RateLimits, { userOf }: RateOptions): string {
  const authorization = kind === 'logins' ? undefined : request.headers.get('authorization')
  const user = authorization === undefined ? undefined : userOf(authorization)
  return user === undefined ? `at ${request.remote}` : `of ${user}`
}

function windowOf(windows: LRUCache<string, Window>, key: string, limit: number, now: number): Window {
  const known = windows.get(key)
  // A clock that jumped back must not make a window longer.
  if (known && now < known.untilMs && now >= known.untilMs - WINDOW_SECONDS * 1000) return known
  const window = { left: limit, untilMs: now + WINDOW_SECONDS * 1000 }
  windows.set(key, window)
  return window
}

function tooMany(limit: number, retryAfter: number): RegistryError {
  return new RegistryError('throttled', `More than ${limit} requests in a minute; wait a little and try again`, {
    code: 'rate_limited',
    retryAfter,
  })
}

function withHeaders(reply: Reply, headers: Record<string, string>): Reply {
  return { ...reply, headers: { ...reply.headers, ...headers } }
}
