/** Signing on with an LDAP directory: a real OpenLDAP server with 5,000 people and a few groups. */
import assert from 'node:assert/strict'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { after, before, beforeEach, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { PasswordHashes } from '../../primary/accounts/password.js'
import { PrimaryAccounts } from '../../primary/accounts.js'
import { ldap } from '../../primary/identity/ldap/provider.js'
import { tokenHash } from '../../protocol/access/token.js'
import { RegistryError } from '../../protocol/errors.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import { missing } from '../clients/client.js'
import { freePort } from '../support/fleet.js'
import { testIdentity } from '../support/identity.js'
import { type TestDatabase, testDatabase } from '../support/postgres.js'
import { dnOf, GROUPS, PEOPLE, READER, SLAPD, type TestSlapd, testSlapd } from '../support/slapd.js'

const PASSWORD = 'correct horse'
const ADMIN = 'battery staple'
const ANN = '11111111-2222-4333-8444-555555555555'

describe('a directory', { timeout: 120_000, ...missing(SLAPD) }, () => {
  let database: TestDatabase
  let corp: TestSlapd
  before(async () => {
    database = await testDatabase()
    corp = await testSlapd({ people: PERSONS, crowd: 5000, groups: COMPANY })
  })
  after(async () => {
    await corp?.close()
    await database.close()
  })
  let world: Awaited<ReturnType<typeof build>>
  beforeEach(async () => {
    world = await build()
  })

  const build = async () => {
    await database.pool.query('truncate identity, identity_provider, password, refresh_token')
    const ledger = await MemoryLedger.open()
    const clock = { ms: Date.now() }
    const accounts: PrimaryAccounts = new PrimaryAccounts({
      pool: database.pool,
      ledger,
      metadata: ledger.state,
      key: Buffer.alloc(32, 7),
      hashes: new PasswordHashes(1024),
      elsewhere: (user, password) => identity.providers.password(user, password),
    })
    await accounts.firstStart(ADMIN)
    const identity = testIdentity(database.pool, accounts, [ldap], () => clock.ms)
    const configure = (settings: object, key = 'corp') =>
      identity.providers.create({
        key,
        kind: 'ldap',
        title: key,
        enabled: true,
        settings: { ...usual(corp), ...settings },
      })
    const login = async (user: string, password = PASSWORD) => {
      await accounts.signIn(user, password)
      return accounts.directory.user(user) ?? assert.fail(user)
    }
    const user = (name: string) => accounts.directory.user(name) ?? assert.fail(name)
    return { ...identity, accounts, configure, login, user, clock }
  }

  it('lets somebody in by the password there, over TLS, with an account made from what it says', async () => {
    await world.configure({ urls: [corp.ldaps], group_base: GROUPS, admin_groups: ['root'] })
    const ann = await world.login('ann')
    assert.deepEqual([ann.email, ann.admin, ann.groups.includes('dev')], ['ann@corp.test', false, true])
    assert.equal((await world.login('boss')).admin, true)
    const [linked] = await world.federation.linked('corp')
    assert.deepEqual([linked?.subject, linked?.user], [ANN, 'ann'])
    assert.equal((await world.login('u4999', 'password of u4999')).name, 'u4999')
    assert.deepEqual(world.faults, [])
  })

  it('lets nobody in by another password, or a name that is not there, and says the same of both', async () => {
    await world.configure({})
    const refusals = new Set<string>()
    for (const [user, password] of [
      ['ann', 'wrong'],
      ['nobody', PASSWORD],
      ['without-password', PASSWORD],
      ['ann', `${PASSWORD} `],
    ] as const)
      await assert.rejects(world.accounts.signIn(user, password), (error) => {
        assert(error instanceof RegistryError)
        refusals.add(`${error.kind} ${error.code} ${error.message}`)
        return true
      })
    assert.equal(refusals.size, 1)
    assert.deepEqual(world.faults, [])
  })

  it('never hears of a password that is empty, blank or holds control characters', async () => {
    await world.configure({ user_dn: `uid={user},${PEOPLE}` })
    await corp.kill()
    try {
      for (const password of ['', ' ', '\t', '\0', `${PASSWORD}\0`])
        await assert.rejects(
          world.accounts.signIn('ann', password),
          { kind: 'unauthenticated' },
          JSON.stringify(password),
        )
      const signal = AbortSignal.timeout(5_000)
      const provider = ldap.open('x', ldap.settings.parse(usual(corp)), world.parts)
      for (const password of ['', ' ', '\0'])
        assert.equal(await provider.password?.('ann', password, signal), undefined, JSON.stringify(password))
    } finally {
      await corp.start()
    }
  })

  it('finds nobody by a name that would be a filter', async () => {
    await world.configure({ user_filter: '(|(uid={user})(mail={user}))' })
    for (const user of [
      '*',
      'an*',
      '*)(uid=*',
      'ann)(&)',
      'ann)(|(uid=*',
      '\\2a',
      'a\\6en',
      'ann\0',
      '$&',
      '(',
      ' ',
      '',
    ])
      assert.equal(await world.providers.password(user, PASSWORD), undefined, user)
    assert.deepEqual(world.faults, [])
    assert.equal((await world.providers.password('odd (one)*', PASSWORD))?.name, 'odd-one')
    assert.equal((await world.providers.password('jörg', PASSWORD))?.name, 'jorg')
  })

  it('binds by a name made from what was typed, of which nothing is taken for more than a value', async () => {
    await world.configure({ user_dn: `uid={user},${PEOPLE}` })
    for (const user of ['ann,ou=people', 'ann+cn=ann', `ann,${PEOPLE}`, 'ann\\,', '#616e6e', 'ann"', '\\61nn'])
      assert.equal(await world.providers.password(user, PASSWORD), undefined, user)
    assert.deepEqual(world.faults, [])
    assert.equal((await world.login('ann')).email, 'ann@corp.test')
    assert.equal((await world.providers.password('comma, the', PASSWORD))?.name, 'comma-the')
  })

  it('lets nobody in whom the filter leaves out, also by a name that was made', async () => {
    const user_filter = '(&(uid={user})(!(mail=twin@corp.test)))'
    await world.configure({ user_dn: `uid={user},${PEOPLE}`, user_filter })
    await world.login('ann')
    await assert.rejects(world.accounts.signIn('bob', PASSWORD), { kind: 'unauthenticated' })
  })

  it('needs nobody who searches where people may read what they are', async () => {
    const { bind_dn: _, bind_password: __, ...rest } = usual(corp)
    const settings = { ...rest, user_dn: `uid={user},${PEOPLE}`, group_base: GROUPS }
    await world.providers.create({ key: 'own', kind: 'ldap', title: 'own', enabled: true, settings })
    assert.equal((await world.login('ann')).groups.includes('eng'), true)
  })

  it('lets nobody in when two are found', async () => {
    await world.configure({ user_filter: '(|(uid={user})(mail={user}))' })
    assert.equal(await world.providers.password('twin@corp.test', PASSWORD), undefined)
    assert.deepEqual(await reasonOf(world.providers.test('corp', 'twin@corp.test')), 'user_ambiguous')
  })

  it('tells groups of groups, round in a circle too, page by page', async () => {
    await world.configure({ group_base: GROUPS, page_size: 10 })
    assert.deepEqual((await world.login('ann')).groups, ['=Admins, of all', 'all', 'dev', 'eng'])
    assert.equal((await world.login('busy')).groups.length, 120)
    assert.deepEqual(world.faults, [])
  })

  it('tells the groups of somebody alone where nesting does not count', async () => {
    await world.configure({ group_base: GROUPS, group_nesting: 'none' })
    assert.deepEqual((await world.login('ann')).groups, ['=Admins, of all', 'dev'])
  })

  it('tells groups whose members are names', async () => {
    const settings = { group_member_attribute: 'cn', group_member: 'name', group_filter: '(objectClass=groupOfNames)' }
    await world.configure({ ...settings, group_base: GROUPS })
    assert.deepEqual((await world.login('g7')).groups, ['g7'])
    assert.deepEqual((await world.login('ann')).groups, [])
  })

  it('tells groups by their whole names, whose spellings are one', async () => {
    await world.configure({
      group_base: GROUPS,
      group_name_attribute: 'dn',
      group_map: { 'CN = Dev , OU=Groups,DC=Corp,DC=test': ['developers'] },
      admin_groups: [`cn=\\3Dadmins\\2C  OF all,${GROUPS.toUpperCase()}`],
      login_groups: [`CN=\\45ng,${GROUPS}`],
    })
    const { groups, admin } = await world.login('ann')
    assert.deepEqual([groups, admin], [['developers'], true])
    await assert.rejects(world.accounts.signIn('bob', PASSWORD), { kind: 'forbidden' })
  })

  it('lets only members of the groups in that may log in, which other members take with them', async () => {
    await world.configure({ group_base: GROUPS, login_groups: ['eng'] })
    await world.login('ann')
    await assert.rejects(world.accounts.signIn('bob', PASSWORD), { kind: 'forbidden', code: 'not_admitted' })
    await assert.rejects(world.accounts.signIn('bob', 'wrong'), { kind: 'unauthenticated' })
  })

  it('speaks StartTLS, and is told nothing without it', async () => {
    await world.configure({ urls: [corp.ldap] })
    await world.login('ann')
    const bare = await testSlapd({ people: PERSONS, isWithoutTls: true })
    try {
      assert.equal(await reasonOf(world.configure({ urls: [bare.ldap] }, 'bare')), 'starttls_refused')
      await world.configure({ urls: [bare.ldap], allow_plain: true }, 'bare')
    } finally {
      await bare.close()
    }
  })

  it('is refused when its certificate does not fit', async () => {
    const strangers = { ...usual(corp), ca: undefined }
    for (const urls of [[corp.ldaps], [corp.ldap]])
      assert.equal(await reasonOf(world.configure({ ...strangers, urls })), 'certificate_refused')
    for (const certificate of [{ isOver: true }, { host: 'other.test' }]) {
      const unfit = await testSlapd({ certificate })
      try {
        for (const urls of [[unfit.ldaps], [unfit.ldap]])
          assert.equal(await reasonOf(world.configure({ urls, ca: unfit.ca })), 'certificate_refused')
      } finally {
        await unfit.close()
      }
    }
  })

  it('is refused with what is wrong with it', async () => {
    const nobody = await freePort()
    for (const [settings, reason] of [
      [{ urls: [`ldaps://127.0.0.1:${nobody}`] }, 'connection_refused'],
      [{ urls: [corp.ldaps, `ldaps://127.0.0.1:${nobody}`] }, 'connection_refused'],
      [{ urls: ['ldaps://no-such-host.invalid'] }, 'name_unresolved'],
      [{ urls: ['ldaps://10.0.0.1'] }, 'upstream_forbidden'],
      [{ bind_password: 'wrong' }, 'bind_refused'],
      [{ user_base: 'ou=nowhere,dc=corp,dc=test' }, 'base_missing'],
      [{ group_base: 'ou=nowhere,dc=corp,dc=test' }, 'base_missing'],
      [{ user_filter: '(uid={user}' }, 'settings_invalid'],
      [{ user_filter: '(uid=ann)' }, 'settings_invalid'],
      [{ user_base: 'nowhere' }, 'settings_invalid'],
      [{ user_dn: '{user}@corp.test' }, 'settings_invalid'],
      [{ urls: ['ldaps://user:secret@127.0.0.1'] }, 'settings_invalid'],
      [{ urls: ['https://127.0.0.1'] }, 'settings_invalid'],
      [{ bind_dn: 'EXTERNAL' }, 'settings_invalid'],
      [{ ca: 'no certificate' }, 'settings_invalid'],
    ] as const)
      assert.equal(await reasonOf(world.configure(settings)), reason, JSON.stringify(settings))
  })

  it('shows an administrator whom it finds, without a password', async () => {
    await world.configure({ group_base: GROUPS })
    const found = await world.providers.test('corp', 'ann')
    assert.deepEqual([found?.subject, found?.email, found?.groups?.length], [ANN, 'ann@corp.test', 4])
    assert.equal(await reasonOf(world.providers.test('corp', 'nobody')), 'user_missing')
  })

  it('says which of many values it takes, and takes none that is no text', async () => {
    await world.configure({})
    assert.equal((await world.login('many')).email, 'a@corp.test')
    await world.configure({ name_attribute: 'userPKCS12' }, 'other')
    await assert.rejects(
      world.providers.test('other', 'picture').then((found) => world.federation.admit(found ?? assert.fail())),
      {
        code: 'name_refused',
      },
    )
    await world.configure({ id_attribute: 'mail' }, 'by-mail')
    assert.equal(await reasonOf(world.providers.test('by-mail', 'many')), 'id_unusable')
    assert.equal(await reasonOf(world.providers.test('by-mail', 'picture')), 'id_unusable')
  })

  it('knows somebody who is called otherwise now, and not who took the name', async () => {
    await world.configure({})
    await world.login('ann')
    await corp.change(async (root) => {
      await root.modifyDN(dnOf('ann'), 'uid=ann-married')
      await root.add(dnOf('ann'), {
        objectClass: 'inetOrgPerson',
        uid: 'ann',
        cn: 'ann',
        sn: 'ann',
        userPassword: PASSWORD,
      })
    })
    try {
      assert.equal((await world.providers.password('ann-married', PASSWORD))?.name, 'ann')
      await assert.rejects(world.accounts.signIn('ann', PASSWORD), { kind: 'forbidden', code: 'name_taken' })
    } finally {
      await corp.change(async (root) => {
        await root.del(dnOf('ann'))
        await root.modifyDN(dnOf('ann-married'), 'uid=ann')
      })
    }
  })

  it('is Active Directory with a preset: ids of bytes, and nobody who is disabled', async () => {
    await world.configure({
      preset: 'active-directory',
      group_filter: '(objectClass=groupOfNames)',
      group_nesting: 'none',
    })
    await world.login('ad-one')
    const [linked] = await world.federation.linked('corp')
    assert.equal(linked?.subject, '03020100-0504-0706-8889-8a8b8c8d8eff')
    assert.equal(await world.providers.password('ad-off', PASSWORD), undefined)
    assert.deepEqual(await world.providers.sync('corp', false), { ...NOTHING, accounts: 1 })
  })

  it('goes on with the next server when one is dead or hangs', async () => {
    const [dead, hung] = [await freePort(), await hanging()]
    try {
      const urls = [`ldaps://127.0.0.1:${dead}`, `ldaps://127.0.0.1:${hung.port}`, corp.ldaps]
      const settings = ldap.settings.parse({ ...usual(corp), urls, timeout_seconds: 1 })
      const provider = ldap.open('corp', settings, world.parts)
      assert.equal((await provider.password?.('ann', PASSWORD, AbortSignal.timeout(9_000)))?.subject, ANN)
    } finally {
      await hung.close()
    }
  })

  it('that is down takes no local account with it, and lets nobody in by what it said before', async () => {
    await world.configure({})
    await world.login('ann')
    await corp.kill()
    try {
      await assert.rejects(world.accounts.signIn('ann', PASSWORD), { kind: 'unavailable' })
      await assert.rejects(world.accounts.signIn('nobody', PASSWORD), { kind: 'unavailable' })
      assert.equal((await world.accounts.signIn('admin', ADMIN)).user.name, 'admin')
    } finally {
      await corp.start()
    }
    await world.login('ann')
  })

  describe('that is compared', () => {
    it('takes sessions and tokens from who is gone, and gives the account back to who returns', async () => {
      await world.configure({ group_base: GROUPS })
      const { accessToken } = await world.accounts.signIn('bob', PASSWORD)
      await world.login('ann')
      await corp.change((root) => root.modifyDN(dnOf('bob'), `uid=bob,${GROUPS}`))
      try {
        assert.deepEqual(await world.providers.sync('corp', false), { ...NOTHING, accounts: 2, deactivated: ['bob'] })
      } finally {
        await corp.change((root) => root.modifyDN(`uid=bob,${GROUPS}`, dnOf('bob')))
      }
      assert.equal(world.user('bob').disabled, true)
      assert.equal(
        world.accounts.directory.tokensOf('bob').some(({ hash }) => hash === tokenHash(accessToken)),
        false,
      )
      assert.equal(world.user('ann').disabled, false)
      assert.deepEqual(await world.providers.sync('corp', false), { ...NOTHING, accounts: 2, reactivated: ['bob'] })
      assert.equal(world.user('bob').disabled, false)
      assert.deepEqual(await world.providers.sync('corp', false), { ...NOTHING, accounts: 2 })
    })

    it('leaves who was disabled by an administrator disabled', async () => {
      await world.configure({})
      await world.login('bob')
      await world.accounts.users.update('bob', { disabled: true }, 'admin')
      assert.deepEqual(await world.providers.sync('corp', false), { ...NOTHING, accounts: 1 })
      assert.equal(world.user('bob').disabled, true)
      await assert.rejects(world.accounts.signIn('bob', PASSWORD), { kind: 'forbidden' })
    })

    it('refreshes groups, and takes out who has left those that may log in', async () => {
      await world.configure({ group_base: GROUPS, login_groups: ['dev', 'root'] })
      await world.login('ann')
      await world.login('boss')
      const replaced = (members: string[]) => (root: Parameters<Parameters<TestSlapd['change']>[0]>[0]) =>
        root
          .del(`cn=dev,${GROUPS}`)
          .then(() => root.add(`cn=dev,${GROUPS}`, { objectClass: 'groupOfNames', member: members }))
      await corp.change(replaced([dnOf('boss')]))
      try {
        assert.deepEqual(await world.providers.sync('corp', false), { ...NOTHING, accounts: 2, deactivated: ['ann'] })
        assert.deepEqual(world.user('boss').groups, ['all', 'dev', 'eng', 'root'])
      } finally {
        await corp.change(replaced(COMPANY['cn=dev'] ?? []))
      }
    })

    it('deactivates many at once only when that is forced', async () => {
      await world.configure({})
      for (let i = 0; i < 22; i++) {
        const found = await world.providers.test('corp', `u${i}`)
        await world.federation.admit(found ?? assert.fail())
      }
      const settings = { ...usual(corp), user_filter: '(&(uid={user})(|(uid=u1)(uid=u10)))' }
      await world.providers.update('corp', { settings })
      await assert.rejects(world.providers.sync('corp', false), {
        kind: 'conflict',
        code: 'sync_refused',
        message: /20 of 22/,
      })
      assert.equal(world.user('u5').disabled, false)
      const { deactivated } = await world.providers.sync('corp', true)
      assert.equal(deactivated.length, 20)
      assert.deepEqual([world.user('u5').disabled, world.user('u10').disabled], [true, false])
    })

    it('deactivates nobody when it dies, or when the settings say so, and never the last administrator', async () => {
      await world.configure({ group_base: GROUPS, admin_groups: ['root'] })
      await world.login('boss')
      await world.login('ann')
      await world.accounts.users.update('admin', { disabled: true }, 'boss')
      await corp.kill()
      await assert.rejects(world.providers.sync('corp', true), { kind: 'unavailable' })
      await corp.start()
      assert.equal(world.user('ann').disabled, false)
      const gone = { ...usual(corp), user_filter: '(&(uid={user})(uid=zz))', deactivate: false }
      await world.providers.update('corp', { settings: gone })
      assert.deepEqual(await world.providers.sync('corp', false), { ...NOTHING, accounts: 2 })
      await world.providers.update('corp', { settings: { ...gone, deactivate: true } })
      assert.deepEqual(await world.providers.sync('corp', false), {
        ...NOTHING,
        accounts: 2,
        deactivated: ['ann'],
        kept: ['boss'],
      })
    })

    it('deactivates nobody when it is killed in the middle', async () => {
      await world.configure({ group_base: GROUPS })
      await world.login('ann')
      const ids: string[] = []
      await corp.change(async (root) => {
        const { searchEntries } = await root.search(PEOPLE, { filter: '(uid=u*)', attributes: ['entryUUID'] })
        ids.push(...searchEntries.map(({ entryUUID }) => String(entryUUID)))
      })
      assert.equal(ids.length, 5000)
      // So many that it takes a while.
      await database.pool.query(
        "insert into identity (provider, subject, user_name, groups, last_at) select 'corp', id, 'u-' || id, '{}', now() from unnest($1::text[]) as id",
        [ids],
      )
      const outcome = reasonOf(world.providers.sync('corp', true))
      await delay(700)
      await corp.kill()
      try {
        assert.match(await outcome, /^(no_answer|connection_refused|provider_unavailable)$/)
        assert.equal(world.user('ann').disabled, false)
      } finally {
        await corp.start()
      }
    })

    it('is compared once in a while by itself', async () => {
      await world.configure({ sync_minutes: 30 })
      await world.login('bob')
      await world.providers.tick()
      await corp.change((root) => root.modifyDN(dnOf('bob'), `uid=bob,${GROUPS}`))
      try {
        await world.providers.tick()
        assert.equal(world.user('bob').disabled, false, 'not yet')
        world.clock.ms += 31 * 60_000
        await world.providers.tick()
        assert.equal(world.user('bob').disabled, true)
      } finally {
        await corp.change((root) => root.modifyDN(`uid=bob,${GROUPS}`, dnOf('bob')))
      }
      assert.deepEqual(world.faults, [])
    })
  })
})

const NOTHING = { accounts: 0, deactivated: [], reactivated: [], kept: [] }

const PERSONS = [
  { uid: 'ann', id: ANN, password: PASSWORD, more: ['mail: ann@corp.test'] },
  { uid: 'bob', password: PASSWORD, more: ['mail: twin@corp.test'] },
  { uid: 'boss', password: PASSWORD, more: ['mail: twin@corp.test'] },
  { uid: 'busy', password: PASSWORD },
  { uid: 'odd (one)*', password: PASSWORD },
  { uid: 'comma, the', password: PASSWORD },
  { uid: 'many', password: PASSWORD, more: ['mail: z@corp.test', 'mail: a@corp.test'] },
  { uid: 'picture', password: PASSWORD, more: ['userPKCS12:: /wD+'] },
  { uid: 'jörg', password: PASSWORD },
  { uid: 'g7', password: PASSWORD },
  { uid: 'without-password' },
  active('ad-one', 512, 'AAECAwQFBgeIiYqLjI2O/w=='),
  active('ad-off', 514, 'AAECAwQFBgeIiYqLjI2O/g=='),
]

const COMPANY: Record<string, string[]> = {
  'cn=dev': [dnOf('ann'), `cn=all,${GROUPS}`],
  'cn=eng': [`cn=dev,${GROUPS}`],
  'cn=all': [`cn=eng,${GROUPS}`],
  'cn=root': [dnOf('boss')],
  'cn=\\3DAdmins\\, of all': [dnOf('ann')],
  ...Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`cn=g${i}`, [dnOf('busy')]])),
}

function active(uid: string, control: number, guid: string) {
  const more = ['objectClass: user', 'objectCategory: person', `sAMAccountName: ${uid}`]
  return { uid, password: PASSWORD, more: [...more, `userAccountControl: ${control}`, `objectGUID:: ${guid}`] }
}

function usual({ ldaps, ca }: TestSlapd) {
  return { urls: [ldaps], ca, ...READER, user_base: PEOPLE }
}

/** Takes connections and says nothing. */
async function hanging() {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => void sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  return { port: (server.address() as AddressInfo).port, close }
}

function reasonOf(asked: Promise<unknown>): Promise<string> {
  return asked.then(
    () => 'works',
    (error) => (error instanceof RegistryError ? error.code : String(error)),
  )
}
