/**
 * What is in the primary's database and not in the log, cut into parcels that change one by one: one for each user, provider,
 * credential, node. What counts uses only (when a passkey was last used) is left at its beginning, so that using something seals
 * nothing anew. Sessions, refresh tokens, the audit trail and counters are in none.
 */
import { createHash } from 'node:crypto'
import type pg from 'pg'

type Queryable = Pick<pg.Pool, 'query'>

interface Part {
  table: string
  /** The column that names whose parcel a row belongs to. */
  by: string
  /** Columns that are put back to a beginning. */
  reset?: Record<string, unknown>
}

/** A parcel's rows, by table, as Postgres writes them in JSON. */
export type Parcel = Record<string, unknown[]>

/** By the kind of the parcel. Tables come in an order in which rows can be written again. */
const KINDS: Record<string, Part[]> = {
  user: [
    { table: 'password', by: 'user_name' },
    { table: 'totp', by: 'user_name', reset: { step: 0 } },
    { table: 'recovery_code', by: 'user_name' },
    { table: 'passkey', by: 'user_name', reset: { counter: 0, used_at: null } },
    { table: 'identity', by: 'user_name', reset: { last_at: new Date(0).toISOString() } },
  ],
  provider: [{ table: 'identity_provider', by: 'key' }],
  trust: [{ table: 'trust_rule', by: 'key' }],
  upstream: [{ table: 'upstream_credential', by: 'scope' }],
  node: [
    { table: 'node_join', by: 'id' },
    { table: 'node_policy', by: 'id' },
  ],
  'scim-group': [{ table: 'scim_group', by: 'id' }],
  'scim-user': [
    { table: 'scim_user', by: 'id' },
    { table: 'scim_member', by: 'user_id' },
  ],
}

/** By parcel's id a hash of all that is in it. Computed in the database: only what changed leaves it. */
export async function fingerprints(db: Queryable): Promise<Map<string, string>> {
  const hashes = new Map<string, ReturnType<typeof createHash>>()
  for (const [kind, part] of parts()) {
    const { rows } = await db.query<{ id: string; hash: string }>(
      `select id, encode(sha256(convert_to(string_agg(row, ',' order by row), 'UTF8')), 'hex') as hash
       from (select ${part.by} as id, (to_jsonb(t) || $1::jsonb)::text as row from ${part.table} t) as found group by id`,
      [JSON.stringify(part.reset ?? {})],
    )
    for (const { id, hash } of rows) {
      const own = hashes.get(`${kind}/${id}`) ?? createHash('sha256')
      hashes.set(`${kind}/${id}`, own.update(`${part.table} ${hash}\n`))
    }
  }
  return new Map([...hashes].map(([id, own]) => [id, own.digest('hex')]))
}

export async function readParcel(db: Queryable, id: string): Promise<Parcel> {
  const [kind, whose] = [id.slice(0, id.indexOf('/')), id.slice(id.indexOf('/') + 1)]
  const parcel: Parcel = {}
  for (const { table, by, reset = {} } of KINDS[kind] ?? []) {
    const { rows } = await db.query<{ row: unknown }>(
      `select to_jsonb(t) || $2::jsonb as row from ${table} t where ${by} = $1`,
      [whose, JSON.stringify(reset)],
    )
    if (rows.length > 0) parcel[table] = rows.map(({ row }) => row)
  }
  return parcel
}

/** By id, in the place of what is there. Tables that this version does not know are left out, and named in the answer. */
export async function writeParcels(db: Queryable, parcels: ReadonlyMap<string, Parcel>): Promise<string[]> {
  for (const [kind, { table, by }] of parts()) {
    const own = [...parcels].filter(([id]) => id.startsWith(`${kind}/`))
    await db.query(`delete from ${table} where ${by} = any($1)`, [own.map(([id]) => id.slice(kind.length + 1))])
    const rows = own.flatMap(([, parcel]) => parcel[table] ?? [])
    await db.query(`insert into ${table} select * from jsonb_populate_recordset(null::${table}, $1::jsonb)`, [
      JSON.stringify(rows),
    ])
  }
  const known = [...parts()].map(([, { table }]) => table)
  return [...new Set([...parcels.values()].flatMap(Object.keys))].filter((table) => !known.includes(table))
}

function* parts(): Iterable<[string, Part]> {
  for (const [kind, all] of Object.entries(KINDS)) for (const part of all) yield [kind, part]
}
