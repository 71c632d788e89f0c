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

  it('two processes that write at once leave one log without gaps, and each hears of all in order', async () => {
    const [one, two] = [await open(database), await open(database)]
    const heard: number[][] = [[], []]
    one.ledger.onCommit((entries) => heard[0]?.push(...entries.map(({ number }) => number)))
    two.ledger.onCommit((entries) => heard[1]?.push(...entries.map(({ number }) => number)))
    const { scope } = repositoryRecord('past')
    const first = one.state.head.number
    const outcomes = await Promise.allSettled(
      Array.from({ length: 60 }, (_, i) => {
        const { ledger } = i % 2 === 0 ? one : two
        // Each version is published by both of them.
        const version = `9.${i >> 1}`
        return ledger.commit({ scope, steps: [publish(`q${i % 4}`, version, [`q-${version}-${i}`])], by: 'x' })
      }),
    )
    const numbers = outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value.number : 0))
    assert.ok(
      numbers.every((number) => number > first),
      'none of them is in the way of another',
    )
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      Array.from({ length: 60 }, (_, i) => first + 1 + i),
    )
    // The next write of either brings what the other one did last.
    await one.ledger.commit({ scope, steps: [publish('q', '1', ['q-1'])], by: 'x' })
    await two.ledger.commit({ scope, steps: [publish('q', '2', ['q-2'])], by: 'x' })
    await one.ledger.commit({ scope, steps: [publish('q', '3', ['q-3'])], by: 'x' })
    const all = Array.from({ length: 63 }, (_, i) => first + 1 + i)
    assert.deepEqual(heard[0], all)
    assert.deepEqual(heard[1], all.slice(0, -1))
  })

  it('of two processes that publish one version exactly one wins', async () => {
    const [one, two] = [await open(database), await open(database)]
    const strict = repositoryRecord('strict', { redeploy: false })
    await one.ledger.commit({
      scope: FLEET,
      steps: [{ kind: 'repository', key: 'strict', record: strict }],
      by: 'admin',
    })
    await two.ledger.commit({ scope: FLEET, steps: [], by: 'admin' })
    for (let i = 0; i < 10; i++) {
      const outcomes = await Promise.allSettled(
        [one, two].map(({ ledger }, n) =>
          ledger.commit({ scope: strict.scope, steps: [publish('r', `${i}`, [`r-${i}-${n}`])], by: 'x' }),
        ),
      )
      assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    }
  })

  it('every log entry holds the bytes that its leaf was made of', async () => {
    const { rows } = await database.pool.query(
      'select count(*)::int as n, min(number)::int as low, max(number)::int as high from log where body is not null',
    )
    assert.deepEqual(rows[0], { n: rows[0].high, low: 1, high: rows[0].high })
  })
})
