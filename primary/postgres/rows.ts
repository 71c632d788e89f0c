/** Rows in Postgres: the current ones, or those of an earlier position. */
import type pg from 'pg'
import {
  keyText,
  type RowKey,
  type Rows,
  rowKey,
  type Scan,
  type Table,
  type Tables,
} from '../../protocol/metadata/rows.js'
import type { Position } from '../../protocol/records.js'
import { Lookups } from './lookups.js'

const PAGE = 1000
/** Sorts after every sub, since U+10FFFF is in no version or tag. */
const LAST = '\u{10ffff}'

type Queryable = Pick<pg.Pool, 'query'>

export class PostgresRows implements Rows {
  readonly #db: Queryable
  readonly #lookups = new Lookups(async (keys) => (await this.current(keys)).found)

  constructor(db: Queryable) {
    this.#db = db
  }

  async get<T extends Table>(key: RowKey<T>, at?: number): Promise<Tables[T] | undefined> {
    if (at === undefined) return (await this.#lookups.get(key)) as Tables[T] | undefined
    const { rows } = await this.#db.query<{ value: string }>({
      name: 'row_get_at',
      text: `select value from record where kind = $1 and scope = $2 and name = $3 and sub = $4 and since <= $5 and (until is null or until > $5)`,
      values: [key.table, key.scope, key.name, key.sub, at],
    })
    return rows[0] && (JSON.parse(rows[0].value) as Tables[T])
  }

  /** The position of the log, and those of the keys that exist there, by key text: one snapshot, one round trip. */
  async current(keys: RowKey[]): Promise<{ head: Position; found: Map<string, Tables[Table]> }> {
    type Row = {
      epoch: string
      number: string
      kind: Table | null
      scope: string
      name: string
      sub: string
      value: string
    }
    const { rows } = await this.#db.query<Row>({
      name: 'row_current',
      // The limit, which never cuts anything off, has each key looked up by the index: a join could read the whole of it.
      text: `select head.epoch, head.number, found.kind, found.scope, found.name, found.sub, found.value
             from head left join lateral (
               select row.* from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as t(k, s, n, u)
               cross join lateral (
                 select kind, scope, name, sub, value from record
                 where kind = t.k and scope = t.s and name = t.n and sub = t.u and until is null limit 1
               ) as row
             ) as found on true`,
      values: [
        keys.map((key) => key.table),
        keys.map((key) => key.scope),
        keys.map((key) => key.name),
        keys.map((key) => key.sub),
      ],
    })
    const [first] = rows
    if (!first) throw new Error('the head row is missing')
    const found = new Map<string, Tables[Table]>()
    for (const { kind, scope, name, sub, value } of rows)
      if (kind !== null) found.set(keyText(rowKey(kind, scope, name, sub)), JSON.parse(value) as Tables[Table])
    return { head: { epoch: Number(first.epoch), number: Number(first.number) }, found }
  }

  async *scan<T extends Table>(
    table: T,
    scope: string,
    scan: Scan,
  ): AsyncIterable<{ key: RowKey<T>; value: Tables[T] }> {
    // Rows after a name begin after its last possible sub; the very first row has an empty name at least.
    let [name, sub] = scan.after === undefined ? ['', ''] : [scan.after, LAST]
    // Both ends, so that the index is read between them and nowhere else.
    const [least, most] =
      scan.name === undefined ? [scan.prefix ?? '', (scan.prefix ?? '') + LAST] : [scan.name, scan.name]
    for (;;) {
      const { rows } = await this.#db.query<{ name: string; sub: string; value: string }>({
        name: 'row_scan',
        text: `select name, sub, value from record
               where kind = $1 and scope = $2 and until is null and (name, sub) > ($3, $4)
                 and name >= $5 and name <= $6
               order by name, sub limit $7`,
        values: [table, scope, name, sub, least, most, PAGE],
      })
      for (const row of rows)
        yield { key: rowKey(table, scope, row.name, row.sub), value: JSON.parse(row.value) as Tables[T] }
      const last = rows.at(-1)
      if (!last || rows.length < PAGE) return
      ;[name, sub] = [last.name, last.sub]
    }
  }
}
