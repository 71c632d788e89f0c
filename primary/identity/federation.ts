/**
 * Accounts of people who sign on elsewhere. An identity is a provider's subject, never a name or an address: the same subject of
 * another provider is another account, and a name that is taken is refused, not joined. What a provider tells replaces what it told
 * before and leaves what is local; an account that was disabled stays disabled.
 */
import type pg from 'pg'
import { RegistryError } from '../../protocol/errors.js'
import type { Step, UserRecord } from '../../protocol/records.js'
import type { Directory } from '../accounts/directory.js'
import type { Sessions } from '../accounts/sessions.js'
import { type Admission, adminOf, groupsOf, isAdmitted } from './admission.js'
import type { Identity } from './identity.js'
import { accountName } from './name.js'

export interface FederationOptions {
  pool: Pick<pg.Pool, 'query'>
  directory: Directory
  sessions: Sessions
  /** Of a configured provider. */
  admission: (provider: string) => Admission
  nowMs?: () => number
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

const MAX_SUBJECT_CHARACTERS = 512

export class Federation {
  readonly #pool: Pick<pg.Pool, 'query'>
  readonly #directory: Directory
  readonly #sessions: Sessions
  readonly #admission: (provider: string) => Admission
  readonly #nowMs: () => number

  constructor({ pool, directory, sessions, admission, nowMs = Date.now }: FederationOptions) {
    this.#pool = pool
    this.#directory = directory
    this.#sessions = sessions
    this.#admission = admission
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
      const before = known ?? (await this.#joined(identity, admission)) ?? this.#created(identity, row, admission)
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

  /** The provider says that somebody is gone: sessions and tokens end at once. Throws `conflict` for the last administrator. */
  deactivate(provider: string, subject: string): Promise<void> {
    return this.#directory.turn.run(async () => {
      const row = await this.#row(provider, subject)
      const before = row && this.#directory.user(row.user_name)
      if (!before || before.disabled) return
      if (this.#isLastAdministrator(before))
        throw new RegistryError('conflict', `${before.name} is the last administrator`, { code: 'last_administrator' })
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
      if (account.project !== undefined)
        throw new RegistryError('invalid', `${user} is a service account: only tokens let it in`)
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

  /** Of a provider that goes: all of its accounts stay, without what it gave them. */
  forget(provider: string, by: string): Promise<void> {
    return this.#directory.turn.run(async () => {
      const { rows } = await this.#pool.query<Row>('select * from identity where provider = $1', [provider])
      await this.#take(rows, by)
      await this.#pool.query('delete from identity where provider = $1', [provider])
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

  /** Only an account whose address an administrator wrote: one that a provider told may be anybody's. */
  async #joined({ email, emailVerified }: Identity, { link_by_email }: Admission): Promise<UserRecord | undefined> {
    if (!link_by_email || !emailVerified || email === '') return undefined
    const [same, ...others] = this.#directory
      .all('user')
      .filter((user) => user.email.toLowerCase() === email.toLowerCase())
    if (!same || others.length > 0 || same.admin || same.project !== undefined) return undefined
    const { rows } = await this.#pool.query('select 1 from identity where user_name = $1 limit 1', [same.name])
    return rows.length === 0 ? same : undefined
  }

  /** A new account's record. A row without its account is one whose making was interrupted. */
  #created(identity: Identity, row: Row | undefined, { create_accounts }: Admission): UserRecord {
    if (!create_accounts) throw refused('There is no account for you here; ask an administrator')
    const name = row?.user_name ?? accountName(identity.name)
    if (this.#directory.user(name))
      throw refused(`The name ${name} is taken by another account; an administrator can link yours to it`, 'name_taken')
    return {
      id: name,
      name,
      email: '',
      admin: false,
      disabled: false,
      groups: [],
      createdAt: new Date(this.#nowMs()).toISOString(),
    }
  }

  /** Makes the record what the provider says. `given`: groups that the account has from it. */
  async #tell(identity: Identity, admission: Admission, before: UserRecord, given: string[]): Promise<UserRecord> {
    const told = groupsOf(identity, admission)
    const local = before.groups.filter((group) => !given.includes(group))
    const added = told?.filter((group) => !local.includes(group)) ?? given
    const admin = adminOf(identity, admission) ?? before.admin
    const record: UserRecord = {
      ...before,
      email: identity.email || before.email,
      admin: admin || this.#isLastAdministrator(before),
      groups: told === undefined ? before.groups : [...local, ...added],
    }
    const known = this.#directory.user(before.name)
    if (!known) await this.#pool.query('delete from password where user_name = $1', [record.name])
    // Before the account: one without an identity would be somebody else's whose name is taken.
    await this.#store(identity, record.name, added)
    if (known && same(known, record)) return known
    await this.#directory.commit([userStep(record)], actor(identity.provider))
    return this.#directory.user(record.name) ?? record
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

  #isLastAdministrator({ name }: UserRecord): boolean {
    const administrators = this.#directory.all('user').filter((user) => user.admin && !user.disabled)
    return administrators.length === 1 && administrators[0]?.name === name
  }
}

function checkSubject(subject: string): void {
  if (subject === '' || subject.length > MAX_SUBJECT_CHARACTERS || /\p{Cc}/u.test(subject))
    throw refused('The provider does not say who you are')
}

function same(a: UserRecord, b: UserRecord): boolean {
  return a.email === b.email && a.admin === b.admin && a.groups.join('\0') === b.groups.join('\0')
}

function userStep(record: UserRecord): Step {
  return { kind: 'access', subject: 'user', id: record.name, record }
}

/** In the log: no user has a name with a colon. */
function actor(provider: string): string {
  return `provider:${provider}`
}

function refused(sentence: string, code = 'not_admitted'): RegistryError {
  return new RegistryError('forbidden', sentence, { code })
}
