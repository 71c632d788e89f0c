/**
 * Connections to Postgres that survive its restart: a connection that is lost, in use or not, is reported and replaced, and what
 * was asked of it fails with `unavailable` in words for users. Clients that `connect` gives out fail with the driver's own errors.
 */
import pg from 'pg'
import { RegistryError } from '../../protocol/errors.js'

export interface PoolOptions {
  url: string
  connections: number
  onLost: (error: Error) => void
}

const CONNECT_MS = 10_000
const IDLE_MS = 60_000
const RETRY_S = 2

/**
 * Rows are looked up by key. A planner without statistics yet, or with those of a table that was small, would read the whole table,
 * and a plan that is remembered would go on doing so; planning anew each time costs more than running.
 */
const SETTINGS = 'set enable_seqscan = off; set plan_cache_mode = force_generic_plan; set jit = off'

export function openPool({ url, connections, onLost }: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: CONNECT_MS,
    idleTimeoutMillis: IDLE_MS,
    // Waited for by the pool, whatever the published types say.
    onConnect: (client) => client.query(SETTINGS) as unknown as undefined,
  })
  // An `error` that nobody listens for would end this process. The pool listens while a connection is idle, and nobody does while
  // it is in use; what was asked of it then fails by itself.
  pool.on('error', onLost)
  pool.on('connect', (client) => client.on('error', () => undefined))
  return new Proxy(pool, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return name === 'query' ? (...args: unknown[]) => inWords(value.apply(target, args)) : value.bind(target)
    },
  })
}

/** The driver's own words go into the cause, which only the log sees. */
export function unavailable(cause: unknown): RegistryError {
  const sentence = 'The database cannot be reached at the moment'
  return new RegistryError('unavailable', sentence, { retryAfter: RETRY_S, cause, code: 'database_unavailable' })
}

async function inWords(answer: unknown): Promise<unknown> {
  try {
    return await answer
  } catch (error) {
    if (isAway(error)) throw unavailable(error)
    // Postgres holds no NUL in text: nothing can be there under such a name.
    if (error instanceof pg.DatabaseError && error.code === '22021')
      throw new RegistryError('invalid', 'The request holds characters that no name may have', { cause: error })
    throw error
  }
}

/** SQLSTATE classes 08 (connection), 53 (resources, a full disk among them), 57P0x (shutdown); errors without a state are the connection's. */
export function isAway(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return error instanceof Error && !(error instanceof TypeError)
  return /^(08|53|57P0)/.test(error.code ?? '')
}
