/**
 * Users: their records are replicated, their passwords stay in Postgres. A user that goes takes its tokens, grants and sessions
 * along in one commit, and the last administrator cannot go.
 */
import type pg from 'pg'
import { PROVIDER_PRINCIPAL } from '../../protocol/access/rule.js'
import { RegistryError } from '../../protocol/errors.js'
import type { UserRecord } from '../../protocol/records.js'
import type { BreachedPasswords } from './breached.js'
import type { Directory } from './directory.js'
import type { Passkeys } from './passkeys.js'
import { checkNewPassword, isPlausible, type PasswordHashes } from './password.js'
import { dropUsers } from './rights.js'
import type { SecondFactor } from './second-factor.js'
import type { Sessions } from './sessions.js'

export interface UserDraft {
  name: string
  password?: string | undefined
  email?: string | undefined
  admin?: boolean | undefined
  groups?: string[] | undefined
  /** That owns it: then it is a service account. */
  project?: string | undefined
}

export interface UserChanges {
  email?: string | undefined
  admin?: boolean | undefined
  disabled?: boolean | undefined
  groups?: string[] | undefined
}

export interface UsersParts {
  pool: pg.Pool
  directory: Directory
  sessions: Sessions
  hashes: PasswordHashes
  breached: BreachedPasswords
  factor: SecondFactor
  passkeys: Pick<Passkeys, 'removeAll'>
  nowMs: () => number
}

const USER_NAME = /^[a-z0-9][a-z0-9._@-]{0,62}$/
/** Names that mean something else to the gate or in logs. */
const RESERVED = new Set(['anonymous', 'cairn'])

/** Only tokens let it in: an account of a project, or of an identity provider itself. */
export function isService({ name, project }: UserRecord): boolean {
  return project !== undefined || name.startsWith(PROVIDER_PRINCIPAL)
}

export function isUserName(name: string): boolean {
  return USER_NAME.test(name) && !RESERVED.has(name)
}

export class Users {
  readonly #pool: pg.Pool
  readonly #directory: Directory
  readonly #sessions: Sessions
  readonly #hashes: PasswordHashes
  readonly #breached: BreachedPasswords
  readonly #factor: SecondFactor
  readonly #passkeys: Pick<Passkeys, 'removeAll'>
  readonly #nowMs: () => number

  constructor({ pool, directory, sessions, hashes, breached, factor, passkeys, nowMs }: UsersParts) {
    this.#pool = pool
    this.#directory = directory
    this.#sessions = sessions
    this.#hashes = hashes
    this.#breached = breached
    this.#factor = factor
    this.#passkeys = passkeys
    this.#nowMs = nowMs
  }

  async create(draft: UserDraft, by: string): Promise<UserRecord> {
    const { name, password } = draft
    if (!isUserName(name))
      throw new RegistryError(
        'invalid',
        `A user name is 1 to 63 of a-z, 0-9, ".", "_", "@" and "-", begins with a letter or digit, and is not reserved`,
      )
    if (password !== undefined) checkNewPassword(name, password, this.#breached)
    const hash = password === undefined ? undefined : await this.#hashes.hash(password)
    return this.#directory.turn.run(() => this.#add(draft, hash, by))
  }

  /** For whoever lost what the codes come from. */
  removeSecondFactor(name: string): Promise<void> {
    return this.#directory.turn.run(async () => {
      const record = this.#existing(name)
      if (!(await this.#factor.remove(name))) throw new RegistryError('missing', `${name} has no second factor`)
      await this.#directory.touch(record)
    })
  }

  /** The first start: an administrator with whatever password the operator chose. */
  async createFirst(name: string, password: string): Promise<void> {
    if (!isPlausible(password))
      throw new RegistryError('invalid', "The administrator's password is blank, too long or holds control characters")
    const hash = await this.#hashes.hash(password)
    await this.#directory.turn.run(() => this.#add({ name, admin: true }, hash, 'cairn'))
  }

  update(name: string, changes: UserChanges, by: string): Promise<UserRecord> {
    return this.#directory.turn.run(async () => {
      const before = this.#existing(name)
      if (isService(before) && changes.admin) throw serviceAccount(name)
      const record: UserRecord = {
        ...before,
        email: changes.email ?? before.email,
        admin: changes.admin ?? before.admin,
        disabled: changes.disabled ?? before.disabled,
        groups: changes.groups ?? before.groups,
      }
      if (!record.admin || record.disabled) this.#keepAnAdministrator(name)
      const ended = record.disabled && !before.disabled ? await this.#sessions.closeAll(name) : []
      await this.#directory.commit([{ kind: 'access', subject: 'user', id: name, record }, ...ended], by)
      return record
    })
  }

  remove(name: string, by: string): Promise<void> {
    return this.#directory.turn.run(async () => {
      this.#existing(name)
      this.#keepAnAdministrator(name)
      await this.#sessions.closeAll(name)
      await this.#directory.commit(dropUsers(this.#directory, [name]), by)
      await this.#pool.query('delete from password where user_name = $1', [name])
      await this.#pool.query('delete from identity where user_name = $1', [name])
      await this.#passkeys.removeAll(name)
      await this.#factor.remove(name)
    })
  }

  /** Ends the user's sessions. API tokens stay: they are revoked one by one. */
  async setPassword(name: string, password: string, by: string): Promise<void> {
    checkNewPassword(name, password, this.#breached)
    const hash = await this.#hashes.hash(password)
    await this.#directory.turn.run(async () => {
      const record = this.#existing(name)
      if (isService(record)) throw serviceAccount(name)
      await this.#store(name, hash)
      const ended = await this.#sessions.closeAll(name)
      // The record again, unchanged: whoever remembers the old password as right hears of it and forgets.
      await this.#directory.commit([{ kind: 'access', subject: 'user', id: name, record: { ...record } }, ...ended], by)
    })
  }

  /** As a new password does, but the old one stays right. */
  endSessions(name: string, by: string): Promise<void> {
    return this.#directory.turn.run(async () => {
      const record = this.#existing(name)
      const ended = await this.#sessions.closeAll(name)
      await this.#directory.commit([{ kind: 'access', subject: 'user', id: name, record: { ...record } }, ...ended], by)
    })
  }

  /** Is it the user's password; undefined: the user has none. Takes as long for users that do not exist. */
  async hasPassword(name: string, password: string): Promise<boolean | undefined> {
    const { rows } = await this.#pool.query<{ hash: string }>('select hash from password where user_name = $1', [name])
    const matches = await this.#hashes.matches(rows[0]?.hash, password)
    return rows.length === 0 ? undefined : matches
  }

  async #add(
    { name, email, admin, groups, project }: UserDraft,
    hash: string | undefined,
    by: string,
  ): Promise<UserRecord> {
    if (this.#directory.user(name)) throw new RegistryError('conflict', `There is a user ${name} already`)
    const record: UserRecord = {
      id: name,
      name,
      email: email ?? '',
      admin: admin ?? false,
      disabled: false,
      groups: groups ?? [],
      ...(project === undefined ? {} : { project }),
      createdAt: new Date(this.#nowMs()).toISOString(),
    }
    if (project !== undefined && !this.#directory.project(project))
      throw new RegistryError('missing', `There is no project ${project}`)
    // A password, a passkey or an identity elsewhere that an earlier user of the name left behind must not be this one's.
    await this.#passkeys.removeAll(name)
    await this.#pool.query('delete from identity where user_name = $1', [name])
    if (hash === undefined) await this.#pool.query('delete from password where user_name = $1', [name])
    else await this.#store(name, hash)
    await this.#directory.commit([{ kind: 'access', subject: 'user', id: name, record }], by)
    return record
  }

  async #store(name: string, hash: string): Promise<void> {
    await this.#pool.query(
      `insert into password (user_name, hash, changed_at) values ($1, $2, $3)
       on conflict (user_name) do update set hash = excluded.hash, changed_at = excluded.changed_at`,
      [name, hash, new Date(this.#nowMs()).toISOString()],
    )
  }

  #existing(name: string): UserRecord {
    const record = this.#directory.user(name)
    if (!record) throw new RegistryError('missing', `There is no user ${name}`)
    return record
  }

  #keepAnAdministrator(name: string): void {
    const administrators = this.#directory.all('user').filter((user) => user.admin && !user.disabled)
    if (administrators.length === 1 && administrators[0]?.name === name)
      throw new RegistryError('conflict', `${name} is the last administrator`, { code: 'last_administrator' })
  }
}

function serviceAccount(name: string): RegistryError {
  return new RegistryError('invalid', `${name} is a service account: it has tokens only, and administers nothing`, {
    code: 'service_account',
  })
}
