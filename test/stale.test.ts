/** A node that knows too little of a repository lately refuses it, clearly, on every way to it, and nothing else. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { grant, MemoryFleet, type Send } from './support/memory-fleet.js'
import { publishDocument } from './support/npm-package.js'

describe('a node whose knowledge is too old', () => {
  let fleet: MemoryFleet
  let publish: Send
  let ann: Send
  let stranger: Send
  let bob: Send

  beforeEach(async () => {
    fleet = await MemoryFleet.open()
    const authorization = `Bearer ${await fleet.token('ann')}`
    publish = fleet.client('primary', authorization)
    ann = fleet.client('node', authorization)
    bob = fleet.client('node', `Bearer ${await fleet.token('bob')}`)
    stranger = fleet.client('node')
    await fleet.repository('inner', 'generic', { public: false })
    await fleet.repository('other', 'generic')
    await fleet.repository('all', 'generic', { type: 'virtual', members: ['inner', 'other'] })
    await fleet.repository('packages', 'npm', { public: false })
    for (const key of ['inner', 'other']) await publish(`/repository/${key}/${key}.txt`, { method: 'PUT', body: key })
    await publish('/repository/inner/both.txt', { method: 'PUT', body: 'of inner' })
    await publish('/repository/other/both.txt', { method: 'PUT', body: 'of other' })
    fleet.cutOff = true
  })
  afterEach(() => fleet.close())

  const code = async (send: Send, path: string) => {
    const reply = await send(path)
    const text = await reply.text()
    return reply.status === 503 ? `503 ${(JSON.parse(text) as { code?: string }).code}` : reply.status
  }

  it('says 503, when to ask again and why, to who may read', async () => {
    assert.equal(await code(ann, '/repository/inner/inner.txt'), 200)
    fleet.stale.add('inner')
    const reply = await ann('/repository/inner/inner.txt')
    assert.equal(reply.status, 503)
    assert.equal(reply.headers.get('retry-after'), '30')
    assert.match(await reply.text(), /inner is too old here/)
    assert.equal(await code(ann, '/repository/inner/'), '503 stale')
    assert.equal(await code(ann, '/repository/other/other.txt'), 200)
    fleet.stale.clear()
    assert.equal(await code(ann, '/repository/inner/inner.txt'), 200)
  })

  it('tells those who may not read what it always tells them', async () => {
    const before = [await code(stranger, '/repository/inner/inner.txt'), await code(bob, '/repository/inner/inner.txt')]
    fleet.stale.add('inner')
    const after = [await code(stranger, '/repository/inner/inner.txt'), await code(bob, '/repository/inner/inner.txt')]
    assert.deepEqual(after, before)
    assert.deepEqual(after, [401, 404])
  })

  it('judges the members of a virtual repository each by itself', async () => {
    fleet.stale.add('inner')
    assert.equal(await code(ann, '/repository/all/other.txt'), 200)
    assert.equal(await code(ann, '/repository/all/inner.txt'), '503 stale')
    // Another member's bytes would be the wrong ones.
    assert.equal(await code(ann, '/repository/all/both.txt'), '503 stale')
    assert.equal(await code(ann, '/repository/all/neither.txt'), 404)
    assert.equal(await (await stranger('/repository/all/both.txt')).text(), 'of other')
  })

  it('does not give out an index that is remembered', async () => {
    const document = publishDocument({ name: 'left', version: '1.0.0' })
    const headers = { 'content-type': 'application/json' }
    const made = await publish('/repository/packages/left', { method: 'PUT', body: JSON.stringify(document), headers })
    assert.ok(made.ok, await made.text())
    for (let i = 0; i < 3; i++) assert.equal(await code(ann, '/repository/packages/left'), 200)
    fleet.stale.add('packages')
    const reply = await ann('/repository/packages/left')
    assert.equal(reply.status, 503)
    assert.match(await reply.text(), /packages is too old here/)
  })

  it('is one decision for every action and path, and existence is no secret to who may read', async () => {
    await fleet.configure([grant('bob', 'inner', { path: 'team/', actions: ['read'] })])
    const { nodeGate: gate, ledger } = fleet
    const record = ledger.state.repository('inner')
    const user = ledger.state.access('user', 'bob')
    assert.ok(record)
    const principal = { name: 'bob', user, token: undefined }
    assert.equal(gate.decide(principal, 'read', record, 'team/x').allowed, true)
    fleet.stale.add('inner')
    assert.equal(gate.decide(principal, 'read', record, 'team/x').stale, true)
    assert.equal(gate.decide(principal, 'read', record, 'x').stale, undefined)
    assert.equal(gate.sees(principal, record), true)
  })
})
