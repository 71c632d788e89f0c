/** `cairn verify` against a real primary and node: what the log proves, and where it is proved. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { cairn } from './deploy/scripted.js'
import { type TestFleet, testFleet, until } from './support/fleet.js'

describe('proofs of what was published', { timeout: 120_000 }, () => {
  let fleet: TestFleet
  let logKey: string
  const run = (...args: string[]) => cairn(args, { folder: fleet.dir })
  const at = (origin: string | undefined) => `${origin}/repository/files/dir/a.bin`

  before(async () => {
    fleet = await testFleet({ nodes: 1 })
    await fleet.api('POST', '/api/v1/repositories', { key: 'files', format: 'generic', is_public: true })
    await fleet.api('POST', '/api/v1/repositories', {
      key: 'all',
      format: 'generic',
      repo_type: 'virtual',
      is_public: true,
      members: ['files'],
    })
    const headers = { authorization: fleet.admin }
    assert.equal((await fetch(at(fleet.primaryUrl), { method: 'PUT', headers, body: 'published' })).status, 201)
    await until(async () => (await fetch(at(fleet.nodeUrls[0]))).status === 200)
    await writeFile(join(fleet.dir, 'a.bin'), 'published')
    await writeFile(join(fleet.dir, 'other.bin'), 'otherwise')
    logKey = ((await (await fetch(`${fleet.nodeUrls[0]}/api/v1/log`)).json()) as { key: string }).key
  })
  after(() => fleet.close())

  it('a URL is proved by the primary and by a node, also through a virtual repository', async () => {
    for (const url of [
      at(fleet.primaryUrl),
      at(fleet.nodeUrls[0]),
      at(fleet.nodeUrls[0]).replace('/files/', '/all/'),
    ]) {
      const { code, out, err } = await run('verify', url, '--log-key', logKey)
      assert.deepEqual([code, err], [0, ''], url)
      assert.match(out, /Published as files\/dir\/a\.bin at 20\S+ by admin/)
    }
  })

  it('a proof that was kept is checked when nothing can be reached, against nothing but the key', async () => {
    assert.equal((await run('verify', at(fleet.primaryUrl), '--save-proof', 'a.proof')).code, 0)
    await fleet.stopPrimary()
    try {
      const { code, out } = await run('verify', 'a.bin', '--proof', 'a.proof', '--log-key', logKey)
      assert.equal(code, 0)
      assert.match(out, /Published as files\/dir\/a\.bin/)
      assert.match((await run('verify', 'other.bin', '--proof', 'a.proof', '--log-key', logKey)).err, /other bytes/)
      assert.match((await run('verify', 'a.bin', '--proof', 'a.proof')).err, /--log-key/)
      // A node cut off proves as well as before.
      assert.equal((await run('verify', at(fleet.nodeUrls[0]), '--log-key', logKey)).code, 0)
    } finally {
      await fleet.startPrimary()
    }
  })

  it('the log is followed from a checkpoint that was kept, at the primary and at a node', async () => {
    const follow = (url: string | undefined) =>
      run('verify', '--log', 'log.note', '--url', url ?? '', '--log-key', logKey)
    assert.match((await follow(fleet.primaryUrl)).out, /is kept/)
    const headers = { authorization: fleet.admin }
    const again = `${fleet.primaryUrl}/repository/files/dir/b.bin`
    assert.equal((await fetch(again, { method: 'PUT', headers, body: 'more' })).status, 201)
    await until(async () => (await fetch(again.replace(fleet.primaryUrl, fleet.nodeUrls[0] ?? ''))).status === 200)
    assert.match((await follow(fleet.nodeUrls[0])).out, /goes on from/)
    const kept = await readFile(join(fleet.dir, 'log.note'), 'utf8')
    await writeFile(join(fleet.dir, 'log.note'), kept.replace(/\n\d+\n/, '\n1\n'))
    assert.match((await follow(fleet.primaryUrl)).err, /not signed/)
    assert.match((await run('verify')).err, /what to verify/)
  })

  it('another log proves nothing', async () => {
    const proof = await readFile(join(fleet.dir, 'a.proof'), 'utf8')
    await writeFile(join(fleet.dir, 'forged.proof'), proof.replace(/"number":\d+/, '"number":1'))
    assert.notEqual((await run('verify', 'a.bin', '--proof', 'forged.proof', '--log-key', logKey)).code, 0)
    const stranger = 'fleet+00000000+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
    assert.match((await run('verify', at(fleet.primaryUrl), '--log-key', stranger)).err, /log key/)
  })

  it('a proof is given to nobody who may not read the file', async () => {
    await fleet.api('POST', '/api/v1/repositories', { key: 'closed', format: 'generic', is_public: false })
    const headers = { authorization: fleet.admin }
    const url = `${fleet.primaryUrl}/repository/closed/a.bin`
    assert.equal((await fetch(url, { method: 'PUT', headers, body: 'secret' })).status, 201)
    const proof = `${fleet.primaryUrl}/api/v1/repositories/closed/proof/a.bin`
    assert.equal((await fetch(proof, { headers })).status, 200)
    assert.ok([401, 404].includes((await fetch(proof)).status))
  })
})
