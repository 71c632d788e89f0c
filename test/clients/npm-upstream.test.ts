/**
 * npm installing other people's packages through a node, from whatever registry this machine's own npm is set to use. Where that
 * cannot be reached the tests are skipped.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { missing, newHome, succeeds } from './client.js'
import { NPM } from './installers.js'

const registry = await configured()
const skip = missing(NPM.client).skip || (registry === undefined && "npm's registry cannot be reached from here")

describe('npm through a remote repository', { timeout: 240_000, skip }, () => {
  let fleet: TestFleet
  const at = (node: number, key: string) => `${fleet.nodeUrls[node]}/repository/${key}/`

  before(async () => {
    const upstream = new URL(registry ?? 'http://nowhere.invalid/')
    fleet = await testFleet({ nodes: 2, primary: { upstreamAllow: [upstream.hostname] } })
    const draft = { format: 'npm', is_public: true }
    await fleet.api('POST', '/api/v1/repositories', { ...draft, key: 'own', repo_type: 'local' })
    await fleet.api('POST', '/api/v1/repositories', {
      ...draft,
      key: 'public',
      repo_type: 'remote',
      upstream_url: upstream.href,
    })
    await fleet.api('POST', '/api/v1/repositories', {
      ...draft,
      key: 'all',
      repo_type: 'virtual',
      members: ['own', 'public'],
    })
    for (const node of [0, 1])
      await until(async () => (await fetch(`${fleet.nodeUrls[node]}/api/v1/repositories/all`)).status === 200)
  })
  after(() => fleet.close())

  it('installs a small tree through a cold node, and by lock file through another one', async () => {
    const folder = await project(at(0, 'public'))
    const home = await newHome(fleet.dir)
    await succeeds(NPM.client, NPM.install, { cwd: folder, home })
    await works(folder)
    await rm(join(folder, 'node_modules'), { recursive: true })
    await NPM.configure(folder, { url: at(1, 'public') })
    await succeeds(NPM.client, NPM.frozen, { cwd: folder, home: await newHome(fleet.dir) })
    await works(folder)
  })

  it('installs the same through a virtual repository, cut off from everything', async () => {
    await fleet.stopPrimary()
    const folder = await project(at(0, 'all'))
    await succeeds(NPM.client, NPM.install, { cwd: folder, home: await newHome(fleet.dir) })
    await works(folder)
  })

  async function project(url: string): Promise<string> {
    await mkdir(join(fleet.dir, 'projects'), { recursive: true })
    const folder = await mkdtemp(join(fleet.dir, 'projects', 'p-'))
    const dependencies = { 'is-odd': '3.0.1', '@babel/code-frame': '7.24.7' }
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'tree', version: '1.0.0', dependencies }))
    await NPM.configure(folder, { url })
    return folder
  }
})

async function works(folder: string): Promise<void> {
  for (const name of ['is-odd', 'is-number', '@babel/code-frame', 'picocolors']) {
    const manifest = JSON.parse(await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8')) as object
    assert.equal('name' in manifest && manifest.name, name)
  }
}

/** Never named here: it is what this machine says. */
async function configured(): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('npm', ['config', 'get', 'registry'], { timeout: 20_000 })
    const url = stdout.trim()
    const reply = await fetch(new URL('is-odd', url.endsWith('/') ? url : `${url}/`), {
      signal: AbortSignal.timeout(10_000),
    })
    await reply.arrayBuffer()
    return reply.ok ? url : undefined
  } catch {
    return undefined
  }
}
