/** Log-ins at a provider that go on: by which groups are asked for anew, and which the provider can end. */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { seal, unseal } from '../../upstream/credentials.js'

export interface Grant {
  session: string
  subject: string
  /** undefined: there is nothing to ask with. */
  refreshToken: string | undefined
  failingSinceMs: number | undefined
}

interface Row {
  session: string
  subject: string
  sealed: Buffer | null
  failing_since: Date | null
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

  /** Those that were not asked with for so long, longest first. */
  async due(periodMs: number): Promise<Grant[]> {
    const { rows } = await this.#pool.query<Row>(
      `select session, subject, sealed, failing_since from identity_grant
       where provider = $1 and sealed is not null and asked_at <= $2 order by asked_at limit ${AT_ONCE}`,
      [this.#provider, new Date(this.#nowMs() - periodMs).toISOString()],
    )
    return rows.map(({ session, subject, sealed, failing_since }) => ({
      session,
      subject,
      refreshToken: sealed === null ? undefined : unseal(this.#key, this.#scope(), sealed),
      failingSinceMs: failing_since?.getTime(),
    }))
  }

  async asked(session: string, refreshToken: string | undefined): Promise<void> {
    await this.#pool.query(
      'update identity_grant set asked_at = $3, failing_since = null, sealed = coalesce($4, sealed) where provider = $1 and session = $2',
      [this.#provider, session, this.#now(), this.#seal(refreshToken)],
    )
  }

  async failed(session: string): Promise<void> {
    await this.#pool.query(
      'update identity_grant set failing_since = coalesce(failing_since, $3) where provider = $1 and session = $2',
      [this.#provider, session, this.#now()],
    )
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
      new Date(this.#nowMs() - LONGEST_MS).toISOString(),
    ])
  }

  #seal(refreshToken: string | undefined): Buffer | null {
    return refreshToken === undefined ? null : seal(this.#key, this.#scope(), refreshToken)
  }

  #scope(): string {
    return `grant/${this.#provider}`
  }

  #now(): string {
    return new Date(this.#nowMs()).toISOString()
  }
}
