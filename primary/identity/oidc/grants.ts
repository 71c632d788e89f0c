/** Log-ins at a provider that go on: by which groups are asked for anew, and which the provider can end. */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { seal, unseal } from '../../upstream/credentials.js'

export interface Grant {
  session: string
  subject: string
  /** undefined: there is nothing to ask with. */
  refreshToken: string | undefined
}

interface Row {
  session: string
  subject: string
  sealed: Buffer | null
}

const LONGEST_MS = 30 * 86_400_000
const AT_ONCE = 200

export class Grants {
  readonly #pool: pg.Pool
  readonly #provider: string
  readonly #key: Uint8Array
  readonly #nowMs: () => number

  constructor(provider: string, parts: { pool: pg.Pool; key: Uint8Array; nowMs: () => number }) {
    this.#pool = parts.pool
    this.#provider = provider
    this.#key = parts.key
    this.#nowMs = parts.nowMs
  }

  /** `session`: the provider's name for it, where it has one. */
  async add(subject: string, session: string | undefined, refreshToken: string | undefined): Promise<void> {
    await this.#pool.query(
      `insert into identity_grant (provider, session, subject, sealed, asked_at) values ($1, $2, $3, $4, $5)
       on conflict (provider, session) do update
       set subject = excluded.subject, sealed = excluded.sealed, asked_at = excluded.asked_at, failing_since = null`,
      [this.#provider, session ?? randomUUID(), subject, this.#seal(refreshToken), this.#now()],
    )
  }

  /** Those that were not asked with for so long; first those that did not fail. */
  async due(periodMs: number): Promise<Grant[]> {
    const { rows } = await this.#pool.query<Row>(
      `select session, subject, sealed from identity_grant
       where provider = $1 and sealed is not null and asked_at <= $2
       order by failing_since nulls first, asked_at limit ${AT_ONCE}`,
      [this.#provider, this.#ago(periodMs)],
    )
    return rows.map(({ session, subject, sealed }) => ({
      session,
      subject,
      refreshToken: sealed === null ? undefined : unseal(this.#key, this.#scope(), sealed),
    }))
  }

  async asked(session: string, refreshToken: string | undefined): Promise<void> {
    await this.#pool.query(
      'update identity_grant set asked_at = $3, failing_since = null, sealed = coalesce($4, sealed) where provider = $1 and session = $2',
      [this.#provider, session, this.#now(), this.#seal(refreshToken)],
    )
  }

  /** They could not be asked with: one, or all that are due. */
  async failed(periodMs: number, session?: string): Promise<void> {
    await this.#pool.query(
      `update identity_grant set failing_since = coalesce(failing_since, $2)
       where provider = $1 and sealed is not null and asked_at <= $3 and ($4::text is null or session = $4)`,
      [this.#provider, this.#now(), this.#ago(periodMs), session ?? null],
    )
  }

  /** Ends those that could not be asked with for so long; their subjects. */
  async endFailing(graceMs: number): Promise<string[]> {
    const { rows } = await this.#pool.query<{ subject: string }>(
      'delete from identity_grant where provider = $1 and failing_since <= $2 returning subject',
      [this.#provider, this.#ago(graceMs)],
    )
    return [...new Set(rows.map(({ subject }) => subject))]
  }

  /** The subjects whose grants were among them. */
  async end(by: { session?: string | undefined; subject?: string | undefined }): Promise<string[]> {
    const { rows } = await this.#pool.query<{ subject: string }>(
      `delete from identity_grant where provider = $1
       and ($2::text is null or session = $2) and ($3::text is null or subject = $3) and ($2 is not null or $3 is not null)
       returning subject`,
      [this.#provider, by.session ?? null, by.subject ?? null],
    )
    return [...new Set(rows.map(({ subject }) => subject))]
  }

  async sweep(): Promise<void> {
    await this.#pool.query('delete from identity_grant where provider = $1 and asked_at <= $2', [
      this.#provider,
      this.#ago(LONGEST_MS),
    ])
  }

  #seal(refreshToken: string | undefined): Buffer | null {
    return refreshToken === undefined ? null : seal(this.#key, this.#scope(), refreshToken)
  }

  #scope(): string {
    return `grant/${this.#provider}`
  }

  #now(): string {
    return this.#ago(0)
  }

  #ago(ms: number): string {
    return new Date(this.#nowMs() - ms).toISOString()
  }
}
