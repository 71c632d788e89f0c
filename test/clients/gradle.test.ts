/** Gradle, for real: publishes releases and snapshots to the primary, and resolves them from a node, also with the primary stopped. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { jar } from '../formats/maven/jar.js'
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

  it('publishes a release, is told when other bytes are there, and finds the newest', async () => {
    await publishes('1.2', 'older')
    await publishes('1.10', 'newer')
    const { code, output } = await publish('1.10', 'other')
    assert.notEqual(code, 0)
    assert.match(output, /409/)
    await until(async () => (await fetch(`${path('1.10')}/app-1.10.pom`)).ok)
    assert.ok((await resolved('1.+', 'app-1.10.jar')).equals(jarOf('newer')))
    assert.ok((await resolved('1.2', 'app-1.2.jar')).equals(jarOf('older')))
  })

  it('publishes snapshots, and resolves the newest build', async () => {
    for (const content of ['early', 'late']) {
      await publishes('2.0-SNAPSHOT', content)
      const newest = async () =>
        Buffer.from(await (await fetch(`${path('2.0-SNAPSHOT')}/app-2.0-SNAPSHOT.jar`)).arrayBuffer())
      await until(async () => (await newest()).equals(jarOf(content)))
      assert.ok((await resolved('2.0-SNAPSHOT', 'app-2.0-SNAPSHOT.jar')).equals(jarOf(content)))
    }
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
        'build.gradle': `apply plugin: 'maven-publish'
group = '${GROUP}'
version = '${version}'
publishing {
  publications { app(MavenPublication) { artifact file('app.jar') } }
  repositories { maven { url '${at('primary')}'; ${credentials} } }
}
`,
      }),
    )
  }

  async function publishes(version: string, content: string): Promise<void> {
    const { code, output } = await publish(version, content)
    assert.equal(code, 0, output)
  }

  async function resolved(version: string, file: string): Promise<Buffer> {
    const folder = await project({
      'settings.gradle': "rootProject.name = 'consumer'\n",
      'build.gradle': `configurations { wanted }
repositories { maven { url '${at('node')}' } }
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
