import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, open, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Level } from 'level'
import { Replica } from '../../node/replica/replica.js'
import { RegistryError } from '../../protocol/errors.js'
import { leafOf } from '../../protocol/log/entry.js'
import { Frontier } from '../../protocol/merkle.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import { FLEET } from '../../protocol/records.js'
import { metadataContract, publish, repositoryRecord } from '../contracts/metadata.js'
import { SignedLog } from '../support/signed-log.js'

metadataContract('a replica of a memory ledger', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-replica-'))
  const ledger = await MemoryLedger.open()
  const log = new SignedLog(ledger)
  const replica = await Replica.open({ dir, fleet: log.fleet, publicKey: log.publicKey, onAlarm: assert.fail })
  return {
    ledger,
    metadata: replica.state,
    settle: async () => {
      const { items, note } = log.batch()
      await replica.receive(items, note)
    },
    close: async () => {
      await replica.close()
      await rm(dir, { recursive: true })
    },
  }
})

describe('a replica', () => {
  let dir: string
  let ledger: MemoryLedger
  let log: SignedLog
  let replica: Replica
  let alarms: string[]
  const record = repositoryRecord('repo')

  const reopen = async () => {
    replica = await Replica.open({
      dir,
      fleet: log.fleet,
      publicKey: log.publicKey,
      onAlarm: (sentence) => alarms.push(sentence),
    })
  }

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cairn-replica-'))
    ledger = await MemoryLedger.open()
    log = new SignedLog(ledger)
    alarms = []
    await ledger.commit({ scope: FLEET, steps: [{ kind: 'repository', key: 'repo', record }], by: 'admin' })
    await reopen()
  })
  afterEach(async () => {
    await replica.close()
    await rm(dir, { recursive: true })
  })

  async function publishMany(count: number, from = 0) {
    for (let i = from; i < from + count; i++)
      await ledger.commit({ scope: record.scope, steps: [publish(`p${i}`, '1', [`p${i}`])], by: 'x' })
  }

  it('takes no batch whose changes do not lead to the signed root, and applies nothing of it', async () => {
    await publishMany(2)
    const { items, note } = log.batch()
    const [first, second, third] = items
    assert.ok(first && second && third && 'body' in third)
    const forged = { ...third, body: Buffer.from(Buffer.from(third.body).toString().replace('p1', 'p9')) }
    await assert.rejects(replica.receive([first, second, forged], note), /do not lead to the root/)
    assert.equal(replica.head.number, 0)
    assert.equal(alarms.length, 1)
    assert.equal(await replica.receive(items, note), 'applied')
  })

  it('takes no checkpoint of another key', async () => {
    await publishMany(1)
    const { items } = log.batch()
    const frontier = new Frontier()
    for (const item of items) frontier.append(leafOf(item))
    const foreign = log.sign(frontier, undefined, generateKeyPairSync('ed25519').privateKey)
    await assert.rejects(
      replica.receive(items, foreign),
      (error) => error instanceof RegistryError && error.kind === 'corrupt',
    )
    assert.equal(replica.head.number, 0)
  })

  it('applies each change once however often and in whatever pieces it arrives', async () => {
    await publishMany(3)
    const one = log.batch()
    await publishMany(3, 3)
    const two = log.batch()
    assert.equal(await replica.receive(two.items, two.note), 'behind')
    assert.equal(await replica.receive(one.items, one.note), 'applied')
    assert.equal(await replica.receive([...one.items, ...two.items], two.note), 'applied')
    assert.equal(await replica.receive(one.items, one.note), 'known')
    assert.equal(await replica.receive(two.items, two.note), 'known')
    assert.equal((await replica.state.package(record.scope, 'p0'))?.versions, 1)
    assert.equal(replica.head.number, 7)
  })

  it('raises an alarm for a second log of the same length', async () => {
    await publishMany(1)
    const { items, note } = log.batch()
    await replica.receive(items, note)
    const fork = new Frontier()
    for (let i = 0; i < items.length; i++) fork.append(Buffer.alloc(32, i))
    await assert.rejects(replica.receive([], log.sign(fork)), /forked/)
    assert.match(alarms[0] ?? '', /forked/)
  })

  /** A log like this one up to `number`, and another from there on. */
  const forkedAt = (number: number, length: number) => {
    const fork = new Frontier()
    for (const item of log.items.slice(0, number)) fork.append(leafOf(item))
    while (fork.size < length) fork.append(Buffer.alloc(32, fork.size))
    return fork
  }
  const refusedForGood = async (note: string, sentence: RegExp) => {
    await assert.rejects(replica.receive([], note), { code: 'log_contradiction' })
    assert.match(replica.contradiction?.sentence ?? '', sentence)
    assert.equal(replica.contradiction?.notes[1], note)
    await replica.close()
    await reopen()
    await publishMany(1, 90)
    const next = log.batch()
    await assert.rejects(replica.receive(next.items, next.note), { code: 'log_contradiction' })
    assert.match(replica.contradiction?.sentence ?? '', sentence)
  }

  it('believes nothing more after a fork of what it holds, also when it was started again', async () => {
    await publishMany(5)
    const { items, note } = log.batch('2026-01-01T00:00:05.000Z')
    await replica.receive(items, note)
    await refusedForGood(log.sign(forkedAt(2, 4), '2026-01-01T00:00:04.000Z'), /forked/)
    assert.equal(replica.contradiction?.notes[0], note)
    assert.equal((await replica.state.file(record.scope, 'p1'))?.size, 100)
  })

  it('believes nothing more after a shorter log of a later time', async () => {
    await publishMany(5)
    const { items, note } = log.batch('2026-01-01T00:00:05.000Z')
    await replica.receive(items, note)
    await refusedForGood(log.sign(forkedAt(4, 4), '2026-01-01T00:00:06.000Z'), /rolled back/)
  })

  it('believes nothing more after a longer log that does not contain one that it heard of', async () => {
    await publishMany(3)
    log.batch()
    await assert.rejects(replica.receive([], 'nothing'), { kind: 'corrupt' })
    assert.equal(await replica.receive([], log.sign(forkedAt(2, 3), '2026-01-01T00:00:00.000Z')), 'behind')
    await publishMany(2, 3)
    const { note } = log.batch()
    await assert.rejects(replica.receive(log.items, note), /does not contain/)
    assert.equal(replica.head.number, 0)
  })

  it('takes an older checkpoint of the same log that comes late', async () => {
    await publishMany(3)
    const one = log.batch('2026-01-01T00:00:03.000Z')
    await publishMany(2, 3)
    const two = log.batch('2026-01-01T00:00:05.000Z')
    await replica.receive([...one.items, ...two.items], two.note)
    assert.equal(await replica.receive(one.items, one.note), 'known')
    assert.equal(replica.highest?.time, '2026-01-01T00:00:05.000Z')
    assert.equal(replica.contradiction, undefined)
  })

  it('remembers the highest checkpoint over a restart, and knows that it is behind', async () => {
    await publishMany(1)
    const one = log.batch()
    await replica.receive(one.items, one.note)
    await publishMany(5, 1)
    const two = log.batch()
    assert.equal(await replica.receive([], two.note), 'behind')
    await replica.close()
    await reopen()
    assert.equal(replica.highest?.number, 7)
    assert.equal(replica.current, false)
    assert.equal(await replica.receive(two.items, two.note), 'applied')
    assert.equal(replica.current, true)
  })

  it('is as old as what it applied, however new what it heard of', async () => {
    const now = Date.now()
    await publishMany(1)
    const one = log.batch(new Date(now).toISOString())
    await replica.receive(one.items, one.note, true)
    assert.ok(replica.ageMs < 60_000)
    await publishMany(2, 1)
    const two = log.batch(new Date(now + 3_600_000).toISOString())
    await publishMany(1, 3)
    const three = log.batch(new Date(now + 7_200_000).toISOString())
    // A checkpoint that is not covered yet, and a page on the way there, are no news of what may be done now.
    assert.equal(await replica.receive([], three.note, true), 'behind')
    assert.equal(replica.nowMs < now + 60_000, true)
    await replica.receive(two.items, two.note)
    await replica.receive(three.items, three.note)
    assert.equal(replica.nowMs >= now + 7_200_000, true)
    const bounded = { ...record, maxStalenessSeconds: 60 }
    assert.equal(replica.stale(bounded), undefined)
    await replica.close()
    for (const name of await readdir(join(dir, 'records')))
      if (/^(CURRENT|MANIFEST|\d+\.log)/.test(name)) await rm(join(dir, 'records', name))
    await reopen()
    assert.match(replica.stale(bounded) ?? '', /no news of the primary since .* serves repo for 60 seconds\.$/)
    assert.equal(replica.stale(record), undefined)
  })

  it('gives a peer the missing tail, ending at a checkpoint', async () => {
    await publishMany(3)
    const one = log.batch()
    await replica.receive(one.items, one.note)
    await publishMany(3, 3)
    const two = log.batch()
    await replica.receive(two.items, two.note)
    const tail = await replica.tail(0, 4)
    assert.deepEqual(
      tail?.items.map((item) => item.number),
      [1, 2, 3, 4],
    )
    const rest = await replica.tail(4, 100)
    assert.equal(rest?.items.length, 3)
    assert.equal(rest?.note, two.note)
    assert.equal(await replica.tail(7, 100), undefined)
  })

  it('never serves a damaged record, and has it right again after rebuilding', async () => {
    await publishMany(50)
    const { items, note } = log.batch()
    await replica.receive(items, note)
    await replica.close()
    await damage(dir, 'p7')
    await reopen()
    await assert.rejects(
      replica.state.file(record.scope, 'p7'),
      (error) => error instanceof RegistryError && error.code === 'replica_damaged',
    )
    await replica.rebuilt()
    assert.equal((await replica.state.file(record.scope, 'p7'))?.size, 100)
    assert.equal(replica.head.number, 51)
  })

  it('notices a lost record after its start and rebuilds it', async () => {
    await publishMany(50)
    const { items, note } = log.batch()
    await replica.receive(items, note)
    await replica.close()
    await lose(dir, 'p7')
    await reopen()
    replica.start()
    await replica.checked()
    assert.equal((await replica.state.file(record.scope, 'p7'))?.size, 100)
  })

  it('starts again from nothing when LevelDB lost its files, and still knows the highest checkpoint', async () => {
    await publishMany(5)
    const { items, note } = log.batch()
    await replica.receive(items, note)
    await replica.close()
    for (const name of await readdir(join(dir, 'records')))
      if (/^(CURRENT|MANIFEST|\d+\.log)/.test(name)) await rm(join(dir, 'records', name))
    await reopen()
    assert.equal(replica.current, false)
    assert.equal(await replica.receive(items, note), 'applied')
    assert.equal((await replica.state.file(record.scope, 'p1'))?.size, 100)
  })

  it('a database that cannot be opened is set aside and the log fetched again', async () => {
    await publishMany(5)
    const { items, note } = log.batch()
    await replica.receive(items, note)
    await replica.close()
    for (const name of await readdir(join(dir, 'records'))) {
      if (!name.startsWith('MANIFEST')) continue
      const file = await open(join(dir, 'records', name), 'r+')
      await file.write(Buffer.alloc(64, 0xff), 0, 64, 0)
      await file.close()
    }
    await reopen()
    assert.equal(replica.current, false)
    assert.equal(await replica.receive(items, note), 'applied')
  })
})

async function damage(dir: string, path: string): Promise<void> {
  await edit(dir, path, (db, key, value) => db.put(key, value.replace('"size":100', '"size":101')))
}

async function lose(dir: string, path: string): Promise<void> {
  await edit(dir, path, (db, key) => db.del(key))
}

async function edit(
  dir: string,
  path: string,
  change: (db: Level<string, string>, key: string, value: string) => Promise<void>,
): Promise<void> {
  const db = new Level<string, string>(join(dir, 'records'))
  await db.open()
  for await (const [key, value] of db.iterator())
    if (key.includes(`\0file\0`) && key.endsWith(`\0${path}\0`)) await change(db, key, value)
  await db.close()
}
