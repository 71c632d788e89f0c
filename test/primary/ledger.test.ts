import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { PostgresLedger } from '../../primary/postgres/ledger.js'
import { PostgresRows } from '../../primary/postgres/rows.js'
import { rowKey } from '../../protocol/metadata/rows.js'
import { State } from '../../protocol/metadata/state.js'
import { FLEET } from '../../protocol/records.js'
import { metadataContract, publish, repositoryRecord } from '../contracts/metadata.js'
import { type TestDatabase, testDatabase } from '../support/postgres.js'

async function open(database: TestDatabase) {
  const rows = new PostgresRows(database.pool)
  const { rows: head } = await database.pool.query('select epoch, number from head')
  const state = await State.open(rows, { epoch: Number(head[0].epoch), number: Number(head[0].number) })
  return { rows, state, ledger: new PostgresLedger(database.pool, state, () => new Date().toISOString()) }
}

metadataContract('Postgres', async () => {
  const database = await testDatabase()
  const { ledger, state } = await open(database)
  return { ledger, metadata: state, settle: async () => undefined, close: () => database.close() }
})

describe('the ledger in Postgres', () => {
  let database: TestDatabase
  before(async () => {
    database = await testDatabase()
  })
  after(() => database.close())

  it('keeps the past: rows can be read as of an earlier number', async () => {
    const { ledger, rows } = await open(database)
    const record = repositoryRecord('past', { redeploy: true })
    await ledger.commit({ scope: FLEET, steps: [{ kind: 'repository', key: 'past', record }], by: 'admin' })
    const commit = (version: string, tags: string[]) =>
      ledger.commit({ scope: record.scope, steps: [publish('p', version, [`p-${version}`], tags)], by: 'x' })
    const [one, two] = await Promise.all([commit('1', ['latest']), commit('2', ['latest'])])
    const key = rowKey('tag', record.scope, 'p', 'latest')
    assert.equal(two.number, one.number + 1)
    assert.equal((await rows.get(key, one.number))?.version, '1')
    assert.equal((await rows.get(key, two.number))?.version, '2')
    assert.equal(await rows.get(key, one.number - 1), undefined)
  })

  it('a second process sees what the first one wrote when it starts', async () => {
    const { state } = await open(database)
    assert.ok(state.repository('past'))
    assert.ok(state.head.number >= 3)
  })

  it('every log entry holds the bytes that its leaf was made of', async () => {
    const { rows } = await database.pool.query(
      'select count(*)::int as n, min(number)::int as low, max(number)::int as high from log where body is not null',
    )
    assert.deepEqual(rows[0], { n: rows[0].high, low: 1, high: rows[0].high })
  })
})
