/** Brings the database to this program's schema: numbered files, each in one transaction, one migrating process at a time. */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import { RegistryError } from '../../protocol/errors.js'

const LOCK = 7_236_001

/** Throws `invalid` when the database belongs to a newer program or its history differs. */
export async function migrate(pool: pg.Pool, folder: string): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [LOCK])
    await client.query(
      'create table if not exists migration (name text primary key, sha256 text not null, at timestamptz not null default now())',
    )
    const applied = new Map<string, string>()
    const { rows } = await client.query<{ name: string; sha256: string }>('select name, sha256 from migration')
    for (const row of rows) applied.set(row.name, row.sha256)
    const files = (await readdir(folder)).filter((name) => /^\d{4}_\w+\.sql$/.test(name)).sort()
    for (const name of applied.keys())
      if (!files.includes(name))
        throw new RegistryError(
          'invalid',
          `The database was written by a newer version of Cairn (it knows ${name}); start that version`,
        )
    for (const name of files) await apply(client, name, await readFile(join(folder, name), 'utf8'), applied)
  } finally {
    await client.query('select pg_advisory_unlock($1)', [LOCK]).catch(() => undefined)
    client.release()
  }
}

async function apply(client: pg.PoolClient, name: string, sql: string, applied: Map<string, string>): Promise<void> {
  const sha256 = createHash('sha256').update(sql).digest('hex')
  const before = applied.get(name)
  if (before === sha256) return
  if (before !== undefined)
    throw new RegistryError(
      'invalid',
      `Migration ${name} differs from the one this database was made with; start the version that made it`,
    )
  await client.query('begin')
  try {
    await client.query(sql)
    await client.query('insert into migration (name, sha256) values ($1, $2)', [name, sha256])
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  }
}
