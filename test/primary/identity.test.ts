import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { PasswordHashes } from '../../primary/accounts/password.js'
import { PrimaryAccounts } from '../../primary/accounts.js'
import { admissionFields } from '../../primary/identity/admission.js'
import type { Identity } from '../../primary/identity/identity.js'
import { accountName } from '../../primary/identity/name.js'
import type { ProviderKind } from '../../primary/identity/provider.js'
import { Gate } from '../../protocol/access/gate.js'
import { RegistryError } from '../../protocol/errors.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import { testIdentity } from '../support/identity.js'
import { type TestDatabase, testDatabase } from '../support/postgres.js'

const PASSWORD = 'correct horse'
const ELSEWHERE = 'battery staple'
let database: TestDatabase
before(async () => {
  database = await testDatabase()
})
after(() => database.close())

const settings = z.strictObject({ ...admissionFields, realm: z.string(), bind_password: z.string().default('') })
type Settings = z.output<typeof settings>

describe('identities', () => {
  it('make an account at the first log-in, and find it again whatever it is called then', async () => {
    const { federation } = await world()
    const first = await federation.admit(said({ name: 'Ann Smith' }))
    assert.equal(first.name, 'ann-smith')
    const later = await federation.admit(said({ name: 'Ann Jones', email: 'ann@jones.test' }))
    assert.deepEqual([later.name, later.email], ['ann-smith', 'ann@jones.test'])
  })

  it('of another provider are another account, though the subject is the same', async () => {
    const { federation } = await world()
    const one = await federation.admit(said({ name: 'ann' }))
    const two = await federation.admit(said({ provider: 'corp2', name: 'ann2' }))
    assert.notEqual(one.name, two.name)
  })

  it('never join an account whose name they claim', async () => {
    const { federation } = await world()
    for (const name of ['admin', 'Admin', 'ADMIN', 'ａｄｍｉｎ', 'ädmin', '-admin-'])
      await assert.rejects(federation.admit(said({ name })), { kind: 'forbidden', code: 'name_taken' }, name)
    for (const name of ['', '///', 'anonymous', 'cairn'])
      await assert.rejects(federation.admit(said({ name })), { kind: 'forbidden', code: 'name_refused' }, name)
  })

  it('become an existing account when an administrator says so', async () => {
    const { federation, accounts } = await world()
    await accounts.users.create({ name: 'local', groups: ['own'] }, 'admin')
    await federation.link('corp', 'subject-1', 'local')
    const user = await federation.admit(said({ name: 'whatever', groups: ['dev'] }))
    assert.deepEqual([user.name, user.groups], ['local', ['own', 'dev']])
    assert.equal(await federation.unlink('corp', 'subject-1', 'admin'), true)
    assert.deepEqual(accounts.directory.user('local')?.groups, ['own'])
  })

  it('become the account of their address only when it is verified, the provider may, and it is no administrator', async () => {
    const { federation, accounts, configure } = await world()
    await accounts.users.create({ name: 'local', email: 'Local@corp.test' }, 'admin')
    await accounts.users.create({ name: 'boss', email: 'boss@corp.test', admin: true }, 'admin')
    const claims = said({ name: 'l', email: 'local@corp.test', emailVerified: true })
    assert.equal((await federation.admit({ ...claims, subject: 'a' })).name, 'l')
    await configure({ link_by_email: true })
    assert.equal((await federation.admit({ ...claims, subject: 'b', name: 'm', emailVerified: false })).name, 'm')
    await accounts.users.remove('l', 'admin')
    await accounts.users.remove('m', 'admin')
    assert.equal((await federation.admit({ ...claims, subject: 'c' })).name, 'local')
    const trap = { provider: 'corp2', name: 'trap', email: 'later@corp.test' }
    assert.equal((await federation.admit(said(trap))).name, 'trap')
    const later = { ...claims, subject: 'e', name: 'later', email: 'later@corp.test' }
    assert.equal((await federation.admit(later)).name, 'later', 'not who claimed the address before')
    const boss = await federation.admit({ ...claims, subject: 'd', name: 'n', email: 'boss@corp.test' })
    assert.deepEqual([boss.name, boss.admin], ['n', false])
  })

  it('never become a service account, whatever address it has', async () => {
    const { federation, accounts, configure } = await world()
    await configure({ link_by_email: true, admin_groups: ['root'] })
    await accounts.projects.create({ key: 'bots' }, 'admin')
    await accounts.users.create({ name: 'ci-bot', email: 'ci@corp.test', project: 'bots' }, 'admin')
    const claims = { name: 'cy', email: 'ci@corp.test', emailVerified: true, groups: ['root'] }
    assert.equal((await federation.admit(said(claims))).name, 'cy')
    const bot = accounts.directory.user('ci-bot')
    assert.deepEqual([bot?.admin, bot?.groups], [false, []])
  })

  it('lose the groups that the provider no longer tells, and keep the local ones', async () => {
    const { federation, accounts } = await world()
    await federation.admit(said({ name: 'ann', groups: ['dev', 'ops'] }))
    await accounts.users.update('ann', { groups: ['dev', 'ops', 'local'] }, 'admin')
    assert.deepEqual((await federation.admit(said({ groups: ['ops'] }))).groups, ['local', 'ops'])
    assert.deepEqual((await federation.admit(said({ groups: undefined }))).groups, ['local', 'ops'])
    assert.deepEqual((await federation.renew(said({ groups: [] })))?.groups, ['local'])
  })

  it('have the groups and the rights that the settings make of what is told', async () => {
    const { federation, configure } = await world()
    await configure({ group_map: { 'CN=dev': ['dev'], 'CN=all': ['dev', 'all'] }, admin_groups: ['CN=root'] })
    const user = await federation.admit(said({ name: 'ann', groups: ['CN=dev', 'CN=all', 'CN=root', 'admins'] }))
    assert.deepEqual([user.groups, user.admin], [['all', 'dev'], true])
    assert.equal((await federation.admit(said({ groups: ['CN=dev'] }))).admin, false)
    await configure({ group_prefix: 'corp/' })
    assert.deepEqual((await federation.admit(said({ groups: ['a', 'b\n'] }))).groups, ['corp/a'])
  })

  it('are let in, and stay in, only in a group that may log in, where there are such', async () => {
    const { federation, configure, accounts } = await world()
    await federation.admit(said({ name: 'ann', groups: ['dev'] }))
    await configure({ login_groups: ['ops', 'root'] })
    for (const groups of [['dev'], ['OPS'], [], undefined]) {
      await assert.rejects(federation.admit(said({ groups })), { kind: 'forbidden', code: 'not_admitted' })
      assert.equal(await federation.renew(said({ groups })), undefined)
    }
    assert.deepEqual(accounts.directory.user('ann')?.groups, ['dev'], 'nothing was changed')
    assert.deepEqual((await federation.admit(said({ groups: ['ops'] }))).groups, ['ops'])
  })

  it('of a disabled account stay out, and of one that the provider disabled come back only by it', async () => {
    const { federation, accounts } = await world()
    await federation.admit(said({ name: 'ann' }))
    await accounts.users.update('ann', { disabled: true }, 'admin')
    await assert.rejects(federation.admit(said({})), { kind: 'forbidden' })
    await federation.reactivate('corp', 'subject-1')
    assert.equal(accounts.directory.user('ann')?.disabled, true)
    await accounts.users.update('ann', { disabled: false }, 'admin')
    await federation.deactivate('corp', 'subject-1')
    await assert.rejects(federation.admit(said({})), { kind: 'forbidden' })
    await federation.reactivate('corp', 'subject-1')
    assert.equal((await federation.admit(said({}))).name, 'ann')
  })

  it('of somebody who was removed are not those of who takes the name', async () => {
    const { federation, accounts } = await world()
    await federation.admit(said({ name: 'ann' }))
    await accounts.users.remove('ann', 'admin')
    await accounts.users.create({ name: 'ann' }, 'admin')
    await assert.rejects(federation.admit(said({ name: 'ann' })), { code: 'name_taken' })
  })

  it('make no account where the provider may not', async () => {
    const { federation, configure } = await world()
    await configure({ create_accounts: false })
    await assert.rejects(federation.admit(said({ name: 'ann' })), { kind: 'forbidden' })
    assert.equal(await federation.renew(said({ name: 'ann' })), undefined)
  })

  it('have names that the grammar of names allows', () => {
    for (const [told, name] of [
      ['Jörg Müller', 'jorg-muller'],
      ['ann@corp.test', 'ann@corp.test'],
      ['CORP\\ann', 'corp-ann'],
      ['.ann.', 'ann.'],
      ['x'.repeat(200), 'x'.repeat(63)],
    ])
      assert.equal(accountName(told ?? ''), name)
  })
})

describe('providers', () => {
  it('keep their secrets to themselves, and keep those that a change leaves out', async () => {
    const { providers, pool, opened } = await world()
    await providers.create(draft('ldap1', { realm: 'one', bind_password: 'hidden-secret' }))
    assert.equal(JSON.stringify(providers.list()).includes('hidden-secret'), false)
    const { rows } = await pool.query("select settings, sealed from identity_provider where key = 'ldap1'")
    assert.equal(JSON.stringify(rows).includes('hidden-secret'), false)
    await providers.update('ldap1', { settings: { realm: 'one', group_prefix: 'x/' } })
    assert.deepEqual(opened.at(-1), {
      ...settings.parse({ realm: 'one' }),
      group_prefix: 'x/',
      bind_password: 'hidden-secret',
    })
    await assert.rejects(providers.update('ldap1', { settings: { realm: 'two' } }), { code: 'realm_changed' })
  })

  it('that are broken are refused with the reason, and change nothing', async () => {
    const { providers } = await world()
    await assert.rejects(providers.create(draft('bad', { realm: 'broken' })), {
      kind: 'invalid',
      message: /no such realm/,
    })
    await assert.rejects(providers.create(draft('bad', { realm: 'x', other: 1 })), {
      kind: 'invalid',
      message: /other/,
    })
    await assert.rejects(providers.create({ ...draft('bad', { realm: 'x' }), kind: 'saml' }), { kind: 'invalid' })
    assert.deepEqual(
      providers.list().map(({ key }) => key),
      ['corp', 'corp2'],
    )
  })

  it("that take passwords are asked where an account has none here, and one that is down is nobody else's business", async () => {
    const { providers, accounts, gate, faults } = await world()
    await providers.create(draft('a-down', { realm: 'down' }))
    const session = await accounts.signIn('eve', ELSEWHERE, '192.0.2.1')
    assert.equal(session.user.name, 'eve')
    assert.equal(faults.length, 1)
    assert.equal((await gate.authenticate(basic('frank', ELSEWHERE))).name, 'frank', 'the first log-in, by Basic')
    const before = faults.length
    assert.equal((await gate.authenticate(basic('admin', PASSWORD))).name, 'admin')
    assert.equal(faults.length, before, 'whoever has a password here does not wait for the directory')
    await assert.rejects(accounts.signIn('admin', ELSEWHERE), { kind: 'unauthenticated' })
    await assert.rejects(accounts.signIn('eve', 'wrong'), { kind: 'unavailable' })
    await providers.remove('a-down', 'admin')
    await assert.rejects(accounts.signIn('eve', 'wrong'), { kind: 'unauthenticated' })
    for (const blank of ['', ' ', '\0'])
      await assert.rejects(accounts.signIn('eve', blank), { kind: 'unauthenticated' })
    assert.deepEqual(
      asked.filter((password) => password.trim() === '' || password.includes('\0')),
      [],
    )
  })

  it('are opened again as they were', async () => {
    const one = await world()
    await one.configure({ group_prefix: 'kept/' })
    const again = testIdentity(database.pool, one.accounts, [kind([])])
    await again.providers.start()
    assert.deepEqual(again.providers.list(), one.providers.list())
    assert.deepEqual(again.faults, [])
  })
})

const asked: string[] = []

function kind(opened: Settings[]): ProviderKind<Settings> {
  return {
    kind: 'ldap',
    settings,
    secrets: ['bind_password'],
    realm: ({ realm }) => realm,
    check: async ({ realm }) => {
      if (realm === 'broken') throw new RegistryError('invalid', 'There is no such realm')
    },
    open: (key, chosen) => {
      opened.push(chosen)
      return {
        password: async (user, password) => {
          asked.push(password)
          if (chosen.realm === 'down') throw new RegistryError('unavailable', 'Nobody answers')
          return password === ELSEWHERE
            ? said({ provider: key, subject: user, name: user, groups: ['dev'] })
            : undefined
        },
      }
    },
  }
}

async function world() {
  await database.pool.query('truncate identity, identity_provider, password, refresh_token')
  const ledger = await MemoryLedger.open()
  const opened: Settings[] = []
  const accounts: PrimaryAccounts = new PrimaryAccounts({
    pool: database.pool,
    ledger,
    metadata: ledger.state,
    key: Buffer.alloc(32, 7),
    hashes: new PasswordHashes(1024),
    elsewhere: (user, password) => identity.providers.password(user, password),
  })
  await accounts.firstStart(PASSWORD)
  const identity = testIdentity(database.pool, accounts, [kind(opened)])
  const { providers } = identity
  await providers.create(draft('corp', { realm: 'corp' }))
  await providers.create(draft('corp2', { realm: 'corp2' }))
  return {
    ...identity,
    opened,
    accounts,
    pool: database.pool,
    gate: new Gate(ledger.state, accounts),
    configure: (changes: object) => providers.update('corp', { settings: { realm: 'corp', ...changes } }),
  }
}

function draft(key: string, chosen: Record<string, unknown>) {
  return { key, kind: 'ldap', title: key, enabled: true, settings: chosen }
}

function said(parts: Partial<Identity>): Identity {
  return {
    provider: 'corp',
    subject: 'subject-1',
    name: 'ann',
    email: '',
    emailVerified: false,
    groups: undefined,
    admin: undefined,
    ...parts,
  }
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}
