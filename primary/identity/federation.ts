/**
 * Accounts of people who sign on elsewhere. An identity is a provider's subject, never a name or an address: the same subject of
 * another provider is another account, and a name that is taken is refused, not joined. What a provider tells replaces what it told
 * before and leaves what is local; an account that was disabled stays disabled.
 */
import type pg from 'pg'
import { PROVIDER_PRINCIPAL } from '../../protocol/access/rule.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Step, UserRecord } from '../../protocol/records.js'
import { type Directory, dropToken } from '../accounts/directory.js'
import { dropUsers } from '../accounts/rights.js'
import type { Sessions } from '../accounts/sessions.js'
import { isService } from '../accounts/users.js'
import { type Admission, adminOf, groupsOf, isAdmitted } from './admission.js'
import type { Identity } from './identity.js'
import { accountName } from './name.js'

export interface FederationOptions {
  pool: Pick<pg.Pool, 'query'>
  directory: Directory
  sessions: Sessions
  /** Of a configured provider. */
  admission: (provider: string) => Admission
  /** The account that a provider of accounts (SCIM) made for who logs in at another provider. */
  provisioned?: (identity: Identity) => Promise<string | undefined>
  nowMs?: () => number
}

/** Somebody whose account a provider keeps itself. */
export interface Kept extends Identity {
  active: boolean
}

/** A subject that has an account here. */
export interface Linked {
  provider: string
  subject: string
  user: string
  /** ISO 8601: last heard of. */
  lastAt: string
  /** By whomever, or the account is gone. */
  isDisabled: boolean
  /** By the provider. */
  isDeactivated: boolean
}

interface Row {
  provider: string
  subject: string
  user_name: string
  groups: string[]
  deactivated: boolean
  last_at: Date
}

interface Keeping {
  subject: string
  user: string
  /** Groups that it gave, and gives. */
  before: string[]
  groups: string[]
  deactivated: boolean
}

const MAX_SUBJECT_CHARACTERS = 512

export class Federation {
  readonly #pool: Pick<pg.Pool, 'query'>
  readonly #directory: Directory
  readonly #sessions: Sessions
  readonly #admission: (provider: string) => Admission
  readonly #provisioned: NonNullable<FederationOptions['provisioned']>
  readonly #nowMs: () => number

  constructor(options: FederationOptions) {
    const { pool, directory, sessions, admission, provisioned = nobody, nowMs = Date.now } = options
    this.#pool = pool
    this.#directory = directory
    this.#sessions = sessions
    this.#admission = admission
    this.#provisioned = provisioned
    this.#nowMs = nowMs
  }

  /** The account of somebody whom the provider has just vouched for, as it is then. Throws `forbidden`. */
  admit(identity: Identity): Promise<UserRecord> {
    checkSubject(identity.subject)
    return this.#directory.turn.run(async () => {
      const admission = this.#admission(identity.provider)
      if (!isAdmitted(identity, admission)) throw refused('You are in no group that may log in here')
      const row = await this.#row(identity.provider, identity.subject)
      const known = row && this.#directory.user(row.user_name)
      const made = known ?? (await this.#madeFor(identity)) ?? (await this.#joined(identity, admission))
      const before = made ?? this.#created(identity, row, admission)
      if (before.disabled) throw refused('The account is disabled')
      return this.#tell(identity, admission, before, row?.groups ?? [])
    })
  }

  /** What a provider says of somebody who need not be there: no account is made. undefined: there is none that is let in. */
  renew(identity: Identity): Promise<UserRecord | undefined> {
    return this.#directory.turn.run(async () => {
      const row = await this.#row(identity.provider, identity.subject)
      const before = row && this.#directory.user(row.user_name)
      const admission = this.#admission(identity.provider)
      if (!before || before.disabled || !isAdmitted(identity, admission)) return undefined
      return this.#tell(identity, admission, before, row.groups)
    })
  }

  /**
   * What a provider that keeps accounts itself says of some of its people, in one commit, disabled or not. Who is no longer active
   * loses every session and token with it. Whoever has no account gets one, if `makes` says so and as soon as active. Throws
   * `forbidden` for names that are taken, `conflict` for the last administrator.
   */
  keep(people: readonly Kept[], makes: boolean): Promise<void> {
    return this.#directory.turn.run(async () => {
      const [first] = people
      if (!first) return
      const { provider } = first
      const admission = this.#admission(provider)
      const rows = await this.#rows(
        provider,
        people.map(({ subject }) => subject),
      )
      const administrators = this.#administrators()
      const steps: Step[] = []
      const kept: Keeping[] = []
      for (const identity of people) {
        const row = rows.get(identity.subject)
        const known = row && this.#directory.user(row.user_name)
        if (!known && !(makes && identity.active)) continue
        const before = known ?? this.#created(identity, row, admission)
        const given = row?.groups ?? []
        const { record, groups } = this.#told(identity, admission, before, given, administrators)
        const { disabled, deactivated } = after(before, identity.active, row?.deactivated ?? false)
        if (disabled && !before.disabled) {
          refuseLast(before, administrators)
          await this.#sessions.closeAll(before.name)
          steps.push(...this.#directory.tokensOf(before.name).map(({ id }) => dropToken(id)))
        }
        const next = { ...record, disabled }
        if (!known) await this.#pool.query('delete from password where user_name = $1', [next.name])
        if (!known || !same(known, next)) steps.push(userStep(next))
        kept.push({ subject: identity.subject, user: next.name, before: given, groups, deactivated })
      }
      // What it gave before or gives now, until the accounts follow: what is left by a crash in between stays its own, to be taken away.
      await this.#storeAll(
        provider,
        kept.map((one) => ({ ...one, groups: [...new Set([...one.before, ...one.groups])] })),
      )
      if (steps.length > 0) await this.#directory.commit(steps, actor(provider))
      await this.#storeAll(provider, kept)
    })
  }

  /** The subject is called otherwise from now on. False: there is none, or another has the name. */
  rename(provider: string, subject: string, to: string): Promise<boolean> {
    return this.#directory.turn.run(async () => {
      const { rowCount } = await this.#pool.query(
        `update identity set subject = $3 where provider = $1 and subject = $2
         and not exists (select from identity where provider = $1 and subject = $3)`,
        [provider, subject, to],
      )
      return rowCount === 1
    })
  }

  /** The provider's own account, which only tokens let in. */
  own(provider: string, by: string): Promise<UserRecord> {
    return this.#directory.turn.run(async () => {
      const name = actor(provider)
      const known = this.#directory.user(name)
      if (known) return known
      const record = this.#blank(name)
      await this.#directory.commit([userStep(record)], by)
      return record
    })
  }

  /** The provider says that somebody is gone: sessions and tokens end at once. Throws `conflict` for the last administrator. */
  deactivate(provider: string, subject: string): Promise<void> {
    return this.#directory.turn.run(async () => {
      const row = await this.#row(provider, subject)
      const before = row && this.#directory.user(row.user_name)
      if (!before || before.disabled) return
      refuseLast(before, this.#administrators())
      const ended = await this.#sessions.closeAll(before.name)
      await this.#directory.commit([userStep({ ...before, disabled: true }), ...ended], actor(provider))
      await this.#setDeactivated(provider, subject, true)
    })
  }

  /** Only what the same provider did is undone. */
  reactivate(provider: string, subject: string): Promise<void> {
    return this.#directory.turn.run(async () => {
      const row = await this.#row(provider, subject)
      const before = row?.deactivated ? this.#directory.user(row.user_name) : undefined
      if (!before) return
      if (before.disabled) await this.#directory.commit([userStep({ ...before, disabled: false })], actor(provider))
      await this.#setDeactivated(provider, subject, false)
    })
  }

  /** The name of the subject's account. */
  async accountOf(provider: string, subject: string): Promise<string | undefined> {
    return (await this.#row(provider, subject))?.user_name
  }

  /** For an administrator: from now on the subject is this account. */
  link(provider: string, subject: string, user: string): Promise<void> {
    checkSubject(subject)
    return this.#directory.turn.run(async () => {
      const account = this.#directory.user(user)
      if (!account) throw new RegistryError('missing', `There is no user ${user}`)
      if (isService(account)) throw new RegistryError('invalid', `${user} is a service account: only tokens let it in`)
      const row = await this.#row(provider, subject)
      if (row && row.user_name !== user)
        throw new RegistryError('conflict', `${provider} has this subject as ${row.user_name} already`)
      await this.#store({ provider, subject }, user, row?.groups ?? [])
    })
  }

  /** The account stays, without what the provider gave it. False: there is no such subject. */
  unlink(provider: string, subject: string, by: string): Promise<boolean> {
    return this.#directory.turn.run(async () => {
      const row = await this.#row(provider, subject)
      if (!row) return false
      await this.#take([row], by)
      await this.#pool.query('delete from identity where provider = $1 and subject = $2', [provider, subject])
      return true
    })
  }

  /** Of a provider that goes: the accounts of its people stay, without what it gave them; its own goes. */
  forget(provider: string, by: string): Promise<void> {
    return this.#directory.turn.run(async () => {
      const { rows } = await this.#pool.query<Row>('select * from identity where provider = $1', [provider])
      await this.#take(rows, by)
      const own = this.#directory.user(actor(provider))
      if (own) await this.#directory.commit(dropUsers(this.#directory, [own.name]), by)
      await this.#pool.query('delete from identity where provider = $1', [provider])
      await this.#pool.query('delete from scim_user where provider = $1', [provider])
      await this.#pool.query('delete from scim_group where provider = $1', [provider])
      await this.#pool.query('delete from scim_promise where provider = $1', [provider])
      await this.#pool.query('delete from identity_grant where provider = $1', [provider])
    })
  }

  async linked(provider: string): Promise<Linked[]> {
    const { rows } = await this.#pool.query<Row>('select * from identity where provider = $1 order by subject', [
      provider,
    ])
    return rows.map((row) => ({
      provider,
      subject: row.subject,
      user: row.user_name,
      lastAt: row.last_at.toISOString(),
      isDisabled: this.#directory.user(row.user_name)?.disabled ?? true,
      isDeactivated: row.deactivated,
    }))
  }

  async #madeFor(identity: Identity): Promise<UserRecord | undefined> {
    const name = await this.#provisioned(identity)
    const user = name === undefined ? undefined : this.#directory.user(name)
    return user && !isService(user) ? user : undefined
  }

  /** Only an account whose address an administrator wrote: one that a provider told may be anybody's. */
  async #joined({ email, emailVerified }: Identity, { link_by_email }: Admission): Promise<UserRecord | undefined> {
    if (!link_by_email || !emailVerified || email === '') return undefined
    const [same, ...others] = this.#directory
      .all('user')
      .filter((user) => user.email.toLowerCase() === email.toLowerCase())
    if (!same || others.length > 0 || same.admin || isService(same)) return undefined
    const { rows } = await this.#pool.query('select 1 from identity where user_name = $1 limit 1', [same.name])
    return rows.length === 0 ? same : undefined
  }

  /** A new account's record. A row without its account is one whose making was interrupted. */
  #created(identity: Identity, row: Row | undefined, { create_accounts }: Admission): UserRecord {
    if (!create_accounts) throw refused('There is no account for you here; ask an administrator')
    const name = row?.user_name ?? accountName(identity.name)
    if (this.#directory.user(name))
      throw refused(`The name ${name} is taken by another account; an administrator can link yours to it`, 'name_taken')
    return this.#blank(name)
  }

  #blank(name: string): UserRecord {
    const createdAt = new Date(this.#nowMs()).toISOString()
    return { id: name, name, email: '', admin: false, disabled: false, groups: [], createdAt }
  }

  /** Makes the record what the provider says. `given`: groups that the account has from it. */
  async #tell(identity: Identity, admission: Admission, before: UserRecord, given: string[]): Promise<UserRecord> {
    const { record, groups } = this.#told(identity, admission, before, given, this.#administrators())
    const known = this.#directory.user(before.name)
    if (!known) await this.#pool.query('delete from password where user_name = $1', [record.name])
    // Before the account: one without an identity would be somebody else's whose name is taken.
    await this.#store(identity, record.name, groups)
    if (known && same(known, record)) return known
    await this.#directory.commit([userStep(record)], actor(identity.provider))
    return this.#directory.user(record.name) ?? record
  }

  /** `groups`: those that it gives. Whoever is no administrator any more leaves `administrators`. */
  #told(
    identity: Identity,
    admission: Admission,
    before: UserRecord,
    given: readonly string[],
    administrators: Set<string>,
  ): { record: UserRecord; groups: string[] } {
    const told = groupsOf(identity, admission)
    const local = before.groups.filter((group) => !given.includes(group))
    const groups = told?.filter((group) => !local.includes(group)) ?? [...given]
    const wanted = adminOf(identity, admission) ?? before.admin
    const admin = wanted || isLast(before, administrators)
    if (!admin) administrators.delete(before.name)
    const record: UserRecord = {
      ...before,
      email: identity.email || before.email,
      admin,
      groups: told === undefined ? before.groups : [...local, ...groups],
    }
    return { record, groups }
  }

  async #take(rows: Row[], by: string): Promise<void> {
    const steps = rows.flatMap(({ user_name, groups }) => {
      const user = this.#directory.user(user_name)
      if (!user || groups.length === 0) return []
      return [userStep({ ...user, groups: user.groups.filter((group) => !groups.includes(group)) })]
    })
    if (steps.length > 0) await this.#directory.commit(steps, by)
  }

  async #row(provider: string, subject: string): Promise<Row | undefined> {
    const { rows } = await this.#pool.query<Row>('select * from identity where provider = $1 and subject = $2', [
      provider,
      subject,
    ])
    return rows[0]
  }

  async #rows(provider: string, subjects: readonly string[]): Promise<Map<string, Row>> {
    const { rows } = await this.#pool.query<Row>('select * from identity where provider = $1 and subject = any($2)', [
      provider,
      subjects,
    ])
    return new Map(rows.map((row) => [row.subject, row]))
  }

  async #storeAll(provider: string, kept: readonly Keeping[]): Promise<void> {
    await this.#pool.query(
      `insert into identity (provider, subject, user_name, groups, deactivated, last_at)
       select $1, t.subject, t.user, t.groups, t.deactivated, $3
       from jsonb_to_recordset($2::jsonb) as t(subject text, "user" text, groups text[], deactivated boolean)
       on conflict (provider, subject) do update
       set user_name = excluded.user_name, groups = excluded.groups, deactivated = excluded.deactivated, last_at = excluded.last_at`,
      [provider, JSON.stringify(kept), new Date(this.#nowMs()).toISOString()],
    )
  }

  async #store(
    { provider, subject }: Pick<Identity, 'provider' | 'subject'>,
    user: string,
    groups: string[],
  ): Promise<void> {
    await this.#pool.query(
      `insert into identity (provider, subject, user_name, groups, last_at) values ($1, $2, $3, $4, $5)
       on conflict (provider, subject) do update
       set user_name = excluded.user_name, groups = excluded.groups, last_at = excluded.last_at`,
      [provider, subject, user, groups, new Date(this.#nowMs()).toISOString()],
    )
  }

  async #setDeactivated(provider: string, subject: string, deactivated: boolean): Promise<void> {
    await this.#pool.query('update identity set deactivated = $3 where provider = $1 and subject = $2', [
      provider,
      subject,
      deactivated,
    ])
  }

  #administrators(): Set<string> {
    const administrators = this.#directory.all('user').filter((user) => user.admin && !user.disabled)
    return new Set(administrators.map(({ name }) => name))
  }
}

async function nobody(): Promise<undefined> {}

function isLast({ name }: UserRecord, administrators: ReadonlySet<string>): boolean {
  return administrators.size === 1 && administrators.has(name)
}

function refuseLast(user: UserRecord, administrators: Set<string>): void {
  if (isLast(user, administrators))
    throw new RegistryError('conflict', `${user.name} is the last administrator`, { code: 'last_administrator' })
  administrators.delete(user.name)
}

/** Only what the provider itself disabled it enables. */
function after(before: UserRecord, active: boolean, deactivated: boolean): { disabled: boolean; deactivated: boolean } {
  if (active) return { disabled: before.disabled && !deactivated, deactivated: false }
  return { disabled: true, deactivated: deactivated || !before.disabled }
}

function checkSubject(subject: string): void {
  if (subject === '' || subject.length > MAX_SUBJECT_CHARACTERS || /\p{Cc}/u.test(subject))
    throw refused('The provider does not say who you are')
}

function same(a: UserRecord, b: UserRecord): boolean {
  return (
    a.email === b.email &&
    a.admin === b.admin &&
    a.disabled === b.disabled &&
    a.groups.join('\0') === b.groups.join('\0')
  )
}

function userStep(record: UserRecord): Step {
  return { kind: 'access', subject: 'user', id: record.name, record }
}

/** In the log: no user has a name with a colon. */
function actor(provider: string): string {
  return PROVIDER_PRINCIPAL + provider
}

function refused(sentence: string, code = 'not_admitted'): RegistryError {
  return new RegistryError('forbidden', sentence, { code })
}
