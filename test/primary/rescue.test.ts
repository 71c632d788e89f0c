/** What is taken from nodes that may lie, may not see everything, or fail in the middle; and what no stranger is told. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { Replica } from '../../node/replica/replica.js'
import { rescuing } from '../../node/rescuing.js'
import { fleetOf } from '../../primary/keys.js'
import { PostgresLedger } from '../../primary/postgres/ledger.js'
import { PostgresRows } from '../../primary/postgres/rows.js'
import { fingerprints, readParcel, writeParcels } from '../../primary/recovery/parcels.js'
import { refuseIfInUse, rescue } from '../../primary/rescue/rescue.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Reply } from '../../protocol/http/reply.js'
import { statusOf } from '../../protocol/http/status.js'
import { type LogItem, leafOf } from '../../protocol/log/entry.js'
import { Frontier } from '../../protocol/merkle.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import { rowKey } from '../../protocol/metadata/rows.js'
import { State } from '../../protocol/metadata/state.js'
import { FLEET, type Step } from '../../protocol/records.js'
import { newRecoveryKey, parseRecoveryKey, publicHalves, type RecoveryKey } from '../../protocol/recovery/key.js'
import { RESCUE_HEADER, signChallenge } from '../../protocol/recovery/request.js'
import { sealTo } from '../../protocol/recovery/sealed.js'
import { publish, repositoryRecord } from '../contracts/metadata.js'
import { type TestDatabase, testDatabase } from '../support/postgres.js'
import { bodyOf, requestOf } from '../support/request.js'
import { SignedLog } from '../support/signed-log.js'

const record = repositoryRecord('repo')

describe('a rescue', () => {
  let database: TestDatabase
  let dir: string
  let log: SignedLog
  let ledger: MemoryLedger
  let recovery: RecoveryKey
  const closers: (() => Promise<unknown>)[] = []

  const commit = (...steps: Step[]) => ledger.commit({ scope: FLEET, steps, by: 'admin' })
  const escrow = (id: string, value: unknown, to = recovery): Step => {
    const { sealing } = publicHalves(to)
    const sealed = sealTo(Buffer.from(sealing, 'base64url'), id, Buffer.from(JSON.stringify(value))).toString('base64')
    return { kind: 'access', subject: 'escrow', id, record: { id, sealed, at: '2026-01-01T00:00:00.000Z' } }
  }
  const publishAll = async (...names: string[]) => {
    for (const each of names)
      await ledger.commit({ scope: record.scope, steps: [publish(each, '1', [each])], by: 'somebody' })
  }
  let count = 0
  /** A node's replica that was told a part of the log. */
  const replicaOf = async (items: LogItem[], note: string, beginnings: string[] = []) => {
    const own = {
      dir: join(dir, `node-${++count}`),
      fleet: log.fleet,
      publicKey: log.publicKey,
      onAlarm: () => undefined,
    }
    const replica = await Replica.open(own)
    closers.push(() => replica.close())
    await replica.receive(items, note, true, beginnings)
    return replica
  }
  /** Its address. `lie` changes what it says. */
  const serve = async (replica: Replica, lie: (items: LogItem[]) => LogItem[] = (items) => items, claimed = {}) => {
    const handler = rescuing({
      node: `n${count}`,
      name: `node-${count}`,
      fleet: log.fleet,
      replica: {
        head: { ...replica.head, ...claimed },
        beginnings: replica.beginnings,
        recovery: replica.recovery,
        tail: async (from, limit) => {
          const tail = await replica.tail(from, limit)
          return tail && { ...tail, items: lie(tail.items) }
        },
      },
      nowMs: Date.now,
    })
    const server = createServer((incoming, outgoing) => {
      const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]))
      Promise.resolve()
        .then(() => handler(requestOf(incoming.method ?? '', incoming.url ?? '', { headers })))
        .then(async (reply) => reply && outgoing.writeHead(reply.status).end(await bodyOf(reply)))
        .catch((error: unknown) => outgoing.writeHead(statusOf(error)).end('{}'))
    })
    await listening(server)
    closers.push(() => new Promise((resolve) => server.close(resolve)))
    const address = server.address()
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  }
  const run = (nodes: string[], key = recovery, restored = false) =>
    rescue({
      restored,
      pool: database.pool,
      keys: join(dir, 'keys'),
      recovery: key,
      nodes,
      now: () => new Date().toISOString(),
      onProgress: () => undefined,
    })
  const has = async (path: string) =>
    (await new PostgresRows(database.pool).get(rowKey('file', record.scope, path))) !== undefined

  beforeEach(async () => {
    database = await testDatabase()
    dir = await mkdtemp(join(tmpdir(), 'cairn-rescue-'))
    ledger = await MemoryLedger.open()
    log = new SignedLog(ledger)
    Object.assign(log, { fleet: fleetOf(log.publicKey) })
    recovery = parseRecoveryKey(newRecoveryKey(log.publicKey))
    const halves = { id: 'key' as const, ...publicHalves(recovery), createdAt: '' }
    await commit({ kind: 'repository', key: 'repo', record })
    await commit({ kind: 'access', subject: 'recovery', id: 'key', record: halves })
    const pem = log.key.export({ type: 'pkcs8', format: 'pem' }) as string
    await commit(escrow('keys', { 'log.pem': Buffer.from(pem).toString('base64'), 'tls.pem': 'eA==' }))
    await commit(
      escrow('user/ann', { password: [{ user_name: 'ann', hash: 'x', changed_at: '2026-01-01T00:00:00Z' }] }),
    )
    await publishAll('one', 'two')
  })
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
    await database.close()
    await rm(dir, { recursive: true })
  })

  it('takes the longest log that is true, whatever other nodes claim', async () => {
    const first = log.batch()
    const short = await replicaOf(first.items, first.note)
    await publishAll('three')
    const second = log.batch()
    const long = await replicaOf([...first.items, ...second.items], second.note)
    const forge = (items: LogItem[]) =>
      items.map((item) =>
        'body' in item ? { ...item, body: Buffer.from(Buffer.from(item.body).toString().replace('two', 'bad')) } : item,
      )
    const liar = await serve(long, forge, { number: 1_000_000 })
    const cutting = await serve(long, (items) => items.slice(0, -1), { number: 1_000 })
    const nobody = await serve(short, (items) => items, { number: 500 })
    const rescued = await run([liar, cutting, nobody, await serve(long)])
    assert.deepEqual([rescued.epoch, rescued.changes, rescued.hidden, rescued.parcels], [2, 7, 0, 2])
    assert.deepEqual([await has('two'), await has('bad'), await has('three')], [true, false, true])
    const { rows } = await database.pool.query('select hash from password where user_name = $1', ['ann'])
    assert.deepEqual(rows, [{ hash: 'x' }])
    assert.deepEqual((await readdir(join(dir, 'keys'))).sort(), ['log.pem', 'tls.pem'])
    assert.equal(await readFile(join(dir, 'keys', 'tls.pem'), 'utf8'), 'x')
    await assert.rejects(refuseIfInUse(join(dir, 'keys'), database.pool, false), { code: 'rescue_in_use' })
  })

  it('joins what one node may see to what another may see, and counts what none may', async () => {
    const { items, note } = log.batch()
    const without = (...numbers: number[]) =>
      items.map((item) => (numbers.includes(item.number) ? { number: item.number, leaf: leafOf(item) } : item))
    const some = await serve(await replicaOf(without(5, 6), note))
    const others = await serve(await replicaOf(without(6), note))
    const rescued = await run([some, others])
    assert.equal(rescued.hidden, 1)
    assert.deepEqual([await has('one'), await has('two')], [true, false])
  })

  it('does not take over what an epoch took back', async () => {
    const first = log.batch()
    await publishAll('lost-a', 'lost-b')
    const lost = log.batch()
    const stale = await replicaOf([...first.items, ...lost.items], lost.note)
    const beginning = log.begin(6, await MemoryLedger.open(), recovery.signing)
    const next = log.sign(frontierOver(log), new Date().toISOString())
    const current = await replicaOf(first.items, first.note)
    await current.receive([], next, true, [beginning])
    const rescued = await run([await serve(stale, (items) => items, { epoch: 9 }), await serve(current)])
    assert.deepEqual([rescued.epoch, rescued.changes], [3, 6])
    assert.equal(await has('lost-a'), false)
    const { rows } = await database.pool.query<{ epoch: string }>('select epoch from epoch order by epoch')
    assert.deepEqual(
      rows.map(({ epoch }) => Number(epoch)),
      [2, 3],
    )
  })

  it('that was cut short goes on where it ended', async () => {
    const first = log.batch()
    const node = await replicaOf(first.items, first.note)
    await run([await serve(node)])
    await rm(join(dir, 'keys', 'log.pem'))
    await refuseIfInUse(join(dir, 'keys'), database.pool, false)
    await assert.rejects(refuseIfInUse(join(dir, 'keys'), database.pool, true), /leave --restored out/)
    const again = await run([await serve(node)])
    assert.deepEqual([again.epoch, again.changes], [2, 6])
    assert.ok((await readdir(join(dir, 'keys'))).includes('log.pem'))
  })

  describe('of a primary that a backup was restored to', () => {
    let node: Replica
    const newest = async () => {
      const { rows } = await database.pool.query<{ note: string }>('select note from epoch order by epoch desc limit 1')
      return rows[0]?.note ?? ''
    }
    const restored = async () => {
      await refuseIfInUse(join(dir, 'keys'), database.pool, true)
      const { epoch, changes } = await run([await serve(node)], recovery, true)
      return [epoch, changes]
    }

    beforeEach(async () => {
      const first = log.batch()
      node = await replicaOf(first.items, first.note)
      await run([await serve(node)])
      // It goes on, and is then put back to where the rescue left it.
      const begun = await newest()
      log.epoch = 2
      await commit(escrow('user/ann', { password: [{ user_name: 'ann', hash: 'newer', changed_at: '2026-01-02' }] }))
      await publishAll('three')
      const next = log.batch()
      assert.equal(await node.receive(next.items, next.note, true, [begun]), 'applied')
    })

    it('adds what nodes know besides', async () => {
      assert.deepEqual(await restored(), [3, 8])
      assert.equal(await has('three'), true)
      const { rows } = await database.pool.query('select hash from password')
      assert.deepEqual(rows, [{ hash: 'newer' }])
      const note = await newest()
      assert.equal(await node.receive([], note, true, [note]), 'known')
      assert.deepEqual([node.head.epoch, node.head.number], [3, 8])
      assert.ok(await node.state.file(record.scope, 'three'))
    })

    it('that went on by itself takes back from nodes what it has not', async () => {
      const state = await State.open(new PostgresRows(database.pool), { epoch: 2, number: 6 })
      const own = new PostgresLedger(database.pool, state, () => new Date().toISOString())
      await own.commit({ scope: record.scope, steps: [publish('own', '1', ['own'])], by: 'somebody' })
      await own.close()
      assert.deepEqual(await restored(), [3, 7])
      assert.deepEqual([await has('own'), await has('three')], [true, false])
      const note = await newest()
      assert.equal(await node.receive([], note, true, [note]), 'known')
      assert.deepEqual([node.head.epoch, node.head.number], [3, 6])
      assert.equal(await node.state.file(record.scope, 'three'), undefined)
    })
  })

  it('takes no fleet that somebody else made, though it is sealed to the right key', async () => {
    const { items, note } = log.batch()
    const node = await replicaOf(items, note)
    const other = parseRecoveryKey(newRecoveryKey(Buffer.alloc(32, 7)))
    await assert.rejects(run([await serve(node)], { ...recovery, logKey: other.logKey }), /belongs to another fleet/)
  })

  it('says so where the keys are sealed to another recovery key', async () => {
    const older = parseRecoveryKey(newRecoveryKey(log.publicKey))
    await commit(escrow('keys', {}, older))
    const { items, note } = log.batch()
    await assert.rejects(run([await serve(await replicaOf(items, note))]), { code: 'sealed_to_another' })
  })

  it('is answered by a node to whoever holds the key only, for what it gave a challenge for', async () => {
    const { items, note } = log.batch()
    const replica = await replicaOf(items, note)
    let nowMs = Date.now()
    const handler = rescuing({ node: 'n1', name: 'one', fleet: log.fleet, replica, nowMs: () => nowMs })
    const ask = async (method: string, path: string, header?: string) => {
      try {
        const headers: Record<string, string> = header === undefined ? {} : { [RESCUE_HEADER]: header }
        return ((await handler(requestOf(method, path, { headers }))) as Reply).status
      } catch (error) {
        assert.ok(error instanceof RegistryError)
        return statusOf(error)
      }
    }
    const reply = (await handler(requestOf('POST', '/rescue/v1/challenge'))) as Reply
    const { challenge } = JSON.parse(String(reply.body)) as { challenge: string }
    const signed = (node: string, by = recovery.signing, text = challenge) =>
      `${text} ${signChallenge({ fleet: log.fleet, node, challenge: text }, by)}`
    const log1 = (header?: string, query = 'after=0') => ask('GET', `/rescue/v1/log?${query}`, header)
    assert.equal(await log1(signed('n1')), 200)
    assert.equal(await log1(), 403)
    assert.equal(await log1('x'), 403)
    assert.equal(await log1(`${challenge} ${'A'.repeat(100_000)}`), 403)
    assert.equal(await log1(signed('n2')), 403)
    assert.equal(await log1(signed('n1', generateKeyPairSync('ed25519').privateKey)), 403)
    assert.equal(await log1(signed('n1', recovery.signing, '9999999999999.x')), 403)
    for (const query of ['', 'after=-1', 'after=1e400', 'after=x', 'after=1.5'])
      assert.equal(await log1(signed('n1'), query), 400)
    assert.equal(await log1(signed('n1'), 'after=999999'), 404)
    assert.equal(await ask('GET', '/rescue/v1/../log'), 404)
    nowMs += 3_600_001
    assert.equal(await log1(signed('n1')), 403)
  })
})

describe('parcels', () => {
  let from: TestDatabase
  let to: TestDatabase
  before(async () => {
    from = await testDatabase()
    to = await testDatabase()
  })
  after(async () => {
    await from.close()
    await to.close()
  })

  it('hold every column of every table that they are made of', async () => {
    const { pool } = from
    await pool.query(`
      insert into password values ('ann', 'scrypt', now());
      insert into totp values ('ann', '\\x0102', true, 77);
      insert into recovery_code values ('ann', 'a'), ('ann', 'b');
      insert into passkey values ('p', 'ann', '\\x03', 9, 'a key', now(), now());
      insert into identity values ('corp', 's1', 'ann', '{devs,"a,b"}', true, now());
      insert into identity_provider (key, kind, title, enabled, settings, sealed, own_certificate, own_key)
        values ('corp', 'saml', 'Corp', true, '{"a": 1}', '\\x04', 'pem', '\\x05');
      insert into trust_rule values ('ci', '{}');
      insert into upstream_credential values ('scope', '\\x06');
      insert into node_join (id, secret_hash, name, repositories, created_at, expires_at, used) values ('n', 'h', 'one', '{*}', now(), now(), 3);
      insert into node_policy values ('n', '[]', now());
      insert into scim_user values ('u', 'corp', 'ann', null, '{"a": [1, null]}', 4, now(), now());
      insert into scim_group values ('g', 'corp', 'devs', 'Devs', null, 1, now(), now());
      insert into scim_member values ('g', 'u');`)
    const prints = await fingerprints(pool)
    const ids = [...prints.keys()]
    const parcels = new Map(await Promise.all(ids.map(async (id) => [id, await readParcel(pool, id)] as const)))
    await to.pool.query(`insert into password values ('ann', 'older'), ('ben', 'his own')`)
    const later = new Map([...parcels, ['user/later', { from_the_future: [{ a: 1 }] }]])
    assert.deepEqual(await writeParcels(to.pool, later), ['from_the_future'])
    assert.equal((await to.pool.query(`delete from password where user_name = 'ben'`)).rowCount, 1)
    assert.deepEqual(await fingerprints(to.pool), prints)
    assert.deepEqual([...prints.keys()].sort(), [
      'node/n',
      'provider/corp',
      'scim-group/g',
      'scim-user/u',
      'trust/ci',
      'upstream/scope',
      'user/ann',
    ])
  })
})

function listening(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
}

function frontierOver(log: SignedLog): Frontier {
  const frontier = new Frontier()
  for (const item of log.items) frontier.append(leafOf(item))
  return frontier
}
