/** Rules that are set at the primary, in force in real processes: at a node, at a node that is cut off, among peers; and as npm tells them. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { identity } from '../../node/identity.js'
import { Link } from '../../node/link/link.js'
import { Mesh } from '../../node/mesh/mesh.js'
import { publicKeyObject } from '../../protocol/log/checkpoint.js'
import type { Digest } from '../../protocol/records.js'
import { encodePieceAsk } from '../../protocol/wire/swarm.js'
import { cairn } from '../deploy/scripted.js'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { packed, publishDocument } from '../support/npm-package.js'
import { bytes, type ScriptedUpstream, scriptedUpstream } from '../support/upstream.js'
import { fails, missing, newHome, succeeds } from './client.js'
import { NPM } from './installers.js'

const DAY_MS = 86_400_000
const API = '/api/v1/repositories'

describe('rules that are set at the primary', { timeout: 240_000 }, () => {
  let fleet: TestFleet
  let upstream: ScriptedUpstream
  const at = (node: number, path: string) => `${fleet.nodeUrls[node]}/repository/${path}`
  const versionsAt = async (node: number, path: string) => {
    const found = (await (await fetch(at(node, path))).json()) as { versions?: Record<string, object> }
    return Object.keys(found.versions ?? {})
  }
  const set = (key: string, rules: object) => fleet.api('PATCH', `${API}/${key}`, rules)

  before(async () => {
    upstream = await scriptedUpstream()
    fleet = await testFleet({ nodes: 2, primary: { upstreamAllow: ['127.0.0.1'] } })
    const draft = { format: 'npm', is_public: true }
    await fleet.api('POST', API, { ...draft, key: 'own' })
    await fleet.api('POST', API, {
      ...draft,
      key: 'public',
      repo_type: 'remote',
      upstream_url: upstream.url,
      cooldown_days: 7,
    })
    await fleet.api('POST', API, { ...draft, key: 'all', repo_type: 'virtual', members: ['own', 'public'] })
    offer('left', { '1.0.0': 30, '1.1.0': 20, '2.0.0': 1 })
    offer('evil', { '1.0.0': 30 })
    for (const version of ['1.0.0', '1.0.1']) {
      const body = JSON.stringify(publishDocument({ name: 'mine', version }))
      const headers = { authorization: fleet.admin, 'content-type': 'application/json' }
      const sent = await fetch(`${fleet.primaryUrl}/repository/own/mine`, { method: 'PUT', body, headers })
      assert.equal(sent.status, 201, await sent.text())
    }
    for (const node of [0, 1]) await until(async () => (await versionsAt(node, 'all/mine')).length === 2)
  })
  after(async () => {
    await fleet.close()
    await upstream.close()
  })

  it('npm gets the newest version that is old enough', missing(NPM.client), async () => {
    const folder = await project({ left: '*' })
    await succeeds(NPM.client, NPM.install, { cwd: folder, home: await newHome(fleet.dir) })
    assert.equal(await versionIn(folder, 'left'), '1.1.0')
    const said = await fails(NPM.client, ['install', 'left@2.0.0'], {
      cwd: await project({}),
      home: await newHome(fleet.dir),
    })
    assert.match(said, /No matching version found for left@2\.0\.0/)
  })

  it('npm says why it does not get a blocked package, and a locked version', missing(NPM.client), async () => {
    const folder = await project({ mine: '1.0.1' })
    await succeeds(NPM.client, NPM.install, { cwd: folder, home: await newHome(fleet.dir) })
    await set('all', {
      blocked: [
        { name: 'evil', reason: 'it steals tokens' },
        { name: 'mine', versions: '>1.0.0', reason: 'it was built on a broken machine' },
      ],
    })
    await until(async () => (await versionsAt(0, 'all/mine')).length === 1)
    const home = await newHome(fleet.dir)
    const said = await fails(NPM.client, ['install', 'evil', '--fetch-retries=0'], { cwd: await project({}), home })
    assert.match(said, /403 .*evil@1\.0\.0 is blocked in all: it steals tokens/)
    const locked = await fails(NPM.client, NPM.frozen, { cwd: folder, home })
    assert.match(locked, /403 .*mine@1\.0\.1 is blocked in all: it was built on a broken machine/)
    await set('all', { blocked: [] })
  })

  it('a block is in force at every node, among peers, and cut off; and is explained', async () => {
    const tarball = packed({ name: 'mine', version: '1.0.1' })
    const digest = createHash('sha256').update(tarball).digest('hex') as Digest
    const path = 'own/mine/-/mine-1.0.1.tgz'
    await until(async () => (await versionsAt(0, 'all/mine')).length === 2)
    assert.equal((await fetch(at(0, path))).status, 200)
    const spy = await joined()
    const scope = await spy.scopeOf('own')
    try {
      assert.equal(await spy.piece(scope, digest), 'given')
      assert.equal(await spy.blob(scope, digest), 200)
      await set('own', {
        blocked: [{ digest: `sha256:${digest.toUpperCase()}`, reason: 'it was built on a broken machine' }],
      })
      for (const node of [0, 1]) await until(async () => (await fetch(at(node, path))).status === 403)
      assert.equal(await spy.blob(scope, digest), 403)
      assert.equal(await spy.piece(scope, digest), 'forbidden')
      await fleet.stopPrimary()
      for (const node of [0, 1]) {
        const reply = await fetch(at(node, path))
        assert.equal(reply.status, 403)
        assert.match(await reply.text(), /mine@1\.0\.1 is blocked in own: it was built on a broken machine/)
        assert.deepEqual(await versionsAt(node, 'all/mine'), ['1.0.0'])
      }
      assert.equal(await spy.piece(scope, digest), 'forbidden')
      const explained = async (...args: string[]) => {
        const said = await cairn(['explain', ...args], {
          folder: fleet.dir,
          environment: { CAIRN_URL: fleet.nodeUrls[0] ?? '' },
        })
        assert.equal(said.code, 0, said.err)
        return said.out
      }
      assert.match(
        await explained('all', 'mine@1.0.1'),
        /^No: mine@1\.0\.1 is blocked in own: it was built on a broken machine\.\n/,
      )
      assert.match(
        await explained('all', 'left@1.1.0'),
        /^Yes: left@1\.1\.0 is given out by public\.\n.*own \(local\): own does not know left\./,
      )
      assert.match(await explained('all', 'left@2.0.0'), /^No: left@2\.0\.0 is of .* public waits 7 days\./)
    } finally {
      await spy.close()
      await fleet.startPrimary()
    }
  })

  it('who administers a repository sees its rules and nobody else does; only an administrator sets them', async () => {
    const shown = async (headers: Record<string, string>) =>
      (await (await fetch(`${fleet.primaryUrl}${API}/public`, { headers })).json()) as Record<string, unknown>
    assert.equal((await shown({ authorization: fleet.admin })).cooldown_days, 7)
    assert.equal('cooldown_days' in (await shown({})), false)
    for (const wrong of [
      { cooldown_days: -1 },
      { blocked: [{ reason: 'of nothing' }] },
      { blocked: [{ name: 'left' }] },
      { blocked: [{ name: 'left', versions: '>=one', reason: 'x' }] },
      { blocked: [{ digest: 'abc', reason: 'x' }] },
      { cooldown_exceptions: ['left@>='] },
      { reserved_names: [''] },
    ])
      await assert.rejects(set('public', wrong), /400/, JSON.stringify(wrong))
    for (const wrong of [{ cooldown_days: 3 }, { reserved_names: ['@acme/*'] }])
      await assert.rejects(set('own', wrong), /400/, JSON.stringify(wrong))
    await set('public', { cooldown_days: null })
    assert.equal((await shown({ authorization: fleet.admin })).cooldown_days, 0)
  })

  function offer(name: string, ages: Record<string, number>): void {
    const entries = Object.keys(ages).map((version) => {
      const tarball = packed({ name, version })
      upstream.answer(`/${name}/-/${name}-${version}.tgz`, bytes(tarball))
      const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
      return [
        version,
        { name, version, dist: { tarball: `${upstream.url}${name}/-/${name}-${version}.tgz`, integrity } },
      ]
    })
    const times = Object.entries(ages).map(([version, age]) => [
      version,
      new Date(Date.now() - age * DAY_MS).toISOString(),
    ])
    const document = {
      name,
      'dist-tags': { latest: Object.keys(ages).at(-1) },
      versions: Object.fromEntries(entries),
      time: Object.fromEntries(times),
    }
    upstream.answer(`/${name}`, bytes(Buffer.from(JSON.stringify(document))))
  }

  async function project(dependencies: Record<string, string>): Promise<string> {
    await mkdir(join(fleet.dir, 'projects'), { recursive: true })
    const folder = await mkdtemp(join(fleet.dir, 'projects', 'p-'))
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'project', version: '1.0.0', dependencies }))
    await NPM.configure(folder, { url: at(0, 'all/') })
    return folder
  }

  /** A member of the fleet that asks for whatever it likes. */
  async function joined() {
    const draft = { name: 'spy' }
    const { join_token } = (await fleet.api('POST', '/api/v1/edge-nodes', draft)) as { join_token: string }
    const self = await identity(join(fleet.dir, 'spy'), join_token, 'spy')
    const link = new Link({
      url: self.url,
      pin: self.pin,
      identity: { key: self.key, node: self.node, fleet: self.fleet },
      now: Date.now,
    })
    const mesh = new Mesh({
      seed: Buffer.from(self.seed, 'base64url'),
      keyring: { fleet: self.fleet, keys: [publicKeyObject(Buffer.from(self.logKey, 'base64url'))] },
      certificate: () => self.certificate,
      logTime: () => new Date(),
      revoked: () => false,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      mdns: false,
    })
    await mesh.start()
    const beat = {
      position: { epoch: 1, number: 0 },
      addresses: [],
      url: 'http://127.0.0.1:1',
      cache: { used: 0, limit: 1 },
      peers: 0,
      version: '0',
      downloads: [],
    }
    let peer = ''
    await until(async () => {
      const { peers } = (await link.json('POST', '/fleet/v1/heartbeat', beat)) as {
        peers: { peer: string; addresses: string[] }[]
      }
      const holder = peers.find(({ addresses }) => addresses.length > 0)
      if (!holder) return false
      await mesh.dial(holder.addresses.map((address) => `${address}/p2p/${holder.peer}`))
      peer = mesh.members()[0]?.peer ?? ''
      return peer !== ''
    })
    return {
      blob: async (scope: string, digest: Digest) => {
        const reply = await link.request('GET', `/fleet/v1/blobs/${digest}?scope=${scope}`)
        await reply.body.dump()
        return reply.status
      },
      piece: async (scope: string, digest: Digest) => {
        const ask = encodePieceAsk({ scope, digest, first: 0, count: 1, fetch: true })
        try {
          for await (const _ of mesh.request(peer, 'piece', ask, {
            signal: AbortSignal.timeout(10_000),
            limit: 1 << 20,
          }));
          return 'given'
        } catch (error) {
          return (error as { kind?: string }).kind
        }
      },
      scopeOf: async (key: string) => {
        const text = await (await link.request('GET', '/fleet/v1/log?after=0&limit=1000')).body.text()
        const found = new RegExp(`"record":\\{"scope":"([0-9a-f-]{36})","key":"${key}"`).exec(text)?.[1]
        return found ?? assert.fail(`no scope of ${key}`)
      },
      close: async () => {
        await mesh.close()
        await link.close()
      },
    }
  }
})

async function versionIn(folder: string, name: string): Promise<string> {
  const text = await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
