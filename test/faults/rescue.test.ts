/** The primary's disk and database are gone: everything comes back from the nodes, by the operator's recovery key. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { stopEmbedded } from '../../primary/postgres/stop.js'
import { isConsistent } from '../../protocol/log/consistency.js'
import { newRecoveryKey } from '../../protocol/recovery/key.js'
import type { PrimarySettings } from '../../protocol/settings.js'
import { missing, newHome, program, run } from '../clients/client.js'
import { cairn } from '../deploy/scripted.js'
import { BOOK_REPOSITORIES, Book, sha256 } from '../support/book.js'
import { until } from '../support/fleet.js'
import { keepSecrets } from '../support/heard.js'
import { type Part, type ProcessFleet, processFleet } from '../support/processes.js'

const PROGRAM = fileURLToPath(new URL('../../deploy/cairn.js', import.meta.url))
const PASSWORD = 'the long password of alice, 2026'
const npm = program('npm')

describe('a primary that burned down', { timeout: 300_000 }, () => {
  let fleet: ProcessFleet
  let book: Book
  let safe: string
  let lost: Buffer
  let kept: Buffer
  let secret: Buffer
  let token: string

  const node = (index: number): Part => fleet.nodes[index] ?? assert.fail()
  const health = async ({ url }: Part) =>
    (await (await fetch(`${url}/health`)).json()) as { number: number; log_number: number; alarm: string | null }
  const checkpoint = async ({ url }: Part) =>
    ((await (await fetch(`${url}/api/v1/log`)).json()) as { checkpoint: string }).checkpoint.split('\n')
  const there = (part: Part) => until(async () => (await health(part)).number === (await health(fleet.primary)).number)
  const file = (url: string, path: string, key: string = BOOK_REPOSITORIES.generic) =>
    fetch(`${url}/repository/${key}/${path}`, { headers: { authorization: fleet.admin } })
  const put = async (key: string, path: string, body: Uint8Array) => {
    const reply = await fetch(`${fleet.primary.url}/repository/${key}/${path}`, {
      method: 'PUT',
      headers: { authorization: fleet.admin },
      body: Buffer.from(body),
    })
    assert.equal(reply.status, 201)
  }
  const logIn = (url: string) =>
    fetch(`${url}/api/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'alice', password: PASSWORD }),
    })
  const rescue = async (keyFile: string, nodes: Part[]) => {
    const { data, port, fleetPort, host, fleetHost } = fleet.primary.settings as PrimarySettings
    const settings = ['--data', data, '--port', `${port}`, '--fleet-port', `${fleetPort}`, '--host', host]
    const asked = nodes.flatMap(({ url }) => ['--node', url])
    const args = [
      'rescue',
      '--json',
      '--log-level',
      'error',
      ...settings,
      '--fleet-host',
      fleetHost,
      '--recovery-key-file',
      keyFile,
      ...asked,
    ]
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    const [out, err]: Buffer[][] = [[], []]
    child.stdout.on('data', (chunk: Buffer) => out?.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err?.push(chunk))
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
    return { code, out: Buffer.concat(out ?? []).toString(), err: Buffer.concat(err ?? []).toString() }
  }

  before(async () => {
    fleet = await processFleet({ nodes: 3 })
    safe = await mkdtemp(join(tmpdir(), 'cairn-safe-'))
    book = await Book.open(fleet.api, fleet.admin)
    const { api } = fleet
    const made = await cairn(['recovery', 'create', '--out', 'recovery.key'], {
      folder: safe,
      environment: { CAIRN_URL: fleet.primary.url, CAIRN_TOKEN: fleet.admin.slice('Bearer '.length) },
    })
    assert.equal(made.code, 0, made.err)
    keepSecrets({ password: PASSWORD })
    await api('POST', '/api/v1/users', { username: 'alice', password: PASSWORD })
    await api('POST', '/api/v1/repositories', { key: 'own', format: 'generic', repo_type: 'local', is_public: false })
    await api('POST', '/api/v1/grants', { user: 'alice', repository: 'own', actions: ['read'] })
    for (const version of ['1.0.0', '1.1.0']) await book.publish(fleet.primary.url, 'left', version)
    ;[lost, kept, secret] = [randomBytes(2_500_000), randomBytes(3_000_000), randomBytes(70_000)]
    await put(BOOK_REPOSITORIES.generic, 'nobody/read-it', lost)
    await put(BOOK_REPOSITORIES.generic, 'read', kept)
    await put('own', 'secret', secret)
    const session = (await (await logIn(fleet.primary.url)).json()) as { access_token: string }
    const reply = await fetch(`${fleet.primary.url}/api/v1/auth/tokens`, {
      method: 'POST',
      headers: { authorization: `Bearer ${session.access_token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'build', scopes: ['*'] }),
    })
    token = ((await reply.json()) as { value: string }).value
    await until(async () => {
      const { sealed } = (await api('GET', '/api/v1/recovery-key')) as { sealed: number }
      // Keys, two users, three nodes.
      return sealed === 6
    }, 60_000)
    await Promise.all(fleet.nodes.map(there))
  })
  after(async () => {
    await fleet.close()
    await rm(safe, { recursive: true, force: true })
  })

  let length: number
  let root: string | undefined

  it('loses its folder and its database', async () => {
    for (const version of ['1.0.0', '1.1.0']) {
      const reply = await file(node(0).url, `left/-/left-${version}.tgz`, BOOK_REPOSITORIES.npm)
      assert.equal(reply.status, 200)
      await reply.arrayBuffer()
    }
    await (await file(node(1).url, 'read')).arrayBuffer()
    await Promise.all(fleet.nodes.map(there))
    length = (await health(fleet.primary)).number
    root = (await checkpoint(node(0)))[2]
    // One more change, which only the third node hears of.
    await node(0).kill()
    await node(1).kill()
    await (await file(node(2).url, 'secret', 'own')).arrayBuffer()
    await book.publish(fleet.primary.url, 'late', '1.0.0')
    await there(node(2))
    await node(2).kill()
    await fleet.primary.kill()
    const { data } = fleet.primary.settings
    await stopEmbedded(join(data, 'postgres'), { immediate: true })
    await rm(data, { recursive: true })
    await mkdir(data, { recursive: true })
    for (const index of [0, 1]) await node(index).start()
    assert.equal((await health(node(0))).number, length)
  })

  it('is not built from another key, nor from half of one, and says what to do', async () => {
    const other = join(safe, 'other.key')
    const { logKey } = JSON.parse(await readFile(join(node(0).settings.data, 'identity.json'), 'utf8')) as {
      logKey: string
    }
    await writeFile(other, newRecoveryKey(Buffer.from(logKey, 'base64url')))
    const wrong = await rescue(other, [node(0)])
    assert.equal(wrong.code, 4)
    assert.match(wrong.err, /^cairn: This is not the recovery key of this fleet: take .*\n$/)
    await writeFile(other, (await readFile(join(safe, 'recovery.key'), 'utf8')).slice(0, 60))
    const half = await rescue(other, [node(0)])
    assert.match(half.err, /^cairn: That is no recovery key: take all of the line/)
  })

  it('comes back from two nodes, and the report names the one blob that nobody has', async () => {
    const { code, out, err } = await rescue(join(safe, 'recovery.key'), [node(0), node(1)])
    assert.equal(code, 3, err)
    const report = JSON.parse(out) as {
      epoch: number
      changes: number
      hidden: number
      blobs: { fetched: number; missing: { digest: string; at: { path: string }[] }[] }
    }
    assert.deepEqual([report.epoch, report.changes, report.hidden], [2, length, 0])
    assert.deepEqual(report.blobs.missing.map(({ digest }) => digest).sort(), [lost, secret].map(sha256).sort())
    assert.equal(report.blobs.fetched, 3)
  })

  it('goes on from the root that it had, with its accounts, its grants and its bytes', async () => {
    await fleet.primary.start()
    assert.equal((await checkpoint(fleet.primary))[3], 'epoch 2')
    const answer = await fetch(`${fleet.primary.url}/api/v1/log/consistency?from=${length}`)
    const { checkpoint: newest, proof } = (await answer.json()) as { checkpoint: string; proof: string }
    const now = { number: Number(newest.split('\n')[1]), root: Buffer.from(newest.split('\n')[2] ?? '', 'base64') }
    const before = { number: length, root: Buffer.from(root ?? '', 'base64') }
    assert.equal(isConsistent(before, now, Buffer.from(proof, 'base64')), true)
    // Nothing but the token of this machine's programs came since.
    assert.ok(now.number - length <= 2)
    assert.equal((await logIn(fleet.primary.url)).status, 200)
    assert.equal(sha256(Buffer.from(await (await file(fleet.primary.url, 'read')).arrayBuffer())), sha256(kept))
    const wrong = await fetch(`${fleet.primary.url}/repository/own/secret`)
    assert.equal(wrong.status, 401)
  })

  it('is followed by its nodes; the one that knew more takes it back, and what it alone held is there again', async () => {
    await node(2).start()
    await book.publish(fleet.primary.url, 'left', '2.0.0')
    for (const part of fleet.nodes) {
      await there(part)
      assert.deepEqual((await checkpoint(part))[3], 'epoch 2')
      assert.equal((await health(part)).alarm, null)
      const late = await fetch(`${part.url}/repository/${BOOK_REPOSITORIES.npm}/late`)
      assert.equal(late.status, 404)
    }
    const reply = () =>
      fetch(`${fleet.primary.url}/repository/own/secret`, { headers: { authorization: `Bearer ${token}` } })
    await until(async () => (await reply()).status === 200, 60_000)
    assert.equal(sha256(Buffer.from(await (await reply()).arrayBuffer())), sha256(secret))
  })

  it('serves npm again, at the primary and at a node', missing(npm), async () => {
    for (const part of [fleet.primary, node(1)]) {
      const home = await newHome(safe)
      const registry = `--registry=${part.url}/repository/${BOOK_REPOSITORIES.npm}/`
      await writeFile(join(home, 'package.json'), '{}')
      await run(npm, ['install', 'left@1.1.0', registry, '--no-audit', '--no-fund'], { cwd: home, home })
      const installed = await readFile(join(home, 'node_modules', 'left', 'package.json'), 'utf8')
      assert.match(installed, /"1\.1\.0"/)
    }
  })

  it('is not built again where there is one', async () => {
    await fleet.primary.kill('SIGTERM')
    const again = await rescue(join(safe, 'recovery.key'), [node(0)])
    assert.equal(again.code, 5)
    assert.match(again.err, /There is a primary here already: .*empty folder.*--restored/)
    await fleet.primary.start()
  })
})
