/**
 * The go command getting other people's modules, verified against the checksum database that it trusts, both through Cairn
 * and nothing else: from whatever proxy this machine's own Go is set to use. Where that cannot be reached, or gives no access to
 * the database, the tests are skipped.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { moduleUrl, moduleZip } from '../support/go-module.js'
import { missing, newHome, program, run, succeeds } from './client.js'

const GO = program('go')
const DEADLINE_MS = 120_000
const OWN = 'example.com/clients/own'
const machine = await configured()
const skip =
  missing(GO).skip || (machine === undefined && 'no Go proxy with a checksum database can be reached from here')

describe('the go command through a remote repository', { timeout: 600_000, skip }, () => {
  let fleet: TestFleet
  const at = (side: 'primary' | 0 | 1, key: string) =>
    `${side === 'primary' ? fleet.primaryUrl : fleet.nodeUrls[side]}/repository/${key}`

  before(async () => {
    const upstream = new URL(machine?.proxy ?? 'http://nowhere.invalid/')
    fleet = await testFleet({ nodes: 2, primary: { upstreamAllow: [upstream.hostname] } })
    const draft = { format: 'go', is_public: true }
    const remote = { ...draft, repo_type: 'remote', upstream_url: upstream.href }
    await fleet.api('POST', '/api/v1/repositories', { ...draft, key: 'own', repo_type: 'local' })
    await fleet.api('POST', '/api/v1/repositories', { ...remote, key: 'public' })
    const members = ['own', 'public']
    await fleet.api('POST', '/api/v1/repositories', { ...draft, key: 'all', repo_type: 'virtual', members })
    const files = { 'own.go': 'package own\n\nconst Name = "own"\n' }
    const url = at('primary', 'own') + moduleUrl(OWN, 'v1.0.0.zip')
    const body = moduleZip({ module: OWN, version: 'v1.0.0', files })
    const reply = await fetch(url, {
      method: 'PUT',
      headers: { authorization: fleet.admin },
      body: new Uint8Array(body),
    })
    assert.equal(reply.status, 201)
    for (const node of [0, 1] as const)
      await until(async () => (await fetch(at(node, 'all') + moduleUrl(OWN, 'list'))).status === 200)
  })
  after(() => fleet.close())

  it('through the primary', () => gets(at('primary', 'public')))
  it('through a node', () => gets(at(0, 'public')))
  it('with modules of our own beside, through a virtual repository', () => gets(at(0, 'all'), [`${OWN}@v1.0.0`]))

  it('what the database does not know as it is, is refused', async () => {
    const { cwd, ...options } = await consumer(at(0, 'all'), { GONOSUMDB: 'none.example.com' })
    // Our own module is in no public database.
    const { code, output } = await run(GO, ['get', `${OWN}@v1.0.0`], { cwd, ...options })
    assert.notEqual(code, 0)
    assert.match(output, /verifying module|404/)
  })

  it('refuses what is not what the database says', async () => {
    // The same path and version as somebody else's module, published here.
    const module = 'github.com/pkg/errors'
    const body = moduleZip({ module, version: 'v0.9.1', files: { 'errors.go': 'package errors\n' } })
    const url = at('primary', 'own') + moduleUrl(module, 'v0.9.1.zip')
    await fetch(url, { method: 'PUT', headers: { authorization: fleet.admin }, body: new Uint8Array(body) })
    const { cwd, ...options } = await consumer(at('primary', 'all'))
    const { code, output } = await run(GO, ['get', `${module}@v0.9.1`], { cwd, ...options })
    assert.notEqual(code, 0)
    assert.match(output, /SECURITY ERROR/)
  })

  describe('cut off from everything, at a node that has not served it yet', () => {
    before(() => fleet.stopPrimary())
    it('from a remote repository', () => gets(at(1, 'public')))
    it('from a virtual repository', () => gets(at(1, 'all'), [`${OWN}@v1.0.0`]))
  })

  async function gets(proxy: string, more: string[] = []): Promise<void> {
    const options = { ...(await consumer(proxy)), deadlineMs: DEADLINE_MS }
    // By its list of versions, and by number; what that one needs has a pseudo-version.
    await succeeds(GO, ['get', 'github.com/google/uuid@<v1.6.1', 'gopkg.in/yaml.v3@v3.0.1', ...more], options)
    // Every package that a program would be compiled from.
    const found = await succeeds(GO, ['list', '-deps', 'github.com/google/uuid', 'gopkg.in/yaml.v3'], options)
    assert.match(found, /^gopkg\.in\/yaml\.v3$/m)
    assert.match(await succeeds(GO, ['mod', 'verify'], options), /all modules verified/)
    assert.match(await readFile(join(options.cwd, 'go.sum'), 'utf8'), /^github\.com\/google\/uuid v1\.6\.0 h1:/m)
  }

  /** An empty module in a home of its own, where nothing was verified yet. */
  async function consumer(proxy: string, more: Record<string, string> = {}): Promise<{ cwd: string; home: string }> {
    const cwd = await mkdtemp(join(fleet.dir, 'consumer-'))
    await writeFile(join(cwd, 'go.mod'), 'module example.com/consumer\n\ngo 1.18\n')
    const home = await newHome(fleet.dir)
    const file = join(home, '.config', 'go', 'env')
    await mkdir(dirname(file), { recursive: true })
    const settings = {
      GOPROXY: proxy,
      GOSUMDB: machine?.database ?? '',
      GONOSUMDB: 'example.com',
      GOFLAGS: '-modcacherw -mod=mod',
      GOTOOLCHAIN: 'local',
      GOCACHE: join(fleet.dir, 'go-build'),
      ...more,
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
    await writeFile(file, lines.join(''))
    return { cwd, home }
  }
})

/** Never named here: it is what this machine's Go says. */
async function configured(): Promise<{ proxy: string; database: string } | undefined> {
  try {
    const { stdout } = await promisify(execFile)('go', ['env', 'GOPROXY', 'GOSUMDB'], { timeout: 20_000 })
    const [proxies = '', database = ''] = stdout.split('\n')
    const proxy = proxies.split(/[,|]/)[0] ?? ''
    const [name = ''] = database.split(/[+ ]/, 1)
    const reply = await fetch(`${proxy}/sumdb/${name}/supported`, { signal: AbortSignal.timeout(10_000) })
    await reply.arrayBuffer()
    return reply.ok ? { proxy, database } : undefined
  } catch {
    return undefined
  }
}
