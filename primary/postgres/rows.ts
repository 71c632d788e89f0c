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

const PAGE = 1000
/** Sorts after every sub, since U+10FFFF is in no version or tag. */
const LAST = '\u{10ffff}'

type Queryable = Pick<pg.Pool, 'query'>

export class PostgresRows implements Rows {
  readonly #db: Queryable

  constructor(db: Queryable) {
    this.#db = db
  }

  async get<T extends Table>(key: RowKey<T>, at?: number): Promise<Tables[T] | undefined> {
    const { rows } = await this.#db.query<{ value: string }>(
      at === undefined
        ? {
            name: 'row_get',
            text: `select value from record where kind = $1 and scope = $2 and name = $3 and sub = $4 and until is null`,
            values: [key.table, key.scope, key.name, key.sub],
          }
        : {
            name: 'row_get_at',
            text: `select value from record where kind = $1 and scope = $2 and name = $3 and sub = $4 and since <= $5 and (until is null or until > $5)`,
            values: [key.table, key.scope, key.name, key.sub, at],
          },
    )
    return rows[0] && (JSON.parse(rows[0].value) as Tables[T])
  }

  /** Those of the keys that exist, by key text, in one round trip. */
  async getMany(keys: RowKey[]): Promise<Map<string, Tables[Table]>> {
    const { rows } = await this.#db.query<{ kind: Table; scope: string; name: string; sub: string; value: string }>({
      name: 'row_many',
      text: `select record.kind, record.scope, record.name, record.sub, record.value
             from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as t(k, s, n, u)
             join record on record.kind = t.k and record.scope = t.s and record.name = t.n and record.sub = t.u and record.until is null`,
      values: [
        keys.map((key) => key.table),
        keys.map((key) => key.scope),
        keys.map((key) => key.name),
        keys.map((key) => key.sub),
      ],
    })
    return new Map(
      rows.map((row) => [
        keyText(rowKey(row.kind, row.scope, row.name, row.sub)),
        JSON.parse(row.value) as Tables[Table],
      ]),
    )
  }

  async *scan<T extends Table>(
    table: T,
    scope: string,
    scan: Scan,
  ): AsyncIterable<{ key: RowKey<T>; value: Tables[T] }> {
    // Rows after a name begin after its last possible sub; the very first row has an empty name at least.
    let [name, sub] = scan.after === undefined ? ['', ''] : [scan.after, LAST]
    for (;;) {
      const { rows } = await this.#db.query<{ name: string; sub: string; value: string }>({
        name: 'row_scan',
        text: `select name, sub, value from record
               where kind = $1 and scope = $2 and until is null and (name, sub) > ($3, $4)
                 and ($5::text is null or name = $5) and ($6::text is null or (name >= $6 and starts_with(name, $6)))
               order by name, sub limit $7`,
        values: [table, scope, name, sub, scan.name ?? null, scan.prefix ?? null, PAGE],
      })
      for (const row of rows)
        yield { key: rowKey(table, scope, row.name, row.sub), value: JSON.parse(row.value) as Tables[T] }
      const last = rows.at(-1)
      if (!last || rows.length < PAGE) return
      ;[name, sub] = [last.name, last.sub]
    }
  }
}
