/** A database of its own for a test, on the server that CAIRN_TEST_DATABASE_URL names or on an embedded one that all tests of a file share. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { packageRoot } from '../../deploy/root.js'
import { embedded } from '../../primary/postgres/embedded.js'
import { migrate } from '../../primary/postgres/migrate.js'
import { openPool } from '../../primary/postgres/pool.js'

export interface TestDatabase {
  url: string
  pool: pg.Pool
  close(): Promise<void>
}

export async function testDatabase(): Promise<TestDatabase> {
  const server = await startServer()
  const name = `test_${randomBytes(6).toString('hex')}`
  await run(server.url, `create database ${name}`)
  // No URL to `new URL`: one that names a socket has no host before its path.
  const url = server.url.replace(/^(postgres(?:ql)?:\/\/[^/]*\/)[^?]*/, `$1${name}`)
  const pool = openPool({ url, connections: 10, onLost: () => undefined })
  await migrate(pool, join(packageRoot(), 'migrations'))
  return {
    url,
    pool,
    close: async () => {
      await pool.end()
      await server.stop()
    },
  }
}

async function startServer(): Promise<{ url: string; stop(): Promise<void> }> {
  const given = process.env.CAIRN_TEST_DATABASE_URL
  if (given !== undefined) return { url: given, stop: async () => undefined }
  const dir = await mkdtemp(join(tmpdir(), 'cairn-pg-'))
  const server = await embedded(dir)
  return {
    url: server.url,
    stop: async () => {
      await server.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function run(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(sql)
  await client.end()
}
