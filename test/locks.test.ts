/** `cairn prefetch` and `cairn ready` on a real primary and real nodes, with a lock file that npm makes; then without the primary. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { missing, newHome, succeeds } from './clients/client.js'
import { NPM } from './clients/installers.js'
import { cairn, type Said } from './deploy/scripted.js'
import { type TestFleet, testFleet, until } from './support/fleet.js'
import { packed, publishDocument } from './support/npm-package.js'
import { bytes, type ScriptedUpstream, scriptedUpstream, tagged } from './support/upstream.js'

/** Large enough for the mesh to fetch it in pieces. */
const LARGE = 3 * 1024 * 1024

describe('lock files', { timeout: 240_000, ...missing(NPM.client) }, () => {
  let fleet: TestFleet
  let upstream: ScriptedUpstream
  let folder: string
  let lock: string
  const run = (args: string[], { url = fleet.nodeUrls[0] ?? '', token = '' } = {}): Promise<Said> =>
    cairn(args, { folder, environment: { CAIRN_URL: url, ...(token ? { CAIRN_TOKEN: token } : {}) } })
  const at = (node: number, key: string): string => `${fleet.nodeUrls[node]}/repository/${key}/`
  const ready = (node: number, file = 'package-lock.json'): Promise<Said> =>
    run(['ready', file, '--as', 'package-lock.json', '--repository', 'all', '--json'], {
      url: fleet.nodeUrls[node] ?? '',
    })

  before(async () => {
    upstream = await scriptedUpstream()
    const tarball = packed({ name: 'left', version: '1.0.0' })
    const large = packed({ name: '@s/right', version: '2.0.0' }, [
      { name: 'package/large', content: randomBytes(LARGE) },
    ])
    upstream.answer('/left', tagged(packument('left', '1.0.0', tarball)))
    upstream.answer('/left/-/left-1.0.0.tgz', bytes(tarball))
    upstream.answer('/@s%2fright', tagged(packument('@s/right', '2.0.0', large)))
    upstream.answer('/@s/right/-/right-2.0.0.tgz', bytes(large))
    fleet = await testFleet({ nodes: 2, primary: { upstreamAllow: ['127.0.0.1'] } })
    const draft = { format: 'npm', is_public: true }
    const create = (key: string, more: object) => fleet.api('POST', '/api/v1/repositories', { ...draft, key, ...more })
    await create('own', { repo_type: 'local' })
    await create('secret', { repo_type: 'local', is_public: false })
    await create('pkgs', { repo_type: 'remote', upstream_url: upstream.url })
    await create('all', { repo_type: 'virtual', members: ['own', 'pkgs'] })
    await create('files', { repo_type: 'local', format: 'generic' })
    await publish('ours', '1.2.3')
    for (const node of [0, 1]) await until(async () => (await fetch(`${at(node, 'all')}ours`)).status === 200)
    folder = await project()
    // From the primary, so that no node has anything.
    await NPM.configure(folder, { url: `${fleet.primaryUrl}/repository/all/` })
    await succeeds(NPM.client, [...NPM.install, '--ignore-scripts'], { cwd: folder, home: await newHome(fleet.dir) })
    lock = await readFile(join(folder, 'package-lock.json'), 'utf8')
  })
  after(async () => {
    await fleet.close()
    await upstream.close()
  })

  it('a cold node is not ready, and what is missing is named', async () => {
    const { code, out, err } = await run(['ready', 'package-lock.json', '--repository', 'all'])
    assert.equal(code, 1, err)
    assert.match(out, /^ours 1\.2\.3: ours\/-\/ours-1\.2\.3\.tgz: Its bytes are not here$/m)
    assert.match(out, /^left 1\.0\.0: /m)
    assert.match(out, /^@s\/right 2\.0\.0: /m)
    assert.match(out, /holds 0 % \(0 of 3 versions\)$/m)
    assert.match(err, /^cairn: Not all of it is at http/)
    assert.equal(upstream.count('/left/-/left-1.0.0.tgz'), 1)
  })

  it('asking whether a node is ready asks nobody else', async () => {
    const before = upstream.asked.length
    await writeLock('other.json', { 'node_modules/never-heard-of': { version: '1.0.0' } })
    const { code, out } = await ready(0, 'other.json')
    assert.equal(code, 1)
    assert.equal(JSON.parse(out).holders[0].missing[0].package, 'never-heard-of')
    assert.equal(upstream.asked.length, before)
  })

  it('what a lock file names is brought to one node, which is then ready; asked again, nothing is fetched', async () => {
    const { code, out, err } = await run(['prefetch', 'package-lock.json', '--repository', 'all', '--json'])
    assert.equal(code, 0, out + err)
    const [holder] = JSON.parse(out).holders
    assert.deepEqual([holder.percent, holder.versions, holder.fetched], [100, 3, 3])
    assert.ok(holder.fetchedBytes > LARGE)
    assert.equal((await ready(0)).code, 0)
    assert.equal(upstream.count('/left/-/left-1.0.0.tgz'), 1)
    const again = await run(['prefetch', 'package-lock.json', '--repository', 'all'])
    assert.match(again.out, /holds 100 % \(3 of 3 versions\)\n$/)
  })

  it('other bytes than the lock file says are named, by both commands', async () => {
    const document = JSON.parse(lock)
    document.packages['node_modules/left'].integrity = `sha512-${Buffer.alloc(64).toString('base64')}`
    await writeFile(join(folder, 'wrong-package-lock.json'), JSON.stringify(document))
    for (const command of ['prefetch', 'ready']) {
      const args = [command, 'wrong-package-lock.json', '--as', 'package-lock.json', '--repository', 'all']
      const { code, out } = await run(args)
      assert.equal(code, 7)
      assert.match(out, /^left 1\.0\.0: left\/-\/left-1\.0\.0\.tgz: It has other bytes than the lock file says/m)
      assert.match(out, /66\.6 % \(2 of 3 versions\)/)
    }
  })

  it('what nobody has is named, and the rest is fetched all the same', async () => {
    await publish('late', '1.0.0')
    await until(async () => (await fetch(`${at(0, 'all')}late`)).status === 200)
    await writeLock('more.json', {
      'node_modules/late': { version: '1.0.0' },
      'node_modules/left': { version: '9.9.9' },
      'node_modules/nothing': { version: '1.0.0' },
      'node_modules/from-git': { version: '1.0.0', resolved: 'git+ssh://git@example.test/a.git#abc' },
    })
    const { code, out } = await run(['prefetch', 'more.json', '--as', 'package-lock.json', '--repository', 'all'])
    assert.equal(code, 1)
    assert.match(out, /^left 9\.9\.9: all does not list it$/m)
    assert.match(out, /^nothing 1\.0\.0: all does not list it$/m)
    assert.match(out, /33\.3 % \(1 of 3 versions\); 1 files/)
    assert.match(out, /^From no registry: from-git \(git\+ssh:/m)
  })

  it('a named node, and all of them, are reached through the primary with a token that only lasts as long', async () => {
    const admin = { url: fleet.primaryUrl, token: fleet.admin.replace('Bearer ', '') }
    await publish('later', '1.0.0')
    for (const node of [0, 1]) await until(async () => (await fetch(`${at(node, 'all')}later`)).status === 200)
    await writeLock('later.json', { 'node_modules/later': { version: '1.0.0' } })
    const later = ['later.json', '--as', 'package-lock.json', '--repository', 'all', '--json']
    const one = await run(['ready', ...later, '--node', 'node-2'], admin)
    assert.deepEqual([one.code, JSON.parse(one.out).holders[0].name], [1, 'node-2'])
    const all = await run(['prefetch', ...later, '--all'], admin)
    assert.equal(all.code, 0, all.out + all.err)
    const holders = JSON.parse(all.out).holders as { name: string; percent: number }[]
    assert.deepEqual(
      holders.map(({ name, percent }) => [name, percent]),
      [
        ['node-1', 100],
        ['node-2', 100],
      ],
    )
    const { items } = (await fleet.api('GET', '/api/v1/auth/tokens')) as { items: { name: string }[] }
    assert.deepEqual(
      items.filter(({ name }) => name === 'cairn prefetch'),
      [],
    )
    assert.equal((await run(['ready', ...later, '--node', 'nowhere'], admin)).code, 3)
    assert.equal((await run(['ready', ...later, '--all'])).code, 4)
  })

  it('who may not read a repository learns nothing of it', async () => {
    const post = (path: string, authorization?: string) =>
      fetch(`${fleet.nodeUrls[0]}/api/v1/repositories/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(authorization ? { authorization } : {}) },
        body: JSON.stringify({ items: [{ package: 'a', version: '1.0.0', files: [] }] }),
      })
    await fleet.api('POST', '/api/v1/users', {
      username: 'eve',
      password: 'a password of eve, 2026',
      email: 'eve@example.test',
    })
    const eve = `Basic ${Buffer.from('eve:a password of eve, 2026').toString('base64')}`
    const me = `${fleet.nodeUrls[0]}/api/v1/auth/me`
    await until(async () => (await fetch(me, { headers: { authorization: eve } })).status === 200)
    for (const verb of ['ready', 'prefetch']) {
      assert.equal((await post(`secret/${verb}`)).status, 404)
      assert.equal((await post(`secret/${verb}`, eve)).status, 404)
      assert.equal((await post(`nothing/${verb}`, eve)).status, 404)
      assert.equal((await post(`secret/${verb}`, fleet.admin)).status, 200)
      assert.equal((await post(`files/${verb}`)).status, 400)
    }
  })

  it('a question is limited: in versions, in bytes, in what it may say', async () => {
    const post = async (body: string) =>
      (
        await fetch(`${fleet.nodeUrls[0]}/api/v1/repositories/all/ready`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body,
        })
      ).status
    const item = { package: 'a', version: '1.0.0', files: [] }
    assert.equal(await post(JSON.stringify({ items: Array.from({ length: 1000 }, () => item) })), 200)
    assert.equal(await post(JSON.stringify({ items: Array.from({ length: 1001 }, () => item) })), 400)
    assert.equal(await post(' '.repeat(1024 * 1024 + 1)), 413)
    assert.equal(await post(JSON.stringify({ items: [{ ...item, more: 1 }] })), 400)
    assert.equal(await post(JSON.stringify({ items: [item], platform: '../x' })), 400)
    await writeLock(
      'huge.json',
      Object.fromEntries(Array.from({ length: 2500 }, (_, i) => [`node_modules/p${i}`, { version: '1.0.0' }])),
    )
    const { out } = await ready(0, 'huge.json')
    assert.equal(JSON.parse(out).holders[0].versions, 2500)
  })

  it('a ready node installs with the primary and the upstream gone, and still says that it is ready', async () => {
    await fleet.stopPrimary()
    await fleet.stopNode(1)
    await upstream.close()
    assert.equal((await ready(0)).code, 0)
    const cold = await project()
    await writeFile(join(cold, 'package-lock.json'), lock.replaceAll(fleet.primaryUrl, fleet.nodeUrls[0] ?? ''))
    await NPM.configure(cold, { url: at(0, 'all') })
    await succeeds(NPM.client, NPM.frozen, { cwd: cold, home: await newHome(fleet.dir) })
    for (const name of ['left', '@s/right', 'ours'])
      assert.match(await readFile(join(cold, 'node_modules', name, 'package.json'), 'utf8'), /"version"/)
    const { code, out } = await run(['prefetch', 'more.json', '--as', 'package-lock.json', '--repository', 'all'])
    assert.equal(code, 1)
    assert.match(out, /^nothing 1\.0\.0: /m)
  })

  async function project(): Promise<string> {
    await mkdir(join(fleet.dir, 'projects'), { recursive: true })
    const made = await mkdtemp(join(fleet.dir, 'projects', 'p-'))
    const dependencies = { left: '1.0.0', '@s/right': '2.0.0', ours: '1.2.3' }
    await writeFile(join(made, 'package.json'), JSON.stringify({ name: 'tree', version: '1.0.0', dependencies }))
    return made
  }

  async function writeLock(file: string, packages: object): Promise<void> {
    await writeFile(join(folder, file), JSON.stringify({ lockfileVersion: 3, packages }))
  }

  async function publish(name: string, version: string): Promise<void> {
    const reply = await fetch(`${fleet.primaryUrl}/repository/own/${name}`, {
      method: 'PUT',
      headers: { authorization: fleet.admin, 'content-type': 'application/json' },
      body: JSON.stringify(publishDocument({ name, version })),
    })
    assert.equal(reply.status, 201)
  }
})

function packument(name: string, version: string, tarball: Buffer): Buffer {
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
  const path = `${name}/-/${name.slice(name.indexOf('/') + 1)}-${version}.tgz`
  return Buffer.from(
    JSON.stringify({
      name,
      'dist-tags': { latest: version },
      versions: { [version]: { name, version, dist: { tarball: `/${path}`, integrity } } },
      time: { created: '2020-01-01T00:00:00.000Z', [version]: '2020-01-01T00:00:00.000Z' },
    }),
  )
}
