/**
 * Who did what, with which outcome. Rows are only ever added: the database itself refuses to change or delete one, and each is
 * chained to the one before (chain.ts). What is recorded at the same time is appended in one transaction.
 */
import type pg from 'pg'
import { RegistryError } from '../../protocol/errors.js'
import { BEGINNING, chainedText, type Exported } from './chain.js'

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

/** A row that is in the trail. */
export type Recorded = AuditEntry & { id: number; at: string /** Hexadecimal. */; hash: string }

export interface AuditOptions {
  nowMs?: () => number
  /** Told of each row once it is durable. Must not throw. */
  onRecorded?: (row: Recorded) => void
}

interface Waiting {
  entry: AuditEntry & { at: string }
  resolve: () => void
  reject: (error: unknown) => void
}

const MAX_CHARACTERS = 500
const MAX_BATCH = 200
const EXPORT_PAGE = 1000
const COLUMNS = 'id, at, who, action, subject, outcome, request_id, remote, detail, hash'

interface Row {
  id: string
  at: Date
  who: string
  action: string
  subject: string
  outcome: string
  request_id: string
  remote: string
  detail: AuditEntry['detail']
  hash: Buffer | null
}

export class Audit {
  readonly #pool: Pick<pg.Pool, 'query'>
  readonly #nowMs: () => number
  readonly #onRecorded: (row: Recorded) => void
  readonly #waiting: Waiting[] = []
  #writing = false

  constructor(pool: Pick<pg.Pool, 'query'>, { nowMs = Date.now, onRecorded = () => undefined }: AuditOptions = {}) {
    this.#pool = pool
    this.#nowMs = nowMs
    this.#onRecorded = onRecorded
  }

  /** Durable when it resolves. Throws `unavailable`. */
  record(entry: AuditEntry): Promise<void> {
    return new Promise((resolve, reject) => {
      const { detail, ...words } = entry
      const at = new Date(this.#nowMs()).toISOString()
      const kept = Object.fromEntries(Object.entries(words).map(([name, word]) => [name, bounded(word)]))
      this.#waiting.push({ entry: { ...entry, ...kept, at, detail: boundedDetail(detail) }, resolve, reject })
      if (!this.#writing) void this.#write()
    })
  }

  /** What the chain ends in. */
  async head(): Promise<{ id: number; hash: string }> {
    const { rows } = await this.#pool.query<{ id: string; hash: Buffer }>('select id, hash from audit_head')
    return { id: Number(rows[0]?.id ?? 0), hash: rows[0]?.hash.toString('hex') ?? BEGINNING }
  }

  /** Everything newer than a row, oldest first, one JSON document a line. */
  async *export(after: number): AsyncIterable<Uint8Array> {
    let last = after
    let previous = await this.#hashBefore(after)
    for (;;) {
      const { rows } = await this.#pool.query<Row>(
        `select ${COLUMNS} from audit where id > $1 order by id limit ${EXPORT_PAGE}`,
        [last],
      )
      if (rows.length === 0) return
      let lines = ''
      for (const row of rows) {
        const exported = exportedRow(row, previous)
        lines += `${JSON.stringify(exported)}\n`
        if (exported.hash !== null) previous = exported.hash
        last = exported.id
      }
      yield Buffer.from(lines)
    }
  }

  /** Newest first. */
  async list({ before, who, action, limit }: AuditPage): Promise<AuditRow[]> {
    const { rows } = await this.#pool.query<Row>(
      `select ${COLUMNS} from audit
       where ($1::bigint is null or id < $1) and ($2::text is null or who = $2) and ($3::text is null or action = $3)
       order by id desc limit $4`,
      [before ?? null, who ?? null, action ?? null, limit],
    )
    return rows.map(({ request_id, hash: _, ...row }) => ({
      ...row,
      id: Number(row.id),
      at: row.at.toISOString(),
      requestId: request_id,
    }))
  }

  async #write(): Promise<void> {
    this.#writing = true
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MAX_BATCH)
      try {
        const rows = await this.#append(batch.map(({ entry }) => entry))
        for (const each of batch) each.resolve()
        for (const row of rows) this.#onRecorded(row)
      } catch (cause) {
        const details = { cause, code: 'audit_unavailable' }
        const error = new RegistryError('unavailable', 'The audit trail cannot be written at the moment', details)
        for (const each of batch) each.reject(error)
      }
    }
    this.#writing = false
  }

  async #append(entries: (AuditEntry & { at: string })[]): Promise<Recorded[]> {
    const column = (name: 'at' | 'who' | 'action' | 'subject' | 'outcome' | 'requestId' | 'remote') =>
      entries.map((entry) => entry[name])
    const { rows } = await this.#pool.query<{ row_id: string; row_hash: Buffer }>({
      name: 'audit_append',
      text: 'select * from audit_append($1, $2, $3, $4, $5, $6, $7, $8, $9)',
      values: [
        ...[column('at'), column('who'), column('action'), column('subject'), column('outcome')],
        ...[column('requestId'), column('remote')],
        entries.map(({ detail }) => JSON.stringify(detail)),
        entries.map(chainedText),
      ],
    })
    return rows.flatMap(({ row_id, row_hash }, i) => {
      const entry = entries[i]
      return entry ? [{ ...entry, id: Number(row_id), hash: row_hash.toString('hex') }] : []
    })
  }

  async #hashBefore(after: number): Promise<string> {
    const { rows } = await this.#pool.query<{ hash: Buffer }>(
      'select hash from audit where id <= $1 and hash is not null order by id desc limit 1',
      [after],
    )
    return rows[0]?.hash.toString('hex') ?? BEGINNING
  }
}

function exportedRow({ id, at, who, hash, ...row }: Row, previous: string): Exported {
  const { action, subject, outcome, request_id, remote, detail } = row
  return {
    ...{ id: Number(id), at: at.toISOString(), username: who, action, subject, outcome, request_id, remote, detail },
    ...(hash === null ? { previous: null, hash: null } : { previous, hash: hash.toString('hex') }),
  }
}

/** Numbers as JSON writes them, so that what is read back has the same bytes. */
function boundedDetail(detail: AuditEntry['detail']): AuditEntry['detail'] {
  const entries = Object.entries(detail).map(([name, value]) => [
    name,
    typeof value === 'string' ? bounded(value) : value,
  ])
  return JSON.parse(JSON.stringify(Object.fromEntries(entries))) as AuditEntry['detail']
}

/** What somebody sent may be long, and Postgres takes neither NUL nor half a character. */
function bounded(text: string): string {
  return Buffer.from(text.replaceAll('\0', '').slice(0, MAX_CHARACTERS)).toString()
}
