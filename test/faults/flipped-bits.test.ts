/** Bits that flip on disk: what they spoil is never served, and it is healed from whoever has it right. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { access, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { BOOK_REPOSITORIES, Book, sha256 } from '../support/book.js'
import { type TestFleet, testFleet, until } from '../support/fleet.js'

const SIZES = { small: 10_000, middling: 300_000, large: 3_000_000 }
const PLACES = ['first', 'middle', 'last'] as const

describe('flipped bits', { timeout: 120_000 }, () => {
  let fleet: TestFleet
  let book: Book
  const files = new Map<string, Buffer>()

  before(async () => {
    fleet = await testFleet({ nodes: 2, primary: { reverifySeconds: 0 }, node: { reverifySeconds: 0 } })
    book = await Book.open(fleet.api, fleet.admin)
    for (const [name, size] of Object.entries(SIZES)) files.set(name, randomBytes(size))
    for (const [path, bytes] of files) await book.put(fleet.primaryUrl, path, bytes)
    for (let n = 0; n < 30; n++) await book.publish(fleet.primaryUrl, `package-${n % 10}`, `1.${n}.0`)
    assert.equal(book.acknowledged().length, files.size + 30)
  })
  after(() => fleet.close())

  /** Right bytes, or no complete answer of 200 at all. */
  const read = async (url: string | undefined, path: string): Promise<'right' | 'refused'> => {
    try {
      const reply = await fetch(`${url}/repository/${BOOK_REPOSITORIES.generic}/${path}`)
      const body = Buffer.from(await reply.arrayBuffer())
      if (reply.status !== 200) return 'refused'
      assert.equal(sha256(body), sha256(files.get(path) ?? Buffer.alloc(0)), `${path} was served with wrong bytes`)
      return 'right'
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      return 'refused'
    }
  }
  const blobAt = (part: string, folder: string, path: string): string => {
    const digest = sha256(files.get(path) ?? Buffer.alloc(0))
    return join(fleet.dir, part, folder, 'blobs', digest.slice(0, 2), digest)
  }
  const cached = (part: string, path: string): string => blobAt(part, 'cache', path)

  for (const place of PLACES)
    it(`in the ${place} byte of what a node keeps: healed, on disk too`, async () => {
      for (const path of files.keys()) {
        await until(
          async () => (await read(fleet.nodeUrls[0], path)) === 'right' && (await there(cached('node-1', path))),
        )
        await flip(cached('node-1', path), place)
        assert.equal(await read(fleet.nodeUrls[0], path), 'right', path)
        await until(
          async () => sha256(await readFile(cached('node-1', path))) === sha256(files.get(path) ?? Buffer.alloc(0)),
        )
      }
    })

  it('while a node is stopped: found when it starts again, as is a file that became shorter or longer', async () => {
    await fleet.stopNode(0)
    await flip(cached('node-1', 'small'), 'middle')
    await writeFile(cached('node-1', 'middling'), (files.get('middling') ?? Buffer.alloc(0)).subarray(0, 200_000))
    await writeFile(cached('node-1', 'large'), Buffer.concat([files.get('large') ?? Buffer.alloc(0), Buffer.alloc(10)]))
    await fleet.startNode(0)
    for (const path of files.keys()) assert.equal(await read(fleet.nodeUrls[0], path), 'right', path)
  })

  it('in what the primary keeps: healed from a node that has it, on disk too', async () => {
    for (const path of files.keys())
      for (const place of PLACES) {
        const blob = blobAt('primary', 'store', path)
        await flip(blob, place)
        assert.equal(await read(fleet.primaryUrl, path), 'right', path)
        await until(async () => sha256(await readFile(blob)) === sha256(files.get(path) ?? Buffer.alloc(0)))
      }
    await book.check(fleet.primaryUrl)
  })

  it('in what the primary alone has: never a wrong 200, at the primary or at a node', async () => {
    const alone = Object.entries(SIZES).map(([name, size]) => [`${name}-alone`, randomBytes(size)] as const)
    for (const [path, bytes] of alone) {
      files.set(path, bytes)
      await book.put(fleet.primaryUrl, path, bytes)
      const blob = blobAt('primary', 'store', path)
      for (const place of PLACES) {
        await flip(blob, place)
        assert.equal(await read(fleet.primaryUrl, path), 'refused', path)
        assert.equal(await read(fleet.nodeUrls[1], path), 'refused', path)
        await flip(blob, place)
        assert.equal(await read(fleet.primaryUrl, path), 'right', path)
      }
      files.delete(path)
    }
    await book.check(fleet.primaryUrl)
  })

  it('with the primary away: healed from a peer', async () => {
    for (const path of files.keys())
      for (const url of fleet.nodeUrls) await until(async () => (await read(url, path)) === 'right')
    for (const path of files.keys()) await until(() => there(cached('node-2', path)))
    await fleet.stopPrimary()
    for (const path of files.keys()) {
      await flip(cached('node-1', path), 'middle')
      await until(async () => (await read(fleet.nodeUrls[0], path)) === 'right')
    }
  })

  it('with nobody left who has it right: refused, and healed when somebody is back', async () => {
    await fleet.stopNode(1)
    for (const path of files.keys()) {
      await flip(cached('node-1', path), 'last')
      assert.equal(await read(fleet.nodeUrls[0], path), 'refused', path)
    }
    await fleet.startPrimary()
    await fleet.startNode(1)
    for (const path of files.keys()) await until(async () => (await read(fleet.nodeUrls[0], path)) === 'right')
  })

  describe('in the records of a node', () => {
    const records = (): string => join(fleet.dir, 'node-1', 'replica', 'records')
    const checkpoint = (): string => join(fleet.dir, 'node-1', 'replica', 'checkpoint')
    const damages: [name: string, damage: () => Promise<void>][] = [
      ['one in every 4 KiB of tables and logs', () => each(/\.(ldb|log)$/, (bytes) => scatter(bytes, 4096))],
      ['one in every 512 bytes of tables and logs', () => each(/\.(ldb|log)$/, (bytes) => scatter(bytes, 512))],
      ['in the manifest', () => each(/^MANIFEST/, (bytes) => scatter(bytes, 16))],
      ['the file CURRENT is gone', () => rm(join(records(), 'CURRENT'))],
      ['in the highest checkpoint', async () => writeFile(checkpoint(), scatter(await readFile(checkpoint()), 40))],
      ['the newest half of every log is gone', () => each(/\.log$/, (bytes) => bytes.subarray(0, bytes.length / 2))],
    ]
    const each = async (names: RegExp, change: (bytes: Buffer) => Buffer): Promise<void> => {
      for (const name of (await readdir(records())).filter((name) => names.test(name))) {
        const path = join(records(), name)
        await writeFile(path, change(await readFile(path)))
      }
    }

    for (const [name, damage] of damages)
      it(`${name}: what is served is never wrong, and all of it comes back`, async () => {
        await fleet.stopNode(0)
        await damage()
        await fleet.startNode(0)
        await until(() => whole(book, fleet.nodeUrls[0] ?? ''))
        await book.check(fleet.nodeUrls[0] ?? '')
      })
  })
})

/** Does the node show everything. What it shows before that must be a part of the truth, with nothing wrong in it. */
async function whole(book: Book, url: string): Promise<boolean> {
  let missing = 0
  for (const { kind, name, version, digest } of book.acknowledged()) {
    const path =
      kind === 'npm'
        ? `${BOOK_REPOSITORIES.npm}/${name}/-/${name}-${version}.tgz`
        : `${BOOK_REPOSITORIES.generic}/${name}`
    const reply = await fetch(`${url}/repository/${path}`)
    const body = Buffer.from(await reply.arrayBuffer())
    if (reply.status === 200) assert.equal(sha256(body), digest, `${path} was served with wrong bytes`)
    else missing++
  }
  return missing === 0
}

async function flip(path: string, place: (typeof PLACES)[number]): Promise<void> {
  const bytes = await readFile(path)
  const at = { first: 0, middle: bytes.length >> 1, last: bytes.length - 1 }[place]
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at)
  await writeFile(path, bytes)
}

function scatter(bytes: Buffer, step: number): Buffer {
  for (let at = step >> 1; at < bytes.length; at += step) bytes.writeUInt8(bytes.readUInt8(at) ^ 0x04, at)
  return bytes
}

async function there(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
