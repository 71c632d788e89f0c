/** Remote repositories on a real primary and four real nodes: what the upstream is asked for, and what is served when it is away. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { type TestFleet, testFleet, until } from './support/fleet.js'
import { packed } from './support/npm-package.js'
import { bytes, gated, half, hang, type ScriptedUpstream, scriptedUpstream, tagged } from './support/upstream.js'

/** How long the primary waits for an upstream's first byte. */
const FIRST_BYTE_MS = 20_000
const NODES = 4
const CLIENTS = 50

describe('remote repositories', { timeout: 240_000 }, () => {
  let fleet: TestFleet
  let upstream: ScriptedUpstream
  let hanging: Promise<Response>
  const at = (node: number, path: string) => `${fleet.nodeUrls[node]}/repository/${path}`

  before(async () => {
    upstream = await scriptedUpstream()
    fleet = await testFleet({ nodes: NODES, primary: { upstreamAllow: ['127.0.0.1'] } })
    const draft = { repo_type: 'remote', is_public: true, upstream_url: upstream.url }
    await fleet.api('POST', '/api/v1/repositories', {
      ...draft,
      key: 'files',
      format: 'generic',
      upstream_auth: { username: 'who', password: 'canary-password' },
    })
    await fleet.api('POST', '/api/v1/repositories', { ...draft, key: 'pkgs', format: 'npm', metadata_ttl_seconds: 1 })
    for (let node = 0; node < NODES; node++)
      await until(async () => (await fetch(`${fleet.nodeUrls[node]}/api/v1/repositories/pkgs`)).status === 200)
    upstream.answer('/hangs.bin', hang)
    hanging = fetch(at(3, 'files/hangs.bin'))
  })
  after(async () => {
    await fleet.close()
    await upstream.close()
  })

  it('four nodes with fifty clients each that ask for one cold file cause one request, and all stream it', async () => {
    const body = randomBytes(1024 * 1024)
    const { answer, open } = gated(body, 512 * 1024)
    upstream.answer('/popular.bin', answer)
    const all = Array.from({ length: NODES * CLIENTS }, (_, i) => fetch(at(i % NODES, 'files/popular.bin')))
    const replies = await Promise.all(all)
    // Every one has its head while the upstream still holds back the second half.
    assert.equal(upstream.count('/popular.bin'), 1)
    open()
    for (const reply of replies) {
      assert.equal(reply.headers.get('x-cairn-source'), 'upstream')
      assert.equal(sha256(new Uint8Array(await reply.arrayBuffer())), sha256(body))
    }
    assert.equal(upstream.count('/popular.bin'), 1)
    const held = await fetch(at(0, 'files/popular.bin'))
    assert.equal(held.headers.get('etag'), `"${sha256(body)}"`)
    assert.equal(sha256(new Uint8Array(await held.arrayBuffer())), sha256(body))
  })

  it('credentials are sent to the upstream and shown nowhere', async () => {
    assert.match(upstream.asked.find(({ path }) => path === '/popular.bin')?.headers.authorization ?? '', /^Basic /)
    const shown = JSON.stringify([
      await fleet.api('GET', '/api/v1/repositories/files'),
      await fleet.api('GET', '/api/v1/admin/audit'),
    ])
    assert.doesNotMatch(shown, /canary/)
  })

  it('a body that breaks off reaches nobody whole, and nothing of it is kept', async () => {
    const body = randomBytes(1024 * 1024)
    upstream.answer('/broken.bin', half(body))
    const read = async () => (await fetch(at(1, 'files/broken.bin'))).arrayBuffer()
    await assert.rejects(read)
    upstream.answer('/broken.bin', bytes(body))
    assert.equal(sha256(new Uint8Array(await read())), sha256(body))
  })

  it('a node that streamed a large file keeps it, for itself and for its peers', async () => {
    const body = randomBytes(1024 * 1024)
    upstream.answer('/large.bin', bytes(body))
    assert.equal(await digestAt(0, 'files/large.bin'), sha256(body))
    await fleet.stopPrimary()
    for (const node of [0, 1]) assert.equal(await digestAt(node, 'files/large.bin'), sha256(body))
    await fleet.startPrimary()
    await until(async () => (await fetch(at(0, 'files/absent'))).status === 404)
  })

  it('a package is one record in the log, and its tarball another', async () => {
    const tarball = packed({ name: 'left', version: '1.0.0' })
    upstream.answer('/left', tagged(packument('left', '1.0.0', tarball)))
    upstream.answer('/left/-/left-1.0.0.tgz', bytes(tarball))
    const before = await number()
    for (let node = 0; node < NODES; node++) {
      const reply = await fetch(at(node, 'pkgs/left'))
      const found = (await reply.json()) as { versions: Record<string, { dist: { tarball: string } }> }
      const url = found.versions['1.0.0']?.dist.tarball ?? ''
      assert.equal(url, at(node, 'pkgs/left/-/left-1.0.0.tgz'))
      assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), tarball)
    }
    assert.equal(await number(), before + 2)
    assert.equal(upstream.count('/left/-/left-1.0.0.tgz'), 1)
  })

  it('no read of a held package waits for an upstream that hangs', async () => {
    upstream.answer('/left', hang)
    const before = upstream.count('/left')
    await until(async () => {
      await fetch(at(0, 'pkgs/left'))
      return upstream.count('/left') > before
    })
    const slowest = await slowestOf(200, at(0, 'pkgs/left'))
    assert.ok(slowest < FIRST_BYTE_MS / 4, `${slowest} ms`)
  })

  it('a node whose question hangs at the upstream says so, and does not take the primary for gone', async () => {
    const reply = await hanging
    assert.equal(reply.status, 503)
    assert.ok(reply.headers.get('retry-after'))
    const health = (await (await fetch(`${fleet.nodeUrls[3]}/health`)).json()) as { primary: string }
    assert.equal(health.primary, 'reachable')
    assert.equal(reply.headers.get('x-cairn-cut-off'), null)
  })

  it('what is held survives the primary: listings and files', async () => {
    await fleet.stopPrimary()
    for (let node = 0; node < NODES; node++) {
      assert.equal((await fetch(at(node, 'pkgs/left'))).status, 200)
      assert.equal((await fetch(at(node, 'pkgs/left/-/left-1.0.0.tgz'))).status, 200)
    }
    const reply = await fetch(at(0, 'pkgs/never-asked-for'))
    assert.equal(reply.status, 503)
    assert.ok(reply.headers.get('retry-after'))
    await fleet.startPrimary()
    // Asked with the validator that was kept through the restart.
    upstream.answer('/left', tagged(packument('left', '1.0.0', packed({ name: 'left', version: '1.0.0' }))))
    const before = upstream.count('/left')
    assert.equal((await fetch(`${fleet.primaryUrl}/repository/pkgs/left`)).status, 200)
    await upstream.askedFor('/left', before + 1)
    assert.ok(upstream.asked.at(-1)?.headers['if-none-match'])
  })

  async function digestAt(node: number, path: string): Promise<string> {
    return sha256(new Uint8Array(await (await fetch(at(node, path))).arrayBuffer()))
  }

  async function number(): Promise<number> {
    return ((await (await fetch(`${fleet.primaryUrl}/health`)).json()) as { number: number }).number
  }
})

async function slowestOf(reads: number, url: string): Promise<number> {
  let slowest = 0
  for (let i = 0; i < reads; i++) {
    const started = performance.now()
    const reply = await fetch(url)
    await reply.arrayBuffer()
    assert.equal(reply.status, 200)
    slowest = Math.max(slowest, performance.now() - started)
  }
  return slowest
}

function packument(name: string, version: string, tarball: Buffer): Buffer {
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
  const dist = { tarball: `/${name}/-/${name}-${version}.tgz`, integrity }
  return Buffer.from(
    JSON.stringify({
      name,
      'dist-tags': { latest: version },
      versions: { [version]: { name, version, dist } },
      time: { created: '2020-01-01T00:00:00.000Z', [version]: '2020-01-01T00:00:00.000Z' },
    }),
  )
}

function sha256(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex')
}
