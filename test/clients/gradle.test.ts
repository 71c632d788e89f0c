/**
 * Gradle, for real: resolves releases, ranges and snapshots from a node, also with the primary stopped, and publishes with Ivy's
 * descriptor under Maven's layout. (Debian's Gradle comes without what its maven-publish needs to reach HTTP.)
 */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { jar, pom } from '../formats/maven/jar.js'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { missing, newHome, program, type Ran, run } from './client.js'

const GRADLE = program('gradle')
const GROUP = 'test.cairn.gradle'

describe('gradle', { timeout: 600_000, ...missing(GRADLE) }, () => {
  let fleet: TestFleet
  const at = (side: 'primary' | 'node') =>
    `${side === 'primary' ? fleet.primaryUrl : fleet.nodeUrls[0]}/repository/jars`
  const path = (version: string) => `${at('node')}/${GROUP.replaceAll('.', '/')}/app/${version}`

  before(async () => {
    fleet = await testFleet({ nodes: 1 })
    const draft = { key: 'jars', name: 'jars', format: 'maven', repo_type: 'local', is_public: true }
    await fleet.api('POST', '/api/v1/repositories', draft)
  })
  after(() => fleet.close())

  it('resolves a release, and the newest of a range', async () => {
    for (const [version, content] of [
      ['1.2', 'older'],
      ['1.10', 'newer'],
    ] as const)
      await deploys(version, `app-${version}`, content)
    assert.ok((await resolved('1.+', 'app-1.10.jar')).equals(jarOf('newer')))
    assert.ok((await resolved('1.2', 'app-1.2.jar')).equals(jarOf('older')))
  })

  it('resolves the newest build of a snapshot', async () => {
    await deploys('2.0-SNAPSHOT', 'app-2.0-20261120.042440-1', 'early')
    await deploys('2.0-SNAPSHOT', 'app-2.0-20261120.042441-2', 'late')
    assert.ok((await resolved('2.0-SNAPSHOT', 'app-2.0-SNAPSHOT.jar')).equals(jarOf('late')))
  })

  it("publishes with Ivy's descriptor, resolves that, and is told when other bytes are there", async () => {
    const published = await publish('3.0', 'by Gradle')
    assert.equal(published.code, 0, published.output)
    await until(async () => (await fetch(`${path('3.0')}/ivy-3.0.xml`)).ok)
    assert.ok((await resolved('3.0', 'app-3.0.jar', 'ivy')).equals(jarOf('by Gradle')))
    const { code, output } = await publish('3.0', 'other')
    assert.notEqual(code, 0)
    assert.match(output, /409/)
  })

  it('resolves from a node with the primary stopped', async () => {
    await fleet.stopPrimary()
    assert.ok((await resolved('1.10', 'app-1.10.jar')).equals(jarOf('newer')))
  })

  async function publish(version: string, content: string): Promise<Ran> {
    const credentials = `credentials { username 'admin'; password '${fleet.admin.replace('Bearer ', '')}' }`
    return gradle(
      'publish',
      await project({
        'app.jar': jarOf(content),
        'settings.gradle': "rootProject.name = 'app'\n",
        'build.gradle': `apply plugin: 'ivy-publish'
group = '${GROUP}'
version = '${version}'
publishing {
  publications { app(IvyPublication) { artifact file('app.jar') } }
  repositories { ivy { url '${at('primary')}'; layout 'maven'; ${credentials} } }
}
`,
      }),
    )
  }

  async function deploys(version: string, name: string, content: string): Promise<void> {
    const folder = `${at('primary')}/${GROUP.replaceAll('.', '/')}/app/${version}`
    for (const [extension, body] of [
      ['jar', jarOf(content)],
      ['pom', pom(GROUP, 'app', version)],
    ] as const) {
      const headers = { authorization: fleet.admin }
      const reply = await fetch(`${folder}/${name}.${extension}`, { method: 'PUT', headers, body: Buffer.from(body) })
      assert.equal(reply.status, 201)
    }
    await until(async () => (await fetch(`${path(version)}/${name}.pom`)).ok)
  }

  async function resolved(version: string, file: string, kind: 'maven' | 'ivy' = 'maven'): Promise<Buffer> {
    const folder = await project({
      'settings.gradle': "rootProject.name = 'consumer'\n",
      'build.gradle': `configurations { wanted }
repositories { ${kind} { url '${at('node')}'${kind === 'ivy' ? "; layout 'maven'" : ''} } }
dependencies { wanted '${GROUP}:app:${version}' }
task fetch(type: Copy) { from configurations.wanted; into 'out' }
`,
    })
    const { code, output } = await gradle('fetch', folder)
    assert.equal(code, 0, output)
    return readFile(join(folder, 'out', file))
  }

  /** Each in a home of its own, so that nothing comes out of its caches. */
  async function gradle(task: string, cwd: string): Promise<Ran> {
    const home = await newHome(fleet.dir)
    const own = ['--no-daemon', '--console=plain', '-g', join(home, 'gradle')]
    return run(GRADLE, [...own, task], { cwd, home, deadlineMs: 180_000 })
  }

  async function project(files: Record<string, string | Buffer>): Promise<string> {
    const folder = await mkdtemp(join(fleet.dir, 'project-'))
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
    return folder
  }
})

function jarOf(content: string): Buffer {
  return jar([{ name: 'content.txt', content }])
}
