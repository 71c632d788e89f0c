/** What every ledger and every Metadata over it promise. Run by memory, Postgres, and a node's replica of either. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { RegistryError } from '../../protocol/errors.js'
import type { Ledger } from '../../protocol/ledger.js'
import type { Metadata } from '../../protocol/ports.js'
import {
  type Digest,
  FLEET,
  type Held,
  type LeaseRecord,
  type RepositoryRecord,
  type Step,
} from '../../protocol/records.js'

export interface Subject {
  ledger: Ledger
  metadata: Metadata
  /** Waits until `metadata` shows what the ledger acknowledged. */
  settle(): Promise<void>
  close(): Promise<void>
}

export function metadataContract(name: string, make: () => Promise<Subject>): void {
  describe(`metadata: ${name}`, () => {
    let subject: Subject
    let counter = 0
    before(async () => {
      subject = await make()
    })
    after(() => subject.close())

    async function repository(settings: Partial<RepositoryRecord> = {}): Promise<RepositoryRecord> {
      const record = repositoryRecord(`repo-${++counter}`, settings)
      await subject.ledger.commit({
        scope: FLEET,
        steps: [{ kind: 'repository', key: record.key, record }],
        by: 'admin',
      })
      return record
    }
    async function commit(record: RepositoryRecord, ...steps: Step[]) {
      const position = await subject.ledger.commit({ scope: record.scope, steps, by: 'ann' })
      await subject.settle()
      return position
    }

    it('a published version can be read with its files, tags and meta', async () => {
      const record = await repository()
      const position = await commit(record, publish('left', '1.0.0', ['left/-/left-1.0.0.tgz'], ['latest']))
      const { metadata } = subject
      assert.equal(metadata.head.number, position.number)
      assert.equal((await metadata.version(record.scope, 'left', '1.0.0'))?.meta, '{"v":"1.0.0"}')
      assert.deepEqual(await metadata.tags(record.scope, 'left'), { latest: '1.0.0' })
      assert.equal(await metadata.tag(record.scope, 'left', 'latest'), '1.0.0')
      assert.equal(await metadata.tag(record.scope, 'left', 'next'), undefined)
      assert.equal((await metadata.file(record.scope, 'left/-/left-1.0.0.tgz'))?.version, '1.0.0')
      assert.equal(await metadata.stamp(record.scope, 'left'), position.number)
      assert.equal((await metadata.package(record.scope, 'left'))?.versions, 1)
    })

    it('what an upstream offers is one record that is replaced, and holding a file of it changes nothing else', async () => {
      const record = await repository({ type: 'remote' })
      const { metadata } = subject
      const blob = (text: string) => ({ digest: digestOf(text), size: 5, root: digestOf('root'), hashes: {} })
      assert.equal(await metadata.listing(record.scope, 'far'), undefined)
      await commit(record, { kind: 'listing', package: 'far', blob: blob('one') })
      const { number } = await commit(record, { kind: 'listing', package: 'far', blob: blob('two') })
      assert.deepEqual((await metadata.listing(record.scope, 'far'))?.blob, blob('two'))
      const file: Held = { path: 'far/-/far-1.0.0.tgz', ...blob('file') }
      await commit(record, { kind: 'hold', package: 'far', version: '1.0.0', file })
      assert.equal(await metadata.stamp(record.scope, 'far'), number)
      assert.equal((await metadata.package(record.scope, 'far'))?.last, number)
      const held = await metadata.file(record.scope, file.path)
      assert.deepEqual([held?.digest, held?.package, held?.version], [file.digest, 'far', '1.0.0'])
      const other: Held = { ...file, digest: digestOf('other') }
      await assert.rejects(
        commit(record, { kind: 'hold', package: 'far', version: '1.0.0', file: other }),
        isKind('conflict'),
      )
    })

    it('numbers have no gaps, and a refused proposal takes none', async () => {
      const record = await repository()
      const first = await commit(record, publish('gap', '1.0.0', ['gap-1']))
      await assert.rejects(commit(record, publish('gap', '1.0.0', ['gap-1'], [], 'other')), isKind('conflict'))
      const second = await commit(record, publish('gap', '2.0.0', ['gap-2']))
      assert.equal(second.number, first.number + 1)
    })

    it('a published path keeps its bytes', async () => {
      const record = await repository()
      await commit(record, publish('a', '1', ['same/path']))
      await assert.rejects(commit(record, publish('b', '1', ['same/path'], [], 'other')), isKind('conflict'))
      assert.equal(await subject.metadata.package(record.scope, 'b'), undefined)
    })

    it('a repository that allows redeploy takes other bytes under the same path', async () => {
      const record = await repository({ redeploy: true })
      await commit(record, publish('a', '', ['p'], [], 'one'))
      await commit(record, publish('a', '', ['p'], [], 'two'))
      assert.equal((await subject.metadata.file(record.scope, 'p'))?.digest, digestOf('two:p'))
      assert.equal((await subject.metadata.package(record.scope, 'a'))?.versions, 1)
      assert.equal(await subject.ledger.usage(record.scope), 100)
    })

    it('names on lease take nothing but what was taken there: once, in order, with its time and author', async () => {
      const record = await repository({ quota: 150 })
      const { metadata } = subject
      const lease = (id: string, prefixes: string[], more: Partial<LeaseRecord> = {}): Step => {
        const until = '2027-01-01T00:00:00.000Z'
        const made = { id, node: 'n1', scope: record.scope, prefixes, createdAt: at(), until, promised: until, ...more }
        return { kind: 'access', subject: 'lease', id, record: made }
      }
      const configure = (step: Step) => subject.ledger.commit({ scope: FLEET, steps: [step], by: 'admin' })
      const mine = `${record.key}-mine`
      await commit(record, publish('acme-old', '1', ['acme-old-1']))
      // Of a lease and a publish that arrive together the first counts.
      const [made, late] = await Promise.allSettled([
        configure(lease(mine, ['acme-', 'tools/'])),
        subject.ledger.commit({ scope: record.scope, steps: [publish('acme-x', '1', ['x'], [], 'late')], by: 'ann' }),
      ])
      assert.equal(made.status, 'fulfilled')
      assert.ok(late.status === 'rejected' && isCode('leased')(late.reason))
      for (const step of [
        publish('acme-', '1', ['p1']),
        publish('tools/a', '', ['tools/a']),
        { kind: 'remove', package: 'acme-old', version: '1' } as const,
        { kind: 'tag', package: 'acme-old', tag: 'latest', version: '1' } as const,
      ])
        await assert.rejects(commit(record, step), isCode('leased'))
      await assert.rejects(configure(lease('other', ['acme-x'])), isCode('leased'))
      await assert.rejects(configure(lease('other', [''])), isCode('leased'))
      await assert.rejects(configure(lease('other', ['b', 'tools/a/b'])), isCode('leased'))
      await configure(lease(`${record.key}-other`, ['acmf']))

      const took = { id: mine, number: 7, at: '2026-01-02T03:04:05.000Z' }
      const back = (step: Step, returned = took) =>
        subject.ledger.commit({ scope: record.scope, steps: [step], by: 'bob', returned })
      await back(publish('acme-x', '1', ['acme-x-1'], ['latest']))
      await subject.settle()
      assert.equal((await metadata.package(record.scope, 'acme-x'))?.created, took.at)
      await assert.rejects(back(publish('acme-x', '1', ['acme-x-1'], ['latest'])), isCode('returned'))
      await assert.rejects(back(publish('acme-x', '0', ['y']), { ...took, number: 6 }), isCode('out_of_order'))
      await assert.rejects(back(publish('b', '1', ['z']), { ...took, number: 8 }), isCode('lease_closed'))
      await assert.rejects(
        back(publish('acme-x', '1', ['acme-x-1'], [], 'o'), { ...took, number: 8 }),
        isKind('conflict'),
      )
      // What was acknowledged is not refused for want of room, what is published here is.
      await assert.rejects(commit(record, publish('b', '1', ['b-1'])), isKind('over_quota'))

      await configure(lease(mine, ['acme-', 'tools/'], { closed: { at: at(), by: 'node:n1' } }))
      await assert.rejects(back(publish('acme-x', '2', ['w']), { ...took, number: 9 }), isCode('lease_closed'))
      await commit(record, { kind: 'remove', package: 'acme-x', version: '1' })
      await configure(lease('other', ['acme-x']))
    })

    it('of ten publishes of one version at once exactly one wins', async () => {
      const record = await repository()
      const tries = Array.from({ length: 10 }, (_, i) =>
        subject.ledger.commit({ scope: record.scope, steps: [publish('race', '1', ['race'], [], `b${i}`)], by: 'x' }),
      )
      const results = await Promise.allSettled(tries)
      assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1)
      for (const result of results) if (result.status === 'rejected') assert.ok(isKind('conflict')(result.reason))
    })

    it('a removed version is gone, its path stays burned, and a restore brings it back', async () => {
      const record = await repository()
      await commit(record, publish('r', '1', ['r-1']))
      await commit(record, { kind: 'remove', package: 'r', version: '1' })
      assert.equal(await subject.metadata.file(record.scope, 'r-1'), undefined)
      assert.ok(await subject.metadata.removed(record.scope, 'r-1'))
      assert.deepEqual(await subject.metadata.packages(record.scope, { limit: 10 }), [])
      await assert.rejects(commit(record, publish('r', '1', ['r-1'], [], 'other')), isKind('conflict'))
      await assert.rejects(commit(record, publish('r', '2', ['r-1'], [], 'other')), isKind('conflict'))
      await commit(record, { kind: 'restore', package: 'r', version: '1' })
      assert.equal((await subject.metadata.file(record.scope, 'r-1'))?.digest, digestOf('x:r-1'))
      assert.equal((await subject.metadata.package(record.scope, 'r'))?.versions, 1)
    })

    it('a file that is withdrawn is gone, its path stays burned, and the others of its version stay', async () => {
      const record = await repository()
      await commit(record, publish('w', '1', ['w-1', 'w-2']))
      await commit(record, { kind: 'withdraw', package: 'w', version: '1', path: 'w-1' })
      assert.equal(await subject.metadata.file(record.scope, 'w-1'), undefined)
      assert.ok(await subject.metadata.removed(record.scope, 'w-1'))
      const version = await subject.metadata.version(record.scope, 'w', '1')
      assert.deepEqual(
        version?.files.map(({ path }) => path),
        ['w-2'],
      )
      const other = publish('w', '1', ['w-1'], [], 'other')
      const files = other.kind === 'publish' ? other.manifest.files : []
      await assert.rejects(commit(record, { kind: 'add', package: 'w', version: '1', files }), isKind('conflict'))
      for (const path of ['w-1', 'w-9'])
        await assert.rejects(commit(record, { kind: 'withdraw', package: 'w', version: '1', path }), isKind('missing'))
    })

    it('all steps of a proposal happen or none', async () => {
      const record = await repository()
      await assert.rejects(
        commit(record, publish('n', '1', ['n-1']), { kind: 'remove', package: 'n', version: 'none' }),
        isKind('missing'),
      )
      assert.equal(await subject.metadata.package(record.scope, 'n'), undefined)
    })

    it('versions come in order of publication, not of name', async () => {
      const record = await repository()
      for (const version of ['2.0.0', '10.0.0', '1.0.0']) await commit(record, publish('o', version, [`o-${version}`]))
      await commit(record, { kind: 'amend', package: 'o', version: '2.0.0', meta: '{"deprecated":true}' })
      const seen: string[] = []
      for await (const version of subject.metadata.versions(record.scope, 'o')) seen.push(version.version)
      assert.deepEqual(seen, ['2.0.0', '10.0.0', '1.0.0'])
      assert.equal((await subject.metadata.version(record.scope, 'o', '2.0.0'))?.meta, '{"deprecated":true}')
    })

    it('pages of names and paths are in byte order, with prefix and after', async () => {
      const record = await repository()
      for (const name of ['b', 'a/x', 'a-x', 'a', 'é', 'a/y', 'B'])
        await commit(record, publish(name, '1', [`files/${name}`]))
      const names = async (page: { prefix?: string; after?: string; limit: number }) =>
        (await subject.metadata.packages(record.scope, page)).map((row) => row.name)
      assert.deepEqual(await names({ limit: 10 }), ['B', 'a', 'a-x', 'a/x', 'a/y', 'b', 'é'])
      assert.deepEqual(await names({ limit: 2, after: 'a' }), ['a-x', 'a/x'])
      assert.deepEqual(await names({ limit: 10, prefix: 'a/' }), ['a/x', 'a/y'])
      assert.deepEqual(await names({ limit: 10, prefix: 'a/', after: 'a/x' }), ['a/y'])
      assert.deepEqual(
        (await subject.metadata.files(record.scope, { limit: 10, prefix: 'files/a/' })).map((file) => file.path),
        ['files/a/x', 'files/a/y'],
      )
    })

    it('a lost optimistic lock is a conflict', async () => {
      const record = await repository()
      const { number } = await commit(record, publish('l', '1', ['l-1']))
      await commit(record, { kind: 'tag', package: 'l', tag: 'beta', version: '1' })
      const late = subject.ledger.commit({
        scope: record.scope,
        steps: [{ kind: 'tag', package: 'l', tag: 'latest', version: '1' }],
        by: 'x',
        unchanged: { package: 'l', last: number },
      })
      await assert.rejects(late, isKind('conflict'))
    })

    it('a tag moves, and goes with null', async () => {
      const record = await repository()
      await commit(record, publish('t', '1', ['t-1'], ['latest']), publish('t', '2', ['t-2'], ['latest']))
      assert.deepEqual(await subject.metadata.tags(record.scope, 't'), { latest: '2' })
      await commit(record, { kind: 'tag', package: 't', tag: 'latest', version: null })
      assert.deepEqual(await subject.metadata.tags(record.scope, 't'), {})
    })

    it('of fifty publishes at once into a quota that holds one exactly one succeeds', async () => {
      const record = await repository({ quota: 150 })
      const tries = Array.from({ length: 50 }, (_, i) =>
        subject.ledger.commit({ scope: record.scope, steps: [publish(`q${i}`, '1', [`q${i}`])], by: 'x' }),
      )
      const results = await Promise.allSettled(tries)
      assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1)
      assert.equal(await subject.ledger.usage(record.scope), 100)
    })

    it('removing gives the quota back', async () => {
      const record = await repository({ quota: 150 })
      await commit(record, publish('one', '1', ['one']))
      await commit(record, { kind: 'remove', package: 'one', version: '1' })
      await commit(record, publish('two', '1', ['two']))
      assert.equal(await subject.ledger.usage(record.scope), 100)
    })

    it('access records and configuration are there at once and go with null', async () => {
      const user = { id: 'u1', name: 'zoe', email: '', admin: false, disabled: false, groups: [], createdAt: at() }
      const before = subject.metadata.configured
      await subject.ledger.commit({
        scope: FLEET,
        steps: [{ kind: 'access', subject: 'user', id: 'u1', record: user }],
        by: 'admin',
      })
      await subject.settle()
      assert.equal(subject.metadata.access('user', 'u1')?.name, 'zoe')
      assert.ok(subject.metadata.configured > before)
      await subject.ledger.commit({
        scope: FLEET,
        steps: [{ kind: 'access', subject: 'user', id: 'u1', record: null }],
        by: 'admin',
      })
      await subject.settle()
      assert.equal(subject.metadata.access('user', 'u1'), undefined)
    })

    it('a log-in leaves what was derived from the configuration as it is, and its end does not', async () => {
      const token = { id: 't1', user: 'zoe', name: '', hash: 'h', scopes: [], use: 'session' as const, createdAt: at() }
      const record = async (kept: typeof token | null) => {
        await subject.ledger.commit({
          scope: FLEET,
          steps: [{ kind: 'access', subject: 'token', id: 't1', record: kept }],
          by: 'zoe',
        })
        await subject.settle()
        return subject.metadata.configured
      }
      const before = subject.metadata.configured
      assert.equal(await record(token), before)
      assert.equal(subject.metadata.access('token', 't1')?.user, 'zoe')
      assert.ok((await record(token)) > before)
      assert.ok((await record(null)) > before + 1)
    })
  })
}

export function repositoryRecord(key: string, settings: Partial<RepositoryRecord> = {}): RepositoryRecord {
  return {
    scope: `${key}~test`,
    key,
    name: key,
    format: 'generic',
    type: 'local',
    public: true,
    redeploy: false,
    description: '',
    members: [],
    createdAt: at(),
    ...settings,
  }
}

/** Each file has 100 bytes, and a digest that follows from `bytes` and its path. */
export function publish(name: string, version: string, paths: string[], tags: string[] = [], bytes = 'x'): Step {
  const files = paths.map(
    (path): Held => ({ path, digest: digestOf(`${bytes}:${path}`), size: 100, root: digestOf('root'), hashes: {} }),
  )
  return {
    kind: 'publish',
    manifest: { package: name, version, files, meta: JSON.stringify({ v: version }), publishedAt: at() },
    tags,
  }
}

export function digestOf(text: string): Digest {
  return Buffer.from(text).toString('hex').padEnd(64, '0').slice(0, 64) as Digest
}

function at(): string {
  return '2026-01-01T00:00:00.000Z'
}

function isCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof RegistryError && error.code === code
}

function isKind(kind: string): (error: unknown) => boolean {
  return (error) => error instanceof RegistryError && error.kind === kind
}
