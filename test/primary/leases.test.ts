import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Turn } from '../../primary/accounts/turn.js'
import { leaseEndpoints } from '../../primary/api/leases.js'
import { Leases } from '../../primary/leases.js'
import { Gate } from '../../protocol/access/gate.js'
import { serveApi } from '../../protocol/api/serve.js'
import { RegistryError } from '../../protocol/errors.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import { FLEET, type NodeRecord, type Step } from '../../protocol/records.js'
import { repositoryRecord } from '../contracts/metadata.js'
import { bodyOf, requestOf } from '../support/request.js'

const A = '/api/v1/leases'
const START = Date.parse('2026-01-01T00:00:00Z')
const DAY = 86_400_000

describe('leases', () => {
  it('are made by administrators, in names as the format spells them, and listed with their state', async () => {
    const { call, at } = await world()
    const draft = { repository: 'lib', node: 'ship', names: ['Acme_*', 'tools.*'], days: 2 }
    assert.equal((await call('ann', 'POST', A, draft)).status, 'forbidden')
    const made = (await call('root', 'POST', A, draft)).json
    assert.deepEqual([made.names, made.node_name, made.status], [['acme-*', 'tools-*'], 'ship', 'active'])
    assert.equal(made.until, '2026-01-03T00:00:00.000Z')
    const renewed = (await call('root', 'POST', `${A}/${made.id}/renew`, { days: 30 })).json
    assert.equal(renewed.until, '2026-01-31T00:00:00.000Z')
    assert.match((await call('root', 'POST', `${A}/${made.id}/renew`, { days: 1 })).text, /lasts until 2026-01-31/)
    at.ms += 31 * DAY
    const { items } = (await call('root', 'GET', A)).json
    assert.deepEqual([items.length, items[0].status, items[0].closed_at], [1, 'ended', null])
  })

  it('that could not work are refused with a sentence that says what to do', async () => {
    const { call } = await world()
    const draft = { repository: 'lib', node: 'ship', names: ['acme-*'] }
    const { json } = await call('root', 'POST', A, draft)
    const rows: [object, RegExp][] = [
      [{ names: ['acme-x*'] }, new RegExp(`node ship until .*publish there, or end lease ${json.id}`)],
      [{ names: ['*'] }, /publish there, or end lease/],
      [{ names: ['b*c'] }, /what names begin with/],
      [{ names: ['b'] }, /what names begin with/],
      [{ names: ['b*'], repository: 'none' }, /no repository none/],
      [{ names: ['b*'], repository: 'far' }, /nothing is published there/],
      [{ names: ['b*'], node: 'nobody' }, /no node nobody/],
      [{ names: ['b*'], node: 'gone' }, /no node gone/],
      [{ names: ['b*'], node: 'builds' }, /ephemeral/],
      [{ names: ['b*'], node: 'elsewhere' }, /does not hold lib/],
      [{ names: ['b*'], days: 0 }, /days/],
      [{ names: ['b*'], days: 400 }, /days/],
    ]
    for (const [more, sentence] of rows)
      assert.match((await call('root', 'POST', A, { ...draft, ...more })).text, sentence, JSON.stringify(more))
    assert.equal((await call('root', 'POST', A, { ...draft, repository: 'other' })).json.repository, 'other')
  })

  it('are given up only when the node takes nothing more, and the record says by whom and why', async () => {
    const { call, at, ledger } = await world()
    const { json } = await call('root', 'POST', A, { repository: 'lib', node: 'ship', names: ['a*'], days: 10 })
    const lost = { names: '*', reason: 'the ship sank' }
    const one = { names: 'a-1*', reason: 'broken' }
    assert.equal((await call('root', 'POST', `${A}/${json.id}/void`, one)).json.status, 'active')
    assert.equal((await call('root', 'POST', `${A}/${json.id}/end`)).json.status, 'ended')
    // It may be cut off, and not have heard.
    assert.match((await call('root', 'POST', `${A}/${json.id}/void`, lost)).text, /Until 2026-01-11.* may take more/)
    assert.equal((await call('root', 'POST', `${A}/${json.id}/void`, { names: '*' })).status, 'invalid')
    at.ms += 10 * DAY
    const closed = (await call('root', 'POST', `${A}/${json.id}/void`, lost)).json
    assert.deepEqual([closed.status, closed.closed_by], ['closed', 'root'])
    assert.deepEqual(
      closed.voided.map(({ names, reason, by }: { names: string; reason: string; by: string }) => [names, reason, by]),
      [
        ['a-1*', 'broken', 'root'],
        ['*', 'the ship sank', 'root'],
      ],
    )
    const again = (await call('root', 'POST', A, { repository: 'lib', node: 'ship', names: ['a*'], days: 10 })).json
    // A node that is no member any more is gone.
    await ledger.commit({ scope: FLEET, steps: [node({ id: 'n-ship', name: 'ship', revoked: true })], by: 'root' })
    assert.equal((await call('root', 'POST', `${A}/${again.id}/void`, lost)).json.status, 'closed')
  })

  it('are closed by their own node, after their end', async () => {
    const { call, at, leases } = await world()
    const { json } = await call('root', 'POST', A, { repository: 'lib', node: 'ship', names: ['a*'], days: 10 })
    await assert.rejects(leases.close(json.id, 'n-elsewhere'), /another node/)
    await assert.rejects(leases.close(json.id, 'n-ship'), /lasts until/)
    at.ms += 10 * DAY
    await leases.close(json.id, 'n-ship')
    await leases.close(json.id, 'n-ship')
    const { status, closed_by } = (await call('root', 'GET', `${A}/${json.id}`)).json
    assert.deepEqual([status, closed_by], ['closed', 'node:n-ship'])
    assert.match((await call('root', 'POST', `${A}/${json.id}/end`)).text, /was closed/)
  })
})

async function world() {
  const at = { ms: START }
  const ledger = await MemoryLedger.open(() => new Date(at.ms).toISOString())
  const { state } = ledger
  const repository = (key: string, more: object = {}): Step => ({
    kind: 'repository',
    key,
    record: repositoryRecord(key, more),
  })
  const user = (name: string, admin: boolean): Step => ({
    kind: 'access',
    subject: 'user',
    id: name,
    record: { id: name, name, email: '', admin, disabled: false, groups: [], createdAt: '' },
  })
  await ledger.commit({
    scope: FLEET,
    by: 'test',
    steps: [
      repository('lib'),
      repository('other'),
      repository('far', { type: 'remote', upstream: 'https://far.test/' }),
      user('root', true),
      user('ann', false),
      node({ id: 'n-ship', name: 'ship' }),
      node({ id: 'n-gone', name: 'gone', revoked: true }),
      node({ id: 'n-builds', name: 'builds', ephemeral: true }),
      node({ id: 'n-elsewhere', name: 'elsewhere', repositories: ['other'] }),
    ],
  })
  const gate = new Gate(state, { verify: async () => false })
  const name = (text: string) => text.toLowerCase().replaceAll(/[._-]/g, '-')
  const leases = new Leases({
    metadata: state,
    ledger,
    grammar: () => ({ name }),
    turn: new Turn(),
    nowMs: () => at.ms,
  })
  const api = serveApi(
    leaseEndpoints(leases, state, () => at.ms),
    { metadata: state, gate, audit: async () => undefined },
  )
  const call = async (who: string, method: string, target: string, body?: unknown) => {
    const principal = { name: who, user: state.access('user', who), token: undefined }
    try {
      const sent = body === undefined ? {} : { body }
      const reply = (await api(requestOf(method, target, sent), principal)) ?? assert.fail(`${target} is no endpoint`)
      const text = (await bodyOf(reply)).toString()
      return { status: reply.status, text, json: JSON.parse(text) }
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      return { status: error.kind, text: error.message, json: undefined as never }
    }
  }
  return { call, at, ledger, leases }
}

function node(more: Partial<NodeRecord> & Pick<NodeRecord, 'id' | 'name'>): Step {
  const record = {
    peer: more.id,
    publicKey: '',
    repositories: ['*'],
    revoked: false,
    createdAt: '2026-01-01T00:00:00.000Z',
    ...more,
  }
  return { kind: 'access', subject: 'node', id: more.id, record }
}
