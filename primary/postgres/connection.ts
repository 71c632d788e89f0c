/** Does a server take our password, and has it our database. */
import pg from 'pg'
import type { Endpoint } from './endpoint.js'
import { DATABASE, urlOf } from './url.js'

const CONNECT_MS = 10_000

/** A server that shows the right directory but does not know the password is not ours. */
export async function accepts(endpoint: Endpoint, password: string): Promise<boolean> {
  if (await connects(urlOf(endpoint, password, DATABASE))) return true
  return await createDatabase(urlOf(endpoint, password, 'postgres'))
}

async function connects(url: string): Promise<boolean> {
  return await withClient(
    url,
    () => Promise.resolve(true),
    () => false,
  )
}

/** A server that was killed between initdb and here has no database yet. */
async function createDatabase(url: string): Promise<boolean> {
  return await withClient(
    url,
    async (client) => {
      const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [DATABASE])
      if (rowCount === 0) await client.query(`create database ${DATABASE}`)
      return true
    },
    () => false,
  )
}

async function withClient<T>(
  url: string,
  use: (client: pg.Client) => Promise<T>,
  failed: (error: unknown) => T,
): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await use(client)
  } catch (error) {
    return failed(error)
  } finally {
    await client.end().catch(() => undefined)
  }
}
