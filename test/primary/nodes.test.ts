import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Directory } from '../../primary/accounts/directory.js'
import { LastUses } from '../../primary/accounts/token-use.js'
import { Downloads } from '../../primary/downloads.js'
import type { Heartbeat } from '../../primary/fleet/fleet.js'
import { type NodeDraft, Nodes } from '../../primary/nodes.js'
import { joinTokenText, parseJoinToken } from '../../protocol/access/join-token.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import { FLEET } from '../../protocol/records.js'
import { repositoryRecord } from '../contracts/metadata.js'
import { type TestDatabase, testDatabase } from '../support/postgres.js'

const START = Date.parse('2026-01-01T12:00:00Z')
const KEY = 'k'.repeat(43)
const A = { name: 'edge a', peer: 'peer-a', publicKey: 'a'.repeat(43) }
const B = { name: 'edge b', peer: 'peer-b', publicKey: 'b'.repeat(43) }

let database: TestDatabase
before(async () => {
  database = await testDatabase()
})
after(() => database.close())

describe('a join token', () => {
  it('carries what a node needs to trust the primary, there and back', () => {
    const token = { url: 'https://primary.test:9080', logKey: KEY, tlsPin: KEY, secret: 's'.repeat(43), node: 'n1' }
    assert.deepEqual(parseJoinToken(` ${joinTokenText(token)}\n`), token)
  })

  const whole = joinTokenText({
    url: 'https://primary.test',
    logKey: KEY,
    tlsPin: KEY,
    secret: 's'.repeat(43),
    node: 'n1',
  })
  const http = joinTokenText({
    url: 'http://primary.test',
    logKey: KEY,
    tlsPin: KEY,
    secret: 's'.repeat(43),
    node: 'n1',
  })
  for (const [what, text] of Object.entries({
    'an empty text': '',
    'a part': whole.slice(0, -9),
    'another token': `cairn_${KEY}`,
    'plain http': http,
    'too much': `${whole}${'A'.repeat(5000)}`,
  }))
    it(`is refused in one sentence, not repeated, when it is ${what}`, () => {
      assert.throws(
        () => parseJoinToken(text),
        (error: Error) => error.message.length < 100 && (text === '' || !error.message.includes(text)),
      )
    })
})

describe('alarms', () => {
  it('are raised once for each node that believes nothing more, or has more of the log than there is', async () => {
    const { nodes, alarms, member, hear, ledger } = await world()
    const [a, b] = [await member(A), await member(B)]
    const { number } = ledger.state.head
    const contradiction = { sentence: 'forked', notes: ['x', 'y'] as [string, string], at: '2026-01-01T12:00:00Z' }
    for (let i = 0; i < 2; i++) {
      await hear(a, { ...heartbeat(1), contradiction })
      await hear(b, heartbeat(number + 5))
    }
    assert.deepEqual(alarms.length, 2)
    assert.equal((await nodes.get(a)).alarm, 'forked')
    assert.match((await nodes.get(b)).alarm ?? '', /restored from a backup/)
    await hear(b, heartbeat(number))
    assert.deepEqual([nodes.alarms, (await nodes.get(b)).alarm], [1, undefined])
  })
})

describe('joining', () => {
  it('makes a member of whoever brings the secret, with the name and repositories that it was made for', async () => {
    const { nodes, join, ledger } = await world()
    const { id, secret } = await join({ name: 'Oslo', repositories: ['npm-*'] })
    assert.equal((await nodes.get(id)).state, 'pending')
    const record = await nodes.redeem(secret, A)
    assert.deepEqual(record, {
      id,
      name: 'Oslo',
      peer: 'peer-a',
      publicKey: A.publicKey,
      repositories: ['npm-*'],
      revoked: false,
      createdAt: '2026-01-01T12:00:00.000Z',
    })
    assert.deepEqual(ledger.state.access('node', id), record)
    const { rows } = await database.pool.query('select * from node_join where id = $1', [id])
    assert.ok(!JSON.stringify(rows).includes(secret), 'the secret is not stored')
  })

  it('works again for the same key, and for no other', async () => {
    const { nodes, join, ledger } = await world()
    const { secret } = await join()
    const record = await nodes.redeem(secret, A)
    const changes = ledger.log.length
    assert.deepEqual(await nodes.redeem(secret, A), record)
    assert.equal(ledger.log.length, changes)
    await assert.rejects(nodes.redeem(secret, B), { kind: 'unauthenticated', code: 'join_refused' })
    assert.equal(record.name, 'edge a')
  })

  it('lets one of many at the same moment in', async () => {
    const { nodes, join } = await world()
    const { secret } = await join()
    const tried = await Promise.allSettled(
      [1, 2, 3, 4].map((i) => nodes.redeem(secret, { ...A, publicKey: String(i).repeat(43) })),
    )
    assert.equal(tried.filter((one) => one.status === 'fulfilled').length, 1)
  })

  it('is refused with a secret that is unknown, expired or revoked', async () => {
    const { nodes, join, clock } = await world()
    await assert.rejects(nodes.redeem('x'.repeat(43), A), { kind: 'unauthenticated' })
    const expired = await join()
    const revoked = await join()
    await nodes.revoke(revoked.id, 'admin')
    await assert.rejects(nodes.redeem(revoked.secret, A), { kind: 'unauthenticated' })
    clock.ms += 24 * 3_600_000
    await assert.rejects(nodes.redeem(expired.secret, A), { kind: 'unauthenticated' })
  })
})

describe('a join key', () => {
  it('lets as many nodes in as it says, each with its own keys, and none leaves a record', async () => {
    const { nodes, join, ledger } = await world()
    const { id, secret } = await join({ name: 'ci', repositories: ['open'], ephemeral: { uses: 2, days: 90 } })
    const before = ledger.state.head.number
    const [a, b] = [await nodes.redeem(secret, A), await nodes.redeem(secret, B)]
    assert.deepEqual(
      [a, b].map(({ id: of, peer, publicKey, repositories }) => [of, peer, publicKey, repositories]),
      [A, B].map(({ peer, publicKey }) => [id, peer, publicKey, ['open']]),
    )
    await assert.rejects(nodes.redeem(secret, A), { kind: 'unauthenticated' })
    await nodes.heartbeat(a, heartbeat(1), { remote: 'r' })
    assert.equal(ledger.state.head.number, before)
    const { state, ephemeral, heardAt } = await nodes.get(id)
    assert.deepEqual([state, ephemeral?.used, ephemeral?.uses, heardAt], ['key', 2, 2, undefined])
  })

  it('ends with its time, and ends all its nodes when it is revoked', async () => {
    const { nodes, join, ledger, clock } = await world()
    const { id, secret } = await join({ name: '', repositories: ['*'], ephemeral: { days: 2 } })
    await nodes.redeem(secret, A)
    clock.ms += 2 * 24 * 3_600_000
    await assert.rejects(nodes.redeem(secret, B), { kind: 'unauthenticated' })
    await nodes.revoke(id, 'admin')
    assert.equal(ledger.state.access('node', id)?.revoked, true)
  })
})

describe('a member', () => {
  it('is online while its heartbeats come, and says how far behind it is', async () => {
    const { nodes, member, clock, ledger, hear } = await world()
    const id = await member(A)
    const head = ledger.state.head.number
    await hear(id, heartbeat(head - 1))
    const seen = await nodes.get(id)
    assert.deepEqual(
      [seen.state, seen.lag, seen.heardAt, seen.heartbeat?.cache],
      ['online', 1, '2026-01-01T12:00:00.000Z', { used: 10, limit: 100 }],
    )
    clock.ms += 45_000
    assert.equal((await nodes.get(id)).state, 'offline')
    await hear(id, heartbeat(head))
    assert.deepEqual([(await nodes.get(id)).state, (await nodes.get(id)).lag], ['online', 0])
  })

  it('hears of the others that were heard of lately and are not revoked', async () => {
    const { nodes, member, clock, hear } = await world()
    const [a, b] = [await member(A), await member(B)]
    await hear(a, heartbeat(1))
    await hear(b, heartbeat(1))
    assert.deepEqual(await nodes.peers(a), [{ node: b, peer: 'peer-b', addresses: ['/ip4/192.0.2.1/tcp/4000'] }])
    await nodes.revoke(b, 'admin')
    assert.deepEqual(await nodes.peers(a), [])
    clock.ms += 11 * 60_000
    assert.deepEqual(await nodes.peers(b), [])
  })

  it('counts downloads of repositories that it may hold, and no others', async () => {
    const { member, downloads, nodes, hear } = await world()
    const id = await member(A, ['open'])
    const counted = (scope: string) => ({ scope, path: 'f', count: 3 })
    await hear(id, { ...heartbeat(1), downloads: [counted('open~test'), counted('closed~test'), counted('nowhere')] })
    assert.deepEqual([await downloads.total('open~test', 'f'), await downloads.total('closed~test', 'f')], [3, 0])
    assert.deepEqual((await nodes.get(id)).heartbeat?.downloads, [])
  })

  it('tells when tokens were last used, those that there are, and not later than now', async () => {
    const { member, hear, ledger, clock, lastUses } = await world()
    const id = await member(A)
    const record = { id: 'known', hash: 'h', name: 't', user: 'ann', scopes: ['*'], createdAt: '', use: 'api' as const }
    await ledger.commit({
      scope: FLEET,
      steps: [{ kind: 'access', subject: 'token', id: 'known', record }],
      by: 'test',
    })
    const at = new Date(clock.ms + 60_000).toISOString()
    const use = (token: string) => ({ id: token, at, remote: '192.0.2.9' })
    await hear(id, { ...heartbeat(1), tokenUses: [use('known'), use('unknown')] })
    const found = await lastUses.of(['known', 'unknown'])
    assert.deepEqual([...found.values()], [{ id: 'known', at: new Date(clock.ms).toISOString(), remote: '192.0.2.9' }])
  })

  it('gets policies, a wish to sync, another name and other repositories', async () => {
    const { nodes, member, ledger } = await world()
    const id = await member(A)
    const policies = [{ repository: 'npm-*', mode: 'eager' as const, include: [], exclude: ['**/*.zip'] }]
    await nodes.update(id, { policies, name: 'Bergen', repositories: ['open'] }, 'admin')
    assert.deepEqual(await nodes.policies(id), policies)
    assert.deepEqual(
      [ledger.state.access('node', id)?.name, ledger.state.access('node', id)?.repositories],
      ['Bergen', ['open']],
    )
    assert.equal(await nodes.syncRequestedAt(id), undefined)
    assert.equal(await nodes.requestSync(id), '2026-01-01T12:00:00.000Z')
    assert.equal((await nodes.get(id)).syncRequestedAt, '2026-01-01T12:00:00.000Z')
    assert.deepEqual(await nodes.policies(id), policies, 'the policies stay')
  })

  it('that is revoked stays so, in the log too, and twice is as once', async () => {
    const { nodes, member, ledger } = await world()
    const id = await member(A)
    await nodes.revoke(id, 'admin')
    const changes = ledger.log.length
    await nodes.revoke(id, 'admin')
    assert.equal(ledger.log.length, changes)
    assert.equal(ledger.state.access('node', id)?.revoked, true)
    assert.equal((await nodes.get(id)).state, 'revoked')
    await assert.rejects(nodes.requestSync(id), { kind: 'conflict' })
    await assert.rejects(nodes.update(id, { name: 'x' }, 'admin'), { kind: 'missing' })
    await assert.rejects(nodes.revoke('absent', 'admin'), { kind: 'missing' })
  })
})

describe('downloads', () => {
  it('are summed over flushes, by day, with the most wanted first', async () => {
    const { downloads, clock } = await world()
    downloads.count('s', 'a')
    downloads.count('s', 'b', 2)
    await downloads.flush()
    downloads.count('s', 'a')
    clock.ms += 86_400_000
    downloads.count('s', 'a', 5)
    await downloads.flush()
    const all = await downloads.statistics('s', { days: 30 })
    assert.deepEqual([all.total, all.lastAt], [9, '2026-01-02T12:00:00.000Z'])
    assert.deepEqual(
      all.days.map(({ day }) => day),
      ['2026-01-01', '2026-01-02'],
    )
    assert.deepEqual(all.top, [
      { path: 'a', count: 7 },
      { path: 'b', count: 2 },
    ])
    assert.equal((await downloads.statistics('s', { path: 'b', days: 1 })).total, 2)
    assert.deepEqual((await downloads.statistics('s', { path: 'b', days: 1 })).days, [])
    assert.equal((await downloads.statistics('other', { days: 30 })).total, 0)
  })

  it('that could not be written are kept for the next time', async () => {
    let broken = true
    const pool = {
      query: (...given: Parameters<typeof database.pool.query>) =>
        broken ? Promise.reject(new Error('away')) : database.pool.query(...given),
    } as unknown as typeof database.pool
    const downloads = new Downloads(pool, () => START)
    downloads.count('kept', 'a', 4)
    await assert.rejects(downloads.flush())
    broken = false
    downloads.count('kept', 'a')
    await downloads.flush()
    assert.equal(await downloads.total('kept', 'a'), 5)
  })

  it('stay bounded in memory', async () => {
    const { downloads } = await world()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 1_000_000; i++) downloads.count('s', `p${i}`)
    assert.ok(process.memoryUsage().heapUsed - before < 150e6)
    assert.equal(await downloads.total('s', 'p999999'), 0)
    assert.equal(await downloads.total('s', 'p1'), 1)
  })
})

async function world() {
  await database.pool.query('truncate node_join, node_status, node_policy, download')
  const clock = { ms: START }
  const ledger = await MemoryLedger.open(() => new Date(clock.ms).toISOString())
  for (const key of ['open', 'closed'])
    await ledger.commit({
      scope: FLEET,
      steps: [{ kind: 'repository', key, record: repositoryRecord(key) }],
      by: 'test',
    })
  const downloads = new Downloads(database.pool, () => clock.ms)
  const lastUses = new LastUses(database.pool, new Directory(ledger.state, ledger))
  const alarms: string[] = []
  const nodes = new Nodes({
    pool: database.pool,
    ledger,
    metadata: ledger.state,
    downloads,
    lastUses,
    primary: { url: 'https://primary.test', logKey: KEY, tlsPin: KEY },
    onAlarm: (node, sentence) => alarms.push(`${node.name}: ${sentence}`),
    nowMs: () => clock.ms,
  })
  const join = async (draft: NodeDraft = { name: '', repositories: ['*'] }) => {
    const { id, joinToken } = await nodes.create(draft, 'admin')
    return { id, secret: parseJoinToken(joinToken).secret }
  }
  const member = async (node: typeof A, repositories = ['*']) => {
    const { id, secret } = await join({ name: '', repositories })
    await nodes.redeem(secret, node)
    return id
  }
  const hear = async (id: string, status: Heartbeat) => {
    const record = ledger.state.access('node', id)
    assert.ok(record)
    await nodes.heartbeat(record, status, { remote: 'r' })
  }
  return { clock, ledger, downloads, lastUses, nodes, alarms, join, member, hear }
}

function heartbeat(number: number): Heartbeat {
  return {
    position: { epoch: 1, number },
    addresses: ['/ip4/192.0.2.1/tcp/4000'],
    url: 'http://192.0.2.1:8081',
    cache: { used: 10, limit: 100 },
    peers: 1,
    version: '0.1.0',
    downloads: [],
    tokenUses: [],
  }
}
