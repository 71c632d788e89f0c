/** A node with a lease: what it takes while cut off, what is seen of it, and how it comes back. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { RegistryError } from '../../protocol/errors.js'
import { NODE, START, World } from '../support/leased-node.js'
import { grant } from '../support/memory-fleet.js'
import { requestOf } from '../support/request.js'

const HOUR = 3_600_000

describe('a node with a lease', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cairn-lease-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))
  const world = () => World.open(folder)

  it('takes leased names while cut off, shows them at once, and refuses all others as before', async () => {
    await using w = await world()
    await w.lease('files', ['deck/*'])
    w.cutOff = true
    const put = await w.put('deck/a.txt', 'one')
    assert.deepEqual([put.status, put.headers['x-cairn-pending']], [201, 'true'])
    assert.equal((await w.get('deck/a.txt')).text, 'one')
    assert.match((await w.get('deck/')).text, /a\.txt/)
    assert.deepEqual([(await w.put('deck/a.txt', 'one')).status, (await w.put('deck/a.txt', 'two')).status], [200, 409])
    for (const path of ['hold/a.txt', 'deck']) {
      const refused = await w.put(path, 'x')
      assert.deepEqual([refused.status, refused.headers['x-cairn-pending']], [503, undefined], path)
    }
    assert.equal((await w.put('deck/b.txt', 'x', 'bob')).status, 403)
    assert.equal((await w.put('deck/b.txt', 'x', '')).status, 401)
    assert.equal((await w.get('deck/a.txt', 'primary')).status, 404)
  })

  it('gives leased names alone, with the primary or without it', async () => {
    await using w = await world()
    await w.lease('files', ['deck/*'])
    const refused = await w.put('deck/a.txt', 'one', 'ann', 'primary')
    assert.equal(refused.status, 409)
    assert.match(refused.text, /deck\/a\.txt is on lease to node ship until .*: publish there/)
    assert.equal((await w.put('deck/a.txt', 'one')).headers['x-cairn-pending'], 'true')
    assert.equal((await w.put('hold/a.txt', 'one')).headers['x-cairn-pending'], undefined)
    assert.equal((await w.get('hold/a.txt', 'primary')).text, 'one')
  })

  it('brings back what it took, in order, with its time and author, and lets go of it', async () => {
    await using w = await world()
    await w.lease('npm', ['@ship/*'])
    w.cutOff = true
    for (const version of ['1.0.0', '1.1.0']) {
      w.nowMs += HOUR
      assert.equal((await w.publish('@ship/x', version)).status, 201)
    }
    const seen = JSON.parse((await w.get('@ship/x', 'node', 'npm')).text)
    assert.deepEqual([Object.keys(seen.versions), seen['dist-tags'].latest], [['1.0.0', '1.1.0'], '1.1.0'])
    assert.equal((await w.publish('@ship/x', '1.1.0')).status, 409)
    assert.equal((await w.publish('left', '1.0.0')).status, 503)
    w.nowMs += HOUR
    w.cutOff = false
    await w.return()
    assert.equal(w.pending.entries.length, 0)
    const back = JSON.parse((await w.get('@ship/x', 'primary', 'npm')).text)
    assert.deepEqual([back.versions, back.time], [seen.versions, seen.time])
    const changes = w.ledger.log.flatMap(({ change }) => (change.lease ? [change] : []))
    assert.ok(changes.every(({ by }) => by === 'ann'))
    assert.equal(changes[0]?.at, new Date(START + HOUR).toISOString())
    assert.deepEqual(JSON.parse((await w.get('@ship/x', 'node', 'npm')).text).versions, back.versions)
  })

  it('loses nothing and doubles nothing when either side stops at any step of the return', async () => {
    for (let cut = 0; cut < 6; cut++) {
      await using w = await world()
      await w.lease('files', ['deck/*'])
      w.cutOff = true
      for (const name of ['a', 'b', 'c']) assert.equal((await w.put(`deck/${name}`, name)).status, 201)
      w.cutOff = false
      // Of the calls that bring three entries with one blob each, one is the last that happens; its answer is lost.
      w.answersLeft = cut
      await assert.rejects(w.return(), isKind('unavailable'))
      w.answersLeft = Number.POSITIVE_INFINITY
      await w.restart()
      for (const name of ['a', 'b', 'c']) assert.equal((await w.get(`deck/${name}`)).text, name, `cut at ${cut}`)
      await w.return()
      const published = w.ledger.log.flatMap(({ change }) => (change.kind === 'publish' ? change.manifest.package : []))
      assert.deepEqual(published, ['deck/a', 'deck/b', 'deck/c'], `cut at ${cut}`)
      for (const name of ['a', 'b', 'c']) assert.equal((await w.get(`deck/${name}`, 'primary')).text, name)
      assert.equal(w.pending.entries.length, 0)
    }
  })

  it('keeps through a restart what it took, while it is cut off', async () => {
    await using w = await world()
    await w.lease('files', ['deck/*'])
    w.cutOff = true
    await w.put('deck/a', 'one')
    await w.restart()
    assert.equal((await w.get('deck/a')).text, 'one')
    assert.equal((await w.put('deck/a', 'two')).status, 409)
  })

  it('stops at the end, by the time that it knows, less the drift; and its names open when it has reported', async () => {
    await using w = await world()
    const { id, until } = await w.lease('files', ['deck/*'], 1)
    w.cutOff = true
    await w.put('deck/a', 'one')
    w.nowMs = Date.parse(until) - 300_001
    assert.equal((await w.put('deck/b', 'two')).status, 201)
    w.nowMs += 1
    assert.equal((await w.put('deck/c', 'three')).status, 503)
    w.nowMs = Date.parse(until) + 365 * 24 * HOUR
    assert.equal((await w.put('deck/c', 'three', 'ann', 'primary')).status, 409)
    assert.equal((await w.get('deck/a')).text, 'one')
    w.cutOff = false
    await w.return()
    assert.equal(w.leases.get(id).closed?.by, 'node:ship')
    // Its clock is set back, and it has not heard that the lease is closed.
    await w.sync()
    w.nowMs = START
    w.cutOff = true
    assert.equal((await w.put('deck/c', 'three')).status, 503)
    assert.equal((await w.put('deck/c', 'three', 'ann', 'primary')).status, 201)
    assert.equal((await w.put('deck/a', 'other', 'ann', 'primary')).status, 409)
  })

  it('takes nothing more under a lease that it gave back, though its clock is set back before it hears that', async () => {
    await using w = await world()
    const { until } = await w.lease('files', ['deck/*'], 1)
    w.nowMs = Date.parse(until)
    w.deaf = true
    await w.return()
    w.nowMs = START
    await w.restart()
    w.cutOff = true
    assert.equal((await w.put('deck/c', 'three')).status, 503)
  })

  it('takes nothing while its records may lack some', async () => {
    await using w = await world()
    await w.lease('files', ['deck/*'])
    w.cutOff = true
    w.sound = false
    assert.equal((await w.put('deck/a', 'one')).status, 503)
  })

  it('of two partitions that publish one version exactly one ever has it', async () => {
    for (const order of ['primary first', 'node first']) {
      await using w = await world()
      if (order === 'primary first') {
        assert.equal((await w.put('deck/a', 'primary', 'ann', 'primary')).status, 201)
        await w.lease('files', ['deck/*'])
      } else await w.lease('files', ['deck/*'])
      w.cutOff = true
      const statuses = [(await w.put('deck/a', 'node')).status, (await w.put('deck/a', 'p', 'ann', 'primary')).status]
      assert.deepEqual(statuses, order === 'primary first' ? [409, 409] : [201, 409])
      w.cutOff = false
      await w.return()
      const expected = order === 'primary first' ? 'primary' : 'node'
      for (const side of ['node', 'primary'] as const) assert.equal((await w.get('deck/a', side)).text, expected)
      assert.equal(new Set(w.seen.get('deck/a')).size, 1)
    }
  })

  it('what somebody took who has lost the right waits, and what comes after it; it goes on when the right is back', async () => {
    await using w = await world()
    await w.lease('files', ['deck/*'])
    w.cutOff = true
    await w.put('deck/a', 'one')
    await w.put('deck/b', 'two')
    await w.configure({ kind: 'access', subject: 'grant', id: 'ann-*-', record: null })
    w.cutOff = false
    await w.return()
    assert.match(
      [...w.bringing.refused.values()].join(),
      /ann may not publish deck\/a in files any more: give the right/,
    )
    assert.equal((await w.get('deck/a', 'primary')).status, 404)
    assert.equal(w.pending.entries.length, 2)
    await w.configure(grant('ann', '*', { path: 'deck/' }))
    await w.return()
    assert.deepEqual([w.pending.entries.length, w.bringing.refused.size], [0, 0])
    assert.equal((await w.get('deck/b', 'primary')).text, 'two')
  })

  it('lets go of what an operator gave up, and nothing of it is ever published', async () => {
    await using w = await world()
    const { id } = await w.lease('files', ['deck/*'])
    w.cutOff = true
    await w.put('deck/bad/a', 'one')
    w.nowMs += HOUR
    await w.put('deck/good', 'two')
    await w.leases.void(id, { prefix: 'deck/bad/', reason: 'broken' }, 'root')
    w.cutOff = false
    // The node brings it before it has heard.
    w.deaf = true
    await w.return()
    assert.equal((await w.get('deck/bad/a', 'primary')).status, 404)
    w.deaf = false
    await w.sync()
    await w.return()
    assert.deepEqual([w.pending.entries.length, (await w.get('deck/bad/a')).status], [0, 404])
    assert.equal((await w.get('deck/good', 'primary')).text, 'two')
    assert.match(w.alarms.join(), /given up by an operator/)
    assert.equal((await w.put('deck/bad/a', 'better')).status, 201)
    await w.return()
    assert.equal((await w.get('deck/bad/a', 'primary')).text, 'better')
  })

  it('does not start over what it took when that is damaged', async () => {
    await using w = await world()
    await w.lease('files', ['deck/*'])
    w.cutOff = true
    await w.put('deck/a', 'one')
    const { number } = w.pending.entries[0] ?? assert.fail()
    await w.spoil(`waits\0${number.toString(16).padStart(16, '0')}`)
    await assert.rejects(w.restart(), /damaged: move it away/)
  })

  it('that lies is believed only in its names, and never about bytes', async () => {
    await using w = await world()
    const { id } = await w.lease('files', ['deck/*'])
    const other = await w.configureLease('files', ['hold/*'], { ...NODE, id: 'other', name: 'other' })
    const file = { path: 'deck/a', digest: digestOf('x'), size: 1, root: digestOf('x'), hashes: {} }
    const step = (name: string, more: object = {}) => ({
      kind: 'publish',
      manifest: {
        package: name,
        version: '',
        files: [file],
        meta: '',
        publishedAt: new Date(START).toISOString(),
        ...more,
      },
    })
    const entry = (steps: object[], more: object = {}) => ({
      number: 1,
      at: new Date(START).toISOString(),
      by: 'ann',
      steps,
      ...more,
    })
    const rows: [string, string, object | string, RegExp][] = [
      ['bytes that are not here', `${id}/entries`, entry([step('deck/a')]), /.*/],
      ['another name', `${id}/entries`, entry([step('hold/a', { files: [] })]), /on lease to node other/],
      ['a name on no lease', `${id}/entries`, entry([step('x', { files: [] })]), /not on lease/],
      ['a lease of others', `${other.id}/entries`, entry([step('hold/a', { files: [] })]), /another node/],
      ['somebody who may not', `${id}/entries`, entry([step('deck/a', { files: [] })], { by: 'bob' }), /bob may not/],
      ['nobody', `${id}/entries`, entry([step('deck/a', { files: [] })], { by: 'nobody' }), /nobody may not/],
      [
        'configuration',
        `${id}/entries`,
        entry([{ kind: 'access', subject: 'user', id: 'x', record: null }]),
        /nothing/,
      ],
      ['no entry', `${id}/entries`, {}, /nothing that a node takes/],
      ['an end before its time', `${id}/close`, {}, /lasts until/],
      ['no lease', 'none/entries', entry([step('deck/a')]), /no lease none/],
    ]
    const before = w.ledger.log.length
    for (const [what, path, body, sentence] of rows)
      await assert.rejects(w.taking.handle(NODE, path.split('/'), requestOf('POST', '/', { body })), sentence, what)
    const put = w.taking.handle(NODE, [id, 'blobs', digestOf('y')], requestOf('PUT', '/', { body: 'x' }))
    await assert.rejects(put, /What arrived is/)
    assert.equal(w.ledger.log.length, before)
  })
})

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function isKind(kind: string): (error: unknown) => boolean {
  return (error) => error instanceof RegistryError && error.kind === kind
}
