import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Replica } from '../../node/replica/replica.js'
import { once } from '../../protocol/chunks.js'
import { leafOf } from '../../protocol/log/entry.js'
import { Frontier } from '../../protocol/merkle.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import { FLEET, type RecoveryRecord } from '../../protocol/records.js'
import {
  endorse,
  newRecoveryKey,
  parseRecoveryKey,
  publicHalves,
  type RecoveryKey,
} from '../../protocol/recovery/key.js'
import { decodeFrames } from '../../protocol/wire/feed.js'
import { publish, repositoryRecord } from '../contracts/metadata.js'
import { SignedLog } from '../support/signed-log.js'

const record = repositoryRecord('repo')

describe('an epoch', () => {
  let dir: string
  let log: SignedLog
  let ledger: MemoryLedger
  let key: RecoveryKey
  let replica: Replica
  let alarms: string[]

  const reopen = async () => {
    const { fleet, publicKey } = log
    replica = await Replica.open({ dir, fleet, publicKey, onAlarm: (sentence) => alarms.push(sentence) })
  }
  const recoveryRecord = (of: RecoveryKey, endorsement?: string): RecoveryRecord => ({
    id: 'key',
    ...publicHalves(of),
    ...(endorsement === undefined ? {} : { endorsement }),
    createdAt: '2026-01-01T00:00:00.000Z',
  })
  const name = (of: RecoveryKey, endorsement?: string) =>
    ledger.commit({
      scope: FLEET,
      steps: [{ kind: 'access', subject: 'recovery', id: 'key', record: recoveryRecord(of, endorsement) }],
      by: 'admin',
    })
  const newKey = () => parseRecoveryKey(newRecoveryKey(log.publicKey))
  const publishAll = async (...names: string[]) => {
    for (const each of names)
      await ledger.commit({ scope: record.scope, steps: [publish(each, '1', [each])], by: 'somebody' })
  }
  const knows = async (path: string) => (await replica.state.file(record.scope, path)) !== undefined
  const head = () => ({ epoch: replica.head.epoch, number: replica.head.number })
  /** A ledger that has as many changes as are kept, for what follows them. */
  const restored = async (length: number) => {
    const made = await MemoryLedger.open()
    await made.commit({ scope: FLEET, steps: [{ kind: 'repository', key: 'repo', record }], by: 'admin' })
    for (let i = 1; i < length; i++)
      await made.commit({ scope: record.scope, steps: [publish(`kept-${i}`, '1', [`kept-${i}`])], by: 'x' })
    return made
  }
  const begin = async (length: number, recovery = key.signing) => {
    ledger = await restored(length)
    return log.begin(length, ledger, recovery)
  }

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cairn-epochs-'))
    ledger = await MemoryLedger.open()
    log = new SignedLog(ledger)
    alarms = []
    key = newKey()
    await ledger.commit({ scope: FLEET, steps: [{ kind: 'repository', key: 'repo', record }], by: 'admin' })
    await name(key)
    await publishAll('one', 'two')
    const { items, note } = log.batch()
    await reopen()
    await replica.receive(items, note)
  })
  afterEach(async () => {
    await replica.close()
    await rm(dir, { recursive: true })
  })

  it('that the recovery key began takes back what is beyond its beginning, keeps it in a file, and goes on', async () => {
    await publishAll('lost-a', 'lost-b')
    const lost = log.batch()
    await replica.receive(lost.items, lost.note)
    assert.equal(await knows('lost-b'), true)
    const beginning = await begin(4)
    await publishAll('after')
    const { items, note } = log.batch()
    assert.equal(await replica.receive(items, note, true, [beginning]), 'applied')
    assert.deepEqual(head(), { epoch: 2, number: 5 })
    assert.deepEqual(
      [await knows('two'), await knows('lost-a'), await knows('lost-b'), await knows('after')],
      [true, false, false, true],
    )
    const [file = ''] = (await readdir(dir)).filter((each) => each.startsWith('taken-back'))
    const kept: unknown[] = []
    for await (const frame of decodeFrames(once(await readFile(join(dir, file)))))
      kept.push(frame.type === 'item' ? frame.item.number : frame.type === 'checkpoint' ? frame.note : frame)
    assert.deepEqual(kept, [5, 6, lost.note])
    await replica.close()
    await reopen()
    assert.deepEqual(head(), { epoch: 2, number: 5 })
    assert.deepEqual(replica.beginnings, [beginning])
    assert.deepEqual([await knows('lost-a'), await knows('after')], [false, true])
  })

  it('is not followed on anybody else’s word', async () => {
    const beginning = await begin(3, newKey().signing)
    await publishAll('after')
    const { items, note } = log.batch()
    await assert.rejects(replica.receive(items, note, true, [beginning]), /not begun with the recovery key/)
    await assert.rejects(replica.receive(items, note, true), /which the recovery key did not begin/)
    assert.equal(alarms.length, 2)
    assert.deepEqual(head(), { epoch: 1, number: 4 })
    assert.equal(await knows('two'), true)
  })

  it('is not followed by a node that knows no recovery key', async () => {
    const other = await mkdtemp(join(tmpdir(), 'cairn-epochs-'))
    const { fleet, publicKey } = log
    const fresh = await Replica.open({ dir: other, fleet, publicKey, onAlarm: (sentence) => alarms.push(sentence) })
    const beginning = await begin(1)
    const { note } = log.batch()
    await assert.rejects(fresh.receive([], note, true, [beginning]), /no recovery key is known here/)
    assert.equal(alarms.length, 1)
    await fresh.close()
    await rm(other, { recursive: true })
  })

  it('that goes on from another log than the one that is held is refused', async () => {
    const beginning = await begin(3)
    const fork = new SignedLog(await restored(3))
    Object.assign(fork, { key: log.key, publicKey: log.publicKey })
    fork.batch()
    const forked = fork.begin(3, await restored(3), key.signing)
    await assert.rejects(replica.receive([], forked, true, [forked]), /another log than the one that is held here/)
    assert.deepEqual(head(), { epoch: 1, number: 4 })
    await replica.receive([], log.batch().note, true, [beginning])
    assert.deepEqual(head(), { epoch: 2, number: 3 })
  })

  it('as long as what a node holds takes nothing back', async () => {
    const beginning = await begin(4)
    assert.equal(await replica.receive([], log.batch().note, true, [beginning]), 'known')
    assert.deepEqual(head(), { epoch: 2, number: 4 })
    assert.equal(await knows('two'), true)
  })

  it('ends the one before: what was signed there counts up to where it begins only', async () => {
    await publishAll('lost')
    const lost = log.batch()
    await replica.receive(lost.items, lost.note)
    const beginning = await begin(4)
    await replica.receive([], log.batch().note, true, [beginning])
    await assert.rejects(replica.receive(lost.items, lost.note), /ended epoch 1/)
    await publishAll('after', 'more')
    const next = log.batch()
    assert.equal(await replica.receive(next.items, next.note), 'applied')
    assert.deepEqual(head(), { epoch: 2, number: 6 })
  })

  it('is reached by a new node through those before it', async () => {
    const [first, second] = [log.items.slice(0, 4), log.batch('2026-01-01T00:00:00.000Z').note]
    const beginning = await begin(4)
    await publishAll('after')
    const next = log.batch()
    const other = await mkdtemp(join(tmpdir(), 'cairn-epochs-'))
    const { fleet, publicKey } = log
    const fresh = await Replica.open({ dir: other, fleet, publicKey, onAlarm: (sentence) => alarms.push(sentence) })
    assert.equal(await fresh.receive(first, second), 'applied')
    assert.equal(await fresh.receive(next.items, next.note, true, [beginning]), 'applied')
    assert.deepEqual(fresh.head, { epoch: 2, number: 5 })
    await fresh.close()
    await rm(other, { recursive: true })
  })

  it('lets a node believe again that was shown two logs', async () => {
    const shorter = log.sign(frontierOf(log, 3), new Date(Date.now() + 60_000).toISOString())
    await assert.rejects(replica.receive([], shorter), { code: 'log_contradiction' })
    const beginning = await begin(3)
    await publishAll('after')
    const { items, note } = log.batch()
    assert.equal(await replica.receive(items, note, true, [beginning]), 'applied')
    assert.equal(replica.contradiction, undefined)
    await replica.close()
    await reopen()
    assert.equal(replica.contradiction, undefined)
    assert.deepEqual(head(), { epoch: 2, number: 4 })
  })

  it('is begun by the newest key that the one before endorsed, and by no other that the log names', async () => {
    const [thief, heir] = [newKey(), newKey()]
    await name(thief)
    await name(thief, endorse(publicHalves(thief), thief))
    const stolen = log.batch()
    await replica.receive(stolen.items, stolen.note)
    assert.match(alarms[0] ?? '', /did not endorse/)
    await name(heir, endorse(publicHalves(heir), key))
    const named = log.batch()
    await replica.receive(named.items, named.note)
    await replica.close()
    await reopen()
    for (const [signer, isRight] of [
      [thief, false],
      [key, false],
      [heir, true],
    ] as const) {
      log.epoch = 1
      const beginning = log.begin(7, await restored(7), signer.signing)
      const received = replica.receive([], beginning, true, [beginning])
      if (isRight) assert.equal(await received, 'known')
      else await assert.rejects(received, { code: 'epoch_unproved' })
    }
    assert.deepEqual(head(), { epoch: 2, number: 7 })
  })

  it('has its own proofs, not those of what was taken back', async () => {
    const many = Array.from({ length: 300 }, (_, i) => `lost-${i}`)
    await publishAll(...many)
    const lost = log.batch()
    await replica.receive(lost.items, lost.note)
    const { heldLog } = replica
    await heldLog.tree.root(304)
    const beginning = await begin(4)
    await publishAll(...many.map((each) => `${each}-${randomBytes(4).toString('hex')}`))
    const next = log.batch()
    await replica.receive(next.items, next.note, true, [beginning])
    assert.equal(Buffer.compare(await heldLog.tree.root(304), frontierOf(log, 304).root()), 0)
  })
})

function frontierOf(log: SignedLog, length: number): Frontier {
  const frontier = new Frontier()
  for (const item of log.items.slice(0, length)) frontier.append(leafOf(item))
  return frontier
}
