/**
 * The one gate, the same on the primary and on a node: it knows only replicated records, so both decide alike. Tokens are
 * checked here; passwords by whoever is given (Postgres, or the primary asked by a node). The hot path is one look-up by the
 * header's text and one by repository; everything remembered is dropped when `configured` moves, and expiry is checked each time.
 */
import { timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { RegistryError } from '../errors.js'
import type { Access, Decision, Metadata, Principal } from '../ports.js'
import type { Action, RepositoryRecord, TokenRecord, UserRecord } from '../records.js'
import { parseCredentials } from './credentials.js'
import { GrantIndex } from './grants.js'
import { KnownPasswords, type Passwords } from './passwords.js'
import { decideBy, isNode, NODE_PRINCIPAL, type Rule, ruleFor } from './rule.js'
import { scopesAdminister, scopesCover } from './scope.js'
import { ANONYMOUS_TOKEN, tokenHash, tokenId } from './token.js'

export interface GateOptions {
  nowMs?: () => number
  /** May anonymous read public repositories. Default true. */
  anonymousReads?: boolean
  /** On a node: why what it knows is too old for a repository. */
  stale?: (repository: RepositoryRecord) => string | undefined
}

const HEADERS_REMEMBERED = 20_000
const HEADER_CHARACTERS_REMEMBERED = 512
const NOT_VALID = 'These credentials are not valid'

export class Gate implements Access {
  readonly anonymous: Principal = { name: 'anonymous', user: undefined, token: undefined }
  readonly #metadata: Metadata
  readonly #passwords: Passwords
  readonly #nowMs: () => number
  readonly #anonymousReads: boolean
  readonly #stale: GateOptions['stale']
  readonly #known = new KnownPasswords()
  /** Checks under way, so that a client's parallel requests cost one. */
  readonly #checking = new Map<string, Promise<boolean>>()
  readonly #headers = new LRUCache<string, { principal: Principal; expiresMs: number }>({ max: HEADERS_REMEMBERED })
  #byPassword = new WeakMap<UserRecord, Principal>()
  #rules = new WeakMap<Principal, Map<RepositoryRecord, Partial<Record<Action, Rule>>>>()
  #grants: GrantIndex
  #configured: number

  constructor(metadata: Metadata, passwords: Passwords, options: GateOptions = {}) {
    this.#metadata = metadata
    this.#passwords = passwords
    this.#nowMs = options.nowMs ?? Date.now
    this.#anonymousReads = options.anonymousReads ?? true
    this.#stale = options.stale
    this.#configured = metadata.configured
    this.#grants = new GrantIndex(metadata.accessAll('grant'))
  }

  authenticate(authorization: string, remote?: string): Principal | Promise<Principal> {
    this.#follow()
    const known = this.#headers.get(authorization)
    if (known && this.#nowMs() < known.expiresMs) return known.principal
    const credentials = parseCredentials(authorization)
    if (credentials.kind === 'password') return this.#byUser(credentials.user, credentials.password, remote)
    if (credentials.value === ANONYMOUS_TOKEN) return this.anonymous
    return this.#byToken(credentials.value, authorization)
  }

  /** The principal behind a header that was found valid before and still is; never waits, never throws. */
  known(authorization: string): Principal | undefined {
    this.#follow()
    const known = this.#headers.get(authorization)
    return known && this.#nowMs() < known.expiresMs ? known.principal : undefined
  }

  decide(principal: Principal, action: Action, repository: RepositoryRecord, path?: string): Decision {
    this.#follow()
    const decision = decideBy(this.#rule(principal, action, repository), path)
    const reason = decision.allowed ? this.stale(repository) : undefined
    return reason === undefined ? decision : { allowed: false, reason, stale: true }
  }

  /** Why nothing of a repository is given out here for now, whoever asks. */
  stale(repository: RepositoryRecord): string | undefined {
    return this.#stale?.(repository)
  }

  /** Does the principal see that the repository exists: it may read it, or at least something in it, or do anything else there. */
  sees(principal: Principal, repository: RepositoryRecord): boolean {
    const { allowed, stale = false } = this.decide(principal, 'read', repository)
    if (allowed || stale) return true
    if (isNode(principal)) return false
    const { token } = principal
    return this.#grants
      .of(principal, repository.key)
      .some((grant) => !token || grant.actions.some((action) => scopesCover(token.scopes, action, repository.key)))
  }

  /** For what concerns the whole system: users, nodes, the audit trail. */
  mayAdminister({ user, token }: Principal): boolean {
    return user?.admin === true && (token === undefined || scopesAdminister(token.scopes))
  }

  /** A member of the fleet, identified by its certificate, as a principal. */
  node(id: string): Principal {
    return { name: NODE_PRINCIPAL + id, user: undefined, token: undefined }
  }

  #byToken(value: string, authorization: string): Principal {
    const hash = tokenHash(value)
    const token = this.#metadata.access('token', tokenId(hash))
    if (!token || !sameHash(token.hash, hash)) throw new RegistryError('unauthenticated', NOT_VALID)
    const expiresMs = expiry(token)
    if (!(this.#nowMs() < expiresMs))
      throw new RegistryError('unauthenticated', 'The token has expired', { code: 'token_expired' })
    const user = this.#metadata.access('user', token.user)
    if (!user || user.disabled) throw new RegistryError('unauthenticated', NOT_VALID)
    const principal = { name: user.name, user, token }
    if (authorization.length <= HEADER_CHARACTERS_REMEMBERED) this.#headers.set(authorization, { principal, expiresMs })
    return principal
  }

  #byUser(name: string, password: string, remote: string | undefined): Principal | Promise<Principal> {
    const user = this.#metadata.access('user', name)
    const mark = this.#known.mark(name, password)
    if (user && !user.disabled && this.#known.has(mark, user, this.#nowMs())) return this.#principalOf(user)
    return this.#verify(name, password, mark, remote)
  }

  async #verify(
    name: string,
    password: string,
    mark: string,
    remote: string | undefined,
    again = true,
  ): Promise<Principal> {
    const before = this.#metadata.access('user', name)
    // The answer for an unknown or disabled user is asked for too, so that it takes as long.
    const right = await this.#check(mark, () => this.#passwords.verify(name, password, remote))
    this.#follow()
    const user = this.#metadata.access('user', name)
    // A log-in elsewhere may make the account, or change its groups, by being right: then it is right a second time.
    if (right && again && user !== before) return this.#verify(name, password, mark, remote, false)
    if (!right || !user || user.disabled || user !== before) throw new RegistryError('unauthenticated', NOT_VALID)
    this.#known.add(mark, user, this.#nowMs())
    return this.#principalOf(user)
  }

  async #check(mark: string, verify: () => Promise<boolean>): Promise<boolean> {
    const running = this.#checking.get(mark)
    if (running) return running
    const check = verify().finally(() => this.#checking.delete(mark))
    this.#checking.set(mark, check)
    return check
  }

  #principalOf(user: UserRecord): Principal {
    const known = this.#byPassword.get(user)
    if (known) return known
    const principal = { name: user.name, user, token: undefined }
    this.#byPassword.set(user, principal)
    return principal
  }

  #rule(principal: Principal, action: Action, repository: RepositoryRecord): Rule {
    let rules = this.#rules.get(principal)
    if (!rules) {
      rules = new Map()
      this.#rules.set(principal, rules)
    }
    let known = rules.get(repository)
    if (!known) {
      known = {}
      rules.set(repository, known)
    }
    known[action] ??= ruleFor(principal, action, repository, {
      metadata: this.#metadata,
      grants: this.#grants,
      anonymousReads: this.#anonymousReads,
    })
    return known[action]
  }

  /** Forgets everything that was derived from an older configuration. */
  #follow(): void {
    const { configured } = this.#metadata
    if (configured === this.#configured) return
    this.#configured = configured
    this.#headers.clear()
    this.#rules = new WeakMap()
    this.#byPassword = new WeakMap()
    this.#grants = new GrantIndex(this.#metadata.accessAll('grant'))
  }
}

/** Hashes of random 256-bit values leak nothing by timing; the comparison is constant all the same. */
function sameHash(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
}

/** A time that cannot be read has passed. */
function expiry(token: TokenRecord): number {
  if (token.expiresAt === undefined) return Number.POSITIVE_INFINITY
  const ms = Date.parse(token.expiresAt)
  return Number.isNaN(ms) ? 0 : ms
}
