/** A disk that is full: what cannot be stored is refused in words, what is stored is served, and freed space is used again. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { BOOK_REPOSITORIES, Book, sha256 } from '../support/book.js'
import { type TestFleet, testFleet, until } from '../support/fleet.js'

const MIB = 1024 * 1024
const SIZE = 64 * MIB
const CACHE = 16 * MIB
const FILE = 6 * MIB

describe('a full disk', {
  timeout: 120_000,
  skip: mountable() ? false : 'only root can make a small file system',
}, () => {
  let dir: string
  let store: string
  let cache: string
  let fleet: TestFleet
  let book: Book
  let files = 0

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cairn-full-'))
    store = await small(join(dir, 'primary', 'store'), SIZE)
    cache = await small(join(dir, 'node', 'cache'), CACHE)
    fleet = await testFleet({ nodes: 1, primary: { data: join(dir, 'primary') }, node: { data: join(dir, 'node') } })
    book = await Book.open(fleet.api, fleet.admin)
    await writeFile(join(store, 'filler'), Buffer.alloc(20 * MIB))
  })
  after(async () => {
    await fleet.close()
    for (const path of [store, cache]) execFileSync('umount', [path])
    await rm(dir, { recursive: true, force: true })
  })

  const put = async (bytes = FILE): Promise<string | number> =>
    (await book.put(fleet.primaryUrl, `file-${++files}`, randomBytes(bytes))).outcome

  it('refuses what does not fit with 507 or 503, and the sentence says why', async () => {
    while ((await put()) === 'acknowledged');
    assert.ok(book.acknowledged().length > 3)
    for (const url of [fleet.primaryUrl, fleet.nodeUrls[0]]) {
      const reply = await fetch(`${url}/repository/${BOOK_REPOSITORIES.generic}/refused`, {
        method: 'PUT',
        body: randomBytes(FILE),
        headers: { authorization: fleet.admin },
      })
      assert.ok([503, 507].includes(reply.status), String(reply.status))
      assert.match(((await reply.json()) as { detail: string }).detail, /disk|space|full/i)
    }
  })

  it('a package is refused as well, in npm’s own document', async () => {
    const { outcome } = await book.publish(fleet.primaryUrl, 'too-large', '1.0.0', FILE)
    assert.ok(outcome === 503 || outcome === 507, String(outcome))
  })

  it('leaves nothing of what was refused', async () => {
    await until(async () => (await readdir(join(store, 'incoming'))).length === 0)
    assert.equal((await fetch(`${fleet.primaryUrl}/repository/${BOOK_REPOSITORIES.generic}/refused`)).status, 404)
  })

  it('serves what it has, also through a node whose own disk is full', async () => {
    await book.check(fleet.primaryUrl)
    await book.check(fleet.nodeUrls[0] ?? '')
    await book.check(fleet.nodeUrls[0] ?? '')
  })

  it('takes writes again as soon as there is room, without a restart', async () => {
    await rm(join(store, 'filler'))
    assert.equal(await put(), 'acknowledged')
    assert.equal((await book.publish(fleet.primaryUrl, 'fits', '1.0.0')).outcome, 'acknowledged')
    await book.check(fleet.primaryUrl)
  })

  it('the node still keeps what its own disk has room for', async () => {
    const bytes = randomBytes(1000)
    await book.put(fleet.nodeUrls[0] ?? '', 'small-one', bytes)
    await until(async () => {
      const reply = await fetch(`${fleet.nodeUrls[0]}/repository/${BOOK_REPOSITORIES.generic}/small-one`)
      assert.equal(sha256(Buffer.from(await reply.arrayBuffer())), sha256(bytes))
      return reply.headers.get('x-cairn-source') === 'cache'
    })
  })
})

/** A file system of that many bytes at that path. */
async function small(path: string, bytes: number): Promise<string> {
  await mkdir(path, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'tmpfs', path])
  return path
}

function mountable(): boolean {
  if (process.getuid?.() !== 0) return false
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
