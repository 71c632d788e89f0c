/**
 * Accounts at the primary: users with passwords, sessions, API tokens. What nodes need to decide is committed to the log; what
 * must not leave the primary (password hashes, refresh tokens) is in Postgres. Failed attempts are slowed down, never for good.
 */
import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import type { Entered } from '../admin/console.js'
import type { Passwords } from '../protocol/access/passwords.js'
import { scopesAdminister } from '../protocol/access/scope.js'
import { tokenHash, tokenId } from '../protocol/access/token.js'
import { RegistryError } from '../protocol/errors.js'
import type { HttpRequest } from '../protocol/http/request.js'
import type { Ledger } from '../protocol/ledger.js'
import type { Accounts, Metadata, Principal } from '../protocol/ports.js'
import type { TokenRecord, UserRecord } from '../protocol/records.js'
import type { SecondFactorDemand, TokenLifetime } from '../protocol/settings.js'
import { BreachedPasswords } from './accounts/breached.js'
import { ConsoleSessions } from './accounts/console.js'
import { Directory } from './accounts/directory.js'
import { Entry } from './accounts/entry.js'
import { Groups } from './accounts/groups.js'
import { Passkeys } from './accounts/passkeys.js'
import { isPlausible, PasswordHashes } from './accounts/password.js'
import { Projects } from './accounts/projects.js'
import { RecoveryCodes } from './accounts/recovery-codes.js'
import { Roles } from './accounts/roles.js'
import { SecondFactor } from './accounts/second-factor.js'
import { SecondSteps } from './accounts/second-steps.js'
import { type Session, Sessions } from './accounts/sessions.js'
import { Throttle } from './accounts/throttle.js'
import { LastUses } from './accounts/token-use.js'
import { FOR_EVER, type Rotation, type TokenDraft, Tokens } from './accounts/tokens.js'
import { isService, Users } from './accounts/users.js'

export interface PrimaryAccountsOptions {
  pool: pg.Pool
  ledger: Ledger
  metadata: Metadata
  /** Seals what must be read back: second factors' secrets. */
  key: Uint8Array
  secondFactor?: SecondFactorDemand
  /** Default: for ever, unless whoever makes a token says otherwise. */
  tokens?: TokenLifetime
  breached?: BreachedPasswords
  /** Told when a client that sends a password with its requests is let in or refused, `outcome` being `ok` or an error's code. */
  onPassword?: (who: string, outcome: string, remote: string) => void
  hashes?: PasswordHashes
  /** Asked when an account has no password here: whose password it is elsewhere. */
  elsewhere?: (user: string, password: string) => Promise<UserRecord | undefined>
  exchange?: Accounts['exchange']
  nowMs?: () => number
}

/** The tokens of one account. */
export interface Keeping {
  list(): TokenRecord[]
  create(principal: Principal, draft: TokenDraft): Promise<{ value: string; token: TokenRecord }>
  rotate(principal: Principal, id: string, rotation: Rotation): Promise<{ value: string; token: TokenRecord }>
  revoke(principal: Principal, id: string): Promise<boolean>
}

export const FIRST_ADMINISTRATOR = 'admin'
/** What a client's own log-in command (`npm login`) gets. */
const LOGIN_TOKEN_DAYS = 90
const GENERATED_PASSWORD_BYTES = 15
/** A session that is handed out again lasts at least so long. */
const SESSION_LEFT_MS = 20 * 60_000
const CONSOLE_IDLE_MS = 60 * 60_000
const CONSOLE_LONGEST_MS = 12 * 60 * 60_000

export class PrimaryAccounts implements Accounts, Passwords {
  readonly directory: Directory
  readonly users: Users
  readonly groups: Groups
  readonly roles: Roles
  readonly projects: Projects
  readonly sessions: Sessions
  readonly console: ConsoleSessions
  readonly steps: SecondSteps
  readonly passkeys: Passkeys
  readonly entry: Entry
  readonly exchange: Accounts['exchange']
  readonly lastUses: LastUses
  readonly #loginDays: number
  readonly #tokens: Tokens
  readonly #throttle: Throttle
  readonly #hashes: PasswordHashes
  readonly #elsewhere: (user: string, password: string) => Promise<UserRecord | undefined>
  readonly #nowMs: () => number
  readonly #onPassword: NonNullable<PrimaryAccountsOptions['onPassword']>
  /** Sessions for clients that exchange the password each time. A record that changes is another one, and gets another session. */
  readonly #exchanged = new WeakMap<UserRecord, { session: Session; untilMs: number }>()

  constructor(options: PrimaryAccountsOptions) {
    const { pool, ledger, metadata, hashes = new PasswordHashes(), nowMs = Date.now } = options
    this.directory = new Directory(metadata, ledger)
    this.sessions = new Sessions(pool, this.directory, nowMs)
    this.console = new ConsoleSessions({
      pool,
      metadata,
      nowMs,
      idleMs: CONSOLE_IDLE_MS,
      longestMs: CONSOLE_LONGEST_MS,
    })
    const { directory, console } = this
    const codes = new RecoveryCodes(pool)
    const factor = new SecondFactor(pool, options.key, codes, nowMs)
    this.passkeys = new Passkeys({ pool, directory, console, codes, key: options.key, nowMs })
    const { passkeys } = this
    const breached = options.breached ?? new BreachedPasswords()
    const parts = { pool, directory, sessions: this.sessions }
    this.users = new Users({ ...parts, hashes, breached, factor, passkeys, nowMs })
    this.groups = new Groups(this.directory, nowMs)
    this.roles = new Roles(this.directory, nowMs)
    this.projects = new Projects(this.directory, this.users, nowMs)
    const demanded = options.secondFactor ?? 'optional'
    this.steps = new SecondSteps({ factor, passkeys, demanded, directory, nowMs })
    this.entry = new Entry(this.console, this.steps, this.directory)
    const lifetime = options.tokens ?? FOR_EVER
    this.#loginDays = Math.min(LOGIN_TOKEN_DAYS, lifetime.mostDays ?? LOGIN_TOKEN_DAYS)
    this.#tokens = new Tokens(this.directory, lifetime, nowMs)
    this.lastUses = new LastUses(pool, this.directory)
    this.#throttle = new Throttle(nowMs)
    this.#hashes = hashes
    this.#elsewhere = options.elsewhere ?? nowhere
    this.exchange =
      options.exchange ?? (() => Promise.reject(new RegistryError('unsupported', 'Nobody is trusted here')))
    this.#onPassword = options.onPassword ?? (() => undefined)
    this.#nowMs = nowMs
  }

  /** Makes the first administrator when there is no user yet. Returns the password if it was generated: to be shown once. */
  async firstStart(password?: string): Promise<string | undefined> {
    if (this.directory.all('user').length > 0) return undefined
    const chosen = password || randomBytes(GENERATED_PASSWORD_BYTES).toString('base64url')
    await this.users.createFirst(FIRST_ADMINISTRATOR, chosen)
    return password ? undefined : chosen
  }

  /** See Passwords. Throws `forbidden` where a right password alone is not enough. */
  async verify(user: string, password: string, remote = ''): Promise<boolean> {
    const record = await this.#identify(user, password, remote || undefined, this.#elsewhere)
    const right = record?.name === user
    const alone = !right || (await this.steps.next(record)) === 'none'
    // Only names that exist: people type passwords into the wrong field.
    const who = this.directory.user(user)?.name ?? 'anonymous'
    this.#onPassword(who, right ? (alone ? 'ok' : 'token_needed') : 'login_failed', remote)
    if (alone) return right
    throw new RegistryError('forbidden', 'This account has a second factor: use an API token instead of the password', {
      code: 'token_needed',
    })
  }

  /** Is it the password that the user has here. Throws `throttled` after too many failures. */
  async hasPassword(user: string, password: string, remote?: string): Promise<boolean> {
    return (await this.#identify(user, password, remote, nowhere)) !== undefined
  }

  /** Puts the second factor that was begun in force. Returns its recovery codes. */
  enrol(user: UserRecord, code: string, remote: string): Promise<string[]> {
    return this.directory.turn.run(() => this.steps.enrolled(user, code, remote))
  }

  /** Logs a user in to the console, or tells what is to follow the password. Throws `unauthenticated` and `throttled`. */
  enter(user: string, password: string, request: HttpRequest, next: string): Promise<Entered> {
    return this.#checked(user, password, request.remote, (record) => this.entry.first(record, request, next))
  }

  /** `code`: of the second factor, where there is one; the errors' codes `second_factor_needed` and `code_wrong` tell of its lack. */
  async signIn(user: string, password: string, remote?: string, code?: string): Promise<Session> {
    return this.#checked(user, password, remote, async (record) => {
      await this.steps.demand(record, code, remote)
      return this.sessions.open(record)
    })
  }

  /** Ends the principal's own session, and the one of a refresh token. */
  signOut(principal: Principal, refreshToken: string | undefined): Promise<void> {
    return this.sessions.close(principal.token?.use === 'session' ? principal.token.id : undefined, refreshToken)
  }

  /** Ends all sessions of a user; API tokens stay. */
  endSessions(user: string): Promise<void> {
    return this.directory.turn.run(async () => {
      const ended = await this.sessions.closeAll(user)
      if (ended.length > 0) await this.directory.commit(ended, user)
    })
  }

  async login(user: string, password: string, tokenName: string, remote?: string): Promise<string> {
    const record = await this.#checked(user, password, remote, async (checked) => {
      await this.steps.demand(checked, undefined, remote)
      return checked
    })
    const principal = { name: record.name, user: record, token: undefined }
    return (await this.createToken(principal, { name: tokenName, scopes: ['*'], expiresInDays: this.#loginDays })).value
  }

  /** See Accounts. */
  async session(principal: Principal): Promise<{ value: string; expiresInSeconds: number }> {
    const { user, token } = principal
    if (!user || token) throw new RegistryError('unauthenticated', 'A session is opened with a password')
    return this.directory.turn.run(async () => {
      if (this.directory.user(user.name) !== user)
        throw new RegistryError('unauthenticated', 'The account has changed; try again')
      const known = this.#exchanged.get(user)
      const now = this.#nowMs()
      if (known && known.untilMs - now > SESSION_LEFT_MS && this.directory.token(tokenIdOf(known.session)))
        return { value: known.session.accessToken, expiresInSeconds: Math.floor((known.untilMs - now) / 1000) }
      const session = await this.sessions.open(user)
      this.#exchanged.set(user, { session, untilMs: now + session.expiresIn * 1000 })
      return { value: session.accessToken, expiresInSeconds: session.expiresIn }
    })
  }

  createToken(principal: Principal, draft: TokenDraft): Promise<{ value: string; token: TokenRecord }> {
    return this.#tokens.create(principal, draft)
  }

  /** For this machine's own use: it does not end. */
  lastingToken(user: UserRecord, name: string): Promise<{ value: string; token: TokenRecord }> {
    const principal = { name: user.name, user, token: undefined }
    return this.#tokens.create(principal, { name, scopes: ['*'] }, user, FOR_EVER)
  }

  /** Tokens of a service account, for who keeps it: `principal` makes, rotates and revokes them as if they were its own. */
  tokensFor(owner: UserRecord): Keeping {
    return {
      list: () => this.#tokens.list(owner.name),
      create: (principal, draft) => this.#tokens.create(principal, draft, owner),
      rotate: (principal, id, rotation) => this.#tokens.rotate(principal, id, rotation, owner.name),
      revoke: (principal, id) => this.#tokens.revoke(principal, id, false, owner.name),
    }
  }

  /** A new value in the place of an old one. */
  rotateToken(principal: Principal, id: string, rotation: Rotation): Promise<{ value: string; token: TokenRecord }> {
    return this.#tokens.rotate(principal, id, rotation)
  }

  revokeToken(principal: Principal, idOrValue: string): Promise<boolean> {
    const { user, token } = principal
    const administrator = user?.admin === true && (token === undefined || scopesAdminister(token.scopes))
    return this.#tokens.revoke(principal, idOrValue, administrator)
  }

  tokens(principal: Principal): TokenRecord[] {
    return principal.user ? this.#tokens.list(principal.user.name) : []
  }

  /** The same accounts as seen from an address, for throttling. */
  at(remote: string): Accounts {
    return {
      login: (user, password, tokenName) => this.login(user, password, tokenName, remote),
      createToken: (principal, draft) => this.createToken(principal, draft),
      revokeToken: (principal, idOrValue) => this.revokeToken(principal, idOrValue),
      tokens: (principal) => this.tokens(principal),
      session: (principal) => this.session(principal),
      exchange: this.exchange,
    }
  }

  /** Removes sessions that have expired. */
  async sweep(): Promise<number> {
    await this.console.sweep()
    await this.lastUses.sweep()
    return this.sessions.sweep()
  }

  /** `use` runs in turn, and only if the record is still the one whose password was checked. */
  async #checked<T>(
    name: string,
    password: string,
    remote: string | undefined,
    use: (user: UserRecord) => Promise<T>,
  ): Promise<T> {
    const identified = await this.#identify(name, password, remote, this.#elsewhere)
    return this.directory.turn.run(async () => {
      const user = identified && this.directory.user(identified.name)
      // A password that was changed, or a user that was disabled, while the old one was being checked.
      if (!user || user.disabled || user !== identified)
        throw new RegistryError('unauthenticated', 'User name or password is wrong', { code: 'login_failed' })
      return use(user)
    })
  }

  /** The account whose password it is, as it was when that was found out: here if it has one here, else elsewhere. */
  async #identify(
    name: string,
    password: string,
    remote: string | undefined,
    elsewhere: (user: string, password: string) => Promise<UserRecord | undefined>,
  ): Promise<UserRecord | undefined> {
    if (!isPlausible(password)) return undefined
    // Before it counts as an attempt: whoever comes again because there was no room did not fail.
    this.#hashes.demandRoom()
    const succeeded = this.#throttle.attempt(name, remote)
    const before = this.directory.user(name)
    const right = await this.users.hasPassword(name, password)
    const user = right === undefined ? await elsewhere(name, password) : right ? before : undefined
    // Only tokens let a service account in.
    if (user && isService(user)) return undefined
    if (user) succeeded()
    return user
  }
}

async function nowhere(): Promise<undefined> {}

function tokenIdOf({ accessToken }: Session): string {
  return tokenId(tokenHash(accessToken))
}
