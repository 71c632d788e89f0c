/**
 * Checks tokens that others signed (JWT, RFC 7519 and 8725) with the keys that their issuer publishes. Keys are found where the
 * issuer's own discovery document says and nowhere else: what a token's header says of keys is not looked at, but for the `kid`. Each
 * key is good for one algorithm. Key sets are small, remembered, and fetched anew at most once a minute.
 */
import {
  type CryptoKey,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  importJWK,
  type JWK,
  type JWTPayload,
  jwtVerify,
} from 'jose'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { RegistryError } from '../../protocol/errors.js'

export interface Issuer {
  /** As in `iss`. */
  issuer: string
  /** Where its keys are; undefined: its discovery document says it. */
  jwksUri?: string | undefined
  /** Its keys, where they cannot be fetched. */
  jwks?: unknown
  /** May it be asked over http. */
  allowHttp: boolean
}

export interface Expected {
  audiences: readonly string[]
  /** Seconds since `iat`. */
  maxAgeSeconds: number
  /** Besides iss, aud, exp and iat. */
  requiredClaims?: string[]
}

interface Key {
  kid: string | undefined
  algorithm: string
  key: CryptoKey
}

interface Known {
  keys: Key[]
  fetchedMs: number
}

const MAX_TOKEN_CHARACTERS = 16 * 1024
const MAX_KEYS = 100
const MAX_ISSUERS = 200
const FRESH_MS = 10 * 60_000
const AGAIN_MS = 60_000
const OLDEST_MS = 86_400_000
/** Of clocks that differ. */
export const LEEWAY_SECONDS = 30

const BY_CURVE: Readonly<Record<string, string>> = {
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
  Ed25519: 'EdDSA',
}
const RSA = new Set(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'])

const discoveryShape = z.object({ issuer: z.string(), jwks_uri: z.url() })
const jwksShape = z.object({ keys: z.array(z.record(z.string(), z.unknown())).max(MAX_KEYS) })

export class IssuerKeys {
  readonly #fetch: typeof fetch
  readonly #nowMs: () => number
  readonly #known = new LRUCache<string, Known>({ max: MAX_ISSUERS })
  readonly #fetching = new Map<string, Promise<Known>>()

  constructor(options: { fetch: typeof fetch; nowMs: () => number }) {
    this.#fetch = options.fetch
    this.#nowMs = options.nowMs
  }

  /**
   * What the token claims, once all of it is right. Throws `unauthenticated` for a token that is not, `unavailable` or `upstream` when
   * the issuer's keys cannot be had.
   */
  async verify(token: string, issuer: Issuer, expected: Expected): Promise<JWTPayload> {
    const { alg, kid } = headerOf(token)
    const key = await this.#key(issuer, alg, kid)
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: [alg],
        issuer: issuer.issuer,
        audience: [...expected.audiences],
        requiredClaims: ['iss', 'aud', 'exp', 'iat', ...(expected.requiredClaims ?? [])],
        maxTokenAge: expected.maxAgeSeconds,
        clockTolerance: LEEWAY_SECONDS,
        currentDate: new Date(this.#nowMs()),
      })
      return payload
    } catch (cause) {
      if (cause instanceof errors.JOSEError) throw notValid(sentenceOf(cause), cause)
      throw cause
    }
  }

  /** Throws what keeps the issuer's keys from being had. */
  async check(issuer: Issuer): Promise<void> {
    const { keys } = await this.#load(issuer)
    if (keys.length === 0)
      throw new RegistryError('invalid', `${issuer.issuer} publishes no key that signatures can be checked with`)
  }

  async #key(issuer: Issuer, algorithm: string, kid: string | undefined): Promise<CryptoKey> {
    const id = idOf(issuer)
    let known = this.#known.get(id)
    const age = this.#nowMs() - (known?.fetchedMs ?? 0)
    if (!known || age > FRESH_MS || age < 0) known = await this.#renewed(issuer, id, known)
    let key = keyIn(known, algorithm, kid)
    if (!key && this.#nowMs() - known.fetchedMs > AGAIN_MS) {
      known = await this.#renewed(issuer, id, known)
      key = keyIn(known, algorithm, kid)
    }
    if (!key) throw notValid('It is signed with no key that its issuer publishes')
    return key
  }

  /** What was known serves on for a day while the issuer cannot be asked. */
  async #renewed(issuer: Issuer, id: string, before: Known | undefined): Promise<Known> {
    const running =
      this.#fetching.get(id) ??
      this.#load(issuer)
        .then((known) => {
          this.#known.set(id, known)
          return known
        })
        .finally(() => this.#fetching.delete(id))
    this.#fetching.set(id, running)
    return before && this.#nowMs() - before.fetchedMs < OLDEST_MS ? running.catch(() => before) : running
  }

  async #load(issuer: Issuer): Promise<Known> {
    const set = issuer.jwks ?? (await this.#json(await this.#address(issuer), issuer))
    const parsed = jwksShape.safeParse(set)
    if (!parsed.success) throw new RegistryError('upstream', `The keys of ${issuer.issuer} are no key set, or too many`)
    const keys = await Promise.all(parsed.data.keys.map(imported))
    return { keys: keys.filter((key) => key !== undefined), fetchedMs: this.#nowMs() }
  }

  /** OpenID Connect Discovery 1.0, section 4. */
  async #address(issuer: Issuer): Promise<string> {
    if (issuer.jwksUri !== undefined) return issuer.jwksUri
    const base = issuer.issuer.replace(/\/$/, '')
    const parsed = discoveryShape.safeParse(await this.#json(`${base}/.well-known/openid-configuration`, issuer))
    if (!parsed.success) throw new RegistryError('upstream', `${issuer.issuer} has no discovery document`)
    if (parsed.data.issuer !== issuer.issuer)
      throw new RegistryError('upstream', `The discovery document of ${issuer.issuer} is another issuer's`)
    return parsed.data.jwks_uri
  }

  async #json(address: string, { allowHttp, issuer }: Issuer): Promise<unknown> {
    if (!address.startsWith('https:') && !(allowHttp && address.startsWith('http:')))
      throw new RegistryError('invalid', `The keys of ${issuer} would be fetched over http`, { code: 'insecure' })
    const reply = await this.#fetch(address, { headers: { accept: 'application/json' } })
    if (reply.status !== 200)
      throw new RegistryError('upstream', `${new URL(address).host} answered ${reply.status} where keys should be`)
    return reply.json().catch((cause: unknown) => {
      throw new RegistryError('upstream', `${new URL(address).host} sent no JSON where keys should be`, { cause })
    })
  }
}

/** Who a token says it is from: nothing that may be believed yet. */
export function claimedIssuer(token: string): string | undefined {
  if (token.length > MAX_TOKEN_CHARACTERS) return undefined
  try {
    return decodeJwt(token).iss
  } catch {
    return undefined
  }
}

function headerOf(token: string): { alg: string; kid: string | undefined } {
  if (token.length > MAX_TOKEN_CHARACTERS) throw notValid('It is too long')
  try {
    const { alg, kid } = decodeProtectedHeader(token)
    if (typeof alg === 'string' && (kid === undefined || typeof kid === 'string')) return { alg, kid }
  } catch {
    // Said below.
  }
  throw notValid('It is no signed token')
}

function keyIn({ keys }: Known, algorithm: string, kid: string | undefined): CryptoKey | undefined {
  const fitting = keys.filter((key) => key.algorithm === algorithm && (kid === undefined || key.kid === kid))
  return fitting.length === 1 ? fitting[0]?.key : undefined
}

/** undefined for keys that are of no use here: secret ones, ones for encryption, unknown ones. */
async function imported(jwk: Record<string, unknown>): Promise<Key | undefined> {
  const { kty, crv, n, e, x, y, use, kid } = jwk
  const algorithm = algorithmOf(jwk)
  if (algorithm === undefined || (use !== undefined && use !== 'sig')) return undefined
  try {
    const key = await importJWK({ kty, crv, n, e, x, y } as JWK, algorithm)
    return key instanceof Uint8Array ? undefined : { kid: typeof kid === 'string' ? kid : undefined, algorithm, key }
  } catch {
    return undefined
  }
}

function algorithmOf({ kty, crv, alg }: Record<string, unknown>): string | undefined {
  if (kty === 'RSA') return alg === undefined ? 'RS256' : RSA.has(String(alg)) ? String(alg) : undefined
  if (kty !== 'EC' && kty !== 'OKP') return undefined
  const own = BY_CURVE[String(crv)]
  return alg === undefined || alg === own ? own : undefined
}

function idOf({ issuer, jwksUri = '', jwks }: Issuer): string {
  return JSON.stringify([issuer, jwksUri, jwks])
}

function notValid(why: string, cause?: unknown): RegistryError {
  return new RegistryError('unauthenticated', `The token is not valid. ${why}`, { code: 'token_invalid', cause })
}

function sentenceOf(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) return 'It has expired'
  if (error instanceof errors.JWTClaimValidationFailed) return `Its ${error.claim} is missing, or not what it must be`
  return 'Its signature is wrong'
}
