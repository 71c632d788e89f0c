/**
 * mvn, old and new, and Gradle resolving other people's artifacts with nothing of their own at hand, Maven's plugins included: from
 * whatever repository this machine's own Maven is set to use, through the primary, a node, and another node that is cut off. Where
 * that repository cannot be reached the tests are skipped.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { packageRoot } from '../../deploy/root.js'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { type Client, missing, newHome, program, run } from './client.js'

const MAVENS: Client[] = [program('mvn'), installed('mvn 3.9', 'apache-maven-3'), installed('mvn 4', 'apache-maven-4')]
const GRADLE = program('gradle')
/** With parents, a BOM, optional parts; and one by a range, for which the list of versions is read. */
const WANTED = [
  ['ch.qos.logback', 'logback-classic', '1.5.6'],
  ['com.google.guava', 'guava', '33.2.1-jre'],
  ['org.apache.commons', 'commons-lang3', '[3.12.0,3.14.0]'],
] as const
const FOUND = ['commons-lang3-3.14.0.jar', 'guava-33.2.1-jre.jar', 'logback-core-1.5.6.jar', 'slf4j-api-2.0.13.jar']
/** Its list of versions is read for "+", and it needs others. */
const GRADLE_WANTED = ['com.squareup.okio:okio:1.+', 'junit:junit:4.13.2']
const GRADLE_FOUND = ['hamcrest-core-1.3.jar', 'junit-4.13.2.jar', 'okio-1.17.6.jar']

const repository = await configured()
const skip = repository === undefined && "Maven's repository cannot be reached from here"

describe('other people’s artifacts through a remote repository', { timeout: 900_000, skip }, () => {
  let fleet: TestFleet
  const at = (side: 'primary' | 0 | 1, key: string) =>
    `${side === 'primary' ? fleet.primaryUrl : fleet.nodeUrls[side]}/repository/${key}`

  before(async () => {
    const upstream = new URL(repository ?? 'http://nowhere.invalid/')
    fleet = await testFleet({ nodes: 2, primary: { upstreamAllow: [upstream.hostname] } })
    const draft = { format: 'maven', is_public: true }
    const remote = { ...draft, repo_type: 'remote', upstream_url: upstream.href }
    await fleet.api('POST', '/api/v1/repositories', { ...draft, key: 'own', repo_type: 'local' })
    await fleet.api('POST', '/api/v1/repositories', { ...remote, key: 'public' })
    const members = ['own', 'public']
    await fleet.api('POST', '/api/v1/repositories', { ...draft, key: 'all', repo_type: 'virtual', members })
    for (const node of [0, 1])
      await until(async () => (await fetch(`${fleet.nodeUrls[node]}/api/v1/repositories/all`)).status === 200)
  })
  after(() => fleet.close())

  for (const client of MAVENS) {
    it(`${client.name} through the primary`, missing(client), () => maven(client, at('primary', 'public')))
    it(`${client.name} through a node`, missing(client), () => maven(client, at(0, 'public')))
    it(`${client.name} through a virtual repository`, missing(client), () => maven(client, at(0, 'all')))
  }
  it('gradle through a node', missing(GRADLE), () => gradle(at(0, 'all')))

  describe('cut off from everything, at a node that has not served it yet', () => {
    before(() => fleet.stopPrimary())
    for (const client of MAVENS) it(client.name, missing(client), () => maven(client, at(1, 'all')))
    it('gradle', missing(GRADLE), () => gradle(at(1, 'public')))
  })

  async function maven(client: Client, url: string): Promise<void> {
    const home = await newHome(fleet.dir)
    const folder = await project({
      'pom.xml': `<project><modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>test</artifactId>
<version>1</version><packaging>pom</packaging><dependencies>${WANTED.map(dependency).join('\n')}</dependencies></project>\n`,
      'settings.xml': `<settings><mirrors><mirror><id>cairn</id><mirrorOf>*</mirrorOf><url>${url}</url></mirror></mirrors></settings>\n`,
    })
    // The plugin is found by its prefix, its newest version by its group's list.
    const args = ['-B', '-C', '-s', 'settings.xml', 'dependency:copy-dependencies', '-DoutputDirectory=out']
    const { code, output } = await run(client, args, { cwd: folder, home, deadlineMs: 240_000 })
    assert.equal(code, 0, output)
    assert.doesNotMatch(output, /WARN.*checksum/i)
    await has(folder, FOUND)
  }

  async function gradle(url: string): Promise<void> {
    const home = await newHome(fleet.dir)
    const folder = await project({
      'settings.gradle': "rootProject.name = 'consumer'\n",
      'build.gradle': `configurations { wanted }
repositories { maven { url '${url}' } }
dependencies { ${GRADLE_WANTED.map((one) => `wanted '${one}'`).join('; ')} }
task fetch(type: Copy) { from configurations.wanted; into 'out' }
`,
    })
    const args = ['--no-daemon', '--console=plain', '-g', join(home, 'gradle'), 'fetch']
    const { code, output } = await run(GRADLE, args, { cwd: folder, home, deadlineMs: 240_000 })
    assert.equal(code, 0, output)
    await has(folder, GRADLE_FOUND)
  }

  async function project(files: Record<string, string>): Promise<string> {
    const folder = await mkdtemp(join(fleet.dir, 'project-'))
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
    return folder
  }
})

function installed(name: string, folder: string): Client {
  const path = join(packageRoot(), '.build', 'clients', folder, 'bin', 'mvn')
  return { name, command: existsSync(path) ? [path] : undefined }
}

async function has(folder: string, files: string[]): Promise<void> {
  const found = await readdir(join(folder, 'out'))
  for (const file of files) assert.ok(found.includes(file), `${file} is not among ${found.join(' ')}`)
}

function dependency([group, artifact, version]: readonly [string, string, string]): string {
  return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`
}

/** Never named here: it is what this machine's Maven says, its settings and mirrors considered. */
async function configured(): Promise<string | undefined> {
  try {
    const cwd = await mkdtemp(join(tmpdir(), 'cairn-maven-'))
    const expression = '-Dexpression=project.remoteArtifactRepositories[0].url'
    const { stdout } = await promisify(execFile)('mvn', ['-B', '-q', 'help:evaluate', expression, '-DforceStdout'], {
      cwd,
      timeout: 60_000,
    })
    const url = /https?:\/\/[\w.:/-]+/.exec(stdout)?.[0]
    if (url === undefined) return undefined
    const reply = await fetch(`${url}/junit/junit/maven-metadata.xml`, { signal: AbortSignal.timeout(10_000) })
    await reply.arrayBuffer()
    return reply.ok ? url : undefined
  } catch {
    return undefined
  }
}
