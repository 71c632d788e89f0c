/** Rules of a repository, in every format and on either side: what is left out, what is refused and with which words, and when it ends. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { formats } from '../formats/index.js'
import { readEndpoints } from '../protocol/api/reads.js'
import { serveApi } from '../protocol/api/serve.js'
import type { Principal } from '../protocol/ports.js'
import type { Digest, RepositoryRecord, Rules } from '../protocol/records.js'
import { publishBody } from './support/crate.js'
import { grant, MemoryFleet, type SendOptions } from './support/memory-fleet.js'
import { packed } from './support/npm-package.js'
import { bodyOf, ORIGIN, requestOf } from './support/request.js'
import { bytes, type ScriptedUpstream, scriptedUpstream } from './support/upstream.js'

const SIDES = ['primary', 'node'] as const
const DAY_MS = 86_400_000

type Packument = { 'dist-tags': Record<string, string>; versions: Record<string, object>; time: object }

describe('rules of a repository', { timeout: 60_000 }, () => {
  let fleet: MemoryFleet
  let upstream: ScriptedUpstream
  let ann: string

  beforeEach(async () => {
    upstream = await scriptedUpstream()
    fleet = await MemoryFleet.open({ budget: { backoffMs: 60_000, patienceMs: 0 } })
    ann = `Bearer ${await fleet.token('ann')}`
  })
  afterEach(async () => {
    assert.deepEqual(fleet.failures, [])
    await fleet.close()
    await upstream.close()
  })

  interface Asked extends SendOptions {
    side?: (typeof SIDES)[number]
  }
  const get = (path: string, { side = 'primary', ...more }: Asked = {}) =>
    fleet.client(side)(`${ORIGIN}/repository/${path}`, more)
  const packument = async (path: string, side: Asked['side'] = 'primary') => {
    const reply = await get(path, { side })
    assert.equal(reply.status, 200, `${path} ${reply.status}`)
    return (await reply.json()) as Packument
  }
  const refusal = async (path: string, asked: Asked = {}) => {
    const reply = await get(path, asked)
    assert.equal(reply.status, 403, `${path}: ${reply.status}`)
    return reply.text()
  }
  const repository = (key: string, format: string, rules: Partial<Rules>, more: Partial<RepositoryRecord> = {}) =>
    fleet.repository(key, format, { rules: { ...NONE, ...rules }, ...more })
  const remote = (key: string, format: string, rules: Partial<Rules>) =>
    repository(key, format, rules, { type: 'remote', upstream: upstream.url })

  describe('of npm', () => {
    /** `age` in days before the beginning of the test. */
    function offer(
      name: string,
      ages: Record<string, number | undefined>,
      { latest = Object.keys(ages).at(-1) ?? '', tags = {}, license = 'MIT' } = {},
    ) {
      const entries = Object.keys(ages).map((version) => {
        const tarball = packed({ name, version })
        const file = `${name}/-/${name}-${version}.tgz`
        upstream.answer(`/${file}`, bytes(tarball))
        const shasum = createHash('sha1').update(tarball).digest('hex')
        return [version, { name, version, license, dist: { tarball: `${upstream.url}${file}`, shasum } }]
      })
      const times = Object.entries(ages).flatMap(([version, age]) =>
        age === undefined ? [] : [[version, new Date(fleet.nowMs - age * DAY_MS).toISOString()]],
      )
      const document = {
        name,
        'dist-tags': { latest, ...tags },
        versions: Object.fromEntries(entries),
        time: Object.fromEntries(times),
      }
      upstream.answer(`/${name}`, bytes(Buffer.from(JSON.stringify(document))))
    }

    it('a version is left out until it is old enough, then it is there: also where the index was kept', async () => {
      await remote('slow', 'npm', { cooldownDays: 7 })
      offer('left', { '1.0.0': 100, '1.1.0': 3, '2.0.0': 1 })
      for (const side of SIDES) {
        const found = await packument('slow/left', side)
        assert.deepEqual(Object.keys(found.versions), ['1.0.0'])
        assert.deepEqual(found['dist-tags'], { latest: '1.0.0' })
        assert.equal('2.0.0' in found.time, false)
        assert.match(
          await refusal('slow/left/-/left-2.0.0.tgz', { side }),
          /left@2\.0\.0 .* may be used from .* slow waits 7 days/,
        )
        assert.match(await refusal('slow/left/2.0.0', { side }), /slow waits 7 days/)
        assert.equal((await get('slow/left/1.0.0', { side })).status, 200)
        assert.equal((await get('slow/left/-/left-1.0.0.tgz', { side })).status, 200)
      }
      assert.equal(upstream.count('/left/-/left-2.0.0.tgz'), 0)
      const before = (await get('slow/left')).headers.get('etag')
      // From memory, as a client that asks again gets it.
      assert.equal((await get('slow/left')).headers.get('etag'), before)
      fleet.cutOff = true
      fleet.nowMs += 4 * DAY_MS - 1
      assert.equal((await get('slow/left')).headers.get('etag'), before)
      fleet.nowMs += 1
      for (const side of SIDES) {
        const found = await packument('slow/left', side)
        assert.deepEqual(Object.keys(found.versions), ['1.0.0', '1.1.0'])
        assert.equal(found['dist-tags'].latest, '1.1.0')
      }
      const [one, other] = [await get('slow/left'), await get('slow/left', { side: 'node' })]
      assert.notEqual(one.headers.get('etag'), before)
      assert.equal(one.headers.get('etag'), other.headers.get('etag'))
      fleet.nowMs += 2 * DAY_MS
      assert.equal((await packument('slow/left'))['dist-tags'].latest, '2.0.0')
    })

    it('latest falls back to the newest before it, prereleases only when nothing else is left; other tags are left out', async () => {
      await remote('slow', 'npm', { cooldownDays: 7 })
      offer(
        'lts',
        { '1.8.0': 90, '3.0.0': 50, '2.0.0': 40, '2.1.0-rc.1': 30, '2.1.0': 1 },
        { tags: { next: '3.0.0', edge: '2.1.0' } },
      )
      assert.deepEqual((await packument('slow/lts'))['dist-tags'], { latest: '2.0.0', next: '3.0.0' })
      const tags = (await (await get('slow/-/package/lts/dist-tags')).json()) as object
      assert.deepEqual(tags, { latest: '2.0.0', next: '3.0.0' })
      assert.equal(((await (await get('slow/lts/latest')).json()) as { version: string }).version, '2.0.0')
      offer('early', { '1.0.0-a': 90, '1.0.0-b': 80, '1.0.0': 1 })
      assert.deepEqual((await packument('slow/early'))['dist-tags'], { latest: '1.0.0-b' })
    })

    it('a version that no time is told of counts from when it was first seen', async () => {
      await remote('slow', 'npm', { cooldownDays: 2 })
      offer('left', { '1.0.0': undefined })
      assert.match(await refusal('slow/left'), /left@1\.0\.0 .* slow waits 2 days/)
      fleet.nowMs += 2 * DAY_MS + 1000
      assert.deepEqual(Object.keys((await packument('slow/left')).versions), ['1.0.0'])
    })

    it('exceptions need not wait, by name and by version', async () => {
      await remote('slow', 'npm', { cooldownDays: 7, cooldownExceptions: ['fast*', 'left@1.*'] })
      offer('fast-lane', { '1.0.0': 0 })
      offer('left', { '1.0.0': 0, '2.0.0': 0 })
      assert.deepEqual(Object.keys((await packument('slow/fast-lane')).versions), ['1.0.0'])
      assert.deepEqual(Object.keys((await packument('slow/left')).versions), ['1.0.0'])
    })

    it('blocked versions are left out and refused with their reason, at a node that is cut off too', async () => {
      await remote('guarded', 'npm', {
        blocked: [
          { name: 'left', versions: '>=1.1 <1.3', reason: 'CVE-2026-1: deletes the disk' },
          { name: 'evil-*', reason: 'typosquat of ours' },
          { licence: 'AGPL-*', reason: 'our lawyers say no' },
        ],
      })
      offer('left', { '1.0.0': 9, '1.1.0': 8, '1.2.0': 7, '1.3.0': 6 }, { latest: '1.2.0' })
      offer('evil-left', { '1.0.0': 9 })
      offer('copyleft', { '1.0.0': 9 }, { license: 'AGPL-3.0-only' })
      for (const side of SIDES)
        for (const cutOff of [false, true]) {
          fleet.cutOff = cutOff
          const found = await packument('guarded/left', side)
          assert.deepEqual(Object.keys(found.versions), ['1.0.0', '1.3.0'])
          assert.equal(found['dist-tags'].latest, '1.0.0')
          const tarball = 'guarded/left/-/left-1.1.0.tgz'
          const text = await refusal(tarball, { side })
          assert.deepEqual(JSON.parse(text), {
            error: 'left@1.1.0 is blocked in guarded: CVE-2026-1: deletes the disk',
            code: 'blocked',
          })
          await refusal(tarball, { side, method: 'HEAD' })
          await refusal(tarball, { side, headers: { range: 'bytes=0-1' } })
          await refusal('guarded/left/1.1.0', { side })
          // Cut off, a node has what it was asked for while it was not.
          assert.match(await refusal('guarded/evil-left', { side }), /typosquat of ours/)
          assert.match(await refusal('guarded/copyleft', { side }), /our lawyers say no/)
        }
    })

    it('a change of rules is in force at once, also for what is held and kept in memory', async () => {
      const before = await fleet.repository('npm', 'npm', { type: 'remote', upstream: upstream.url })
      offer('left', { '1.0.0': 9, '1.1.0': 8 })
      for (const side of SIDES)
        for (let i = 0; i < 3; i++) {
          assert.equal(Object.keys((await packument('npm/left', side)).versions).length, 2)
          assert.equal((await get('npm/left/-/left-1.1.0.tgz', { side })).status, 200)
        }
      const blocked = [{ name: 'left', versions: '1.1.0', reason: 'stolen token' }]
      const set = (rules: Rules | undefined) => {
        const { rules: _, ...rest } = before
        const record = rules ? { ...rest, rules } : rest
        return fleet.configure([{ kind: 'repository', key: 'npm', record }])
      }
      await set({ ...NONE, blocked })
      for (const side of SIDES) {
        assert.deepEqual(Object.keys((await packument('npm/left', side)).versions), ['1.0.0'])
        assert.match(await refusal('npm/left/-/left-1.1.0.tgz', { side }), /stolen token/)
      }
      await set({ ...NONE, blocked: [{ name: 'left', versions: '1.0.0', reason: 'the other one' }] })
      assert.deepEqual(Object.keys((await packument('npm/left')).versions), ['1.1.0'])
      await set(undefined)
      for (const side of SIDES) assert.equal(Object.keys((await packument('npm/left', side)).versions).length, 2)
    })

    it('a digest blocks the bytes wherever they lie, as soon as they are known', async () => {
      const tarball = packed({ name: 'left', version: '1.0.0' })
      const digest = createHash('sha256').update(tarball).digest('hex') as Digest
      await remote('guarded', 'npm', { blocked: [{ digest, reason: 'malware' }] })
      offer('left', { '1.0.0': 9 })
      for (const side of SIDES)
        for (let i = 0; i < 2; i++) assert.match(await refusal('guarded/left/-/left-1.0.0.tgz', { side }), /malware/)
    })

    it('reserved names are never looked up, on a remote repository and through a virtual one', async () => {
      await remote('npm', 'npm', {})
      await remote('closed', 'npm', { reservedNames: ['@acme/*', 'ours-*'] })
      await repository('all', 'npm', { reservedNames: ['@acme/*', 'ours-*'] }, { type: 'virtual', members: ['npm'] })
      await fleet.repository('outer', 'npm', { type: 'virtual', members: ['all'] })
      offer('ours-tool', { '99.0.0': 9 })
      for (const key of ['closed', 'all', 'outer'])
        for (const side of SIDES) {
          for (const path of [
            'ours-tool',
            '@acme%2ftool',
            'ours-tool/-/ours-tool-99.0.0.tgz',
            'ours-tool/latest',
            '@ACME%2ftool',
          ])
            assert.equal((await get(`${key}/${path}`, { side })).status, 404, path)
        }
      assert.deepEqual(upstream.asked, [])
      assert.equal((await get('npm/ours-tool')).status, 200)
      assert.equal((await get('all/ours-tool')).status, 404)
      assert.equal((await get('all/ours-tool/-/ours-tool-99.0.0.tgz')).status, 404)
    })

    it('the rules of a virtual repository are for what is read through it, those of its members for all', async () => {
      await remote('npm', 'npm', { blocked: [{ name: 'left', versions: '3.0.0', reason: 'everywhere' }] })
      await fleet.repository('own', 'npm')
      const members = ['own', 'npm']
      await repository('inner', 'npm', { cooldownDays: 7 }, { type: 'virtual', members })
      await repository(
        'outer',
        'npm',
        { blocked: [{ name: 'left', versions: '1.0.0', reason: 'here' }] },
        { type: 'virtual', members: ['inner'] },
      )
      offer('left', { '1.0.0': 9, '1.1.0': 8, '2.0.0': 1, '3.0.0': 9 })
      await own('mine', '1.0.0')
      const seen = async (key: string, side: Asked['side']) =>
        Object.keys((await packument(`${key}/left`, side)).versions)
      for (const side of SIDES) {
        assert.deepEqual(await seen('npm', side), ['1.0.0', '1.1.0', '2.0.0'])
        assert.deepEqual(await seen('inner', side), ['1.0.0', '1.1.0'])
        assert.deepEqual(await seen('outer', side), ['1.1.0'])
        assert.match(await refusal('outer/left/-/left-1.0.0.tgz', { side }), /blocked in outer: here/)
        assert.match(await refusal('outer/left/-/left-2.0.0.tgz', { side }), /inner waits 7 days/)
        assert.match(await refusal('outer/left/-/left-3.0.0.tgz', { side }), /blocked in npm: everywhere/)
        assert.equal((await get('inner/left/-/left-1.0.0.tgz', { side })).status, 200)
        // What is published here need not wait.
        assert.deepEqual(Object.keys((await packument('outer/mine', side)).versions), ['1.0.0'])
      }
    })

    it('what one member refuses another one may have', async () => {
      for (const key of ['own', 'second']) await fleet.repository(key, 'npm')
      await own('both', '1.0.0')
      await own('both', '1.0.0', 'second')
      await fleet.repository('all', 'npm', { type: 'virtual', members: ['own', 'second'] })
      const record = fleet.ledger.state.repository('own')
      assert.ok(record)
      const rules = { ...NONE, blocked: [{ name: 'both', reason: 'not this one' }] }
      await fleet.configure([{ kind: 'repository', key: 'own', record: { ...record, rules } }])
      assert.match(await refusal('own/both'), /not this one/)
      assert.deepEqual(Object.keys((await packument('all/both')).versions), ['1.0.0'])
      assert.equal((await get('all/both/1.0.0')).status, 200)
    })

    it('of a merged name all members show their versions, of others the local ones only', async () => {
      await remote('npm', 'npm', {})
      await fleet.repository('own', 'npm')
      const merging = { mergedNames: ['left', 'only-*'] }
      await repository('all', 'npm', merging, { type: 'virtual', members: ['npm', 'own'] })
      await fleet.repository('plain', 'npm', { type: 'virtual', members: ['npm', 'own'] })
      for (const name of ['left', 'right', 'only-there']) offer(name, { '1.0.0': 9, '1.1.0': 8 })
      for (const name of ['left', 'right']) await own(name, '9.0.0')
      for (const side of SIDES) {
        const seen = async (path: string) => Object.keys((await packument(path, side)).versions).sort()
        assert.deepEqual(await seen('plain/left'), ['9.0.0'])
        assert.deepEqual(await seen('all/left'), ['1.0.0', '1.1.0', '9.0.0'])
        assert.deepEqual(await seen('all/right'), ['9.0.0'])
        assert.deepEqual(await seen('all/only-there'), ['1.0.0', '1.1.0'])
        assert.equal((await get('all/left/-/left-1.0.0.tgz', { side })).status, 200)
        assert.equal((await get('all/right/-/right-1.0.0.tgz', { side })).status, 404)
      }
      const before = (await get('all/left')).headers.get('etag')
      await own('left', '9.1.0')
      assert.notEqual((await get('all/left')).headers.get('etag'), before)
      assert.ok((await packument('all/left', 'node')).versions['9.1.0'])
    })

    it('a merged name is not asked of an upstream for somebody who may not read the member that has it', async () => {
      await remote('npm', 'npm', {})
      await fleet.repository('own', 'npm', { public: false })
      await repository('all', 'npm', { mergedNames: ['*'] }, { type: 'virtual', members: ['npm', 'own'] })
      offer('left', { '1.0.0': 9 })
      await own('left', '9.0.0')
      for (const side of SIDES) assert.equal((await get('all/left', { side })).status, 404)
      assert.deepEqual(upstream.asked, [])
    })

    it('an absence upstream is forgotten when a member publishes the name, on either side', async () => {
      await remote('npm', 'npm', {})
      await fleet.repository('own', 'npm')
      await fleet.repository('all', 'npm', { type: 'virtual', members: ['npm', 'own'] })
      for (const side of SIDES)
        for (const path of ['all/later', 'all/later/-/later-1.0.0.tgz'])
          assert.equal((await get(path, { side })).status, 404)
      await own('later', '1.0.0')
      for (const side of SIDES) assert.deepEqual(Object.keys((await packument('all/later', side)).versions), ['1.0.0'])
    })

    describe('are explained', () => {
      interface Explained {
        found: boolean
        allowed: boolean
        rule: string | null
        reason: string
        served_by: string | null
        members: Record<string, unknown>[]
      }
      const explain = async (key: string, name: string, version?: string, principal?: Principal) => {
        const query = new URLSearchParams({ package: name, ...(version === undefined ? {} : { version }) })
        return (await rest(`repositories/${key}/explain?${query}`, principal)) as Explained
      }
      const bob = () => ({ name: 'bob', user: fleet.ledger.state.access('user', 'bob'), token: undefined })
      const admin = () => ({ name: 'ann', user: fleet.ledger.state.access('user', 'ann'), token: undefined })

      beforeEach(async () => {
        await remote('npm', 'npm', {
          cooldownDays: 7,
          blocked: [{ name: 'left', versions: '1.0.0', reason: 'broken' }],
          reservedNames: ['@acme/*'],
        })
        await fleet.repository('own', 'npm')
        await fleet.repository('all', 'npm', { type: 'virtual', members: ['npm', 'own'] })
        offer('left', { '1.0.0': 90, '1.1.0': 80, '2.0.0': 1 })
      })

      it('what is given out: by whom, how fresh, and whether it is held', async () => {
        await get('all/left/-/left-1.1.0.tgz')
        fleet.nowMs += 5000
        const found = await explain('all', 'left', '1.1.0')
        assert.deepEqual([found.found, found.allowed, found.rule, found.served_by], [true, true, null, 'npm'])
        assert.equal(found.reason, 'left@1.1.0 is given out by npm')
        const [member, local] = found.members
        assert.deepEqual(
          { ...member, age_seconds: null },
          {
            key: 'npm',
            repo_type: 'remote',
            state: 'known',
            allowed: true,
            rule: null,
            reason: 'left@1.1.0 is given out by npm',
            until: null,
            versions: 1,
            age_seconds: null,
            stale: false,
            files: 1,
            files_held: 1,
          },
        )
        assert.ok(Number(member?.age_seconds) >= 5)
        assert.deepEqual([local?.key, local?.state], ['own', 'unknown'])
        assert.equal((await explain('npm', 'left', 'latest')).reason, 'left@latest is given out by npm')
        assert.equal((await explain('npm', 'left')).reason, '1 of its versions may be used, from npm')
      })

      it('what is refused: by which rule, and until when', async () => {
        const cooling = await explain('all', 'left', '2.0.0')
        assert.deepEqual(
          [cooling.found, cooling.allowed, cooling.rule, cooling.served_by],
          [true, false, 'cooldown', null],
        )
        assert.match(cooling.reason, /npm waits 7 days/)
        assert.equal(cooling.members[0]?.until, new Date(fleet.nowMs + 6 * DAY_MS).toISOString())
        assert.equal(cooling.members[0]?.files_held, 0)
        const blocked = await explain('npm', 'left', '1.0.0')
        assert.deepEqual([blocked.rule, blocked.reason], ['blocked', 'left@1.0.0 is blocked in npm: broken'])
        const reserved = await explain('all', '@acme/tool', '1.0.0')
        assert.deepEqual([reserved.found, reserved.rule], [false, 'reserved'])
        assert.match(reserved.reason, /@acme\/tool is reserved/)
        offer('young', { '0.1.0': 1 })
        assert.equal((await explain('npm', 'young')).rule, 'cooldown')
      })

      it('what is not there, and an upstream that is away', async () => {
        assert.equal((await explain('all', 'left', '9.9.9')).reason, 'all has no left@9.9.9')
        assert.equal((await explain('all', 'nothing')).found, false)
        await own('mine', '1.0.0')
        const mine = await explain('all', 'mine', '1.0.0')
        assert.deepEqual([mine.served_by, mine.members[0]?.state], ['own', 'not_asked'])
        assert.equal(upstream.count('/mine'), 0)
        upstream.answer('/away', (_, response) => response.writeHead(500).end())
        const away = await explain('all', 'away')
        assert.deepEqual([away.found, away.members[0]?.state], [false, 'unavailable'])
      })

      it('to nobody what they may not see', async () => {
        await fleet.repository('secret', 'npm', { public: false })
        await fleet.repository('both', 'npm', { type: 'virtual', members: ['npm', 'secret'] })
        await own('inside', '1.0.0', 'secret')
        offer('inside', { '99.0.0': 90 })
        const text = JSON.stringify(await explain('both', 'inside', '1.0.0', bob()))
        assert.doesNotMatch(text, /secret/)
        const nothing = JSON.stringify(await explain('both', 'nothing', '1.0.0', bob()))
        assert.equal(text.replaceAll('inside', 'nothing'), nothing.replace(/"age_seconds":\d+/, '"age_seconds":null'))
        assert.equal(upstream.count('/inside'), 0)
        assert.equal((await explain('both', 'inside', '1.0.0', admin())).served_by, 'secret')
        await fleet.configure([grant('bob', 'secret', { path: 'other' })])
        const partly = await explain('both', 'inside', '1.0.0', bob())
        assert.deepEqual(
          partly.members.map(({ key, state, rule }) => [key, state, rule]),
          [
            ['npm', 'unknown', null],
            ['secret', 'not_asked', 'access'],
          ],
        )
        await assert.rejects(explain('secret', 'inside'), { kind: 'missing' })
        const denied = await explain('secret', 'inside', undefined, bob())
        assert.deepEqual([denied.rule, denied.members], ['access', []])
        assert.match(denied.reason, /No grant lets bob read secret/)
      })
    })

    const own = async (name: string, version: string, key = 'own') => {
      const meta = JSON.stringify({ name, version, dist: { tarball: `${name}/-/${name}-${version}.tgz` } })
      const manifest = { package: name, version, files: [], meta, publishedAt: fleet.now() }
      await fleet.ledger.commit({ scope: `scope-of-${key}`, steps: [{ kind: 'publish', manifest }], by: 'ann' })
    }
  })

  it('of PyPI: a blocked version is in neither form of the index, and its file says why', async () => {
    await repository('py', 'pypi', { blocked: [{ name: 'Left_Pad', versions: '>=1.1', reason: 'yanked by us' }] })
    for (const version of ['1.0', '1.1'])
      await publish(
        'py',
        'left-pad',
        version,
        [`left-pad/${version}/left_pad-${version}-py3-none-any.whl`],
        '{"files":{}}',
      )
    for (const side of SIDES) {
      for (const accept of ['text/html', 'application/vnd.pypi.simple.v1+json']) {
        const text = await (await get('py/simple/left-pad/', { side, headers: { accept } })).text()
        assert.match(text, /left_pad-1\.0-py3/)
        assert.doesNotMatch(text, /1\.1/)
      }
      assert.match(await refusal('py/left-pad/1.1/left_pad-1.1-py3-none-any.whl', { side }), /yanked by us/)
      assert.equal((await get('py/pypi/left-pad/1.1/json', { side })).status, 404)
    }
    await repository('none', 'pypi', { blocked: [{ name: 'left-pad', reason: 'malware' }] })
    await publish('none', 'left-pad', '1.0', ['left-pad/1.0/left_pad-1.0-py3-none-any.whl'], '{"files":{}}')
    for (const side of SIDES) assert.match(await refusal('none/simple/left-pad/', { side }), /blocked in none: malware/)
  })

  it('of Cargo: a blocked version has no line in the index, and its download says why', async () => {
    await repository('crates', 'cargo', { blocked: [{ name: 'left_pad', versions: '<1', reason: 'unsound' }] })
    for (const vers of ['0.9.0', '1.0.0']) {
      const body = publishBody({ name: 'left-pad', vers, description: 'x', license: 'MIT' })
      const sent = await fleet.client('primary', ann)(`${ORIGIN}/repository/crates/api/v1/crates/new`, {
        method: 'PUT',
        body,
      })
      assert.equal(sent.status, 200, await sent.text())
    }
    for (const side of SIDES) {
      const lines = (await (await get('crates/le/ft/left-pad', { side })).text()).trim().split('\n')
      assert.deepEqual(
        lines.map((line) => (JSON.parse(line) as { vers: string }).vers),
        ['1.0.0'],
      )
      const text = await refusal('crates/api/v1/crates/left-pad/0.9.0/download', { side })
      assert.deepEqual(JSON.parse(text), { errors: [{ detail: 'left-pad@0.9.0 is blocked in crates: unsound' }] })
      await refusal('crates/left-pad/left-pad-0.9.0.crate', { side })
    }
  })

  it('of Maven and Go: blocked versions are in no list', async () => {
    await repository('mvn', 'maven', { blocked: [{ name: 'com.acme:lib', versions: '<1.1', reason: 'old' }] })
    await repository('mods', 'go', { blocked: [{ name: 'example.com/m', versions: '>=1.1', reason: 'broken' }] })
    for (const version of ['1.0', '1.1'])
      await publish(
        'mvn',
        'com.acme:lib',
        version,
        [`com/acme/lib/${version}/lib-${version}.jar`],
        JSON.stringify({ base: version, packaging: 'jar' }),
      )
    for (const version of ['v1.0.0', 'v1.1.0'])
      await publish(
        'mods',
        'example.com/m',
        version,
        [`example.com/m/@v/${version}.zip`],
        '{"sum":"h1:","hasGoMod":true}',
      )
    for (const side of SIDES) {
      const metadata = await (await get('mvn/com/acme/lib/maven-metadata.xml', { side })).text()
      assert.match(metadata, /<version>1\.1</)
      assert.doesNotMatch(metadata, /<version>1\.0</)
      assert.match(await refusal('mvn/com/acme/lib/1.0/lib-1.0.jar', { side }), /blocked in mvn: old/)
      assert.match(await refusal('mvn/com/acme/lib/1.0/lib-1.0.jar.sha1', { side }), /blocked in mvn: old/)
      assert.equal(await (await get('mods/example.com/m/@v/list', { side })).text(), 'v1.0.0\n')
      assert.match(await (await get('mods/example.com/m/@latest', { side })).text(), /v1\.0\.0/)
      assert.match(await refusal('mods/example.com/m/@v/v1.1.0.zip', { side }), /blocked in mods: broken/)
      await refusal('mods/example.com/m/@v/v1.1.0.info', { side })
    }
  })

  it('of plain files: what upstream has waits from when it was first asked for; lists and digests leave out what is blocked', async () => {
    await remote('files', 'generic', { cooldownDays: 1, blocked: [{ name: 'bad/*', reason: 'no' }] })
    upstream.answer('/tool.bin', bytes(Buffer.from('tool')))
    for (const side of SIDES) {
      assert.match(await refusal('files/tool.bin', { side }), /tool\.bin .* files waits a day/)
      await refusal('files/tool.bin', { side, method: 'HEAD' })
      await refusal('files/tool.bin', { side, headers: { range: 'bytes=1-' } })
      await refusal('files/tool.bin.sha256', { side })
      assert.match(await refusal('files/bad/thing', { side }), /blocked in files: no/)
    }
    assert.equal(upstream.count('/tool.bin'), 1)
    assert.equal(upstream.count('/bad/thing'), 0)
    fleet.nowMs += DAY_MS + 1000
    for (const side of SIDES) assert.equal(await (await get('files/tool.bin', { side })).text(), 'tool')
    const digest = createHash('sha256').update('content').digest('hex') as Digest
    await repository('own', 'generic', {
      blocked: [
        { digest, reason: 'leaked' },
        { name: 'a/*', reason: 'no' },
      ],
    })
    for (const [path, body] of [
      ['a/1', 'x'],
      ['b/1', 'content'],
      ['b/2', 'fine'],
    ] as const)
      await fleet.client('primary', ann)(`${ORIGIN}/repository/own/${path}`, { method: 'PUT', body })
    const listed = (await (await get('own/?recursive&format=json')).json()) as { files: { path: string }[] }
    assert.deepEqual(
      listed.files.map(({ path }) => path),
      ['b/2'],
    )
    assert.match(await refusal('own/b/1'), /leaked/)
  })

  it('of images: by digest, a manifest and a layer; a tag that names it says why', async () => {
    const layer = Buffer.from('a layer')
    const config = Buffer.from('{}')
    const of = (body: Buffer) => `sha256:${createHash('sha256').update(body).digest('hex')}`
    const manifest = (note: string) =>
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: of(config), size: config.length },
          layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: of(layer), size: layer.length }],
          annotations: { note },
        }),
      )
    const [good, bad] = [manifest('good'), manifest('bad')]
    const push = async (key: string) => {
      const send = fleet.client('primary', ann)
      for (const body of [layer, config])
        await send(`${ORIGIN}/v2/${key}/app/blobs/uploads/?digest=${of(body)}`, { method: 'POST', body })
      for (const [tag, body] of [
        ['1.0', good],
        ['latest', bad],
      ] as const) {
        const sent = await send(`${ORIGIN}/v2/${key}/app/manifests/${tag}`, {
          method: 'PUT',
          body,
          headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' },
        })
        assert.equal(sent.status, 201, await sent.text())
      }
    }
    const record = await fleet.repository('img', 'oci')
    await fleet.repository('copy', 'oci')
    await push('img')
    const blocked = [bad, layer].map((body) => ({ digest: of(body).slice(7) as Digest, reason: 'cryptominer' }))
    await fleet.configure([{ kind: 'repository', key: 'img', record: { ...record, rules: { ...NONE, blocked } } }])
    for (const side of SIDES) {
      const v2 = (path: string, method = 'GET') => fleet.client(side)(`${ORIGIN}/v2/img/app/${path}`, { method })
      assert.deepEqual(((await (await v2('tags/list')).json()) as { tags: string[] }).tags, ['1.0'])
      assert.equal((await v2('manifests/1.0')).status, 200)
      for (const path of ['manifests/latest', `manifests/${of(bad)}`, `blobs/${of(layer)}`]) {
        const reply = await v2(path)
        assert.equal(reply.status, 403, path)
        const { errors } = (await reply.json()) as { errors: { code: string; message: string }[] }
        assert.equal(errors[0]?.code, 'DENIED')
        assert.match(errors[0]?.message ?? '', /blocked in img: cryptominer/)
        assert.equal((await v2(path, 'HEAD')).status, 403)
      }
    }
    // Bytes that may not be had here are not carried over into a repository that has no such rule.
    const mounted = (query: string) =>
      fleet.client('primary', ann)(`${ORIGIN}/v2/copy/app/blobs/uploads/?${query}`, { method: 'POST' })
    assert.notEqual((await mounted(`mount=${of(layer)}`)).status, 201)
    assert.notEqual((await mounted(`mount=${of(layer)}&from=img/app`)).status, 201)
    assert.equal((await mounted(`mount=${of(config)}`)).status, 201)
    const scope = 'scope-of-img'
    for (const side of SIDES) {
      assert.equal(await fleet[side].passes(scope, of(layer).slice(7) as Digest), false)
      assert.equal(await fleet[side].passes(scope, of(good).slice(7) as Digest), true)
    }
  })

  it('REST and search show nothing that may not be used, by name or by checksum', async () => {
    const digest = createHash('sha256').update('one').digest('hex') as Digest
    await repository('own', 'generic', { blocked: [{ digest, reason: 'leaked' }] })
    for (const [path, body] of [
      ['x/1', 'one'],
      ['x/2', 'two'],
    ] as const)
      await fleet.client('primary', ann)(`${ORIGIN}/repository/own/${path}`, { method: 'PUT', body })
    const ask = async (path: string) =>
      ((await rest(path)) as { items: { path: string }[] }).items.map((item) => item.path)
    assert.deepEqual(await ask('repositories/own/artifacts'), ['x/2'])
    assert.deepEqual(await ask('search/artifacts?path=x/'), ['x/2'])
    assert.deepEqual(await ask(`search/artifacts?checksum=${digest}`), [])
    for (const what of ['artifacts', 'download'])
      await assert.rejects(ask(`repositories/own/${what}/x/1`), { kind: 'forbidden', message: /leaked/ })
  })

  /** The REST interface that both sides have, on the primary. */
  async function rest(path: string, principal: Principal = fleet.gate.anonymous): Promise<unknown> {
    const { state } = fleet.ledger
    const { primary, gate, blobs } = fleet
    const api = serveApi(
      readEndpoints({
        metadata: state,
        gate,
        formats,
        open: (record, asker) => primary.repository(record, asker),
        members: (record) => primary.members(record),
        merges: () => false,
        blobs,
        file: (opened, file, request) => primary.file(opened, file, request),
        holders: (digest) => fleet.holders(digest),
      }),
      { metadata: state, gate },
    )
    const reply = await api(requestOf('GET', `/api/v1/${path}`), principal)
    assert.ok(reply)
    return JSON.parse((await bodyOf(reply)).toString())
  }

  async function publish(key: string, name: string, version: string, paths: string[], meta: string): Promise<void> {
    const files = []
    for (const path of paths) {
      const body = (async function* () {
        yield Buffer.from(path)
      })()
      files.push({ path, ...(await fleet.blobs.write(body, { hashes: ['sha1', 'md5'], limit: 1000 })) })
    }
    const manifest = { package: name, version, files, meta, publishedAt: fleet.now() }
    await fleet.ledger.commit({ scope: `scope-of-${key}`, steps: [{ kind: 'publish', manifest }], by: 'ann' })
  }
})

const NONE: Rules = { cooldownDays: 0, cooldownExceptions: [], blocked: [], reservedNames: [], mergedNames: [] }
