/**
 * What installs npm packages, for real: each publishes to the primary, installs from node 1, installs by lock file, and with the
 * primary stopped and nothing in its caches installs from node 2.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { fails, missing, newHome, succeeds } from './client.js'
import { INSTALLERS, type Installer, NPM } from './installers.js'

const REPOSITORY = 'npm-clients'

describe('npm clients', { timeout: 240_000 }, () => {
  let fleet: TestFleet
  let token: string
  const atPrimary = () => `${fleet.primaryUrl}/repository/${REPOSITORY}/`
  const atNode = (index: number) => `${fleet.nodeUrls[index]}/repository/${REPOSITORY}/`

  before(async () => {
    fleet = await testFleet({ nodes: 2 })
    const draft = { key: REPOSITORY, name: REPOSITORY, format: 'npm', repo_type: 'local', is_public: true }
    await fleet.api('POST', '/api/v1/repositories', draft)
    token = fleet.admin.replace('Bearer ', '')
  })
  after(() => fleet.close())

  for (const installer of INSTALLERS) {
    const { client, label, lockFile } = installer
    const only = missing(client)
    describe(client.name, () => {
      let folder: string

      it('publishes to the primary, scoped packages too', only, async () => {
        const { leaf, scoped } = names(label)
        await publish(installer, { name: leaf, version: '1.0.0' })
        await publish(installer, { name: scoped, version: '1.0.0', dependencies: { [leaf]: '^1.0.0' } })
        for (const index of [0, 1])
          for (const name of [leaf, scoped]) await until(async () => (await fetch(atNode(index) + name)).status === 200)
      })

      it('is told when a version exists, and nothing changes', only, async () => {
        const { leaf } = names(label)
        const before = await bytesOf(atPrimary(), leaf)
        const said = await fails(
          client,
          installer.publish,
          await published(installer, { name: leaf, version: '1.0.0' }),
        )
        assert.match(said, /cannot publish over the previously published versions|409|already exists/i)
        assert.deepEqual(await bytesOf(atPrimary(), leaf), before)
      })

      it('installs from node 1, and the lock file names what is served there', only, async () => {
        folder = await consumer(installer, atNode(0))
        await succeeds(client, installer.install, { cwd: folder, home: await home() })
        await worksIn(folder, label)
        const lock = await readFile(join(folder, lockFile), 'utf8')
        if (label === 'yarn-berry') return // Its checksums are those of its own archives.
        for (const name of Object.values(names(label)))
          assert.ok(lock.includes(integrity(await bytesOf(atNode(0), name))), name)
      })

      it('leaves the lock file as it is when it installs again, also by lock file alone', only, async () => {
        const lock = await readFile(join(folder, lockFile), 'utf8')
        for (const args of [installer.install, installer.frozen]) {
          await rm(join(folder, 'node_modules'), { recursive: true })
          await succeeds(client, args, { cwd: folder, home: await home() })
          await worksIn(folder, label)
          assert.equal(await readFile(join(folder, lockFile), 'utf8'), lock)
        }
      })

      it('refuses bytes that the lock file does not name', only, async () => {
        const lock = await readFile(join(folder, lockFile), 'utf8')
        await writeFile(join(folder, lockFile), spoiled(lock))
        await rm(join(folder, 'node_modules'), { recursive: true })
        const said = await fails(client, installer.frozen, { cwd: folder, home: await home() })
        assert.match(said, installer.otherBytes)
      })
    })
  }

  describe('with the primary stopped', () => {
    before(() => fleet.stopPrimary())

    for (const installer of INSTALLERS)
      it(`${installer.client.name} installs from node 2 with empty caches`, missing(installer.client), async () => {
        const folder = await consumer(installer, atNode(1))
        await succeeds(installer.client, installer.install, { cwd: folder, home: await home() })
        await worksIn(folder, installer.label)
      })

    it('npm is told in a sentence that publishing has to wait', missing(NPM.client), async () => {
      const options = await published(NPM, { name: 'later', version: '1.0.0' }, atNode(0))
      const said = await fails(NPM.client, ['publish', '--fetch-retries=0'], options)
      assert.match(said, /503/)
      assert.match(said, /primary cannot be reached/i)
    })
  })

  const home = () => newHome(fleet.dir)

  async function publish(installer: Installer, manifest: Package): Promise<void> {
    await succeeds(installer.client, installer.publish, await published(installer, manifest))
  }

  /** A folder that is ready to be published. */
  async function published(
    installer: Installer,
    manifest: Package,
    url = atPrimary(),
  ): Promise<{ cwd: string; home: string }> {
    const cwd = await project({ main: 'index.js', ...manifest })
    await writeFile(join(cwd, 'index.js'), `module.exports = ${JSON.stringify(manifest.name)}\n`)
    await installer.configure(cwd, { url, token })
    const options = { cwd, home: await home() }
    if (installer.prepare) await succeeds(installer.client, installer.prepare, options)
    return options
  }

  async function consumer(installer: Installer, url: string): Promise<string> {
    const { scoped } = names(installer.label)
    const cwd = await project({
      name: 'consumer',
      version: '1.0.0',
      private: true,
      dependencies: { [scoped]: '1.0.0' },
    })
    await installer.configure(cwd, { url })
    return cwd
  }

  async function project(manifest: Package): Promise<string> {
    const cwd = await mkdtemp(join(fleet.dir, 'project-'))
    await writeFile(join(cwd, 'package.json'), JSON.stringify(manifest, null, 2))
    return cwd
  }
})

interface Package extends Record<string, unknown> {
  name: string
  version: string
}

function names(label: string): { leaf: string; scoped: string } {
  return { leaf: `leaf-of-${label}`, scoped: `@clients/${label}` }
}

async function worksIn(folder: string, label: string): Promise<void> {
  const { leaf, scoped } = names(label)
  // pnpm links to where the package and what it needs really are.
  const real = await realpath(join(folder, 'node_modules', scoped, 'index.js'))
  for (const name of [leaf, scoped]) assert.equal(createRequire(real)(name), name)
}

async function bytesOf(url: string, name: string): Promise<Buffer> {
  const reply = await fetch(`${url}${name}/-/${name.split('/').at(-1)}-1.0.0.tgz`)
  assert.equal(reply.status, 200)
  return Buffer.from(await reply.arrayBuffer())
}

function integrity(bytes: Buffer): string {
  return `sha512-${createHash('sha512').update(bytes).digest('base64')}`
}

/** Every digest in it is another one. */
function spoiled(lock: string): string {
  const other = (digit: string) => (digit === 'a' ? 'b' : 'a')
  return lock.replace(/(sha512-|checksum: \w+\/)(\w)/g, (_, before: string, digit: string) => before + other(digit))
}
