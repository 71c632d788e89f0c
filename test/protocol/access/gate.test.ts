import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Gate } from '../../../protocol/access/gate.js'
import { isScope, scopesAdminister, scopesWithin } from '../../../protocol/access/scope.js'
import { isTokenText, newToken } from '../../../protocol/access/token.js'
import { TokenUses } from '../../../protocol/access/uses.js'
import { RegistryError } from '../../../protocol/errors.js'
import { MemoryLedger } from '../../../protocol/metadata/memory.js'
import type { Principal } from '../../../protocol/ports.js'
import {
  type Action,
  FLEET,
  type GrantRecord,
  type RepositoryRecord,
  type Step,
  type TokenRecord,
  type UserRecord,
} from '../../../protocol/records.js'

const START = Date.parse('2026-01-01T00:00:00Z')

describe('decisions', () => {
  const rows: { who: string; action: Action; repository: string; path?: string; allowed: boolean }[] = [
    { who: 'anonymous', action: 'read', repository: 'open', allowed: true },
    { who: 'anonymous', action: 'write', repository: 'open', allowed: false },
    { who: 'anonymous', action: 'read', repository: 'closed', allowed: false },
    { who: 'root', action: 'admin', repository: 'closed', allowed: true },
    { who: 'root with read:open', action: 'read', repository: 'closed', allowed: false },
    { who: 'root with read:open', action: 'write', repository: 'open', allowed: false },
    { who: 'root with read', action: 'read', repository: 'closed', allowed: true },
    { who: 'root with read', action: 'delete', repository: 'closed', allowed: false },
    { who: 'root with admin', action: 'delete', repository: 'closed', allowed: true },
    { who: 'root with admin:open', action: 'write', repository: 'open', allowed: true },
    { who: 'root with admin:open', action: 'write', repository: 'closed', allowed: false },
    { who: 'ann', action: 'read', repository: 'closed', allowed: true },
    { who: 'ann', action: 'write', repository: 'closed', allowed: true },
    { who: 'ann', action: 'delete', repository: 'closed', allowed: false },
    { who: 'ann', action: 'read', repository: 'closed-2', allowed: false },
    { who: 'ann with read', action: 'write', repository: 'closed', allowed: false },
    { who: 'ann with write:open', action: 'read', repository: 'open', allowed: true },
    { who: 'bob', action: 'read', repository: 'closed', allowed: false },
    { who: 'bob', action: 'read', repository: 'closed', path: 'team/x.tgz', allowed: true },
    { who: 'bob', action: 'read', repository: 'closed', path: '/team/x.tgz', allowed: true },
    { who: 'bob', action: 'read', repository: 'closed', path: 'teams/x.tgz', allowed: false },
    { who: 'bob', action: 'write', repository: 'closed', path: 'team/x.tgz', allowed: false },
    { who: 'bob', action: 'read', repository: 'closed-2', path: 'team/x.tgz', allowed: false },
    { who: 'cleo', action: 'delete', repository: 'team-a', allowed: true },
    { who: 'cleo', action: 'admin', repository: 'team-a', allowed: true },
    { who: 'cleo', action: 'read', repository: 'team', allowed: false },
    { who: 'ann by robot', action: 'delete', repository: 'closed-2', allowed: false },
    { who: 'ann by robot', action: 'read', repository: 'closed', allowed: true },
    { who: 'ann by robot', action: 'write', repository: 'closed', allowed: false },
    { who: 'ann by robot', action: 'read', repository: 'closed-2', allowed: false },
    { who: 'ann with read:closed/docs/', action: 'read', repository: 'closed', path: 'docs/a', allowed: true },
    { who: 'ann with read:closed/docs/', action: 'read', repository: 'closed', path: 'src/a', allowed: false },
    { who: 'ann with read:closed/docs/', action: 'read', repository: 'closed', allowed: false },
    { who: 'ann with read:closed/docs/', action: 'read', repository: 'open', path: 'src/a', allowed: true },
    { who: 'ann with read:closed/*.pom', action: 'read', repository: 'closed', path: 'a/b.pom', allowed: true },
    { who: 'ann with read:closed/*.pom', action: 'read', repository: 'closed', path: 'a/b.jar', allowed: false },
    { who: 'dora', action: 'read', repository: 'vault', path: 'a', allowed: true },
    { who: 'dora', action: 'read', repository: 'vault', path: 'sealed/a', allowed: false },
    { who: 'dora', action: 'read', repository: 'vault', allowed: false },
    { who: 'dora', action: 'write', repository: 'vault', path: 'sealed/a', allowed: true },
    { who: 'dora', action: 'delete', repository: 'vault', path: 'a', allowed: false },
    { who: 'dora', action: 'read', repository: 'lobby', path: 'hidden/a', allowed: false },
    { who: 'anonymous', action: 'read', repository: 'lobby', path: 'hidden/a', allowed: true },
    { who: 'anonymous', action: 'read', repository: 'lobby', allowed: false },
    { who: 'anonymous', action: 'read', repository: 'lobby', path: 'members/a', allowed: false },
    { who: 'bob', action: 'read', repository: 'lobby', path: 'members/a', allowed: true },
    { who: 'anonymous', action: 'write', repository: 'inbox', path: 'in/a', allowed: true },
    { who: 'anonymous', action: 'write', repository: 'inbox', path: 'a', allowed: false },
    { who: 'bob', action: 'write', repository: 'inbox', path: 'in/a', allowed: true },
    { who: 'ann with read', action: 'write', repository: 'inbox', path: 'in/a', allowed: true },
    { who: 'root', action: 'read', repository: 'vault', path: 'sealed/a', allowed: true },
    { who: 'eve', action: 'audit', repository: 'vault', allowed: true },
    { who: 'eve', action: 'read', repository: 'vault', allowed: false },
    { who: 'eve', action: 'admin', repository: 'vault', allowed: false },
    { who: 'fay', action: 'write', repository: 'api', allowed: true },
    { who: 'fay', action: 'delete', repository: 'api', allowed: false },
    { who: 'fay', action: 'write', repository: 'vault', allowed: false },
    { who: 'gil', action: 'delete', repository: 'api', allowed: true },
    { who: 'gil', action: 'read', repository: 'api', allowed: false },
    { who: 'hal', action: 'read', repository: 'api', allowed: false },
    { who: 'node:n1', action: 'read', repository: 'closed', allowed: true },
    { who: 'node:n1', action: 'write', repository: 'closed', allowed: false },
    { who: 'node:n1', action: 'read', repository: 'team-a', allowed: false },
    { who: 'node:n2', action: 'read', repository: 'open', allowed: false },
  ]
  for (const { who, action, repository, path, allowed } of rows) {
    it(`${who} ${allowed ? 'may' : 'may not'} ${action} ${repository}${path ? ` at ${path}` : ''}`, async () => {
      const { gate, principal, repositoryOf } = await world()
      for (const round of ['computed', 'remembered']) {
        const decision = gate.decide(await principal(who), action, repositoryOf(repository), path)
        assert.equal(decision.allowed, allowed, `${round}: ${decision.reason}`)
        assert.match(decision.reason, /\.$/)
      }
    })
  }

  it('follow a role that changes, a project that changes, and a group that somebody leaves', async () => {
    const { gate, principal, repositoryOf, commit, ledger } = await world()
    const may = async (who: string, action: Action) =>
      gate.decide(await principal(who), action, repositoryOf('api')).allowed
    const role = { name: 'cleaner', description: '', actions: ['read' as const], createdAt: '' }
    await commit({ kind: 'access', subject: 'role', id: 'cleaner', record: role })
    assert.deepEqual([await may('gil', 'delete'), await may('gil', 'read')], [false, true])
    await commit({ kind: 'access', subject: 'role', id: 'cleaner', record: null })
    assert.equal(await may('gil', 'read'), false)
    const fay = ledger.state.access('user', 'fay') ?? assert.fail()
    await commit({ kind: 'access', subject: 'user', id: 'fay', record: { ...fay, groups: [] } })
    assert.equal(await may('fay', 'write'), false)
    await commit({ kind: 'access', subject: 'user', id: 'fay', record: fay })
    assert.equal(await may('fay', 'write'), true)
    await commit({ kind: 'access', subject: 'project', id: 'shop', record: null })
    assert.equal(await may('fay', 'write'), false)
  })

  it('let an auditor see everything that is set up, and change nothing', async () => {
    const { gate, principal, repositoryOf, commit } = await world()
    const eve = await principal('eve')
    assert.deepEqual([gate.mayAudit(eve), gate.mayAdminister(eve)], [true, false])
    assert.equal(gate.sees(eve, repositoryOf('vault')), true)
    assert.deepEqual(gate.reach(eve, repositoryOf('vault')), [''])
    await commit(grant('g-part', 'bob', 'team-*', { role: 'auditor', actions: [] }))
    assert.equal(gate.mayAudit(await principal('bob')), false, 'of some repositories only')
    assert.equal(gate.mayAudit(await principal('root with read')), false)
    assert.equal(gate.mayAudit(gate.anonymous), false)
  })

  it('tell what the paths that may be looked at begin with', async () => {
    const { gate, principal, repositoryOf, commit } = await world()
    const reach = async (who: string, key: string) => gate.reach(await principal(who), repositoryOf(key))
    assert.deepEqual(await reach('ann', 'closed'), [''])
    assert.deepEqual(await reach('bob', 'closed-2'), [])
    assert.deepEqual(await reach('bob', 'closed'), ['team/'])
    assert.deepEqual(await reach('dora', 'vault'), [''])
    assert.deepEqual(await reach('ann with read:closed/docs/', 'closed'), ['docs/'])
    for (const [id, path] of [
      ['g-b', 'b/*/x'],
      ['g-a', '/a'],
      ['g-team', 'team/one/'],
    ] as const)
      await commit(grant(id, 'bob', 'closed', { path, actions: ['read'] }))
    assert.deepEqual(await reach('bob', 'closed'), ['a', 'b/', 'team/'])
  })

  it('give a project to those whose role there includes admin', async () => {
    const { gate, principal, ledger, addToken } = await world()
    const project = ledger.state.access('project', 'shop') ?? assert.fail()
    const manages = async (who: string) => gate.manages(await principal(who), project)
    assert.deepEqual([await manages('ivy'), await manages('fay'), await manages('root')], [true, false, true])
    await addToken('ivy', ['read'])
    await addToken('ivy', ['admin'])
    assert.deepEqual([await manages('ivy with read'), await manages('ivy with admin')], [false, true])
    assert.deepEqual(
      [gate.seesProject(await principal('fay'), project), gate.seesProject(await principal('bob'), project)],
      [true, false],
    )
  })

  it('are made anew when a grant goes away', async () => {
    const { gate, principal, repositoryOf, commit } = await world()
    assert.equal(gate.decide(await principal('ann'), 'read', repositoryOf('closed')).allowed, true)
    await commit({ kind: 'access', subject: 'grant', id: 'g1', record: null })
    assert.equal(gate.decide(await principal('ann'), 'read', repositoryOf('closed')).allowed, false)
  })

  it('are made anew for anonymous when a repository is closed', async () => {
    const { gate, repositoryOf, commit } = await world()
    const open = repositoryOf('open')
    assert.equal(gate.decide(gate.anonymous, 'read', open).allowed, true)
    await commit({ kind: 'repository', key: 'open', record: { ...open, public: false } })
    assert.equal(gate.decide(gate.anonymous, 'read', repositoryOf('open')).allowed, false)
  })

  it('let those with a grant for a path see that the repository exists, and nobody else', async () => {
    const { gate, principal, repositoryOf, addToken } = await world()
    assert.equal(gate.sees(await principal('bob'), repositoryOf('closed')), true)
    assert.equal(gate.sees(await principal('bob'), repositoryOf('closed-2')), false)
    assert.equal(gate.sees(gate.anonymous, repositoryOf('closed')), false)
    assert.equal(gate.sees(gate.anonymous, repositoryOf('open')), true)
    await addToken('root', ['delete:closed'])
    assert.equal(gate.sees(await principal('root with delete:closed'), repositoryOf('closed')), true)
    assert.equal(gate.sees(await principal('root with delete:closed'), repositoryOf('vault')), false)
  })

  it('give the system only to administrators whose token was not narrowed', async () => {
    const { gate, principal } = await world()
    assert.equal(gate.mayAdminister(await principal('root')), true)
    assert.equal(gate.mayAdminister(await principal('root with admin')), true)
    assert.equal(gate.mayAdminister(await principal('root with admin:open')), false)
    assert.equal(gate.mayAdminister(await principal('root with read')), false)
    assert.equal(gate.mayAdminister(await principal('ann')), false)
    assert.equal(gate.mayAdminister(gate.anonymous), false)
  })

  it('can close public repositories to anonymous', async () => {
    const { ledger, principal, repositoryOf } = await world()
    const closed = new Gate(ledger.state, { verify: async () => false }, { anonymousReads: false })
    assert.equal(closed.decide(closed.anonymous, 'read', repositoryOf('open')).allowed, false)
    assert.equal(closed.decide(await principal('bob'), 'read', repositoryOf('open')).allowed, true)
  })
})

describe('credentials', () => {
  it('are taken as Bearer, as a Basic password and as a Basic user name', async () => {
    const { gate, tokenOf } = await world()
    const value = tokenOf('ann with *')
    for (const header of [
      `Bearer ${value}`,
      `bearer  ${value}`,
      basic(`ann:${value}`),
      basic(`__token__:${value}`),
      basic(`${value}:`),
      basic(`:${value}`),
    ]) {
      const principal = gate.authenticate(header)
      assert.ok(!(principal instanceof Promise), 'a token never waits')
      assert.equal(principal.name, 'ann')
      assert.equal(gate.authenticate(header), principal, 'the same object again')
    }
  })

  const refused = [
    '',
    'Bearer',
    'Bearer x',
    'Digest abc',
    'Basic !!',
    basic('ann'),
    basic('ann:'),
    basic('ann:  '),
    basic(':pw'),
    basic('ann:a\0b'),
    'Basic /////w==',
    `Bearer cairn_${'a'.repeat(43)}`,
    `Bearer ${'a'.repeat(9000)}`,
  ]
  for (const header of refused) {
    it(`refuse ${JSON.stringify(header.slice(0, 40))} without repeating it`, async () => {
      const { gate } = await world()
      await assert.rejects(
        async () => gate.authenticate(header),
        (error) =>
          error instanceof RegistryError &&
          error.kind === 'unauthenticated' &&
          !(header.length > 20 && error.message.includes(header)),
      )
    })
  }

  it('end when the token expires, also where they are remembered', async () => {
    const { gate, clock, addToken } = await world()
    const value = await addToken('ann', ['*'], new Date(START + 1000).toISOString())
    assert.equal((await gate.authenticate(`Bearer ${value}`)).name, 'ann')
    clock.ms = START + 1000
    assert.throws(() => gate.authenticate(`Bearer ${value}`), { kind: 'unauthenticated', code: 'token_expired' })
  })

  it('end when the token is revoked, the user disabled or deleted', async () => {
    for (const what of ['token', 'disabled', 'deleted']) {
      const { gate, tokenOf, commit, ledger } = await world()
      const header = `Bearer ${tokenOf('ann with *')}`
      const { token, user } = await gate.authenticate(header)
      assert.ok(token && user)
      if (what === 'token') await commit({ kind: 'access', subject: 'token', id: token.id, record: null })
      else
        await commit({
          kind: 'access',
          subject: 'user',
          id: 'ann',
          record: what === 'deleted' ? null : { ...user, disabled: true },
        })
      assert.throws(() => gate.authenticate(header), { kind: 'unauthenticated' }, what)
      assert.ok(ledger.state.configured > 0)
    }
  })

  it('by password are asked for once, then remembered for a minute', async () => {
    const { gate, clock, asked } = await world()
    const header = basic('ann:right')
    const all = await Promise.all([gate.authenticate(header), gate.authenticate(header), gate.authenticate(header)])
    assert.equal(new Set(all).size, 1)
    assert.equal(asked.length, 1, 'parallel requests share one check')
    assert.equal((await gate.authenticate(header)).name, 'ann')
    assert.equal(asked.length, 1)
    clock.ms += 60_000
    await gate.authenticate(header)
    assert.equal(asked.length, 2)
  })

  it('by password are asked for again when the user record changes', async () => {
    const { gate, asked, commit, ledger } = await world()
    await gate.authenticate(basic('ann:right'))
    const user = ledger.state.access('user', 'ann')
    assert.ok(user)
    await commit({ kind: 'access', subject: 'user', id: 'ann', record: { ...user } })
    await gate.authenticate(basic('ann:right'))
    assert.equal(asked.length, 2)
  })

  it('by password are refused when the user changes while they are being checked', async () => {
    const { ledger, commit } = await world()
    const user = ledger.state.access('user', 'ann')
    assert.ok(user)
    const passwords = {
      async verify() {
        await commit({ kind: 'access', subject: 'user', id: 'ann', record: { ...user } })
        return true
      },
    }
    const gate = new Gate(ledger.state, passwords)
    await assert.rejects(async () => gate.authenticate(basic('ann:right')), { kind: 'unauthenticated' })
  })

  it('by password are kept over other changes of the configuration', async () => {
    const { gate, asked, addToken } = await world()
    await gate.authenticate(basic('ann:right'))
    await addToken('root', ['*'])
    assert.equal((await gate.authenticate(basic('ann:right'))).name, 'ann')
    assert.equal(asked.length, 1)
  })

  it('by password are checked for unknown users too, and refused alike', async () => {
    const { gate, asked } = await world()
    const errors: string[] = []
    for (const header of [basic('ann:wrong'), basic('nobody:right'), basic('gone:right')])
      await assert.rejects(
        async () => gate.authenticate(header),
        (error: Error) => errors.push(error.message) > 0,
      )
    assert.equal(new Set(errors).size, 1)
    assert.equal(asked.length, 3)
  })

  it('cost a look-up among 100,000 tokens right after one was added', async () => {
    const { gate, ledger, addToken } = await world()
    const steps: Step[] = []
    for (let i = 0; i < 100_000; i++) {
      const hash = i.toString(16).padStart(64, '0')
      const id = hash.slice(-32)
      steps.push({ kind: 'access', subject: 'token', id, record: tokenRecord(id, hash, 'ann', ['*']) })
    }
    ledger.state.note(
      steps.map((step, i) => ({ number: 1000 + i, change: { ...step, scope: FLEET, at: '', by: '' } })),
      ledger.state.head,
    )
    await gate.authenticate(`Bearer ${await addToken('ann', ['*'])}`)
    const value = await addToken('ann', ['read'])
    const before = performance.now()
    assert.equal((await gate.authenticate(`Bearer ${value}`)).name, 'ann')
    assert.ok(performance.now() - before < 50)
  })
})

describe('tokens', () => {
  it('carry a checksum that tells a mistyped one without a look-up', async () => {
    const { value } = newToken(() => new Uint8Array(32).fill(255))
    assert.match(value, /^cairn_[0-9A-Za-z]{49}$/)
    assert.equal(isTokenText(value), true)
    const other = value.replace(/.$/, (last) => (last === '0' ? '1' : '0'))
    assert.equal(isTokenText(other), false)
    assert.equal(isTokenText(`cairn_${'-'.repeat(43)}`), true, 'the older kind')
    const { gate } = await world()
    assert.throws(() => gate.authenticate(`Bearer ${other}`), { kind: 'unauthenticated' })
  })

  it('have their last use noted once a minute, with the address', async () => {
    const { ledger, clock, tokenOf } = await world()
    const uses = new TokenUses(() => clock.ms)
    const gate = new Gate(ledger.state, { verify: async () => false }, { nowMs: () => clock.ms, uses })
    const header = `Bearer ${tokenOf('ann with *')}`
    gate.authenticate(header, '192.0.2.1')
    clock.ms += 59_000
    gate.authenticate(header, '192.0.2.2')
    gate.known(header, { remote: '192.0.2.2' })
    const [first, ...others] = uses.take()
    assert.deepEqual([first?.remote, first?.at, others.length], ['192.0.2.1', new Date(START).toISOString(), 0])
    clock.ms += 1_000
    gate.known(header, { remote: '192.0.2.3' })
    assert.deepEqual(
      uses.take().map(({ remote }) => remote),
      ['192.0.2.3'],
    )
  })
})

describe('scopes', () => {
  it('have a grammar', () => {
    for (const good of ['*', 'read', 'admin', 'audit:*', 'write:npm-*', 'delete:a.b_c-d', 'read:a/b/c:d', 'read:a/'])
      assert.equal(isScope(good), true, good)
    for (const bad of [
      '',
      'Read',
      'reads',
      'read:',
      'read:A',
      '*:x',
      'read:a b',
      'read:a:b',
      'read:a/b c',
      'read/a',
      `read:${'a'.repeat(64)}`,
    ])
      assert.equal(isScope(bad), false, bad)
  })

  it('never make a stronger token', () => {
    const rows: [string[], string[], boolean][] = [
      [['read'], ['*'], true],
      [['*'], ['admin'], false],
      [['write:a'], ['admin'], true],
      [['write:a'], ['write:*'], true],
      [['write:a-*'], ['write:a-*'], true],
      [['write:a-*'], ['write:a*'], false],
      [['write:ab'], ['write:a*'], true],
      [['write'], ['write:a*'], false],
      [['write:a'], ['read:a'], false],
      [['read', 'write'], ['read'], false],
      [['read:a/x/y'], ['read:a/x'], true],
      [['read:a/x'], ['read:a/x/y'], false],
      [['read:a'], ['read:a/x'], false],
      [['read:a/x*z'], ['read:a/x'], false],
      [['read:a/x*z'], ['read:a*'], true],
      [['read:a/xyz'], ['read:a/x*z'], true],
    ]
    for (const [wanted, held, within] of rows) assert.equal(scopesWithin(wanted, held), within, `${wanted} in ${held}`)
  })

  it('for one repository leave the system alone', () => {
    assert.equal(scopesAdminister(['admin:npm-local']), false)
    assert.equal(scopesAdminister(['read', 'admin']), true)
  })
})

async function world() {
  const clock = { ms: START }
  const asked: string[] = []
  const ledger = await MemoryLedger.open(() => new Date(clock.ms).toISOString())
  const commit = (...steps: Step[]) => ledger.commit({ scope: FLEET, steps, by: 'test' })
  const passwords = {
    async verify(user: string, password: string) {
      asked.push(user)
      return password === 'right'
    },
  }
  const gate = new Gate(ledger.state, passwords, { nowMs: () => clock.ms })
  const values = new Map<string, string>()
  for (const key of ['open', 'closed', 'closed-2', 'team', 'team-a', 'vault', 'inbox', 'api', 'lobby'])
    await commit({ kind: 'repository', key, record: repository(key) })
  for (const user of [
    person('root', { admin: true }),
    person('ann'),
    person('bob'),
    person('cleo', { groups: ['team'] }),
    person('gone', { disabled: true }),
    person('dora', { groups: ['vaults', 'sealed-out'] }),
    person('eve'),
    person('fay', { groups: ['shop-team'] }),
    person('gil'),
    person('hal'),
    person('ivy'),
  ])
    await commit({ kind: 'access', subject: 'user', id: user.name, record: user })
  const addToken = async (user: string, scopes: string[], expiresAt?: string) => {
    const { value, id, hash } = newToken()
    await commit({
      kind: 'access',
      subject: 'token',
      id,
      record: { ...tokenRecord(id, hash, user, scopes), ...(expiresAt ? { expiresAt } : {}) },
    })
    values.set(`${user} with ${scopes}`, value)
    return value
  }
  for (const [user, scope] of [
    ['root', 'read:open'],
    ['root', 'read'],
    ['root', 'admin'],
    ['root', 'admin:open'],
    ['ann', 'read'],
    ['ann', 'write:open'],
    ['ann', '*'],
    ['ann', 'read:closed/docs/'],
    ['ann', 'read:closed/*.pom'],
  ])
    await addToken(user ?? '', [scope ?? ''])
  const robot = newToken()
  values.set('ann by robot', robot.value)
  await commit({
    kind: 'access',
    subject: 'token',
    id: robot.id,
    record: tokenRecord(robot.id, robot.hash, 'ann', ['*']),
  })
  const grants: GrantRecord[] = [
    { id: 'g1', subject: { kind: 'user', name: 'ann' }, repository: 'closed', path: '', actions: ['read', 'write'] },
    { id: 'g2', subject: { kind: 'user', name: 'bob' }, repository: 'closed', path: 'team/', actions: ['read'] },
    { id: 'g3', subject: { kind: 'group', name: 'team' }, repository: 'team-*', path: '', actions: ['admin'] },
    { id: 'g4', subject: { kind: 'token', name: robot.id }, repository: 'closed-2', path: '', actions: ['delete'] },
    {
      id: 'g5',
      subject: { kind: 'token', name: robot.id },
      repository: '*',
      path: '',
      actions: [],
      denied: ['write'],
      effect: 'deny',
    },
  ]
  const groupGrant = (id: string, name: string, repository: string, more: Partial<GrantRecord>) =>
    grant(id, '', repository, { subject: { kind: 'group', name }, ...more })
  await commit(
    groupGrant('g6', 'vaults', 'vault', { role: 'developer', actions: [] }),
    groupGrant('g7', 'sealed-out', 'v*', { path: 'sealed/', actions: [], denied: ['read'], effect: 'deny' }),
    groupGrant('g8', 'sealed-out', 'lobby', { path: 'hidden/', role: 'admin', actions: [], effect: 'deny' }),
    grant('g9', 'anonymous', 'lobby', { path: 'members/', actions: [], denied: ['read'], effect: 'deny' }),
    grant('g10', 'anonymous', 'inbox', { path: 'in/', actions: ['write'] }),
    grant('g11', 'eve', '*', { role: 'auditor', actions: [] }),
    grant('g12', 'root', '*', { actions: [], denied: ['read'], effect: 'deny' }),
    grant('g13', 'hal', '*', { role: 'nobody-made-it', actions: [] }),
    {
      kind: 'access',
      subject: 'role',
      id: 'cleaner',
      record: { name: 'cleaner', description: '', actions: ['delete'], createdAt: '' },
    },
    {
      kind: 'access',
      subject: 'project',
      id: 'shop',
      record: {
        key: 'shop',
        name: 'Shop',
        description: '',
        members: [
          { kind: 'group', name: 'shop-team', role: 'developer' },
          { kind: 'user', name: 'gil', role: 'cleaner' },
          { kind: 'user', name: 'ivy', role: 'admin' },
        ],
        createdAt: '',
      },
    },
  )
  for (const grant of grants) await commit({ kind: 'access', subject: 'grant', id: grant.id, record: grant })
  for (const [id, revoked] of [
    ['n1', false],
    ['n2', true],
  ] as const)
    await commit({
      kind: 'access',
      subject: 'node',
      id,
      record: { id, name: id, peer: 'p', publicKey: 'k', repositories: ['closed*', 'open'], revoked, createdAt: '' },
    })
  return {
    gate,
    ledger,
    clock,
    asked,
    commit,
    addToken,
    tokenOf: (name: string) => values.get(name) ?? assert.fail(name),
    async principal(who: string): Promise<Principal> {
      if (who === 'anonymous') return gate.anonymous
      if (who.startsWith('node:')) return gate.node(who.slice(5))
      const value = values.get(who)
      return gate.authenticate(value ? `Bearer ${value}` : basic(`${who}:right`))
    },
    repositoryOf: (key: string) => ledger.state.repository(key) ?? assert.fail(key),
  }
}

function basic(pair: string): string {
  return `Basic ${Buffer.from(pair).toString('base64')}`
}

function grant(id: string, name: string, repository: string, more: Partial<GrantRecord>): Step {
  const record = { id, subject: { kind: 'user' as const, name }, repository, path: '', actions: [], ...more }
  return { kind: 'access', subject: 'grant', id, record }
}

function repository(key: string): RepositoryRecord {
  return {
    scope: `s-${key}`,
    key,
    name: key,
    format: 'generic',
    type: 'local',
    public: key === 'open' || key === 'lobby',
    ...(key === 'api' ? { project: 'shop' } : {}),
    redeploy: false,
    description: '',
    members: [],
    createdAt: '',
  }
}

function person(name: string, more: Partial<UserRecord> = {}): UserRecord {
  return { id: name, name, email: '', admin: false, disabled: false, groups: [], createdAt: '', ...more }
}

function tokenRecord(id: string, hash: string, user: string, scopes: string[]): TokenRecord {
  return { id, hash, name: 'test', user, scopes, createdAt: '', use: 'api' }
}
