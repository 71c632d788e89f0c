/** A replica on disk that catches up from others, of which some lie, withhold, stall or flood. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { catchUp } from '../../node/replica/catch-up.js'
import { openAlone } from '../../node/replica/database.js'
import { mendLog } from '../../node/replica/mending.js'
import { type LogSource, RangeFetch, type RangeFetchOptions } from '../../node/replica/range-fetch.js'
import { Replica } from '../../node/replica/replica.js'
import { leafOf } from '../../protocol/log/entry.js'
import { Frontier } from '../../protocol/merkle.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import { FLEET } from '../../protocol/records.js'
import { publish, repositoryRecord } from '../contracts/metadata.js'
import { counted, honest, lying } from '../support/range-sources.js'
import { SignedLog } from '../support/signed-log.js'

const COUNT = 3000
const record = repositoryRecord('repo')
const signal = new AbortController().signal

describe('a replica that is behind', { timeout: 120_000 }, () => {
  let dir: string
  let ledger: MemoryLedger
  let log: SignedLog
  const open: Replica[] = []
  const alarms: string[] = []
  let peer: Replica
  let node: Replica
  let blamed: string[]

  const replicaIn = async (name: string) => {
    const replica = await Replica.open({
      dir: join(dir, name),
      fleet: log.fleet,
      publicKey: log.publicKey,
      onAlarm: (sentence) => alarms.push(sentence),
    })
    open.push(replica)
    return replica
  }
  const publishMany = async (count: number, from = 0, meta = 0) => {
    for (let i = from; i < from + count; i++) {
      const step = publish(`p${i}`, '1', [`p${i}`])
      if (step.kind === 'publish' && meta > 0) step.manifest.meta = JSON.stringify('x'.repeat(meta))
      await ledger.commit({ scope: record.scope, steps: [step], by: 'x' })
    }
  }
  const tell = async (replica: Replica) => {
    const { items, note } = log.batch()
    await replica.receive(items, note)
    return note
  }
  const fetching = (sources: LogSource[], replica = node, more: Partial<RangeFetchOptions> = {}) =>
    new RangeFetch({
      ...more,
      sources: () => sources,
      held: (start, end) => replica.entries(start, end),
      blame: (name) => blamed.push(name),
      log: () => undefined,
      nowMs: Date.now,
      deadlineMs: 300,
    })
  const equal = async (one: Replica, other: Replica) => {
    for (const of of ['epoch', 'number'] as const) assert.equal(one.head[of], other.head[of])
    for (let i = 0; i < COUNT; i += 97)
      assert.deepEqual(await one.state.file(record.scope, `p${i}`), await other.state.file(record.scope, `p${i}`))
    assert.deepEqual(await one.entries(0, one.head.number), await other.entries(0, other.head.number))
  }

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cairn-catch-up-'))
    ledger = await MemoryLedger.open()
    log = new SignedLog(ledger)
    blamed = []
    alarms.length = 0
    await ledger.commit({ scope: FLEET, steps: [{ kind: 'repository', key: 'repo', record }], by: 'admin' })
    await publishMany(COUNT)
    peer = await replicaIn('peer')
    node = await replicaIn('node')
    await node.receive([], await tell(peer))
  })
  afterEach(async () => {
    for (const replica of open.splice(0)) await replica.close()
    await rm(dir, { recursive: true })
  })

  it('takes the whole log in parts from several, and is then one that others take it from', async () => {
    const [one, two] = [honest('one', peer), honest('two', peer)]
    assert.equal(await catchUp(node, fetching([one, two]), signal), true)
    await equal(node, peer)
    assert.ok(one.asks.length > 0 && two.asks.length > 0)
    const third = await replicaIn('third')
    await third.receive([], node.target?.note ?? '')
    assert.equal(await catchUp(third, fetching([honest('node', node)], third), signal), true)
    await equal(third, peer)
  })

  it('takes no more bytes than the records have', async () => {
    const source = honest('one', peer)
    await catchUp(node, fetching([source]), signal)
    const size = log.items.reduce((sum, item) => sum + ('body' in item ? item.body.length : 0), 0)
    assert.ok(source.bytes < size, `${source.bytes} for ${size}`)
  })

  it('that lacks a few of many asks for these', async () => {
    await catchUp(node, fetching([honest('one', peer)]), signal)
    await publishMany(5, COUNT)
    await node.receive([], await tell(peer))
    const source = honest('one', peer)
    await catchUp(node, fetching([source]), signal)
    await equal(node, peer)
    assert.equal(source.asks.length, 1)
    assert.ok(source.bytes < 5 * 600, `${source.bytes}`)
  })

  it('finds what its disk lost and damaged, and fetches just that', async () => {
    await catchUp(node, fetching([honest('one', peer)]), signal)
    await node.close()
    open.splice(open.indexOf(node), 1)
    const db = await openAlone(join(dir, 'node', 'records'))
    const keys = await db.keys({ gt: 'log', lt: 'log\u0001' }).all()
    assert.equal(keys.length, COUNT + 1)
    for (const at of [3, 4, 700, 2048]) await db.del(keys[at] ?? '')
    const spoiled = (await db.get(keys[2500] ?? '')) ?? ''
    await db.put(keys[2500] ?? '', spoiled.replace(/[a-f]/, 'x'))
    await db.close()
    node = await replicaIn('node')
    const source = honest('one', peer)
    const options = { replica: node, ranges: fetching([source]), bytesPerSecond: 1e9 }
    assert.equal(await mendLog(options, signal), 5)
    await equal(node, peer)
    assert.deepEqual(
      source.asks.map(({ wanted }) => wanted?.reduce((sum, [from, to]) => sum + to - from, 0)),
      [3, 2],
    )
    assert.ok(source.bytes < 5 * 1000, `${source.bytes}`)
    assert.equal(await mendLog(options, signal), 0)
  })

  it('goes on where it was interrupted, also when it was started again', async () => {
    const stop = new AbortController()
    const slow = counted('slow', async function* (ask, asked) {
      if (ask.start >= 1024) {
        await node.reached({ epoch: 1, number: 1024 }, 10_000)
        stop.abort()
        asked.throwIfAborted()
      }
      yield* honest('one', peer).range(ask, asked)
    })
    await assert.rejects(catchUp(node, fetching([slow]), stop.signal))
    assert.equal(node.head.number, 1024)
    await node.close()
    open.splice(open.indexOf(node), 1)
    node = await replicaIn('node')
    assert.equal(node.head.number, 1024)
    const source = honest('one', peer)
    assert.equal(await catchUp(node, fetching([source]), signal), true)
    assert.ok(source.asks.every(({ start }) => start >= 1024))
    await equal(node, peer)
  })

  it('takes entries that are too many for one answer in several', async () => {
    await publishMany(40, COUNT, 100_000)
    await node.receive([], await tell(peer))
    const source = honest('one', peer)
    assert.equal(await catchUp(node, fetching([source]), signal), true)
    await equal(node, peer)
    assert.ok(source.asks.length > 6, `${source.asks.length}`)
  })

  it('gets the leaves alone of what it may not see, and a log that leads to the same root', async () => {
    const hiding = honest('one', peer, (item) => ('body' in item ? { number: item.number, leaf: leafOf(item) } : item))
    assert.equal(await catchUp(node, fetching([hiding]), signal), true)
    assert.equal(node.head.number, peer.head.number)
    assert.equal(await node.state.file(record.scope, 'p1'), undefined)
    assert.ok(!JSON.stringify(await node.entries(0, 10)).includes('body'))
  })

  const liars: [string, 'wrong' | 'silent' | 'absent', () => LogSource][] = [
    [
      'changes an entry',
      'wrong',
      () =>
        lying('evil', peer, ({ items: [first, ...rest], ...answer }) => ({
          ...answer,
          items: first ? [{ number: first.number, salt: Buffer.alloc(16), body: Buffer.from('{}') }, ...rest] : rest,
        })),
    ],
    [
      'leaves an entry out',
      'wrong',
      () => lying('evil', peer, (answer) => ({ ...answer, items: answer.items.slice(1) })),
    ],
    [
      'sends another part than it was asked for',
      'wrong',
      () =>
        counted('evil', (ask, asked) => honest('one', peer).range({ ...ask, start: (ask.start + 1024) % 2048 }, asked)),
    ],
    [
      'proves it to be of an older log',
      'wrong',
      () => counted('evil', (ask, asked) => honest('one', peer).range({ ...ask, length: 2048 }, asked)),
    ],
    [
      'sends what no one can read',
      'wrong',
      () =>
        counted('evil', async function* () {
          yield Buffer.alloc(10_000, 7)
        }),
    ],
    [
      'sends without end',
      'wrong',
      () =>
        counted('evil', async function* () {
          for (;;) yield Buffer.alloc(1024 * 1024)
        }),
    ],
    [
      'says nothing',
      'silent',
      () =>
        counted('evil', async function* (_, asked) {
          // What keeps a process alive otherwise is a socket.
          const timer = setInterval(() => undefined, 1000)
          await new Promise((resolve) => asked.addEventListener('abort', resolve)).finally(() => clearInterval(timer))
          asked.throwIfAborted()
          yield Buffer.of()
        }),
    ],
    [
      'trickles',
      'silent',
      () =>
        counted('evil', async function* (_, asked) {
          for (;;) {
            yield Buffer.of(0)
            await new Promise((resolve) => setTimeout(resolve, 20))
            asked.throwIfAborted()
          }
        }),
    ],
  ]
  for (const [does, refusal, evil] of liars)
    it(`asks another one where a peer ${does}`, async () => {
      const source = honest('good', peer)
      const ranges = fetching([evil(), source])
      assert.equal(await catchUp(node, ranges, signal), true)
      await equal(node, peer)
      assert.ok(ranges.refusals[refusal] > 0, JSON.stringify(ranges.refusals))
      assert.deepEqual([...new Set(blamed)], refusal === 'wrong' ? ['evil'] : [])
      assert.deepEqual(alarms, [])
    })

  it('asks another one where a peer is not so far', async () => {
    const behind = await replicaIn('behind')
    const ranges = fetching([honest('behind', behind), honest('good', peer)])
    assert.equal(await catchUp(node, ranges, signal), true)
    assert.ok(ranges.refusals.absent > 0)
    assert.deepEqual(blamed, [])
  })

  it('that may see everything believes nobody who hides something from it', async () => {
    const hiding = honest('hiding', peer, (item) =>
      item.number === 1500 ? { number: item.number, leaf: leafOf(item) } : item,
    )
    const ranges = fetching([hiding, honest('two', peer)], node, { seesAll: () => true })
    assert.equal(await catchUp(node, ranges, signal), true)
    await equal(node, peer)
    assert.deepEqual(blamed, [])
    const alone = await replicaIn('alone')
    await alone.receive([], peer.target?.note ?? '')
    await assert.rejects(catchUp(alone, fetching([hiding], alone, { seesAll: () => true }), signal), {
      kind: 'unavailable',
    })
  })

  it('says that nobody has it when nobody has', async () => {
    const behind = await replicaIn('behind')
    await assert.rejects(catchUp(node, fetching([honest('behind', behind)]), signal), { kind: 'unavailable' })
    assert.equal(node.head.number, 0)
  })

  it('believes nothing more when a longer log is signed that does not begin with the one that it holds', async () => {
    await catchUp(node, fetching([honest('one', peer)]), signal)
    const other = new SignedLog(ledger)
    const fork = new Frontier()
    const { items } = other.batch()
    for (const item of items) fork.append(leafOf(item))
    for (let i = 0; i < 2000; i++) fork.append(Buffer.alloc(32, i))
    const note = log.sign(fork, '2100-01-01T00:00:00.000Z')
    const hidden = [
      ...items,
      ...Array.from({ length: 2000 }, (_, i) => ({ number: items.length + i + 1, leaf: Buffer.alloc(32, i) })),
    ]
    const forked = await replicaIn('forked')
    await forked.receive(hidden, note)
    await node.receive([], note)
    await assert.rejects(catchUp(node, fetching([honest('forked', forked)]), signal), { code: 'log_contradiction' })
    assert.match(node.contradiction?.sentence ?? '', /does not contain/)
    assert.equal(node.head.number, COUNT + 1)
  })
})
