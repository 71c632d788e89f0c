/** What becomes of accounts, sessions, tokens and groups by SCIM, and what never does. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { admissionFields } from '../../primary/identity/admission.js'
import type { Identity } from '../../primary/identity/identity.js'
import type { ProviderKind } from '../../primary/identity/provider.js'
import { RegistryError } from '../../protocol/errors.js'
import { type TestDatabase, testDatabase } from '../support/postgres.js'
import { type Client, filtered, patch, scimWorld, user } from '../support/scim.js'

let database: TestDatabase
before(async () => {
  database = await testDatabase()
})
after(() => database.close())

/** Stands for wherever people log in. */
const logIn: ProviderKind = {
  kind: 'oidc',
  settings: z.strictObject({ ...admissionFields }),
  secrets: [],
  realm: () => '',
  check: async () => undefined,
  open: () => ({}),
}

async function world() {
  const made = await scimWorld(database.pool, [logIn])
  await made.providers.create({ key: 'sso', kind: 'oidc', title: 'sso', enabled: true, settings: {} })
  return made
}

describe('a user whom SCIM deactivates', () => {
  it('is out of every session and token in one commit, and comes back without them', async () => {
    const { provider, accounts, directory, gate, ledger } = await world()
    const send = await provider('corp')
    const id = await make(send, 'ann')
    const ann = present(directory.user('ann'))
    const { value } = await accounts.createToken(
      { name: 'ann', user: ann, token: undefined },
      { name: 't', scopes: ['*'] },
    )
    const session = await directory.turn.run(() => accounts.sessions.open(ann))
    assert.equal((await gate.authenticate(`Bearer ${value}`)).name, 'ann')
    const commits = counted(ledger)
    await send('PATCH', `/Users/${id}`, patch({ op: 'replace', value: { active: false } }))
    assert.deepEqual(commits(), [3], 'the user and its two tokens')
    const refused = (work: () => unknown) => assert.throws(work, { kind: 'unauthenticated' })
    refused(() => gate.authenticate(`Bearer ${value}`))
    refused(() => gate.authenticate(`Bearer ${session.accessToken}`))
    await assert.rejects(accounts.sessions.refresh(session.refreshToken), { kind: 'unauthenticated' })
    await send('PATCH', `/Users/${id}`, patch({ op: 'replace', value: { active: true } }))
    assert.equal(directory.user('ann')?.disabled, false)
    refused(() => gate.authenticate(`Bearer ${value}`))
    await assert.rejects(accounts.sessions.refresh(session.refreshToken), { kind: 'unauthenticated' })
  })

  it('stays out if an administrator disabled the account, whatever SCIM says', async () => {
    const { provider, accounts, directory } = await world()
    const send = await provider('corp')
    const id = await make(send, 'ann')
    await accounts.users.update('ann', { disabled: true }, 'admin')
    for (const active of [true, false, true]) {
      const { json } = await send('PATCH', `/Users/${id}`, patch({ op: 'replace', value: { active } }))
      assert.deepEqual([json.active, directory.user('ann')?.disabled], [active, true])
    }
  })

  it('is not the last administrator', async () => {
    const { provider, accounts, directory } = await world()
    const send = await provider('corp', { admin_groups: ['root'] })
    const [ann, ben] = [await make(send, 'ann'), await make(send, 'ben')]
    const root = (await send('POST', '/Groups', { displayName: 'root', members: [{ value: ann }, { value: ben }] }))
      .json.id
    assert.deepEqual([directory.user('ann')?.admin, directory.user('ben')?.admin], [true, true])
    await accounts.users.remove('admin', 'ann')
    assert.equal((await send('PATCH', `/Groups/${root}`, patch({ op: 'remove', path: 'members' }))).status, 204)
    const left = ['ann', 'ben'].filter((name) => directory.user(name)?.admin)
    assert.equal(left.length, 1, 'one of the two stays')
    const last = left[0] === 'ann' ? ann : ben
    const refused = await send('DELETE', `/Users/${last}`)
    assert.deepEqual([refused.status, refused.json.detail], [409, `${left[0]} is the last administrator`])
    assert.equal((await send('GET', `/Users/${last}`)).json.active, true, 'nothing of it was done')
  })
})

describe('a user whom SCIM deletes', () => {
  it('is gone there, disabled here, and the same account again only with the same externalId', async () => {
    const { provider, directory } = await world()
    const send = await provider('corp')
    const id = await make(send, 'ann', { externalId: 'e1' })
    const group = (await send('POST', '/Groups', { displayName: 'devs', members: [{ value: id }] })).json.id
    assert.equal((await send('DELETE', `/Users/${id}`)).status, 204)
    for (const [method, body] of [['GET'], ['DELETE'], ['PUT', user('ann')]] as const)
      assert.equal((await send(method, `/Users/${id}`, body)).status, 404)
    assert.equal((await send('GET', '/Users')).json.totalResults, 0)
    assert.deepEqual((await send('GET', `/Groups/${group}`)).json.members, [])
    assert.deepEqual([directory.user('ann')?.disabled, directory.user('ann')?.groups], [true, []])
    const other = await send('POST', '/Users', user('ann', { externalId: 'e2' }))
    assert.deepEqual([other.status, other.json.scimType], [409, 'uniqueness'], 'a new person of the same name')
    assert.equal((await send('POST', '/Users', user('ann'))).status, 409)
    const anonymous = await make(send, 'cat')
    await send('DELETE', `/Users/${anonymous}`)
    assert.equal((await send('POST', '/Users', user('cat'))).status, 409, 'nothing tells that it is the same person')
    const again = await send('POST', '/Users', user('ann.new', { externalId: 'e1' }))
    assert.equal(again.status, 201)
    assert.notEqual(again.json.id, id)
    assert.deepEqual([directory.user('ann')?.disabled, directory.user('ann.new')], [false, undefined])
  })

  it('is made anew when an administrator removed the account', async () => {
    const { provider, accounts, directory } = await world()
    const send = await provider('corp')
    const id = await make(send, 'ann')
    await accounts.users.remove('ann', 'admin')
    assert.equal((await send('PUT', `/Users/${id}`, user('ann', { active: false }))).status, 200)
    assert.equal(directory.user('ann'), undefined, 'not for somebody who is inactive')
    assert.equal((await send('PUT', `/Users/${id}`, user('ann', { active: true }))).status, 200)
    assert.equal(directory.user('ann')?.disabled, false)
  })
})

describe('accounts that SCIM did not make', () => {
  it('are never joined by name, but when an administrator links them', async () => {
    const { provider, accounts, directory, federation } = await world()
    const send = await provider('corp')
    await accounts.users.create({ name: 'ann', email: 'ann@corp.test' }, 'admin')
    const draft = user('ann', { externalId: 'e1', emails: [{ value: 'ann@corp.test' }] })
    const refused = await send('POST', '/Users', draft)
    assert.equal(refused.status, 409)
    assert.match(refused.json.detail, /an administrator can link/)
    assert.equal((await send('GET', '/Users')).json.totalResults, 0, 'nothing is left of it')
    await federation.link('corp', 'e1', 'ann')
    assert.equal((await send('POST', '/Users', draft)).status, 201)
    const { id } = (await send('GET', '/Users')).json.Resources[0]
    await send('DELETE', `/Users/${id}`)
    assert.equal(directory.user('ann')?.disabled, true)
  })

  it('are those of the log-in that the setting names, before and after it', async () => {
    const { provider, federation, directory } = await world()
    await federation.admit(said('sso', 'early', 'early-bird'))
    const send = await provider('corp', { log_in_with: 'sso' })
    await make(send, 'ann', { externalId: 's-ann' })
    const id = await make(send, 'early-worm', { externalId: 'early' })
    assert.equal(directory.user('early-worm'), undefined)
    assert.equal((await federation.admit(said('sso', 's-ann', 'something else'))).name, 'ann')
    await assert.rejects(federation.admit(said('sso', 's-other', 'ann')), { code: 'name_taken' })
    await send('PATCH', `/Users/${id}`, patch({ op: 'replace', path: 'active', value: false }))
    await assert.rejects(federation.admit(said('sso', 'early', 'early-bird')), { kind: 'forbidden' })
  })

  it('are found by name or verified address only where the setting says so', async () => {
    const { provider, providers, federation } = await world()
    const send = await provider('corp', { log_in_with: 'sso', log_in_match: 'user_name' })
    await make(send, 'Ann', { emails: [{ value: 'Ann@corp.test', type: 'work' }] })
    await make(send, 'ben', { emails: [{ value: 'ben@corp.test' }] })
    assert.equal((await federation.admit(said('sso', '1', 'ANN'))).name, 'ann')
    await providers.update('corp', { settings: { log_in_with: 'sso', log_in_match: 'email' } })
    const ben = { ...said('sso', '2', 'benny'), email: 'BEN@corp.test' }
    assert.equal((await federation.admit(ben)).name, 'benny', 'the address is not verified')
    assert.equal((await federation.admit({ ...ben, subject: '3', emailVerified: true })).name, 'ben')
    await assert.rejects(providers.update('corp', { settings: { log_in_with: 'nobody' } }), { kind: 'invalid' })
    await assert.rejects(providers.update('corp', { settings: { log_in_with: 'corp' } }), { kind: 'invalid' })
  })
})

describe('groups of SCIM', () => {
  it('cost as many records as people come or go, however many are in them', async () => {
    const { provider, ledger, directory } = await world()
    const send = await provider('corp')
    const ids = await many(send, 60)
    const group = await send('POST', '/Groups', { displayName: 'all', members: ids.map((value) => ({ value })) })
    const path = `/Groups/${group.json.id}`
    assert.equal(directory.all('user').filter((one) => one.groups.includes('all')).length, 60)
    const last = await make(send, 'last')
    const commits = counted(ledger)
    await send('PATCH', path, patch({ op: 'add', path: 'members', value: [{ value: last }] }))
    await send('PATCH', path, patch({ op: 'add', path: 'members', value: [{ value: last }] }))
    await send('PATCH', path, patch({ op: 'remove', path: `members[value eq "${ids[0]}"]` }))
    await send('PUT', path, { displayName: 'all', members: ids.slice(1).map((value) => ({ value })) })
    assert.deepEqual(commits(), [1, 1, 1])
    const all = ids.slice(1).map((value) => ({ value }))
    await send(
      'PATCH',
      path,
      patch({ op: 'replace', path: 'members', value: all }, { op: 'replace', path: 'displayName', value: 'all' }),
    )
    assert.deepEqual(commits(), [1, 1, 1], 'the same again is no change')
  })

  it('leave local ones alone, and are kept apart from them and from another provider’s', async () => {
    const { provider, accounts, directory } = await world()
    const send = await provider('corp')
    const other = await provider('corp2', { group_prefix: 'two/' })
    await accounts.groups.create('ops', 'made here', 'admin')
    const refused = await send('POST', '/Groups', { displayName: 'ops' })
    assert.deepEqual([refused.status, refused.json.scimType], [409, 'uniqueness'])
    const ann = await make(send, 'ann')
    const ben = await make(other, 'ben')
    await accounts.groups.setMember('ops', 'ann', true, 'admin')
    const devs = (await send('POST', '/Groups', { displayName: 'devs', members: [{ value: ann }] })).json.id
    const stranger = await other('POST', '/Groups', { displayName: 'devs', members: [{ value: ann }] })
    assert.deepEqual([stranger.status, stranger.json.scimType], [400, 'invalidValue'], 'a user of the other one')
    assert.equal((await other('GET', `/Users/${ann}`)).status, 404)
    assert.equal((await other('DELETE', `/Groups/${devs}`)).status, 404)
    assert.equal((await other('GET', filtered('/Users', 'userName pr'))).json.totalResults, 1)
    await other('POST', '/Groups', { displayName: 'devs', members: [{ value: ben }] })
    assert.deepEqual([directory.user('ann')?.groups, directory.user('ben')?.groups], [['ops', 'devs'], ['two/devs']])
    const third = await provider('corp3')
    assert.equal((await third('POST', '/Groups', { displayName: 'devs' })).status, 409)
    assert.equal((await third('POST', '/Groups', { displayName: 'two/devs' })).status, 409)
    assert.equal(
      (await send('PATCH', `/Groups/${devs}`, patch({ op: 'replace', path: 'displayName', value: 'ops' }))).status,
      409,
    )
    assert.deepEqual(directory.user('ann')?.groups, ['ops', 'devs'])
    await send('DELETE', `/Groups/${devs}`)
    assert.deepEqual(directory.user('ann')?.groups, ['ops'])
  })

  it('become local ones where an administrator mapped them', async () => {
    const { provider, accounts, directory } = await world()
    await accounts.groups.create('ops', '', 'admin')
    const send = await provider('corp', { group_map: { Operations: ['ops'] } })
    const ann = await make(send, 'ann')
    for (const displayName of ['Operations', 'Others'])
      assert.equal((await send('POST', '/Groups', { displayName, members: [{ value: ann }] })).status, 201)
    assert.deepEqual(directory.user('ann')?.groups, ['ops'])
  })

  it('go with their provider, and the people stay', async () => {
    const { provider, providers, directory, ledger } = await world()
    const send = await provider('corp')
    const ann = await make(send, 'ann')
    await send('POST', '/Groups', { displayName: 'devs', members: [{ value: ann }] })
    await providers.remove('corp', 'admin')
    assert.deepEqual([directory.user('ann')?.groups, directory.user('ann')?.disabled], [[], false])
    assert.equal(ledger.state.accessAll('token').length, 0)
    const { rows } = await database.pool.query('select from scim_user union all select from scim_group')
    assert.equal(rows.length, 0)
  })
})

describe('a change that fails half way', () => {
  it('leaves nobody in who seems to be out, and is repaired by the same request', async () => {
    const { provider, ledger, directory } = await world()
    const send = await provider('corp')
    const id = await make(send, 'ann')
    const group = (await send('POST', '/Groups', { displayName: 'devs', members: [{ value: id }] })).json.id
    const commit = ledger.commit.bind(ledger)
    const fail = () => {
      ledger.commit = async () => {
        throw new RegistryError('unavailable', 'The database cannot be reached at the moment')
      }
    }
    const off = patch({ op: 'replace', path: 'active', value: false })
    const out = patch({ op: 'remove', path: 'members' })
    fail()
    assert.equal((await send('PATCH', `/Users/${id}`, off)).status, 503)
    assert.equal((await send('PATCH', `/Groups/${group}`, out)).status, 503)
    assert.equal((await send('POST', '/Users', user('ben'))).status, 503)
    ledger.commit = commit
    assert.equal((await send('GET', `/Users/${id}`)).json.active, true)
    assert.equal((await send('GET', `/Groups/${group}`)).json.members.length, 1)
    assert.equal((await send('PATCH', `/Groups/${group}`, out)).status, 204)
    assert.deepEqual(directory.user('ann')?.groups, [])
    await send('PATCH', `/Users/${id}`, off)
    assert.equal(directory.user('ann')?.disabled, true)
    assert.equal((await send('POST', '/Users', user('ben'))).status, 201)
  })

  it('makes nobody twice, nor somebody else, when the answer was lost', async () => {
    const { provider, ledger, directory } = await world()
    const send = await provider('corp')
    const commit = ledger.commit.bind(ledger)
    ledger.commit = async (proposal) => {
      await commit(proposal)
      throw new RegistryError('unavailable', 'The answer was lost')
    }
    assert.equal((await send('POST', '/Users', user('ann', { externalId: 'e1' }))).status, 503)
    ledger.commit = commit
    assert.equal(directory.user('ann')?.disabled, false)
    assert.equal((await send('POST', '/Users', user('ann', { externalId: 'e1' }))).status, 201)
    const { id } = (await send('GET', '/Users')).json.Resources[0]
    await send('PATCH', `/Users/${id}`, patch({ op: 'replace', path: 'active', value: false }))
    assert.equal(directory.user('ann')?.disabled, true)
    ledger.commit = async (proposal) => {
      await commit(proposal)
      throw new RegistryError('unavailable', 'The answer was lost')
    }
    assert.equal((await send('POST', '/Users', user('ben', { externalId: 'e2' }))).status, 503)
    ledger.commit = commit
    assert.equal((await send('POST', '/Users', user('ben', { externalId: 'e3' }))).status, 409, 'another person')
  })
})

async function make(send: Client, name: string, more: object = {}): Promise<string> {
  const { status, json } = await send('POST', '/Users', user(name, more))
  assert.equal(status, 201, JSON.stringify(json))
  return json.id
}

async function many(send: Client, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < count; i++) ids.push(await make(send, `user-${i}`))
  return ids
}

/** How many records each commit from now on has. */
function counted(ledger: Awaited<ReturnType<typeof scimWorld>>['ledger']): () => number[] {
  const sizes: number[] = []
  const commit = ledger.commit.bind(ledger)
  ledger.commit = (proposal) => {
    sizes.push(proposal.steps.length)
    return commit(proposal)
  }
  return () => sizes
}

function said(provider: string, subject: string, name: string): Identity {
  return { provider, subject, name, email: '', emailVerified: false, groups: undefined, admin: undefined }
}

function present<T>(value: T | undefined): T {
  assert.ok(value !== undefined)
  return value
}
