/** What administrators choose for a Maven repository: which versions it takes, and which builds of snapshots stay. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formats } from '../../../formats/index.js'
import { upkeep } from '../../../primary/upkeep.js'
import type { Settings } from '../../../protocol/records.js'
import { testFleet } from '../../support/fleet.js'
import { MemoryFleet } from '../../support/memory-fleet.js'
import { ORIGIN } from '../../support/request.js'
import { pom } from './jar.js'

const DAY_MS = 86_400_000

async function setting(settings: Settings) {
  const fleet = await MemoryFleet.open()
  const record = await fleet.repository('jars', 'maven', { settings })
  const ann = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
  const at = (path: string) => `${ORIGIN}/repository/jars/${path}`
  const put = (path: string, body: string) => ann(at(path), { method: 'PUT', body })
  const repository = fleet.primary.repository(record, fleet.gate.anonymous)
  /** A build of g:a that was deployed so many days ago. */
  const build = async (base: string, number: number, { daysAgo = 0, hidden = false } = {}) => {
    const version = `${base.replace('SNAPSHOT', '')}20260101.0000${String(number).padStart(2, '0')}-${number}`
    const path = `g/a/${base}/a-${version}.pom`
    const stored = await fleet.blobs.write(once(pom('g', 'a', base) + number), { limit: 10_000 })
    const publishedAt = new Date(Date.parse(fleet.now()) - daysAgo * DAY_MS).toISOString()
    const meta = JSON.stringify(hidden ? { base } : { base, packaging: 'jar' })
    const manifest = { package: 'g:a', version, files: [{ path, ...stored }], meta, publishedAt }
    await fleet.ledger.commit({ scope: record.scope, steps: [{ kind: 'publish', manifest }], by: 'ann' })
  }
  const left = async () => {
    await upkeep({
      metadata: fleet.ledger.state,
      formats,
      open: () => repository,
      onError: (error) => assert.fail(String(error)),
    })
    const found: string[] = []
    for await (const { version } of repository.versions('g:a')) found.push(version.replace(/20260101\.\d+-/, ''))
    return found
  }
  return { fleet, ann, at, put, build, left }
}

async function* once(text: string): AsyncGenerator<Uint8Array, void, undefined> {
  yield Buffer.from(text)
}

describe('the version policy', () => {
  for (const [policy, release, snapshot] of [
    ['release', 201, 400],
    ['snapshot', 400, 201],
    ['mixed', 201, 201],
    [undefined, 201, 201],
  ] as const)
    it(`${policy ?? 'that was not chosen'} takes what it says, and says why not`, async () => {
      const { put } = await setting(policy === undefined ? {} : { version_policy: policy })
      const replies = [
        await put('g/a/1.0/a-1.0.pom', pom('g', 'a', '1.0')),
        await put('g/a/1.1-SNAPSHOT/a-1.1-20260101.000000-1.pom', pom('g', 'a', '1.1-SNAPSHOT')),
      ]
      assert.deepEqual(
        replies.map((reply) => reply.status),
        [release, snapshot],
      )
      for (const reply of replies)
        if (reply.status === 400)
          assert.match(
            ((await reply.json()) as { detail: string }).detail,
            /jars takes (release|snapshot)s only, and 1\./,
          )
    })
})

describe('builds of snapshots', () => {
  it('are kept when nothing was chosen', async () => {
    const { build, left } = await setting({})
    for (const number of [1, 2, 3]) await build('1-SNAPSHOT', number, { daysAgo: 1000 })
    assert.deepEqual(await left(), ['1-1', '1-2', '1-3'])
  })

  it('beyond the newest of their version go, and metadata follows', async () => {
    const { ann, at, put, build, left } = await setting({ snapshot_keep_builds: 2 })
    await put('g/a/1.0/a-1.0.pom', pom('g', 'a', '1.0'))
    for (const number of [1, 3, 2]) await build('1-SNAPSHOT', number)
    await build('2-SNAPSHOT', 1)
    const metadata = at('g/a/1-SNAPSHOT/maven-metadata.xml')
    assert.equal((await ann(metadata)).status, 200)
    assert.deepEqual(await left(), ['1.0', '1-3', '1-2', '2-1'])
    assert.match(await (await ann(metadata)).text(), /<buildNumber>3</)
    assert.equal((await ann(at('g/a/1-SNAPSHOT/a-1-20260101.000001-1.pom'))).status, 404)
    assert.equal((await ann(at('g/a/1-SNAPSHOT/a-1-20260101.000002-2.pom'))).status, 200)
  })

  it('stay for their days, and the newest for ever', async () => {
    const { build, left } = await setting({ snapshot_keep_days: 30 })
    for (const [number, daysAgo] of [
      [1, 100],
      [2, 31],
      [3, 29],
    ] as const)
      await build('1-SNAPSHOT', number, { daysAgo })
    for (const number of [1, 2]) await build('2-SNAPSHOT', number, { daysAgo: 100 })
    assert.deepEqual(await left(), ['1-3', '2-2'])
  })

  it('go only when they are neither among the newest nor young', async () => {
    const { build, left } = await setting({ snapshot_keep_days: 30, snapshot_keep_builds: 2 })
    for (const [number, daysAgo] of [
      [1, 100],
      [2, 10],
      [3, 100],
      [4, 100],
    ] as const)
      await build('1-SNAPSHOT', number, { daysAgo })
    assert.deepEqual(await left(), ['1-2', '1-3', '1-4'])
  })

  it('whose POM has not arrived are let be', async () => {
    const { build, left } = await setting({ snapshot_keep_builds: 1 })
    for (const number of [1, 2, 3, 4]) await build('1-SNAPSHOT', number, { hidden: number === 1 || number === 4 })
    assert.deepEqual(await left(), ['1-1', '1-3', '1-4'])
  })
})

it('settings are chosen by REST, for whoever may administer the repository', { timeout: 120_000 }, async (t) => {
  const fleet = await testFleet()
  t.after(() => fleet.close())
  const repositories = '/api/v1/repositories'
  const chosen = { version_policy: 'release', snapshot_keep_builds: 3 }
  await fleet.api('POST', repositories, { key: 'jars', format: 'maven', settings: chosen })
  const url = `${fleet.primaryUrl}/repository/jars/g/a/1-SNAPSHOT/a-1-SNAPSHOT.jar`
  const put = () => fetch(url, { method: 'PUT', headers: { authorization: fleet.admin }, body: 'jar' })
  assert.equal((await put()).status, 400)
  const changes = { settings: { version_policy: null, snapshot_keep_days: 5 } }
  const changed = (await fleet.api('PATCH', `${repositories}/jars`, changes)) as { settings: object }
  assert.deepEqual(changed.settings, { snapshot_keep_builds: 3, snapshot_keep_days: 5 })
  assert.equal((await put()).status, 201)
  assert.deepEqual(await fleet.api('GET', `${repositories}/jars`), { ...changed, used_bytes: 3 })
  for (const settings of [{ version_policy: 'none' }, { snapshot_keep_days: -1 }, { other: 1 }])
    await assert.rejects(fleet.api('PATCH', `${repositories}/jars`, { settings }), /400.*setting_invalid/)
  assert.match(
    JSON.stringify(await fleet.api('GET', '/api/v1/openapi.json')),
    /version_policy \(maven\): Which versions/,
  )
})
