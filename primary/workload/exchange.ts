/**
 * A workload's token from its issuer for a short one of ours (RFC 8693, trusted publishing). Only issuers that a rule names are ever
 * asked for keys; a token counts once, unless the rule says otherwise. Who is let in and who is not is in the trail.
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { scopesWithin } from '../../protocol/access/scope.js'
import { newToken } from '../../protocol/access/token.js'
import { RegistryError } from '../../protocol/errors.js'
import type { TokenRecord } from '../../protocol/records.js'
import type { AuditEntry } from '../accounts/audit.js'
import type { Directory } from '../accounts/directory.js'
import { claimedIssuer, type IssuerKeys, LEEWAY_SECONDS } from '../identity/issuer-keys.js'
import type { Once } from '../identity/once.js'
import { refusal, type TrustRule } from './rule.js'
import type { KeyedRule, TrustRules } from './rules.js'

export interface ExchangeOptions {
  rules: Pick<TrustRules, 'list'>
  issuers: IssuerKeys
  once: Once
  directory: Directory
  audit: (entry: AuditEntry) => Promise<void>
  nowMs: () => number
}

export interface Asked {
  token: string
  /** Of this registry, as the workload reaches it: it makes the audiences. */
  origin: string
  remote: string
  requestId: string
  /** Only this rule. */
  rule?: string | undefined
  /** Less than the rule gives. */
  scopes?: string[] | undefined
}

export interface Exchanged {
  value: string
  token: TokenRecord
  expiresInSeconds: number
}

type Claims = Awaited<ReturnType<IssuerKeys['verify']>>

const REMEMBERED = 1000

export class Exchange {
  readonly #options: ExchangeOptions
  /** What was given for tokens that may come again. */
  readonly #given = new LRUCache<string, Exchanged & { untilMs: number }>({ max: REMEMBERED })

  constructor(options: ExchangeOptions) {
    this.#options = options
  }

  /** Throws `unauthenticated` for a token that is not right, `forbidden` for one that no rule admits or that was used before. */
  async exchange(asked: Asked): Promise<Exchanged> {
    const issuer = claimedIssuer(asked.token)
    const trusted = this.#options.rules
      .list()
      .filter(({ key, rule }) => rule.issuer === issuer && (asked.rule === undefined || asked.rule === key))
    const [first] = trusted
    if (!first) throw new RegistryError('unauthenticated', 'No trust rule names the issuer of this token')
    const { claims, admitted } = await this.#admitted(asked, trusted)
    const who = admitted?.rule.account ?? first.rule.account
    try {
      const exchanged = await this.#issued(asked, claims, admitted)
      await this.#record(asked, claims, who, admitted?.key, 'ok')
      return exchanged
    } catch (error) {
      await this.#record(asked, claims, who, admitted?.key, error instanceof RegistryError ? error.code : 'internal')
      throw error
    }
  }

  /** The first rule that admits the workload; what the token claims was checked by then. */
  async #admitted(asked: Asked, rules: KeyedRule[]): Promise<{ claims: Claims; admitted: KeyedRule | undefined }> {
    let claims: Claims | undefined
    let fault: unknown
    for (const keyed of rules)
      try {
        claims = await this.#verify(asked, keyed.rule)
        if (refusal(keyed.rule, claims) === undefined) return { claims, admitted: keyed }
      } catch (error) {
        fault = error
      }
    if (!claims) throw fault
    return { claims, admitted: undefined }
  }

  #verify({ token, origin }: Asked, rule: TrustRule): Promise<Claims> {
    const { issuer, jwks_uri, jwks, allow_http } = rule
    return this.#options.issuers.verify(
      token,
      { issuer, jwksUri: jwks_uri, jwks, allowHttp: allow_http },
      {
        audiences: rule.audiences ?? audiencesOf(origin),
        maxAgeSeconds: rule.max_age_minutes * 60,
        requiredClaims: ['sub'],
      },
    )
  }

  async #issued(asked: Asked, claims: Claims, admitted: KeyedRule | undefined): Promise<Exchanged> {
    if (!admitted) throw new RegistryError('forbidden', 'No trust rule admits this workload', { code: 'not_trusted' })
    const { key, rule } = admitted
    const scopes = asked.scopes ?? rule.scopes
    if (!scopesWithin(scopes, rule.scopes))
      throw new RegistryError('forbidden', 'The trust rule gives less than was asked for', { code: 'scope_exceeded' })
    const id = createHash('sha256')
      .update(JSON.stringify([asked.token, key, scopes]))
      .digest('hex')
    const before = rule.reusable ? this.#given.get(id) : undefined
    const left = (before?.untilMs ?? 0) - this.#options.nowMs()
    if (before && left > rule.lifetime_minutes * 30_000 && this.#options.directory.token(before.token.id))
      return { ...before, expiresInSeconds: Math.floor(left / 1000) }
    if (!rule.reusable && !(await this.#first(asked.token, claims)))
      throw new RegistryError('forbidden', 'This token was exchanged before', { code: 'token_replayed' })
    const exchanged = await this.#token(key, rule, scopes)
    const untilMs = this.#options.nowMs() + exchanged.expiresInSeconds * 1000
    if (rule.reusable) this.#given.set(id, { ...exchanged, untilMs })
    return exchanged
  }

  /** Issuers that give no id are told by what they signed: the signature itself could be written in several ways. */
  #first(token: string, { iss, jti, exp = 0 }: Claims): Promise<boolean> {
    const id = jti ?? token.slice(0, token.lastIndexOf('.'))
    return this.#options.once.use('workload', `${iss}\0${id}`, (exp + 2 * LEEWAY_SECONDS) * 1000)
  }

  #token(key: string, { account, lifetime_minutes }: TrustRule, scopes: string[]): Promise<Exchanged> {
    const { directory, nowMs } = this.#options
    return directory.turn.run(async () => {
      const user = directory.user(account)
      if (!user || user.disabled || user.admin)
        throw new RegistryError(
          'forbidden',
          'The account of the trust rule is not there, disabled, or an administrator',
        )
      const { value, id, hash } = newToken()
      const now = nowMs()
      const token: TokenRecord = {
        id,
        hash,
        name: `trust rule ${key}`,
        user: account,
        scopes: [...new Set(scopes)],
        createdAt: new Date(now).toISOString(),
        expiresAt: new Date(now + lifetime_minutes * 60_000).toISOString(),
        use: 'exchanged',
      }
      await directory.commit([{ kind: 'access', subject: 'token', id, record: token }], account)
      return { value, token, expiresInSeconds: lifetime_minutes * 60 }
    })
  }

  #record(asked: Asked, claims: Claims, who: string, rule: string | undefined, outcome: string): Promise<void> {
    return this.#options.audit({
      who,
      action: 'workload.exchange',
      subject: String(claims.sub),
      outcome,
      requestId: asked.requestId,
      remote: asked.remote,
      detail: { issuer: String(claims.iss), rule: rule ?? null, jti: claims.jti ?? null },
    })
  }
}

/** What clients ask their CI system for: the registry's URL, its host (PyPI's), and npm's own form. */
function audiencesOf(origin: string): string[] {
  const { hostname } = new URL(origin)
  return [origin, hostname, `npm:${hostname}`]
}
