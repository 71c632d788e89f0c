/**
 * Cargo building with crates that lie in another registry, here a second primary: through a remote repository, where one source
 * replaces the other, and through a virtual one with crates of our own. Which public registry a machine uses cargo does not say.
 */
import assert from 'node:assert/strict'
import { appendFile, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type CrateDraft, crateOf, manifestOf, publishBody } from '../support/crate.js'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { fails, missing, newHome, program, type RunOptions, succeeds } from './client.js'

const CARGO = program('cargo')
const only = missing(CARGO)

const leaf: CrateDraft = { name: 'Moss_Leaf', vers: '1.2.0+spring' }
const stem: CrateDraft = { name: 'moss-stem', vers: '0.1.0' }
const root: CrateDraft = { name: 'moss_root', vers: '1.0.0' }
/** Ours, though the upstream has a newer one that is spelled otherwise. */
const own: CrateDraft = { name: 'moss-root', vers: '0.1.0' }

describe('cargo through a remote repository', { timeout: 240_000 }, () => {
  let upstream: TestFleet
  let fleet: TestFleet
  const url = (at: 'upstream' | 'primary' | number, key = 'public') =>
    `${at === 'upstream' ? upstream.primaryUrl : at === 'primary' ? fleet.primaryUrl : fleet.nodeUrls[at]}/repository/${key}`

  before(async () => {
    upstream = await testFleet()
    fleet = await testFleet({ nodes: 2, primary: { upstreamAllow: ['127.0.0.1'] } })
    const draft = { format: 'cargo' }
    await upstream.api('POST', '/api/v1/repositories', {
      ...draft,
      key: 'crates',
      repo_type: 'local',
      is_public: false,
    })
    const upstream_auth = { token: adminOf(upstream) }
    for (const more of [
      { key: 'own', repo_type: 'local' },
      { key: 'public', repo_type: 'remote', upstream_url: `${url('upstream', 'crates')}/`, upstream_auth },
      { key: 'all', repo_type: 'virtual', members: ['public', 'own'] },
    ])
      await fleet.api('POST', '/api/v1/repositories', { ...draft, is_public: true, ...more })
    await publish(upstream, 'crates', leaf)
    await publish(upstream, 'crates', { ...stem, deps: [dependency('Moss_Leaf', '^1')] })
    await publish(upstream, 'crates', root)
    await publish(fleet, 'own', own)
    for (const node of [0, 1]) await until(async () => (await fetch(`${url(node, 'all')}/config.json`)).status === 200)
  })
  after(async () => {
    await fleet.close()
    await upstream.close()
  })

  for (const at of ['primary', 0] as const)
    it(`builds a tree from ${at === 0 ? 'a cold node' : 'the primary'}`, only, async () => {
      const project = await crate(at, 'public', ['moss-stem = { version = "0.1", registry = "cairn" }'])
      await succeeds(CARGO, ['build'], project)
      assert.match(
        await readFile(join(project.cwd, 'Cargo.lock'), 'utf8'),
        /name = "Moss_Leaf"\nversion = "1\.2\.0\+spring"/,
      )
    })

  it('is told in words that nothing can be published there', only, async () => {
    const project = await crate('primary', 'public', [], adminOf(fleet))
    const said = await fails(CARGO, ['publish', '--no-verify', '--allow-dirty'], project)
    assert.match(said, /does not support API commands/)
  })

  it('sees what was yanked at the upstream, and builds by its lock file nevertheless', only, async () => {
    await publish(upstream, 'crates', { ...leaf, vers: '1.3.0' })
    await fleet.api('PATCH', '/api/v1/repositories/public', { metadata_ttl_seconds: 0 })
    const project = await crate(0, 'public', ['Moss_Leaf = { version = "1", registry = "cairn" }'])
    await until(async () => (await (await fetch(`${url(0)}/mo/ss/moss_leaf`)).text()).includes('1.3.0'))
    await succeeds(CARGO, ['build'], project)
    const yanked = await fetch(`${url('upstream', 'crates')}/api/v1/crates/Moss_Leaf/1.3.0/yank`, {
      method: 'DELETE',
      headers: { authorization: upstream.admin },
    })
    assert.equal(yanked.status, 200)
    await until(async () => (await (await fetch(`${url(0)}/mo/ss/moss_leaf`)).text()).includes('"yanked":true'))
    await succeeds(CARGO, ['build', '--locked'], { ...project, home: await configured(0, 'public') })
    const fresh = await crate(0, 'public', ['Moss_Leaf = { version = "1", registry = "cairn" }'])
    await succeeds(CARGO, ['generate-lockfile'], fresh)
    assert.match(await readFile(join(fresh.cwd, 'Cargo.lock'), 'utf8'), /version = "1\.2\.0\+spring"/)
  })

  it('gets crates of our own through a virtual repository, and what the upstream has beside them', only, async () => {
    const project = await crate(0, 'all', [
      'moss-root = { version = "*", registry = "cairn" }',
      'moss-stem = { version = "0.1", registry = "cairn" }',
    ])
    await succeeds(CARGO, ['build'], project)
    assert.match(await readFile(join(project.cwd, 'Cargo.lock'), 'utf8'), /name = "moss-root"\nversion = "0\.1\.0"/)
    const other = await crate(0, 'all', ['moss_root = { version = "1", registry = "cairn" }'])
    assert.match(await fails(CARGO, ['generate-lockfile'], other), /moss_root/)
  })

  describe('with the primary and the upstream stopped', () => {
    let locked: RunOptions
    before(async () => {
      locked = await crate(
        'upstream',
        'crates',
        ['moss-stem = { version = "0.1", registry = "cairn" }'],
        adminOf(upstream),
      )
      if (CARGO.command) await succeeds(CARGO, ['generate-lockfile'], locked)
      await fleet.stopPrimary()
      await upstream.stopPrimary()
    })

    for (const key of ['public', 'all'])
      it(`builds from the other node with empty caches, ${key}`, only, async () => {
        const project = await crate(1, key, ['moss-stem = { version = "0.1", registry = "cairn" }'])
        await succeeds(CARGO, ['build'], project)
      })

    it('builds by a lock file of the upstream, where the other node replaces it', only, async () => {
      const at = { cwd: locked.cwd, home: await configured('upstream', 'crates') }
      const sources = [
        '[source.upstream]',
        `registry = "sparse+${url('upstream', 'crates')}/"`,
        'replace-with = "cairn-node"',
        '[source.cairn-node]',
        `registry = "sparse+${url(1)}/"`,
        '',
      ]
      await appendFile(join(at.home, '.cargo', 'config.toml'), sources.join('\n'))
      await succeeds(CARGO, ['check', '--locked'], at)
    })
  })

  /** A library in a folder of its own, and a home whose registry `cairn` is the repository. */
  async function crate(
    at: Parameters<typeof url>[0],
    key: string,
    dependencies: string[],
    token?: string,
  ): Promise<RunOptions> {
    const cwd = await mkdtemp(join(fleet.dir, 'crate-'))
    await mkdir(join(cwd, 'src'))
    const about = ['name = "meadow"', 'version = "0.0.1"', 'description = "A meadow"', 'license = "MIT"']
    const manifest = ['[package]', ...about, 'edition = "2021"', '[dependencies]', ...dependencies, '']
    await writeFile(join(cwd, 'Cargo.toml'), manifest.join('\n'))
    await writeFile(join(cwd, 'src', 'lib.rs'), 'pub fn grow() {}\n')
    return { cwd, home: await configured(at, key, token) }
  }

  async function configured(at: Parameters<typeof url>[0], key: string, token?: string): Promise<string> {
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
    if (token !== undefined)
      await writeFile(join(home, '.cargo', 'credentials.toml'), `[registries.cairn]\ntoken = "${token}"\n`)
    return home
  }
})

async function publish(at: TestFleet, key: string, draft: CrateDraft): Promise<void> {
  const depends = (draft.deps as { name: string; version_req: string }[] | undefined) ?? []
  const wants = depends.map(({ name, version_req }) => `[dependencies.${name}]\nversion = "${version_req}"\n`).join('')
  const reply = await fetch(`${at.primaryUrl}/repository/${key}/api/v1/crates/new`, {
    method: 'PUT',
    headers: { authorization: adminOf(at) },
    body: publishBody(draft, crateOf(draft, [], manifestOf(draft.name, draft.vers) + wants)),
  })
  assert.equal(reply.status, 200, await reply.text())
}

/** The administrator's token, as cargo sends one. */
function adminOf({ admin }: TestFleet): string {
  return admin.replace('Bearer ', '')
}

function dependency(name: string, version_req: string): object {
  return {
    name,
    version_req,
    optional: false,
    default_features: true,
    features: [],
    target: null,
    kind: 'normal',
    registry: null,
    explicit_name_in_toml: null,
  }
}
