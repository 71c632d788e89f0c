/**
 * The one gate, the same on the primary and on a node: it knows only replicated records, so both decide alike. Tokens are
 * checked here; passwords by whoever is given (Postgres, or the primary asked by a node). The hot path is one look-up by the
 * header's text and one by repository; everything remembered is dropped when `configured` moves, and expiry is checked each time.
 */
import { timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { RegistryError } from '../errors.js'
import type { Access, Decision, Metadata, Principal } from '../ports.js'
import type { Action, ProjectRecord, RepositoryRecord, TokenRecord, UserRecord } from '../records.js'
import { parseCredentials } from './credentials.js'
import { KnownPasswords, type Passwords } from './passwords.js'
import { disjoint } from './path.js'
import { ACTIONS, actionsOf } from './roles.js'
import {
  decideBy,
  EVERYWHERE,
  isEver,
  membershipsIn,
  NODE_PRINCIPAL,
  PROVIDER_PRINCIPAL,
  type Rule,
  type RuleContext,
  type Ruled,
  reachOf,
  ruleFor,
  sourcesOf,
  subjectsOf,
} from './rule.js'
import { scopesAdminister, scopesProvision } from './scope.js'
import { ANONYMOUS_TOKEN, isMistyped, tokenHash, tokenId } from './token.js'
import type { TokenUses } from './uses.js'

export interface GateOptions {
  nowMs?: () => number
  /** May requests without credentials do what everybody may. Default true. */
  anonymousReads?: boolean
  uses?: TokenUses
  /** On a node: why what it knows is too old for a repository. */
  stale?: (repository: RepositoryRecord) => string | undefined
}

interface Known {
  principal: Principal
  expiresMs: number
  /** When its use was last noted. */
  notedMs: number
}

const HEADERS_REMEMBERED = 20_000
/** A token's last use is known to this. */
const NOTED_EVERY_MS = 60_000
const HEADER_CHARACTERS_REMEMBERED = 512
const NOT_VALID = 'These credentials are not valid'

export class Gate implements Access {
  readonly anonymous: Principal = { name: 'anonymous', user: undefined, token: undefined }
  readonly #metadata: Metadata
  readonly #passwords: Passwords
  readonly #nowMs: () => number
  readonly #context: RuleContext
  readonly #uses: TokenUses | undefined
  readonly #stale: GateOptions['stale']
  readonly #known = new KnownPasswords()
  /** Checks under way, so that a client's parallel requests cost one. */
  readonly #checking = new Map<string, Promise<boolean>>()
  readonly #headers = new LRUCache<string, Known>({ max: HEADERS_REMEMBERED })
  #byPassword = new WeakMap<UserRecord, Principal>()
  #rules = new WeakMap<Principal, Partial<Record<Action, Map<Ruled, Rule>>>>()
  #configured: number

  constructor(metadata: Metadata, passwords: Passwords, options: GateOptions = {}) {
    this.#metadata = metadata
    this.#passwords = passwords
    this.#nowMs = options.nowMs ?? Date.now
    this.#context = { metadata, anonymousReads: options.anonymousReads ?? true }
    this.#uses = options.uses
    this.#stale = options.stale
    this.#configured = metadata.configured
  }

  authenticate(authorization: string, remote?: string): Principal | Promise<Principal> {
    this.#follow()
    const known = this.#headers.get(authorization)
    const now = this.#nowMs()
    if (known && now < known.expiresMs) return this.#used(known, now, remote)
    const credentials = parseCredentials(authorization)
    if (credentials.kind === 'password') return this.#byUser(credentials.user, credentials.password, remote)
    if (credentials.value === ANONYMOUS_TOKEN) return this.anonymous
    return this.#byToken(credentials.value, authorization, remote)
  }

  /** What decisions are made from, for whoever explains them. */
  get context(): RuleContext {
    return this.#context
  }

  /** The principal behind a header that was found valid before and still is; never waits, never throws. */
  known(authorization: string, request?: { readonly remote: string }): Principal | undefined {
    this.#follow()
    const known = this.#headers.get(authorization)
    const now = this.#nowMs()
    if (!known || now >= known.expiresMs) return undefined
    return request && isDue(known, now) ? this.#used(known, now, request.remote) : known.principal
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

  /** Does the principal see that the repository exists: it may do something there, if only on some path. */
  sees(principal: Principal, repository: RepositoryRecord): boolean {
    this.#follow()
    const ever = (action: Action) => isEver(this.#rule(principal, action, repository))
    if (ever('read')) return true
    // Of most that somebody does not read nothing is said at all.
    const said = principal.user?.admin || sourcesOf(principal, repository, this.#context).length > 0
    return said && ACTIONS.some(ever)
  }

  /** May the principal know what is known about a path, with its bytes or without. */
  looks(principal: Principal, repository: RepositoryRecord, path?: string): boolean {
    return (
      this.decide(principal, 'read', repository, path).allowed ||
      this.decide(principal, 'audit', repository, path).allowed
    )
  }

  /** What every path begins with on which the principal may do one of the actions; [''] where it may be any, [] where none. */
  reach(principal: Principal, repository: RepositoryRecord, actions: readonly Action[] = LOOKS): string[] {
    this.#follow()
    return disjoint(actions.flatMap((action) => reachOf(this.#rule(principal, action, repository))))
  }

  /** For what concerns the whole system: users, nodes, the audit trail. */
  mayAdminister({ user, token }: Principal): boolean {
    return user?.admin === true && (token === undefined || scopesAdminister(token.scopes))
  }

  /** May see the audit trail, and who has which rights: an administrator, or who may audit every repository. */
  mayAudit(principal: Principal): boolean {
    if (principal.user === undefined) return false
    if (this.mayAdminister(principal)) return true
    this.#follow()
    return decideBy(this.#rule(principal, 'audit', EVERYWHERE), '').allowed
  }

  /** The identity provider whose own account it is, with a token for that: it may say which users and groups there are. */
  provisionsFor({ user, token }: Principal): string | undefined {
    if (!user?.name.startsWith(PROVIDER_PRINCIPAL) || !token || !scopesProvision(token.scopes)) return undefined
    return user.name.slice(PROVIDER_PRINCIPAL.length)
  }

  seesProject(principal: Principal, project: ProjectRecord): boolean {
    if (this.mayAudit(principal)) return true
    return principal.user !== undefined && membershipsIn(project, subjectsOf(principal)).length > 0
  }

  /** May choose a project's members and keep its service accounts. */
  manages(principal: Principal, project: ProjectRecord): boolean {
    const { user, token } = principal
    if (this.mayAdminister(principal)) return true
    if (!user || (token && !scopesAdminister(token.scopes))) return false
    return membershipsIn(project, subjectsOf(principal)).some(({ role }) =>
      actionsOf(role, this.#metadata).includes('admin'),
    )
  }

  /** A member of the fleet, identified by its certificate, as a principal. */
  node(id: string): Principal {
    return { name: NODE_PRINCIPAL + id, user: undefined, token: undefined }
  }

  #byToken(value: string, authorization: string, remote: string | undefined): Principal {
    if (isMistyped(value)) throw new RegistryError('unauthenticated', NOT_VALID)
    const hash = tokenHash(value)
    const token = this.#metadata.access('token', tokenId(hash))
    if (!token || !sameHash(token.hash, hash)) throw new RegistryError('unauthenticated', NOT_VALID)
    const expiresMs = expiry(token)
    if (!(this.#nowMs() < expiresMs))
      throw new RegistryError('unauthenticated', 'The token has expired', { code: 'token_expired' })
    const user = this.#metadata.access('user', token.user)
    if (!user || user.disabled) throw new RegistryError('unauthenticated', NOT_VALID)
    const principal = { name: user.name, user, token }
    const known = { principal, expiresMs, notedMs: Number.NEGATIVE_INFINITY }
    if (authorization.length <= HEADER_CHARACTERS_REMEMBERED) this.#headers.set(authorization, known)
    return this.#used(known, this.#nowMs(), remote)
  }

  #used(known: Known, nowMs: number, remote: string | undefined): Principal {
    const { principal } = known
    if (remote !== undefined && principal.token?.use === 'api' && isDue(known, nowMs)) {
      known.notedMs = nowMs
      this.#uses?.note(principal.token.id, remote)
    }
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

  #rule(principal: Principal, action: Action, repository: Ruled): Rule {
    let rules = this.#rules.get(principal)
    if (!rules) {
      rules = {}
      this.#rules.set(principal, rules)
    }
    rules[action] ??= new Map()
    const known = rules[action].get(repository)
    if (known) return known
    const made = ruleFor(principal, action, repository, this.#context)
    rules[action].set(repository, made)
    return made
  }

  /** Forgets everything that was derived from an older configuration. */
  #follow(): void {
    const { configured } = this.#metadata
    if (configured === this.#configured) return
    this.#configured = configured
    this.#headers.clear()
    this.#rules = new WeakMap()
    this.#byPassword = new WeakMap()
  }
}

const LOOKS: readonly Action[] = ['read', 'audit']

/** A clock that jumped back makes no use unknown for long. */
function isDue({ notedMs }: Known, nowMs: number): boolean {
  return Math.abs(nowMs - notedMs) >= NOTED_EVERY_MS
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
