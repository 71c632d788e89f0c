/** Maven artifacts of an upstream: metadata as it says it, files asked for where they are, checksums that are never asked for in vain. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { parseMetadata, upstream as reading } from '../../../formats/maven/upstream.js'
import { until } from '../../support/fleet.js'
import { MemoryFleet } from '../../support/memory-fleet.js'
import { ORIGIN } from '../../support/request.js'
import { type Answer, bytes, type ScriptedUpstream, scriptedUpstream, status, tagged } from '../../support/upstream.js'

const JAR = Buffer.from('the jar\n'.repeat(30_000))
const APP = 'org/left/app'
const SNAPSHOT = `${APP}/2-SNAPSHOT`

describe('Maven artifacts of an upstream', { timeout: 60_000 }, () => {
  let upstream: ScriptedUpstream
  let fleet: MemoryFleet
  interface Asked {
    side?: 'primary' | 'node'
    key?: string
  }
  const get = (path: string, { side = 'primary', key = 'remote' }: Asked = {}) =>
    fleet.client(side)(`${ORIGIN}/repository/${key}/${path}`)
  const text = async (path: string, asked: Asked = {}) => {
    const reply = await get(path, asked)
    assert.equal(reply.status, 200, `${path}: ${reply.status}`)
    return reply.text()
  }

  beforeEach(async () => {
    upstream = await scriptedUpstream()
    fleet = await MemoryFleet.open({ firstByteMs: 300, idleMs: 300, budget: { backoffMs: 60_000, patienceMs: 0 } })
    await fleet.repository('remote', 'maven', { type: 'remote', upstream: upstream.url, metadataTtlSeconds: 60 })
  })
  afterEach(async () => {
    assert.deepEqual(
      fleet.failures.filter((error) => !/upstream|Upstream/.test(String(error))),
      [],
    )
    await fleet.close()
    await upstream.close()
  })

  it('have the metadata that the upstream has, in its order, with one question for both sides', async () => {
    // The upstream's own order, latest and release are not those that would be computed.
    const said = { versions: ['1.10', '1.9', '2-SNAPSHOT'], latest: '1.10', release: '1.9' }
    upstream.answer(`/${APP}/maven-metadata.xml`, tagged(metadata(said)))
    for (const side of ['node', 'primary'] as const) {
      const found = await text(`${APP}/maven-metadata.xml`, { side })
      assert.deepEqual(elements(found, 'version'), said.versions)
      assert.deepEqual(elements(found, 'latest'), ['1.10'])
      assert.deepEqual(elements(found, 'release'), ['1.9'])
      assert.deepEqual(elements(found, 'lastUpdated'), ['20260102030405'])
      assert.deepEqual(elements(found, 'groupId'), ['org.left'])
      for (const algorithm of ['sha1', 'sha512', 'md5'])
        assert.equal(await text(`${APP}/maven-metadata.xml.${algorithm}`, { side }), hash(algorithm, found))
    }
    assert.deepEqual(
      upstream.asked.map(({ path }) => path),
      [`/${APP}/maven-metadata.xml`],
    )
  })

  it('a new version is seen after the time to live', async () => {
    upstream.answer(`/${APP}/maven-metadata.xml`, tagged(metadata({ versions: ['1'] })))
    await text(`${APP}/maven-metadata.xml`)
    upstream.answer(`/${APP}/maven-metadata.xml`, tagged(metadata({ versions: ['1', '2'] })))
    fleet.nowMs += 61_000
    await until(async () => elements(await text(`${APP}/maven-metadata.xml`), 'version').length === 2)
    assert.equal(upstream.count(`/${APP}/maven-metadata.xml`), 2)
  })

  it('a latest version that may not be used is not named', async () => {
    upstream.answer(`/${APP}/maven-metadata.xml`, tagged(metadata({ versions: ['1', '2'], latest: '2', release: '2' })))
    const record = fleet.ledger.state.repository('remote')
    assert.ok(record)
    const blocked = [{ name: 'org.left:app', versions: '2', reason: 'broken' }]
    const rules = { cooldownDays: 0, cooldownExceptions: [], blocked, reservedNames: [], mergedNames: [] }
    await fleet.configure([{ kind: 'repository', key: 'remote', record: { ...record, rules } }])
    const found = await text(`${APP}/maven-metadata.xml`)
    for (const element of ['version', 'latest', 'release']) assert.deepEqual(elements(found, element), ['1'])
    assert.equal((await get(`${APP}/2/app-2.jar`)).status, 403)
  })

  it('the plugins of a group are found by their prefixes, in the order of the upstream', async () => {
    const plugins = ['b', 'a'].map(
      (one) =>
        `<plugin><name>${one}</name><prefix>${one}</prefix><artifactId>${one}-maven-plugin</artifactId></plugin>`,
    )
    const document = `<metadata><plugins>${plugins.join('')}</plugins></metadata>`
    upstream.answer('/org/left/plugins/maven-metadata.xml', tagged(Buffer.from(document)))
    const found = await text('org/left/plugins/maven-metadata.xml', { side: 'node' })
    assert.deepEqual(elements(found, 'prefix'), ['b', 'a'])
    assert.deepEqual(elements(found, 'artifactId'), ['b-maven-plugin', 'a-maven-plugin'])
  })

  it('files are asked for as they are, whether there is metadata or not, and their checksums of nobody', async () => {
    const files = ['app-1.jar', 'app-1.pom', 'app-1-sources.jar', 'app-1.jar.asc', 'app-1.module']
    for (const file of files) upstream.answer(`/${APP}/1/${file}`, bytes(JAR, { 'x-checksum-sha1': hash('sha1', JAR) }))
    for (const side of ['node', 'primary'] as const)
      for (const file of files) {
        assert.equal(await text(`${APP}/1/${file}`, { side }), JAR.toString())
        for (const algorithm of ['sha1', 'md5', 'sha256', 'sha512'])
          assert.equal(await text(`${APP}/1/${file}.${algorithm}`, { side }), hash(algorithm, JAR))
      }
    assert.deepEqual(
      upstream.asked.map(({ path }) => path),
      files.map((file) => `/${APP}/1/${file}`),
    )
  })

  it('what is not there is asked for once, plain, and its checksums not at all', async () => {
    for (let i = 0; i < 3; i++)
      for (const file of ['app-1.jar', 'app-1.jar.sha1', 'app-1.jar.sha512', 'app-1.jar.asc.sha512']) {
        const reply = await get(`${APP}/1/${file}`, { side: i === 1 ? 'node' : 'primary' })
        assert.equal(reply.status, 404)
        assert.match(reply.headers.get('content-type') ?? '', /^text\/plain/)
      }
    for (const path of [`/${APP}/1/app-1.jar`, `/${APP}/1/app-1.jar.asc`]) assert.equal(upstream.count(path), 1, path)
    assert.equal(upstream.asked.length, 2)
  })

  it('a file that is not what the headers say is an error, and not kept', async () => {
    upstream.answer(`/${APP}/1/app-1.jar`, bytes(JAR, { 'x-checksum-sha1': hash('sha1', 'other') }))
    await assert.rejects(text(`${APP}/1/app-1.jar`))
    assert.equal(await fleet.ledger.state.file('scope-of-remote', `${APP}/1/app-1.jar`), undefined)
  })

  it('without such headers, the checksum that lies beside the file decides', async () => {
    upstream.answer(`/${APP}/1/app-1.jar`, bytes(JAR))
    upstream.answer(`/${APP}/1/app-1.jar.sha1`, bytes(Buffer.from(`${hash('sha1', 'other')}  app-1.jar\n`)))
    await assert.rejects(text(`${APP}/1/app-1.jar`))
    assert.equal(await fleet.ledger.state.file('scope-of-remote', `${APP}/1/app-1.jar`), undefined)
    upstream.answer(`/${APP}/1/app-1.jar.sha1`, bytes(Buffer.from(`SHA1(app-1.jar)= ${hash('sha1', JAR)}\n`)))
    assert.equal(await text(`${APP}/1/app-1.jar`), JAR.toString())
  })

  for (const [what, answer] of [
    ['is not there', status(404)],
    ['is refused', status(403)],
    ['says nothing', bytes(Buffer.from('a page without any'))],
  ] as [string, Answer][])
    it(`a checksum beside it that ${what} keeps no file away`, async () => {
      upstream.answer(`/${APP}/1/app-1.jar`, bytes(JAR))
      upstream.answer(`/${APP}/1/app-1.jar.sha1`, answer)
      assert.equal(await text(`${APP}/1/app-1.jar`), JAR.toString())
    })

  it('builds of a snapshot keep their bytes; what names the newest is looked at again', async () => {
    const build = (number: number) => `${SNAPSHOT}/app-2-20260102.030405-${number}.jar`
    const moving = [`${SNAPSHOT}/maven-metadata.xml`, `${SNAPSHOT}/app-2-SNAPSHOT.jar`]
    upstream.answer(`/${build(1)}`, bytes(Buffer.from('one')))
    for (const path of moving) upstream.answer(`/${path}`, tagged(Buffer.from('<metadata>1</metadata>')))
    for (const path of moving) {
      const reply = await get(path)
      assert.equal(await reply.text(), '<metadata>1</metadata>')
      assert.match(reply.headers.get('cache-control') ?? '', /no-cache/)
      assert.equal(upstream.count(`/${path}.sha1`), 0)
    }
    assert.equal(await text(build(1)), 'one')
    for (const path of moving) upstream.answer(`/${path}`, tagged(Buffer.from('<metadata>2</metadata>')))
    upstream.answer(`/${build(1)}`, bytes(Buffer.from('changed')))
    fleet.nowMs += 61_000
    for (const path of moving) {
      await until(async () => (await text(path)) === '<metadata>2</metadata>')
      const sum = await get(`${path}.sha1`)
      assert.equal(await sum.text(), hash('sha1', '<metadata>2</metadata>'))
      assert.match(sum.headers.get('cache-control') ?? '', /no-cache/)
    }
    assert.equal(await text(build(1)), 'one')
    assert.equal(upstream.count(`/${build(1)}`), 1)
  })

  it('a node that is cut off serves metadata, files and checksums that are held', async () => {
    upstream.answer(`/${APP}/maven-metadata.xml`, tagged(metadata({ versions: ['1'] })))
    upstream.answer(`/${SNAPSHOT}/maven-metadata.xml`, tagged(metadata({ versions: [] })))
    upstream.answer(`/${APP}/1/app-1.jar`, bytes(JAR))
    const paths = [`${APP}/maven-metadata.xml`, `${SNAPSHOT}/maven-metadata.xml`, `${APP}/1/app-1.jar`]
    for (const path of paths) await text(path, { side: 'node' })
    fleet.cutOff = true
    fleet.nowMs += 61_000
    for (const path of [...paths, ...paths.map((one) => `${one}.sha1`)]) await text(path, { side: 'node' })
    assert.equal((await get(`${APP}/2/app-2.jar`, { side: 'node' })).status, 503)
  })

  for (const [what, document] of [
    ['is no XML', 'down'],
    ['is something else', '<project/>'],
    ['defines entities', '<!DOCTYPE metadata [<!ENTITY a "a">]><metadata/>'],
  ] as const)
    it(`metadata that ${what} is an error, and nothing is recorded`, async () => {
      upstream.answer(`/${APP}/maven-metadata.xml`, bytes(Buffer.from(document)))
      assert.equal((await get(`${APP}/maven-metadata.xml`)).status, 502)
      assert.equal(await fleet.ledger.state.listing('scope-of-remote', 'org.left:app'), undefined)
    })

  it('versions and plugins that cannot be are left out, and one that is said twice is one', () => {
    const odd = ['1', '1', '../x', 'a b', '', 'x'.repeat(300), 'plugin:x', '2']
    const { versions } = parseMetadata(
      Buffer.from(
        `${metadata({ versions: odd })}`.replace(
          '</metadata>',
          '<plugins><plugin><prefix>a/b</prefix><artifactId>c</artifactId></plugin><plugin/></plugins></metadata>',
        ),
      ),
    )
    assert.deepEqual(
      versions.map(({ version }) => version),
      ['1', '2'],
    )
  })

  it('only names that are folders are asked for, and only what Maven would look for', async () => {
    const { listing } = reading
    assert.equal(listing?.ask('org.left:app', new URL(upstream.url))?.path, 'org/left/app/maven-metadata.xml')
    assert.equal(listing?.ask(':left', new URL(upstream.url))?.path, 'left/maven-metadata.xml')
    for (const name of ['a', 'a:..', '..:a', 'a..b:c', 'a:b:c', 'a/b:c', 'a:b?c', ':'])
      assert.equal(listing?.ask(name, new URL(upstream.url)), undefined, name)
    for (const path of ['robots.txt', '.index/x.gz', 'org/left/x.jar', `${APP}/1/other.jar`, `${APP}/1/app-2.jar`])
      assert.equal((await get(path)).status, 404)
    assert.equal(upstream.asked.length, 0)
  })

  describe('through a virtual repository', () => {
    let second: ScriptedUpstream
    beforeEach(async () => {
      second = await scriptedUpstream()
      await fleet.repository('own', 'maven')
      await fleet.repository('second', 'maven', { type: 'remote', upstream: second.url })
      await fleet.repository('all', 'maven', { type: 'virtual', members: ['remote', 'second', 'own'] })
    })
    afterEach(() => second.close())

    it('an artifact that a hosted member knows is never looked up upstream, in any way', async () => {
      const own = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
      const deployed = await own(`${ORIGIN}/repository/own/${APP}/1/app-1.jar`, { method: 'PUT', body: 'ours' })
      assert.equal(deployed.status, 201)
      for (const one of [upstream, second])
        for (const path of [`${APP}/9/app-9.jar`, `${APP}/maven-metadata.xml`, `${SNAPSHOT}/maven-metadata.xml`])
          one.answer(`/${path}`, bytes(Buffer.from('theirs')))
      for (const side of ['primary', 'node'] as const) {
        assert.equal(await text(`${APP}/1/app-1.jar`, { key: 'all', side }), 'ours')
        for (const path of [
          `${APP}/9/app-9.jar`,
          `${APP}/9/app-9.jar.sha1`,
          `${SNAPSHOT}/maven-metadata.xml`,
          `${SNAPSHOT}/app-2-SNAPSHOT.jar`,
          `${APP}/maven-metadata.xml`,
        ])
          assert.equal((await get(path, { key: 'all', side })).status, 404, path)
      }
      assert.deepEqual([...upstream.asked, ...second.asked], [])
    })

    it('an artifact that the first remote member does not have comes from the next, and is not mixed from both', async () => {
      upstream.answer(`/${APP}/maven-metadata.xml`, tagged(metadata({ versions: ['1'] })))
      second.answer(`/${APP}/maven-metadata.xml`, tagged(metadata({ versions: ['2'] })))
      second.answer(`/${APP}/2/app-2.jar`, bytes(JAR))
      second.answer('/org/left/lib/maven-metadata.xml', tagged(metadata({ versions: ['3'] })))
      second.answer('/org/left/lib/3/lib-3.jar', bytes(JAR))
      for (const side of ['node', 'primary'] as const) {
        const asked = { key: 'all', side }
        assert.deepEqual(elements(await text(`${APP}/maven-metadata.xml`, asked), 'version'), ['1'])
        assert.deepEqual(elements(await text('org/left/lib/maven-metadata.xml', asked), 'version'), ['3'])
        assert.equal(await text('org/left/lib/3/lib-3.jar', asked), JAR.toString())
        assert.equal((await get(`${APP}/2/app-2.jar`, asked)).status, 404)
      }
      assert.equal(second.count(`/${APP}/2/app-2.jar`), 0)
    })
  })
})

interface Metadata {
  versions: string[]
  latest?: string
  release?: string
}

function metadata({ versions, latest = '', release = '' }: Metadata): Buffer {
  const list = versions.map((version) => `<version>${version}</version>`).join('\n      ')
  return Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>
<metadata>
  <groupId>org.left</groupId>
  <artifactId>app</artifactId>
  <versioning>
    <latest>${latest}</latest>
    <release>${release}</release>
    <versions>
      ${list}
    </versions>
    <lastUpdated>20260102030405</lastUpdated>
  </versioning>
</metadata>
`)
}

function elements(document: string, element: string): string[] {
  return [...document.matchAll(new RegExp(`<${element}>(.*?)</${element}>`, 'g'))].map(([, found = '']) => found)
}

function hash(algorithm: string, content: string | Buffer): string {
  return createHash(algorithm).update(content).digest('hex')
}
