/** What the script does not reach: several members behind one address, replaced files, limits, who may read. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MemoryFleet, type Send } from '../../support/memory-fleet.js'
import { ORIGIN } from '../../support/request.js'
import { jar, pluginJar, pom } from './jar.js'

const at = (key: string, path: string): string => `${ORIGIN}/repository/${key}/${path}`

async function setting(): Promise<{ fleet: MemoryFleet; ann: Send; nobody: Send }> {
  const fleet = await MemoryFleet.open()
  for (const key of ['one', 'two']) await fleet.repository(key, 'maven')
  await fleet.repository('all', 'maven', { type: 'virtual', members: ['one', 'two'] })
  await fleet.repository('loose', 'maven', { redeploy: true })
  await fleet.repository('closed', 'maven', { public: false })
  const ann = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
  return { fleet, ann, nobody: fleet.client('primary') }
}

async function stores(send: Send, url: string, body: string | Uint8Array, status = 201): Promise<void> {
  const reply = await send(url, { method: 'PUT', body })
  assert.equal(reply.status, status, `${url}: ${await reply.text()}`)
}

async function text(send: Send, url: string): Promise<string> {
  const reply = await send(url)
  assert.equal(reply.status, 200, url)
  return reply.text()
}

const all = (metadata: string, element: string): string[] =>
  [...metadata.matchAll(new RegExp(`<${element}>(.*?)</${element}>`, 'g'))].map(([, found = '']) => found)

describe('a virtual Maven repository', () => {
  it("merges its members' metadata at every level", async () => {
    const { ann } = await setting()
    for (const [key, version, build, plugin] of [
      ['one', '1.0', '20260101.000000-1', 'red'],
      ['two', '2.0', '20260202.000000-2', 'blue'],
    ] as const) {
      await stores(ann, at(key, `g/a/${version}/a-${version}.pom`), pom('g', 'a', version))
      await stores(ann, at(key, `g/a/3-SNAPSHOT/a-3-${build}.pom`), pom('g', 'a', '3-SNAPSHOT'))
      await stores(ann, at(key, `g/a/3-SNAPSHOT/a-3-${build}.jar`), key)
      const [artifact, packaging] = [`${plugin}-maven-plugin`, '<packaging>maven-plugin</packaging>']
      await stores(ann, at(key, `g/p/${artifact}/1.0/${artifact}-1.0.jar`), pluginJar('g.p', artifact, plugin))
      await stores(ann, at(key, `g/p/${artifact}/1.0/${artifact}-1.0.pom`), pom('g.p', artifact, '1.0', packaging))
    }
    const artifact = await text(ann, at('all', 'g/a/maven-metadata.xml'))
    assert.deepEqual(all(artifact, 'version'), ['1.0', '2.0', '3-SNAPSHOT'])
    assert.deepEqual(all(artifact, 'release'), ['2.0'])
    const snapshot = await text(ann, at('all', 'g/a/3-SNAPSHOT/maven-metadata.xml'))
    assert.deepEqual(all(snapshot, 'timestamp'), ['20260202.000000'])
    assert.deepEqual(all(await text(ann, at('all', 'g/p/maven-metadata.xml')), 'prefix'), ['blue', 'red'])
    assert.equal(await text(ann, at('all', 'g/a/3-SNAPSHOT/a-3-SNAPSHOT.jar')), 'two')
    await stores(ann, at('one', 'g/a/1.1/a-1.1.pom'), pom('g', 'a', '1.1'))
    const after = await text(ann, at('all', 'g/a/maven-metadata.xml'))
    assert.deepEqual(all(after, 'version'), ['1.0', '1.1', '2.0', '3-SNAPSHOT'])
  })

  it('takes no deploys', async () => {
    const { ann } = await setting()
    await stores(ann, at('all', 'g/a/1.0/a-1.0.jar'), 'x', 405)
  })
})

describe('a hosted Maven repository', () => {
  it('that allows to replace files keeps all that arrive at once', async () => {
    const { ann } = await setting()
    const rests = ['.pom', '.jar', ...Array.from({ length: 10 }, (_, i) => `-c${i}.jar`)]
    const body = (rest: string, content: string) => (rest === '.pom' ? pom('g', 'a', '1.0') : content)
    await Promise.all(rests.map((rest) => stores(ann, at('loose', `g/a/1.0/a-1.0${rest}`), body(rest, 'first'))))
    await stores(ann, at('loose', 'g/a/1.0/a-1.0.jar'), 'second')
    for (const rest of rests.slice(2)) assert.equal(await text(ann, at('loose', `g/a/1.0/a-1.0${rest}`)), 'first')
    assert.equal(await text(ann, at('loose', 'g/a/1.0/a-1.0.jar')), 'second')
  })

  it('forgets the prefix of a plugin of which nothing is left, and learns it again', async () => {
    const { ann } = await setting()
    const path = (version: string) => `g/x-maven-plugin/${version}/x-maven-plugin-${version}`
    const deploy = async (version: string) => {
      await stores(ann, at('one', `${path(version)}.jar`), pluginJar('g', 'x-maven-plugin', 'x', version))
      const body = pom('g', 'x-maven-plugin', version, '<packaging>maven-plugin</packaging>')
      await stores(ann, at('one', `${path(version)}.pom`), body)
    }
    const groups = at('one', 'g/maven-metadata.xml')
    for (const version of ['1', '2']) await deploy(version)
    const remove = (url: string) => ann(url, { method: 'DELETE' })
    assert.equal((await remove(at('one', 'g/x-maven-plugin/1'))).status, 204)
    assert.deepEqual(all(await text(ann, groups), 'prefix'), ['x'])
    assert.equal((await remove(at('one', 'g/x-maven-plugin/2/'))).status, 204)
    assert.equal((await ann(groups)).status, 404)
    await deploy('3')
    assert.deepEqual(all(await text(ann, groups), 'prefix'), ['x'])
  })

  it('removes all builds of a snapshot by its folder', async () => {
    const { ann } = await setting()
    for (const number of [1, 2])
      await stores(
        ann,
        at('one', `g/a/1-SNAPSHOT/a-1-20260101.00000${number}-${number}.pom`),
        pom('g', 'a', '1-SNAPSHOT'),
      )
    assert.equal((await ann(at('one', 'g/a/1-SNAPSHOT'), { method: 'DELETE' })).status, 204)
    assert.equal((await ann(at('one', 'g/a/1-SNAPSHOT/maven-metadata.xml'))).status, 404)
    assert.equal((await ann(at('one', 'g/a/maven-metadata.xml'))).status, 404)
  })

  it('refuses a POM, a checksum and metadata beyond their limits', async () => {
    const { ann } = await setting()
    const long = ' '.repeat(5 * 1024 * 1024)
    await stores(ann, at('one', 'g/a/1.0/a-1.0.pom'), pom('g', 'a', '1.0') + long, 413)
    await stores(ann, at('one', 'g/a/1.0/a-1.0.jar'), jar([]))
    await stores(ann, at('one', 'g/a/1.0/a-1.0.jar.sha1'), long, 413)
    await stores(ann, at('one', 'g/a/maven-metadata.xml'), long.repeat(4), 413)
  })

  it('that is private asks for Basic credentials, for metadata too', async () => {
    const { ann, nobody } = await setting()
    await stores(ann, at('closed', 'g/a/1.0/a-1.0.pom'), pom('g', 'a', '1.0'))
    for (const path of ['g/a/1.0/a-1.0.pom', 'g/a/maven-metadata.xml', 'g/none/maven-metadata.xml']) {
      const reply = await nobody(at('closed', path))
      assert.equal(reply.status, 401)
      assert.match(reply.headers.get('www-authenticate') ?? '', /^Basic realm="/)
    }
    assert.deepEqual(all(await text(ann, at('closed', 'g/a/maven-metadata.xml')), 'release'), ['1.0'])
  })
})
