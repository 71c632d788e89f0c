/** The connection to the database is lost while a batch is appended: what happened is known again as soon as the database answers. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type pg from 'pg'
import { type Committed, PostgresLedger } from '../../primary/postgres/ledger.js'
import { PostgresRows } from '../../primary/postgres/rows.js'
import { State } from '../../protocol/metadata/state.js'
import { FLEET } from '../../protocol/records.js'
import { publish, repositoryRecord } from '../contracts/metadata.js'
import { until } from '../support/fleet.js'
import { type TestDatabase, testDatabase } from '../support/postgres.js'

const record = repositoryRecord('doubt', { redeploy: true })

describe('a commit whose answer is lost', () => {
  let database: TestDatabase
  let state: State
  let ledger: PostgresLedger
  const told: number[] = []
  let lose = false
  let cut = false

  before(async () => {
    database = await testDatabase()
    const pool = losingAnswers(
      database.pool,
      () => lose,
      () => cut,
    )
    state = await State.open(new PostgresRows(database.pool), { epoch: 1, number: 0 })
    ledger = new PostgresLedger(pool, state, () => new Date().toISOString())
    ledger.onCommit((entries: Committed[]) => told.push(...entries.map(({ number }) => number)))
    await ledger.commit({ scope: FLEET, steps: [{ kind: 'repository', key: 'doubt', record }], by: 'admin' })
  })
  after(async () => {
    await ledger.close()
    await database.close()
  })

  const commit = (version: string) =>
    ledger.commit({ scope: record.scope, steps: [publish('p', version, [`p-${version}`])], by: 'x' })

  it('is reported as unavailable, and what it changed is seen without another write', async () => {
    await commit('1')
    assert.equal(await state.stamp(record.scope, 'p'), 2)
    lose = true
    await assert.rejects(commit('2'), { kind: 'unavailable' })
    lose = false
    await until(async () => state.head.number === 3, 5_000)
    assert.equal(await state.stamp(record.scope, 'p'), 3)
  })

  it('of configuration takes effect as well', async () => {
    lose = true
    const closed = { ...record, public: !record.public }
    await assert.rejects(
      ledger.commit({ scope: FLEET, steps: [{ kind: 'repository', key: 'doubt', record: closed }], by: 'admin' }),
      { kind: 'unavailable' },
    )
    lose = false
    await commit('3')
    assert.equal(state.repository('doubt')?.public, closed.public)
  })

  it('so is a transaction whose connection ends while nothing is asked of it', async () => {
    cut = true
    await assert.rejects(commit('4'), { kind: 'unavailable' })
    cut = false
    await commit('4')
  })

  it('is told to those who sign the log, in order and once', () => assert.deepEqual(told, [1, 2, 3, 4, 5, 6]))
})

/** Commits happen; while `lose` says so, nobody hears of it. While `cut` says so, the server ends the connection before it. */
function losingAnswers(pool: pg.Pool, lose: () => boolean, cut: () => boolean): pg.Pool {
  return new Proxy(pool, {
    get: (target, name) => {
      if (name !== 'connect') return bound(target, name)
      return async () => {
        const client = await target.connect()
        const end = async (): Promise<void> => {
          const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
          // Not `once` of node:events: that listens for errors, too, which is what must not be needed.
          const ended = new Promise<void>((resolve) => client.once('end', () => resolve()))
          await target.query('select pg_terminate_backend($1)', [rows[0]?.pid])
          await ended
        }
        return losing(client, lose, async () => {
          if (cut()) await end()
        })
      }
    },
  })
}

function losing(client: pg.PoolClient, lose: () => boolean, before: () => Promise<void>): pg.PoolClient {
  return new Proxy(client, {
    get: (target, name) => {
      if (name !== 'query') return bound(target, name)
      return async (query: string | pg.QueryConfig) => {
        if (appends(query)) await before()
        const result = await target.query(query)
        if (appends(query) && lose()) throw new Error('Connection terminated unexpectedly')
        return result
      }
    },
  })
}

function appends(query: string | pg.QueryConfig): boolean {
  return typeof query === 'object' && query.name === 'append_batch'
}

function bound(target: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name)
  return typeof value === 'function' ? value.bind(target) : value
}
