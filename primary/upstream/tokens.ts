/**
 * Upstreams that want a token of their own for each package (the token flow of Docker's registries): a 401 names a realm, which gives one
 * out for the repository's credentials, or for nobody's. A token is remembered until it expires, and goes to no other host than the one
 * that asked for it.
 *
 * The realm may lie at any host, as it does for the largest registries; the credentials follow there because the upstream itself named it,
 * which is whom they were given to. So a realm counts only when the upstream's own address named it, not one that it redirects to, and
 * never over http when the upstream is reached over https. Sockets, redirects and budgets are the client's, as for everything.
 */
import { LRUCache } from 'lru-cache'
import { RegistryError } from '../../protocol/errors.js'
import type { UpstreamClient, UpstreamReply } from './client.js'
import { nonsense, readDocument } from './document.js'
import { refuseUnlessFound } from './reply.js'

export interface TokenAsked {
  /** The repository that asks. */
  scope: string
  /** What a token is for: one package. */
  subject: string
  headers: Record<string, string>
  /** An Authorization value for the URL's own origin. */
  authorization: string | undefined
  /** As the client has them. */
  own?: Record<string, string> | undefined
  spare?: boolean
}

interface Challenge {
  realm: URL
  /** `service` and each `scope`, as the realm is asked. */
  asked: URLSearchParams
}

interface Token {
  value: string
  untilMs: number
}

const REMEMBERED = 10_000
const MAX_ANSWER_BYTES = 64 * 1024
/** The specification's default. */
const LIFETIME_SECONDS = 60
/** Asked for anew before it ends, since a request takes its time. */
const MARGIN = 0.9

export class UpstreamTokens {
  readonly #client: Pick<UpstreamClient, 'get'>
  readonly #nowMs: () => number
  /** What was last demanded, by repository, origin and subject. */
  readonly #challenges = new LRUCache<string, Challenge>({ max: REMEMBERED })
  readonly #tokens = new LRUCache<string, Promise<Token>>({ max: REMEMBERED })

  constructor(client: Pick<UpstreamClient, 'get'>, nowMs: () => number) {
    this.#client = client
    this.#nowMs = nowMs
  }

  /** As the client's own; a demand for a token is met once. */
  async get(url: URL, asked: TokenAsked): Promise<UpstreamReply> {
    const place = `${asked.scope}\0${url.origin}\0${asked.subject}`
    const before = this.#challenges.get(place)
    const key = before && keyOf(before, asked)
    const used = key === undefined ? undefined : this.#tokens.get(key)
    const reply = await this.#send(url, asked, before)
    const challenge = reply.status === 401 && reply.url.origin === url.origin ? challengeOf(reply) : undefined
    if (!challenge) return reply
    reply.cancel()
    // Unless somebody else has got another one meanwhile.
    if (key !== undefined && this.#tokens.get(key) === used) this.#tokens.delete(key)
    this.#challenges.set(place, challenge)
    return this.#send(url, asked, challenge)
  }

  async #send(url: URL, asked: TokenAsked, challenge: Challenge | undefined): Promise<UpstreamReply> {
    const { headers, authorization, own, spare = false } = asked
    const bearer = challenge ? `Bearer ${await this.#token(challenge, asked)}` : authorization
    return this.#client.get(url, { headers, authorization: bearer, own, spare })
  }

  async #token(challenge: Challenge, asked: TokenAsked): Promise<string> {
    const key = keyOf(challenge, asked)
    for (let known = this.#tokens.get(key); known; known = this.#tokens.get(key)) {
      const { value, untilMs } = await known
      if (untilMs > this.#nowMs()) return value
      if (this.#tokens.get(key) === known) this.#tokens.delete(key)
    }
    const fetched = this.#fetch(challenge, asked.authorization)
    this.#tokens.set(key, fetched)
    fetched.catch(() => this.#tokens.delete(key))
    return (await fetched).value
  }

  async #fetch({ realm, asked }: Challenge, authorization: string | undefined): Promise<Token> {
    const url = new URL(realm)
    for (const [name, value] of asked) url.searchParams.append(name, value)
    const headers = { accept: 'application/json', 'accept-encoding': 'identity' }
    const reply = await this.#client.get(url, { headers, authorization })
    refuseUnlessFound(reply)
    const token = parseToken(await readDocument(reply, MAX_ANSWER_BYTES))
    if (!token) throw nonsense(reply.url, 'no token')
    return { value: token.value, untilMs: this.#nowMs() + token.seconds * MARGIN * 1000 }
  }
}

/** Other credentials get other tokens. Never leaves this process. */
function keyOf({ realm, asked }: Challenge, { scope, authorization = '' }: TokenAsked): string {
  return [scope, realm.href, asked.toString(), authorization].join('\0')
}

/** WWW-Authenticate: Bearer realm="…",service="…",scope="… …". undefined: that is none of this flow. Throws `upstream`. */
function challengeOf({ url, headers }: UpstreamReply): Challenge | undefined {
  const [, fields = ''] = /(?:^|,)\s*Bearer\s+(.*)$/i.exec(headers.get('www-authenticate') ?? '') ?? []
  const found = new Map<string, string>()
  for (const [, name = '', quoted, bare] of fields.matchAll(/([a-z_]+)=(?:"([^"]*)"|([^\s",]+))/gi)) {
    const field = name.toLowerCase()
    if (!found.has(field)) found.set(field, quoted ?? bare ?? '')
  }
  const text = found.get('realm') ?? ''
  const realm = /^https?:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : undefined
  if (!realm) return undefined
  if (realm.username !== '' || realm.password !== '' || (url.protocol === 'https:' && realm.protocol === 'http:'))
    throw new RegistryError('upstream', `The upstream ${url.host} wants a token from where nothing is sent to`)
  const asked = new URLSearchParams()
  const service = found.get('service')
  if (service !== undefined) asked.set('service', service)
  for (const scope of (found.get('scope') ?? '').split(' ')) if (scope !== '') asked.append('scope', scope)
  return { realm, asked }
}

function parseToken(document: Uint8Array): { value: string; seconds: number } | undefined {
  let answer: unknown
  try {
    answer = JSON.parse(Buffer.from(document).toString('utf8'))
  } catch {
    return undefined
  }
  const fields = (typeof answer === 'object' && answer !== null ? answer : {}) as Record<string, unknown>
  const value = fields.token ?? fields.access_token
  if (typeof value !== 'string' || !/^[\x21-\x7e]{1,32768}$/.test(value)) return undefined
  const { expires_in: lasts } = fields
  return { value, seconds: typeof lasts === 'number' && lasts > 0 ? lasts : LIFETIME_SECONDS }
}
