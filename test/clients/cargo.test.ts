/**
 * Cargo itself, each time with a home of its own: publishes to the primary and through a node, adds, builds, yanks, searches, lists
 * owners, uses a private registry, and with the primary stopped and nothing in its caches fetches from another node.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFile, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { fails, missing, newHome, program, type RunOptions, succeeds } from './client.js'

const CARGO = program('cargo')
const only = missing(CARGO)
const REPOSITORIES = { crates: true, closed: false }
type Key = keyof typeof REPOSITORIES | 'all'

describe('cargo', { timeout: 240_000 }, () => {
  let fleet: TestFleet
  let token: string
  const url = (at: 'primary' | number, key: Key) =>
    `${at === 'primary' ? fleet.primaryUrl : fleet.nodeUrls[at]}/repository/${key}`

  before(async () => {
    fleet = await testFleet({ nodes: 2 })
    token = fleet.admin.replace('Bearer ', '')
    for (const [key, is_public] of Object.entries(REPOSITORIES))
      await fleet.api('POST', '/api/v1/repositories', {
        key,
        name: key,
        format: 'cargo',
        repo_type: 'local',
        is_public,
      })
    const all = { key: 'all', name: 'all', format: 'cargo', repo_type: 'virtual', is_public: true }
    await fleet.api('POST', '/api/v1/repositories', all)
    await fleet.api('POST', '/api/v1/repositories/all/members', { member_key: 'crates' })
    for (const node of [0, 1]) await until(async () => (await fetch(`${url(node, 'all')}/config.json`)).status === 200)
  })
  after(() => fleet.close())

  it('logs in, builds what it packed, and publishes it to the primary', only, async () => {
    const at = await crate('primary', 'crates', { name: 'moss_leaf', version: '1.0.0' })
    await login(at)
    await succeeds(CARGO, ['publish'], at)
    assert.equal(await seen(1, 'crates', 'mo/ss/moss_leaf', 1), true)
  })

  it('publishes through a node, and finds at once there what it published', only, async () => {
    const at = await crate(0, 'crates', { name: 'moss_leaf', version: '1.1.0' }, { login: true })
    const said = await succeeds(CARGO, ['publish', '--no-verify'], at).then(() =>
      linesAt(0, 'crates', 'mo/ss/moss_leaf'),
    )
    assert.deepEqual(
      said.map(({ vers }) => vers),
      ['1.0.0', '1.1.0'],
    )
  })

  it('publishes a crate with a renamed, optional dependency and features', only, async () => {
    const more = [
      '[dependencies]',
      'leaf = { version = "1", package = "moss_leaf", registry = "cairn", optional = true }',
      '[features]',
      'green = ["dep:leaf"]',
    ]
    const at = await crate('primary', 'crates', { name: 'moss-stem', version: '0.1.0' }, { login: true, more })
    await succeeds(CARGO, ['publish'], at)
    const [line] = await linesAt('primary', 'crates', 'mo/ss/moss-stem')
    assert.equal(line?.v, 2)
    assert.deepEqual(line?.features2, { green: ['dep:leaf'] })
    const [dep] = (line?.deps ?? []) as Record<string, unknown>[]
    assert.deepEqual([dep?.name, dep?.package, dep?.registry], ['leaf', 'moss_leaf', null])
    for (const node of [0, 1]) assert.equal(await seen(node, 'crates', 'mo/ss/moss-stem', 1), true)
  })

  it('is told in a sentence that a version exists, by itself and by the registry', only, async () => {
    const draft = { name: 'moss_leaf', version: '1.0.0' }
    const at = await crate('primary', 'crates', draft, { login: true, lib: 'pub fn other() {}\n' })
    assert.match(await fails(CARGO, ['publish', '--no-verify'], at), /already (?:exists|uploaded)/)
  })

  it('is told in a sentence that a name is taken in another spelling', only, async () => {
    const at = await crate('primary', 'crates', { name: 'Moss-Leaf', version: '3.0.0' }, { login: true })
    assert.match(await fails(CARGO, ['publish', '--no-verify'], at), /called moss_leaf here/)
  })

  it('is told that publishing needs a token', only, async () => {
    const at = await crate('primary', 'crates', { name: 'moss_other', version: '1.0.0' }, { token: 'cairn_wrong' })
    assert.match(await fails(CARGO, ['publish', '--no-verify'], at), /401|not valid/)
  })

  it('adds a crate from a node and builds with it; the lock file names the bytes that are served', only, async () => {
    const at = await crate(1, 'crates', { name: 'meadow', version: '0.0.1' })
    await succeeds(CARGO, ['add', '--registry', 'cairn', 'moss-stem', '--features', 'green'], at)
    await succeeds(CARGO, ['build'], at)
    const lock = await readFile(join(at.cwd, 'Cargo.lock'), 'utf8')
    for (const [path, name, version] of [
      ['mo/ss/moss-stem', 'moss-stem', '0.1.0'],
      ['mo/ss/moss_leaf', 'moss_leaf', '1.1.0'],
    ] as const) {
      const line = (await linesAt(1, 'crates', path)).find(({ vers }) => vers === version)
      const bytes = await fetch(`${url(1, 'crates')}/api/v1/crates/${name}/${version}/download`)
      assert.equal(sha256(Buffer.from(await bytes.arrayBuffer())), line?.cksum)
      assert.ok(lock.includes(`checksum = "${String(line?.cksum)}"`), lock)
    }
    await succeeds(CARGO, ['fetch', '--locked'], { ...at, home: await configured(1, 'crates') })
    await writeFile(join(at.cwd, 'Cargo.lock'), lock.replace(/checksum = "..../g, 'checksum = "0000'))
    const said = await fails(CARGO, ['fetch', '--locked'], { ...at, home: await configured(1, 'crates') })
    assert.match(said, /checksum/)
  })

  it('builds from a virtual repository', only, async () => {
    const at = await crate(0, 'all', { name: 'meadow', version: '0.0.1' })
    await succeeds(CARGO, ['add', '--registry', 'cairn', 'moss-stem', '--features', 'green'], at)
    await succeeds(CARGO, ['check'], at)
  })

  it('yanks a version, which then is not chosen, and takes that back', only, async () => {
    const at = await crate(0, 'crates', { name: 'moss_leaf', version: '0.0.0' }, { login: true })
    const chosen = async () => {
      const consumer = await crate(0, 'crates', { name: 'meadow', version: '0.0.1' }, { more: DEPENDS })
      await succeeds(CARGO, ['generate-lockfile'], consumer)
      return /name = "moss_leaf"\nversion = "([^"]+)"/.exec(
        await readFile(join(consumer.cwd, 'Cargo.lock'), 'utf8'),
      )?.[1]
    }
    await succeeds(CARGO, ['yank', '--registry', 'cairn', '--version', '1.1.0', 'moss_leaf'], at)
    assert.equal(await chosen(), '1.0.0')
    await succeeds(CARGO, ['yank', '--registry', 'cairn', '--undo', '--version', '1.1.0', 'moss_leaf'], at)
    assert.equal(await chosen(), '1.1.0')
  })

  it('searches', only, async () => {
    const at = await crate(1, 'crates', { name: 'x', version: '0.0.0' })
    const found = await succeeds(CARGO, ['search', '--registry', 'cairn', '--limit', '5', 'moss'], at)
    assert.match(found, /^moss_leaf = "1\.1\.0" +# All about moss_leaf$/m)
    assert.match(found, /^moss-stem = "0\.1\.0"/m)
    assert.match(
      await succeeds(CARGO, ['search', '--registry', 'cairn', '--limit', '1', 'moss'], at),
      /and 1 crates? more/,
    )
  })

  it('lists, adds and removes owners', only, async () => {
    const at = await crate(0, 'crates', { name: 'x', version: '0.0.0' }, { login: true })
    const owner = (...args: string[]) => succeeds(CARGO, ['owner', '--registry', 'cairn', ...args, 'moss_leaf'], at)
    assert.equal((await owner('--list')).trim(), 'admin')
    await owner('--add', 'friend')
    assert.match(await owner('--list'), /friend/)
    await owner('--remove', 'friend')
    assert.equal((await owner('--list')).trim(), 'admin')
    assert.match(
      await fails(CARGO, ['owner', '--registry', 'cairn', '--remove', 'admin', 'moss_leaf'], at),
      /must keep an owner/,
    )
  })

  it('publishes to a private registry and builds from it with a token, and not without', only, async () => {
    const at = await crate(0, 'closed', { name: 'secret-leaf', version: '1.0.0' })
    await login(at)
    await succeeds(CARGO, ['publish'], at)
    await until(async () => (await linesAt(1, 'closed', 'se/cr/secret-leaf')).length === 1)
    const consumer = await crate(1, 'closed', { name: 'meadow', version: '0.0.1' }, { login: true })
    await succeeds(CARGO, ['add', '--registry', 'cairn', 'secret-leaf'], consumer)
    await succeeds(CARGO, ['build'], consumer)
    assert.match(await succeeds(CARGO, ['search', '--registry', 'cairn', 'secret'], consumer), /secret-leaf/)
    const stranger = { ...consumer, home: await configured(1, 'closed') }
    assert.match(await fails(CARGO, ['fetch'], stranger), /no token found for `cairn`, please run `cargo login/)
  })

  describe('with the primary stopped', () => {
    let locked: string
    before(async () => {
      const at = await crate('primary', 'crates', { name: 'meadow', version: '0.0.1' }, { more: DEPENDS })
      if (CARGO.command) await succeeds(CARGO, ['generate-lockfile'], at)
      locked = at.cwd
      await fleet.stopPrimary()
    })

    for (const key of ['crates', 'closed'] as const)
      it(`fetches from node 2 with empty caches, ${key}`, only, async () => {
        const name = key === 'crates' ? 'moss_leaf' : 'secret-leaf'
        const at = await crate(1, key, { name: 'meadow', version: '0.0.1' }, { login: true })
        await succeeds(CARGO, ['add', '--registry', 'cairn', name], at)
        await succeeds(CARGO, ['check'], at)
      })

    it("builds from node 2 by a lock file of the primary's, where one source replaces the other", only, async () => {
      const at = { cwd: locked, home: await configured('primary', 'crates') }
      const sources = [
        '[source.cairn-primary]',
        `registry = "sparse+${url('primary', 'crates')}/"`,
        'replace-with = "cairn-node"',
        '[source.cairn-node]',
        `registry = "sparse+${url(1, 'crates')}/"`,
        '',
      ]
      await appendFile(join(at.home, '.cargo', 'config.toml'), sources.join('\n'))
      await succeeds(CARGO, ['check', '--locked'], at)
    })

    it('is told in a sentence that publishing has to wait', only, async () => {
      const at = await crate(0, 'crates', { name: 'later', version: '1.0.0' }, { login: true })
      const said = await fails(CARGO, ['publish', '--no-verify'], at)
      assert.match(said, /503/)
      assert.match(said, /primary cannot be reached/i)
    })
  })

  const DEPENDS = ['[dependencies]', 'moss_leaf = { version = "1", registry = "cairn" }']

  interface Options {
    login?: boolean
    token?: string
    more?: string[]
    lib?: string
  }

  /** A library in a folder of its own, and a home whose registry `cairn` is the repository. */
  async function crate(
    at: 'primary' | number,
    key: Key,
    { name, version }: { name: string; version: string },
    { login: known = false, token: given, more = [], lib = 'pub fn hello() {}\n' }: Options = {},
  ): Promise<RunOptions> {
    const cwd = await mkdtemp(join(fleet.dir, 'crate-'))
    await mkdir(join(cwd, 'src'))
    const about = [`name = "${name}"`, `version = "${version}"`, `description = "All about ${name}"`, 'license = "MIT"']
    const manifest = ['[package]', ...about, 'edition = "2021"', 'publish = ["cairn"]', ...more, '']
    await writeFile(join(cwd, 'Cargo.toml'), manifest.join('\n'))
    await writeFile(join(cwd, 'src', 'lib.rs'), lib)
    return { cwd, home: await configured(at, key, known ? token : given) }
  }

  async function configured(at: 'primary' | number, key: Key, secret?: string): Promise<string> {
    const home = await newHome(fleet.dir)
    await mkdir(join(home, '.cargo'))
    const settings = [
      '[registry]',
      'default = "cairn"',
      'global-credential-providers = ["cargo:token"]',
      '[registries.cairn]',
      `index = "sparse+${url(at, key)}/"`,
      '[net]',
      'retry = 0',
      '',
    ]
    await writeFile(join(home, '.cargo', 'config.toml'), settings.join('\n'))
    if (secret !== undefined)
      await writeFile(join(home, '.cargo', 'credentials.toml'), `[registries.cairn]\ntoken = "${secret}"\n`)
    return home
  }

  async function login(at: RunOptions): Promise<void> {
    // Without a terminal it asks in no words, but after it has looked where tokens are found.
    await succeeds(CARGO, ['login', '--registry', 'cairn'], { ...at, answers: [['Updating', token]] })
  }

  async function linesAt(at: 'primary' | number, key: Key, path: string): Promise<Record<string, unknown>[]> {
    const reply = await fetch(`${url(at, key)}/${path}`, { headers: { authorization: token } })
    const text = reply.status === 200 ? (await reply.text()).trimEnd() : ''
    return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  async function seen(at: number, key: Key, path: string, versions: number): Promise<boolean> {
    await until(async () => (await linesAt(at, key, path)).length === versions)
    return true
  }
})

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
