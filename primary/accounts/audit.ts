/** Who did what, with which outcome. Rows are only ever added: the database itself refuses to change or delete one. */
import type pg from 'pg'

export interface AuditEntry {
  who: string
  /** For instance `users.create`. */
  action: string
  /** What it was done to, for instance the path of the endpoint. */
  subject: string
  /** `ok`, or the code of the error. */
  outcome: string
  requestId: string
  remote: string
  /** Never holds a secret. */
  detail: Record<string, string | number | boolean | null>
}

export interface AuditRow extends AuditEntry {
  id: number
  /** ISO 8601. */
  at: string
}

export interface AuditPage {
  /** Only rows older than this id. */
  before?: number | undefined
  who?: string | undefined
  action?: string | undefined
  limit: number
}

const MAX_CHARACTERS = 500

export class Audit {
  readonly #pool: Pick<pg.Pool, 'query'>

  constructor(pool: Pick<pg.Pool, 'query'>) {
    this.#pool = pool
  }

  async record(entry: AuditEntry): Promise<void> {
    const { who, action, subject, outcome, requestId, remote, detail } = entry
    await this.#pool.query({
      name: 'audit_record',
      text: 'insert into audit (who, action, subject, outcome, request_id, remote, detail) values ($1, $2, $3, $4, $5, $6, $7)',
      values: [...[who, action, subject, outcome, requestId, remote].map(bounded), JSON.stringify(detail)],
    })
  }

  /** Newest first. */
  async list({ before, who, action, limit }: AuditPage): Promise<AuditRow[]> {
    const { rows } = await this.#pool.query<AuditRow & { id: string; at: Date; request_id: string }>(
      `select id, at, who, action, subject, outcome, request_id, remote, detail from audit
       where ($1::bigint is null or id < $1) and ($2::text is null or who = $2) and ($3::text is null or action = $3)
       order by id desc limit $4`,
      [before ?? null, who ?? null, action ?? null, limit],
    )
    return rows.map(({ request_id, ...row }) => ({
      ...row,
      id: Number(row.id),
      at: row.at.toISOString(),
      requestId: request_id,
    }))
  }
}

/** What somebody sent may be long, and Postgres takes no NUL. */
function bounded(text: string): string {
  return text.replaceAll('\0', '').slice(0, MAX_CHARACTERS)
}
