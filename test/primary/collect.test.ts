/** What is collected, and above all what is not: real rows, real files, a clock that the test moves. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { collect } from '../../primary/collect.js'
import { PostgresLedger } from '../../primary/postgres/ledger.js'
import { PostgresRows } from '../../primary/postgres/rows.js'
import { DiskBlobs } from '../../protocol/blobs/disk.js'
import { State } from '../../protocol/metadata/state.js'
import { FLEET, type Held, type Step, type Stored } from '../../protocol/records.js'
import { repositoryRecord } from '../contracts/metadata.js'
import { type TestDatabase, testDatabase } from '../support/postgres.js'

const DAY_MS = 86_400_000
const GRACE_MS = DAY_MS
const RESTORE_MS = 30 * DAY_MS

describe('collecting blobs that nobody refers to', () => {
  const { scope } = repositoryRecord('files')
  let database: TestDatabase
  let dir: string
  let blobs: DiskBlobs
  let ledger: PostgresLedger
  const startedMs = Date.now()
  let nowMs = startedMs

  before(async () => {
    database = await testDatabase()
    dir = await mkdtemp(join(tmpdir(), 'cairn-collect-'))
    blobs = new DiskBlobs(join(dir, 'store'))
    await blobs.start()
    const state = await State.open(new PostgresRows(database.pool), { epoch: 1, number: 0 })
    ledger = new PostgresLedger(database.pool, state, () => new Date(nowMs).toISOString())
    const record = repositoryRecord('files', { redeploy: true })
    await ledger.commit({ scope: FLEET, steps: [{ kind: 'repository', key: 'files', record }], by: 'admin' })
  })
  after(async () => {
    await ledger.close()
    await blobs.close()
    await database.close()
    await rm(dir, { recursive: true, force: true })
  })

  const write = (text: string) => blobs.write(once(text), { limit: 1e6 })
  const commit = (...steps: Step[]) => ledger.commit({ scope, steps, by: 'x' })
  const run = (days: number) => {
    nowMs = startedMs + days * DAY_MS
    return collect({ pool: database.pool, blobs, graceMs: GRACE_MS, restoreMs: RESTORE_MS, nowMs: () => nowMs })
  }

  it('takes what was uploaded and never named, once it is no longer young', async () => {
    const named = await write('named')
    const orphan = await write('orphan')
    await commit(publish('a', '1', 'a-1', named))
    assert.equal(await run(0.5), 0)
    assert.equal(await run(2), 1)
    assert.equal(await blobs.has(orphan.digest), false)
    assert.equal(await blobs.has(named.digest), true)
  })

  it('keeps what was removed as long as it can be restored, then takes it', async () => {
    const bytes = await write('to be removed')
    await commit(publish('b', '1', 'b-1', bytes))
    await commit({ kind: 'remove', package: 'b', version: '1' })
    assert.equal(await run(20), 0)
    await commit({ kind: 'restore', package: 'b', version: '1' })
    assert.equal(await run(100), 0)
    await commit({ kind: 'remove', package: 'b', version: '1' })
    assert.equal(await run(129), 0)
    assert.equal(await run(131), 1)
    assert.equal(await blobs.has(bytes.digest), false)
  })

  it('keeps bytes that two paths share while one of them is there', async () => {
    const bytes = await write('shared')
    await commit(publish('c', '1', 'c-1', bytes))
    await commit(publish('d', '1', 'd-1', bytes))
    await commit({ kind: 'remove', package: 'c', version: '1' })
    assert.equal(await run(400), 0)
    assert.equal(await blobs.has(bytes.digest), true)
  })

  it('takes what another file replaced under the same path', async () => {
    const [first, second] = [await write('first'), await write('second')]
    await commit(publish('e', '1', 'e-1', first))
    await commit(publish('e', '1', 'e-1', second))
    assert.equal(await run(500), 1)
    assert.equal(await blobs.has(first.digest), false)
    assert.equal(await blobs.has(second.digest), true)
  })
})

function publish(name: string, version: string, path: string, stored: Stored): Step {
  const files: Held[] = [{ path, ...stored }]
  return {
    kind: 'publish',
    manifest: { package: name, version, files, meta: '{}', publishedAt: '2026-01-01T00:00:00.000Z' },
    tags: [],
  }
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}
