import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Repositories, type RepositoryDraft } from '../../primary/repositories.js'
import type { SettingChanges } from '../../primary/setting-changes.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import { FLEET } from '../../protocol/records.js'

const LOCAL: RepositoryDraft = { key: 'one', format: 'npm', type: 'local' }

describe('a new repository', () => {
  const refused: [string, Partial<RepositoryDraft>, string][] = [
    ['an empty key', { key: '' }, 'key_invalid'],
    ['upper case', { key: 'One' }, 'key_invalid'],
    ['a slash', { key: 'a/b' }, 'key_invalid'],
    ['dots at the beginning', { key: '..' }, 'key_invalid'],
    ['a key of 64 characters', { key: 'a'.repeat(64) }, 'key_invalid'],
    ['a reserved key', { key: 'api' }, 'key_reserved'],
    ['the name of a format', { key: 'npm' }, 'key_reserved'],
    ['an unknown format', { format: 'cobol' }, 'format_unknown'],
    ['a type that is not offered', { type: 'remote', upstream: 'https://up.example' }, 'type_unknown'],
    ['an upstream where there is none', { upstream: 'https://up.example' }, 'invalid'],
    ['a time to live where there is no upstream', { metadataTtlSeconds: 5 }, 'invalid'],
    ['credentials where there is no upstream', { credential: { kind: 'bearer', token: 't' } }, 'invalid'],
    ['members of a local one', { members: ['x'] }, 'invalid'],
    ['a member that is not there', { type: 'virtual', members: ['absent'] }, 'member_missing'],
    ['a member of another format', { type: 'virtual', members: ['files'] }, 'member_format'],
    ['a member twice', { type: 'virtual', members: ['pkgs', 'pkgs'] }, 'invalid'],
    ['itself as a member', { type: 'virtual', members: ['one'] }, 'member_missing'],
  ]
  for (const [what, part, code] of refused)
    it(`with ${what} is refused`, async () => {
      const { repositories } = await world()
      await assert.rejects(repositories.create({ ...LOCAL, ...part }, 'admin'), { kind: 'invalid', code })
    })

  it('gets a scope of its own, and another one when it is made again', async () => {
    const { repositories } = await world()
    const first = await repositories.create(LOCAL, 'admin')
    await assert.rejects(repositories.create(LOCAL, 'admin'), { kind: 'conflict', code: 'repository_exists' })
    await repositories.remove('one', 'admin')
    assert.notEqual((await repositories.create(LOCAL, 'admin')).scope, first.scope)
  })

  it('is made once by two at the same moment', async () => {
    const { repositories } = await world()
    const made = await Promise.allSettled([1, 2, 3].map(() => repositories.create(LOCAL, 'admin')))
    assert.equal(made.filter((one) => one.status === 'fulfilled').length, 1)
  })

  for (const upstream of [
    'ftp://x',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'https://user:pw@x',
    'x',
    'https://x/#y',
  ])
    it(`is refused with the upstream ${upstream}`, async () => {
      const { repositories } = await world(['local', 'remote', 'virtual'])
      await assert.rejects(repositories.create({ ...LOCAL, type: 'remote', upstream }, 'admin'), { kind: 'invalid' })
    })
})

describe('a remote repository', () => {
  const remote: RepositoryDraft = {
    key: 'far',
    format: 'npm',
    type: 'remote',
    upstream: 'https://one.example/npm',
    metadataTtlSeconds: 5,
    credential: { kind: 'bearer', token: 't' },
  }
  async function kept() {
    const ledger = await MemoryLedger.open()
    const set = new Map<string, unknown>()
    const credentials = {
      set: async (scope: string, one: unknown) => void (one ? set.set(scope, one) : set.delete(scope)),
    }
    const formats = ['npm', 'generic']
    const types = ['local', 'remote'] as const
    const options = { metadata: ledger.state, ledger, formats, remoteFormats: ['npm'], types, credentials }
    const repositories = new Repositories(options)
    return { repositories, set, ledger, record: await repositories.create(remote, 'admin') }
  }

  it('keeps its credentials apart from its record', async () => {
    const { set, record, ledger } = await kept()
    assert.deepEqual(set.get(record.scope), { origin: 'https://one.example', credential: remote.credential })
    assert.equal(record.metadataTtlSeconds, 5)
    assert.equal(JSON.stringify(ledger.log).includes('bearer'), false)
  })

  it('loses its credentials when its upstream becomes another host, and when it is removed', async () => {
    const { repositories, set, record } = await kept()
    await repositories.update('far', { upstream: 'https://one.example/other' }, 'admin')
    assert.equal(set.size, 1)
    await repositories.update('far', { upstream: 'https://two.example/' }, 'admin')
    assert.equal(set.size, 0)
    await repositories.update('far', { credential: { kind: 'bearer', token: 'new' } }, 'admin')
    assert.equal(set.has(record.scope), true)
    await repositories.remove('far', 'admin')
    assert.equal(set.size, 0)
  })

  it('of a format that cannot be read from an upstream is refused', async () => {
    const { repositories } = await kept()
    const draft = { ...remote, key: 'other', format: 'generic' }
    await assert.rejects(repositories.create(draft, 'admin'), { kind: 'invalid', code: 'type_unknown' })
  })
})

describe('a repository', () => {
  it('is changed in what is given, and a quota can be taken away', async () => {
    const { repositories } = await world()
    await repositories.create({ ...LOCAL, quota: 5 }, 'admin')
    const changed = await repositories.update('one', { public: true, description: 'd' }, 'admin')
    assert.deepEqual([changed.public, changed.description, changed.quota], [true, 'd', 5])
    assert.equal((await repositories.update('one', { quota: 0 }, 'admin')).quota, 0)
    assert.ok(!('quota' in (await repositories.update('one', { quota: null }, 'admin'))))
    await assert.rejects(repositories.update('absent', {}, 'admin'), { kind: 'missing' })
    await assert.rejects(repositories.update('one', { upstream: 'https://x' }, 'admin'), { kind: 'invalid' })
  })

  it('has the settings that its format offers, with values that it offers', async () => {
    const ledger = await MemoryLedger.open()
    const offered = {
      colour: { description: '', values: ['red', 'blue'] },
      size: { description: '', values: { from: 1, to: 3 } },
    }
    const settings = (format: string) => (format === 'npm' ? offered : undefined)
    const types = ['local', 'virtual'] as const
    const repositories = new Repositories({
      metadata: ledger.state,
      ledger,
      formats: ['npm', 'generic'],
      types,
      settings,
    })
    const made = await repositories.create({ ...LOCAL, settings: { colour: 'red' } }, 'admin')
    assert.deepEqual(made.settings, { colour: 'red' })
    const change = (changes: SettingChanges) => repositories.update('one', { settings: changes }, 'admin')
    assert.deepEqual((await change({ size: 3 })).settings, { colour: 'red', size: 3 })
    assert.deepEqual((await repositories.update('one', { name: 'n' }, 'admin')).settings, { colour: 'red', size: 3 })
    const wrong: SettingChanges[] = [{ colour: 'green' }, { size: 4 }, { size: 1.5 }, { size: '1' }, { other: 1 }]
    for (const changes of [...wrong, { constructor: 1 } as unknown as SettingChanges])
      await assert.rejects(change(changes), { kind: 'invalid', code: 'setting_invalid' })
    assert.ok(!('settings' in (await change({ colour: null, size: null }))))
    for (const draft of [
      { key: 'two', format: 'generic', type: 'local' },
      { key: 'two', format: 'npm', type: 'virtual' },
    ] as const)
      await assert.rejects(repositories.create({ ...draft, settings: { colour: 'red' } }, 'admin'), { kind: 'invalid' })
  })

  it('that is a member cannot go; its grants go with it, those by pattern stay', async () => {
    const { repositories, ledger } = await world()
    await repositories.create({ key: 'v', format: 'npm', type: 'virtual', members: ['pkgs'] }, 'admin')
    for (const [id, repository] of [
      ['g1', 'pkgs'],
      ['g2', 'p*'],
    ] as const) {
      const record = {
        id,
        subject: { kind: 'user' as const, name: 'a' },
        repository,
        path: '',
        actions: ['read' as const],
      }
      await ledger.commit({ scope: FLEET, steps: [{ kind: 'access', subject: 'grant', id, record }], by: 'test' })
    }
    await assert.rejects(repositories.remove('pkgs', 'admin'), { kind: 'conflict', code: 'repository_in_use' })
    await repositories.removeMember('v', 'pkgs', 'admin')
    await repositories.remove('pkgs', 'admin')
    assert.deepEqual(
      ledger.state.accessAll('grant').map((grant) => grant.id),
      ['g2'],
    )
  })
})

describe('members', () => {
  it('are in order of their priorities, whatever the order in which they came', async () => {
    const { repositories } = await world()
    for (const key of ['a', 'b', 'c']) await repositories.create({ ...LOCAL, key }, 'admin')
    await repositories.create({ key: 'v', format: 'npm', type: 'virtual' }, 'admin')
    await repositories.addMember('v', 'a', 20, 'admin')
    await repositories.addMember('v', 'b', 10, 'admin')
    assert.deepEqual((await repositories.addMember('v', 'c', undefined, 'admin')).members, ['b', 'a', 'c'])
    const moved = await repositories.addMember('v', 'c', 1, 'admin')
    assert.deepEqual(
      [moved.members, moved.priorities],
      [
        ['c', 'b', 'a'],
        [1, 10, 20],
      ],
    )
    await repositories.removeMember('v', 'b', 'admin')
    await assert.rejects(repositories.removeMember('v', 'b', 'admin'), { kind: 'missing' })
  })

  it('never go in circles', async () => {
    const { repositories } = await world()
    for (const key of ['x1', 'x2', 'x3']) await repositories.create({ key, format: 'npm', type: 'virtual' }, 'admin')
    await repositories.addMember('x1', 'x2', 1, 'admin')
    await repositories.addMember('x2', 'x3', 1, 'admin')
    for (const [key, member] of [
      ['x1', 'x1'],
      ['x2', 'x1'],
      ['x3', 'x1'],
    ] as const)
      await assert.rejects(repositories.addMember(key, member, 1, 'admin'), { kind: 'invalid', code: 'member_cycle' })
    await assert.rejects(repositories.addMember('pkgs', 'x1', 1, 'admin'), { kind: 'invalid' })
  })
})

async function world(types: RepositoryDraft['type'][] = ['local', 'virtual']) {
  const ledger = await MemoryLedger.open()
  const repositories = new Repositories({ metadata: ledger.state, ledger, formats: ['npm', 'generic'], types })
  await repositories.create({ key: 'pkgs', format: 'npm', type: 'local' }, 'admin')
  await repositories.create({ key: 'files', format: 'generic', type: 'local' }, 'admin')
  return { ledger, repositories }
}
