/**
 * Maven, old and new, for real: each deploys releases and snapshots to the primary, resolves them from a node into an empty local
 * repository, and with the primary stopped from the other node. Its own plugins come out of a folder that `.ci/run` fills.
 */
import assert from 'node:assert/strict'
import { cpSync, existsSync } from 'node:fs'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { packageRoot } from '../../deploy/root.js'
import { jar, pluginJar, pom } from '../formats/maven/jar.js'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { type Client, missing, newHome, program, type Ran, run } from './client.js'

const CLIENTS = join(packageRoot(), '.build', 'clients')
const PLUGINS = join(CLIENTS, 'maven-plugins')
const DEPLOY = 'org.apache.maven.plugins:maven-deploy-plugin:3.1.4:deploy-file'
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy'
const GROUP = 'test.cairn'

const MAVENS: [label: string, client: Client][] = [
  ['mvn', ready(program('mvn'))],
  ['mvn-3.9', ready({ name: 'mvn 3.9', command: present(join(CLIENTS, 'apache-maven-3', 'bin', 'mvn')) })],
  ['mvn-4', ready({ name: 'mvn 4', command: present(join(CLIENTS, 'apache-maven-4', 'bin', 'mvn')) })],
]

for (const [label, client] of MAVENS) {
  const only = missing(client)
  describe(client.name, { timeout: 900_000, ...only }, () => {
    let fleet: TestFleet
    let token: string
    let deployer: string
    const group = `${GROUP}.${label.replaceAll(/\W/g, '')}`
    const at = (side: 'primary' | 0 | 1, key = 'jars') =>
      `${side === 'primary' ? fleet.primaryUrl : fleet.nodeUrls[side]}/repository/${key}`

    before(async () => {
      fleet = await testFleet({ nodes: 2 })
      token = fleet.admin.replace('Bearer ', '')
      deployer = await mavenHome()
      for (const [key, is_public] of [
        ['jars', true],
        ['closed', false],
        ['more', true],
      ] as const)
        await repository({ key, is_public, repo_type: 'local' })
      await repository({ key: 'all', is_public: true, repo_type: 'virtual' })
      for (const member_key of ['more', 'jars'])
        await fleet.api('POST', '/api/v1/repositories/all/members', { member_key })
    })
    after(() => fleet.close())

    it('deploys a release with its sources, and resolves it from a node', only, async () => {
      await deploys({ version: '1.0', content: 'first' })
      await everywhere(`${path('1.0')}/app-1.0-sources.jar`)
      assert.ok((await copied('1.0', at(0))).equals(jarOf('first')))
      assert.match(await text(`${at(0)}/${path('')}maven-metadata.xml`), /<release>1\.0<\/release>/)
      assert.ok((await copied('1.0:jar:sources', at(0), 'app-1.0-sources.jar')).equals(jarOf('sources of first')))
    })

    it('is told when a release exists, and the release keeps its bytes', only, async () => {
      const { code, output } = await deploy({ version: '1.0', content: 'other' })
      assert.notEqual(code, 0)
      assert.match(output, /409/)
      assert.ok((await copied('1.0', at('primary'))).equals(jarOf('first')))
    })

    it('deploys what it deployed once more', only, () => deploys({ version: '1.0', content: 'first' }))

    it('finds the newest release by what the metadata says', only, async () => {
      await deploys({ version: '1.10', content: 'tenth' })
      await deploys({ version: '1.9', content: 'ninth' })
      await everywhere(`${path('1.9')}/app-1.9-sources.jar`)
      assert.ok((await copied('RELEASE', at(0), 'app-1.10.jar')).equals(jarOf('tenth')))
    })

    it('deploys snapshots, and updates to the newest build', only, async () => {
      const home = await mavenHome()
      for (const content of ['early', 'late']) {
        await deploys({ version: '2.0-SNAPSHOT', content })
        await until(async () =>
          (await bytes(`${at(1)}/${path('2.0-SNAPSHOT')}/app-2.0-SNAPSHOT.jar`)).equals(jarOf(content)),
        )
        const got = await copied('2.0-SNAPSHOT', at(1), undefined, home)
        assert.ok(got.equals(jarOf(content)), content)
      }
      const metadata = await text(`${at(1)}/${path('2.0-SNAPSHOT')}/maven-metadata.xml`)
      assert.match(metadata, /<buildNumber>2<\/buildNumber>/)
    })

    it('deploys through a node', only, async () => {
      await deploys({ version: '3.0', content: 'by the node' }, at(0))
      assert.ok((await copied('3.0', at(0))).equals(jarOf('by the node')))
    })

    it('reads a private repository with the credentials of its settings, and not without', only, async () => {
      await deploys({ version: '1.0', content: 'secret' }, at('primary', 'closed'))
      await until(async () => (await fetch(`${at(0, 'closed')}/${path('1.0')}/app-1.0.pom`, authorised())).ok)
      const { code, output } = await copy('1.0', at(0, 'closed'), await mavenHome({ token: undefined }))
      assert.notEqual(code, 0)
      assert.match(output, /401|authenti|not authorized|could not find/i)
      assert.ok((await copied('1.0', at(0, 'closed'))).equals(jarOf('secret')))
    })

    it('sees a virtual repository as one', only, async () => {
      await deploys({ version: '4.0', content: 'elsewhere' }, at('primary', 'more'))
      await until(async () => (await fetch(`${at(1, 'more')}/${path('4.0')}/app-4.0-sources.jar`)).ok)
      assert.ok((await copied('RELEASE', at(1, 'all'), 'app-4.0.jar')).equals(jarOf('elsewhere')))
      assert.ok((await copied('1.9', at(1, 'all'))).equals(jarOf('ninth')))
    })

    it('finds a plugin by its prefix', only, async () => {
      const artifact = 'hail-maven-plugin'
      const folder = await project({
        'plugin.jar': pluginJar(group, artifact, 'hail'),
        'plugin.xml': pom(group, artifact, '1.0', '<packaging>maven-plugin</packaging>'),
      })
      const files = ['-Dfile=plugin.jar', '-DpomFile=plugin.xml']
      await succeeds([DEPLOY, ...files, ...target(at('primary'))], folder, deployer)
      await everywhere(`${group.replaceAll('.', '/')}/${artifact}/1.0/${artifact}-1.0.pom`)
      const { output } = await mvn(['hail:nothing'], folder, await mavenHome({ from: at(0) }))
      assert.match(output, new RegExp(`Could not find goal 'nothing' in plugin ${group}:${artifact}:1\\.0`))
    })

    it('resolves from a node with the primary stopped', only, async () => {
      await fleet.stopPrimary()
      assert.ok((await copied('1.10', at(1))).equals(jarOf('tenth')))
      assert.ok((await copied('2.0-SNAPSHOT', at(1))).equals(jarOf('late')))
      const { code, output } = await deploy({ version: '9.0', content: 'later' }, at(1))
      assert.notEqual(code, 0)
      assert.match(output, /503/)
    })

    const path = (version: string) => `${group.replaceAll('.', '/')}/app/${version}`
    const bytes = async (url: string) => Buffer.from(await (await fetch(url)).arrayBuffer())
    const text = async (url: string) => (await fetch(url)).text()
    const authorised = () => ({ headers: { authorization: fleet.admin } })
    const target = (url: string) => [`-Durl=${url}`, '-DrepositoryId=cairn']

    async function repository(draft: { key: string; is_public: boolean; repo_type: string }): Promise<void> {
      await fleet.api('POST', '/api/v1/repositories', { ...draft, name: draft.key, format: 'maven' })
    }

    async function everywhere(file: string): Promise<void> {
      for (const side of [0, 1] as const) await until(async () => (await fetch(`${at(side)}/${file}`)).ok)
    }

    async function deploy({ version, content }: Draft, url = at('primary')): Promise<Ran> {
      const folder = await project({
        'app.jar': jarOf(content),
        'sources.jar': jarOf(`sources of ${content}`),
        'app.xml': pom(group, 'app', version),
      })
      const files = ['-Dfile=app.jar', '-DpomFile=app.xml', '-Dsources=sources.jar']
      return mvn([DEPLOY, ...files, ...target(url)], folder, deployer)
    }

    async function deploys(draft: Draft, url?: string): Promise<void> {
      const { code, output } = await deploy(draft, url)
      assert.equal(code, 0, output)
    }

    async function copy(version: string, from: string, home: string): Promise<Ran & { folder: string }> {
      const folder = await project({})
      await writeSettings(home, { from, token: existsSync(join(home, 'no-token')) ? undefined : token })
      const args = [COPY, `-Dartifact=${group}:app:${version}`, '-DoutputDirectory=out', '-Dmdep.useBaseVersion=true']
      return { ...(await mvn(args, folder, home)), folder }
    }

    async function copied(version: string, from: string, name = `app-${version}.jar`, home?: string): Promise<Buffer> {
      const { code, output, folder } = await copy(version, from, home ?? (await mavenHome()))
      assert.equal(code, 0, output)
      return readFile(join(folder, 'out', name))
    }

    async function succeeds(args: string[], cwd: string, home: string): Promise<void> {
      const { code, output } = await mvn(args, cwd, home)
      assert.equal(code, 0, output)
    }

    function mvn(args: string[], cwd: string, home: string): Promise<Ran> {
      const own = ['-B', '-U', '-s', join(home, 'settings.xml'), `-Dmaven.repo.local=${join(home, 'repository')}`]
      return run(client, [...own, ...args], { cwd, home, deadlineMs: 180_000 })
    }

    /** A home with nothing in its local repository but what Maven itself is made of. */
    async function mavenHome(options: { from?: string; token?: string | undefined } = {}): Promise<string> {
      const home = await newHome(fleet.dir)
      cpSync(PLUGINS, join(home, 'repository'), { recursive: true })
      // Short runs are over before a better compiler pays.
      await writeFile(join(home, '.mavenrc'), 'MAVEN_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"\n')
      const hasToken = !('token' in options)
      if (!hasToken) await writeFile(join(home, 'no-token'), '')
      await writeSettings(home, { from: options.from ?? at('primary'), token: hasToken ? token : undefined })
      return home
    }

    /** Everything comes from `from`, Maven's own repository included. */
    async function writeSettings(home: string, settings: { from: string; token: string | undefined }): Promise<void> {
      const { from, token: password } = settings
      const server = `<server><id>cairn</id><username>admin</username><password>${password}</password></server>`
      const policy = '<enabled>true</enabled><updatePolicy>always</updatePolicy><checksumPolicy>fail</checksumPolicy>'
      const repository = `<id>ours</id><url>${from}</url><releases>${policy}</releases><snapshots>${policy}</snapshots>`
      await writeFile(
        join(home, 'settings.xml'),
        `<settings><servers>${password === undefined ? '' : server}</servers>
<mirrors><mirror><id>cairn</id><mirrorOf>*</mirrorOf><url>${from}</url></mirror></mirrors>
<pluginGroups><pluginGroup>${group}</pluginGroup></pluginGroups>
<profiles><profile><id>ours</id><repositories><repository>${repository}</repository></repositories>
<pluginRepositories><pluginRepository>${repository}</pluginRepository></pluginRepositories></profile></profiles>
<activeProfiles><activeProfile>ours</activeProfile></activeProfiles></settings>`,
      )
    }

    async function project(files: Record<string, string | Buffer>): Promise<string> {
      const folder = await mkdtemp(join(fleet.dir, 'project-'))
      for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
      return folder
    }
  })
}

interface Draft {
  version: string
  content: string
}

function jarOf(content: string): Buffer {
  return jar([{ name: 'content.txt', content }])
}

/** Without its plugins it is as good as not installed. */
function ready(client: Client): Client {
  return existsSync(PLUGINS) ? client : { ...client, command: undefined }
}

function present(path: string): [string] | undefined {
  return existsSync(path) ? [path] : undefined
}
