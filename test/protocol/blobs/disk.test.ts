/** What only blobs on disk can do or suffer: damage, planted files, a full disk, a disk that fails, a process that is killed. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { copyFile, mkdir, open, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DiskBlobs, type DiskBlobsOptions } from '../../../protocol/blobs/disk.js'
import type { Damage } from '../../../protocol/blobs/healing.js'
import { verifyPiece } from '../../../protocol/blobs/piece.js'
import type { Stored } from '../../../protocol/records.js'
import { assertSame, chunked, readAll, sha256, treeRoot } from '../../contracts/blobs.js'

const LEAF = 64 * 1024
const LIMIT = 64 * 1024 * 1024
const SIZES = { small: 20_000, 'one buffer': 4 * LEAF, middle: 700_001, large: 2_500_000 }
const folders: string[] = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

for (const [name, size] of Object.entries(SIZES)) {
  test(`a flipped bit at the start, middle or end of a ${name} blob is never given out`, async () => {
    for (const at of [0, size >> 1, size - 1]) {
      const { blobs, stored, bytes, place } = await withBlob(size)
      await flip(place, at)
      const given: Uint8Array[] = []
      await assert.rejects(
        async () => {
          for await (const chunk of (await blobs.open(stored, 's')).read()) given.push(Uint8Array.from(chunk))
        },
        { kind: 'corrupt' },
      )
      const all = Buffer.concat(given)
      assertSame(all, bytes.subarray(0, all.length))
      assert.ok(all.length <= at)
      await blobs.close()
    }
  })

  test(`a flipped bit at the start, middle or end of a ${name} blob is healed`, async () => {
    for (const at of [0, size >> 1, size - 1]) {
      const damage: Damage[] = []
      let source = Buffer.alloc(0)
      const { blobs, stored, bytes, place } = await withBlob(size, {
        repair: async (_stored, scope, start, end) => (scope === 's' ? source.subarray(start, end) : undefined),
        onDamage: (one) => damage.push(one),
      })
      source = bytes
      await flip(place, at)
      assertSame(await readAll(await blobs.open(stored, 's')), bytes)
      assertSame(await readFile(place), bytes)
      assert.deepEqual(
        damage.map((one) => [one.digest, one.healed]),
        [[stored.digest, true]],
      )
      assertSame(await readAll(await blobs.open(stored, 's')), bytes)
      assert.equal(damage.length, 1)
      await blobs.close()
    }
  })

  test(`a truncated and an overlong ${name} blob are corrupt without help and healed with it`, async () => {
    for (const length of [0, size - 1, size >> 1, size + 1]) {
      const { blobs, stored, bytes, place, folder } = await withBlob(size)
      await truncate(place, length)
      await assert.rejects(blobs.open(stored, 's'), { kind: 'corrupt' })
      await blobs.close()
      const healing = new DiskBlobs(folder, {
        repair: async (_stored, _scope, start, end) => bytes.subarray(start, end),
      })
      await healing.start()
      assertSame(await readAll(await healing.open(stored, 's')), bytes)
      assertSame(await readFile(place), bytes)
      await healing.close()
    }
  })

  test(`a ${name} blob is corrupt when what should repair it is wrong, too, or absent`, async () => {
    for (const answer of [() => undefined, (length: number) => randomBytes(length), () => randomBytes(3)]) {
      const damage: Damage[] = []
      const { blobs, stored, place } = await withBlob(size, {
        repair: async (_stored, _scope, start, end) => answer(end - start),
        onDamage: (one) => damage.push(one),
      })
      await flip(place, 5)
      await assert.rejects(async () => readAll(await blobs.open(stored, 's')), { kind: 'corrupt' })
      assert.equal(damage[0]?.healed, false)
      assert.deepEqual(await readdir(join(place, '../../../incoming')), [])
      await blobs.close()
    }
  })

  test(`two ${name} blobs in each other's place are corrupt`, async () => {
    const { blobs, stored, place, folder } = await withBlob(size)
    const other = await blobs.write(chunked(randomBytes(size)), { limit: LIMIT })
    await rm(place)
    await copyFile(placeOf(folder, other), place)
    await copyFile(`${placeOf(folder, other)}.tree`, `${place}.tree`).catch(() => undefined)
    await assert.rejects(async () => readAll(await blobs.open(stored, 's')), { kind: 'corrupt' })
    await blobs.close()
  })

  test(`writing the bytes of a damaged ${name} blob again makes it whole`, async () => {
    const { blobs, stored, bytes, place } = await withBlob(size)
    await flip(place, size >> 1)
    assert.deepEqual(await blobs.write(chunked(bytes), { limit: LIMIT }), stored)
    assertSame(await readAll(await blobs.open(stored, 's')), bytes)
    await blobs.close()
  })
}

test('damage of a blob up to 1 MiB is known when it is opened', async () => {
  for (const size of [100, 300_000, 1024 * 1024]) {
    const { blobs, stored, place } = await withBlob(size)
    await flip(place, size - 1)
    await assert.rejects(blobs.open(stored, 's'), { kind: 'corrupt' })
    await blobs.close()
  }
})

test('a verified blob that is changed on disk is checked again', async () => {
  const { blobs, stored, bytes, place } = await withBlob(2_000_000, { now: () => Date.now() + 1000 })
  const opened = await blobs.open(stored, 's')
  assertSame(await readAll(opened), bytes)
  const before = await stat(place)
  await flipUntilSeen(place, 1_000_000, before.ctimeMs)
  await assert.rejects(readAll(opened), { kind: 'corrupt' })
  await blobs.close()
})

test('a list of leaf hashes that is lost, damaged or short is made again from the bytes', async () => {
  const size = 3_000_000
  const { blobs, stored, bytes, place, folder } = await withBlob(size)
  await blobs.close()
  const right = await readFile(`${place}.tree`)
  const damages = [() => rm(`${place}.tree`), () => flip(`${place}.tree`, 40), () => truncate(`${place}.tree`, 64)]
  for (const damage of damages) {
    await damage()
    const again = new DiskBlobs(folder)
    await again.start()
    assertSame(await readAll(await again.open(stored, 's')), bytes)
    assertSame(await readFile(`${place}.tree`), right)
    assertSame(await again.leaves(stored), right)
    await again.close()
  }
})

test('a blob whose bytes and leaf hashes are both damaged is fetched anew', async () => {
  const size = 3_000_000
  let source = Buffer.alloc(0)
  const { blobs, stored, bytes, place } = await withBlob(size, {
    repair: async (_s, _scope, start, end) => source.subarray(start, end),
  })
  await flip(place, 77)
  await rm(`${place}.tree`)
  await assert.rejects(blobs.open(stored, 's'), { kind: 'corrupt' })
  source = bytes
  assertSame(await readAll(await blobs.open(stored, 's')), bytes)
  assertSame(await readFile(place), bytes)
  await blobs.close()
})

test('a link, a folder and a pipe in the place of a blob are refused, and written over where that is possible', async () => {
  const { blobs, stored, bytes, place, folder } = await withBlob(1000)
  const plant = [
    () => symlink(join(folder, 'elsewhere'), place),
    async () => execFileSync('mkfifo', [place]),
    () => mkdir(place),
  ]
  await writeFile(join(folder, 'elsewhere'), bytes)
  for (const put of plant) {
    await rm(place)
    await put()
    assert.equal(await blobs.has(stored.digest), false)
    await assert.rejects(blobs.open(stored, 's'), { kind: 'corrupt' })
    if ((await stat(place)).isDirectory()) continue
    await blobs.write(chunked(bytes), { limit: LIMIT })
    assertSame(await readAll(await blobs.open(stored, 's')), bytes)
  }
  await blobs.close()
})

test('a digest that is no digest reaches no file', async () => {
  const { blobs, stored } = await withBlob(10)
  const evil = { ...stored, digest: `../${'a'.repeat(61)}` as Stored['digest'] }
  await assert.rejects(blobs.open(evil, 's'), { kind: 'invalid' })
  await assert.rejects(blobs.has(evil.digest), { kind: 'invalid' })
  await assert.rejects(blobs.delete(evil.digest), { kind: 'invalid' })
  await blobs.close()
})

test('a deleted blob is gone with its tree, unless it was written since', async () => {
  const { blobs, stored, bytes, place, folder } = await withBlob(500_000)
  const { mtimeMs } = statSync(place)
  assert.equal(await blobs.delete(stored.digest, mtimeMs), false)
  assertSame(await readAll(await blobs.open(stored, 's')), bytes)
  assert.equal(await blobs.delete(stored.digest), true)
  assert.equal(await blobs.delete(stored.digest), false)
  assert.equal(await blobs.has(stored.digest), false)
  await assert.rejects(blobs.open(stored, 's'), { kind: 'unavailable', code: 'blob_missing' })
  assert.deepEqual(filesIn(folder), [])
  await blobs.close()
})

test('writing small bytes that are there makes the blob young again', async () => {
  const { blobs, stored, bytes, place } = await withBlob(500)
  const handle = await open(place, 'r+')
  await handle.utimes(1000, 1000)
  await handle.close()
  await blobs.write(chunked(bytes), { limit: LIMIT })
  assert.equal(await blobs.delete(stored.digest, Date.now() - 3_600_000), false)
  await blobs.close()
})

test('the list names every blob with its size, and what is used counts the trees as well', async () => {
  const { blobs, stored, folder } = await withBlob(500_000)
  const small = await blobs.write(chunked(randomBytes(10)), { limit: LIMIT })
  const listed = new Map<string, number>()
  for await (const { digest, size } of blobs.list()) listed.set(digest, size)
  assert.deepEqual(
    listed,
    new Map([
      [stored.digest, 500_000],
      [small.digest, 10],
    ]),
  )
  assert.equal(await blobs.used(), 500_010 + 8 * 32)
  assert.equal(filesIn(folder).length, 3)
  await blobs.close()
})

test('every piece of a blob verifies alone, and a changed one does not', async () => {
  for (const size of [10, LEAF, 3 * LEAF + 1, 37 * LEAF + 9]) {
    const { blobs, stored, bytes } = await withBlob(size)
    const total = Math.ceil(size / LEAF)
    for (let width = 1; width < 2 * total; width *= 2)
      for (let first = 0; first < total; first += width) {
        const piece = await blobs.piece(stored, first, Math.min(width, total - first))
        assertSame(piece.bytes, bytes.subarray(first * LEAF, (first + width) * LEAF))
        assert.ok(verifyPiece(stored, first, piece))
        piece.bytes[0] = (piece.bytes[0] ?? 0) ^ 1
        assert.equal(verifyPiece(stored, first, piece), undefined)
      }
    await assert.rejects(blobs.piece(stored, 0, total + 1), { kind: 'invalid' })
    await blobs.close()
  }
})

test('a damaged piece is not given to a peer', async () => {
  const { blobs, stored, place } = await withBlob(40 * LEAF)
  await flip(place, 9 * LEAF)
  await assert.rejects(blobs.piece(stored, 8, 4), { kind: 'corrupt' })
  assert.ok(verifyPiece(stored, 12, await blobs.piece(stored, 12, 4)))
  await blobs.close()
})

test('two requests cannot add to one upload at the same time', async () => {
  const { blobs } = await withBlob(1)
  const upload = await blobs.begin()
  const first = randomBytes(300_000)
  const slow = async function* () {
    yield first
    await assert.rejects(upload.append(chunked(randomBytes(9)), { limit: LIMIT }), { kind: 'conflict' })
    assert.equal((await blobs.resume(upload.id))?.offset, 0)
    yield first
  }
  assert.equal(await upload.append(slow(), { limit: LIMIT }), 600_000)
  assert.equal((await upload.commit({})).digest, sha256(Buffer.concat([first, first])))
  await blobs.close()
})

test('uploads that nobody goes on with are removed, the others stay', async () => {
  const { blobs, folder } = await withBlob(1)
  const old = await blobs.begin()
  const young = await blobs.begin()
  const handle = await open(join(folder, 'uploads', old.id), 'r+')
  await handle.utimes(1000, 1000)
  await handle.close()
  assert.equal(await blobs.expireUploads(Date.now() - 3_600_000), 1)
  assert.deepEqual(await readdir(join(folder, 'uploads')), [young.id])
  await blobs.close()
})

test('a start removes what a crash left in incoming and keeps uploads', async () => {
  const { blobs, folder } = await withBlob(1)
  const { id } = await blobs.begin()
  await blobs.close()
  await writeFile(join(folder, 'incoming', 'f'.repeat(32)), 'rubbish')
  const again = new DiskBlobs(folder)
  await again.start()
  assert.deepEqual(await readdir(join(folder, 'incoming')), [])
  assert.ok(await again.resume(id))
  await again.close()
})

test('bytes whose sync fails are not acknowledged, and nothing is afterwards, until a restart', async () => {
  for (const [size, failing] of [
    [1000, 1],
    [1000, 2],
    [500_000, 1],
    [500_000, 2],
    [500_000, 3],
    [500_000, 4],
  ] as const) {
    const folder = newFolder()
    let syncs = -1
    const blobs = new DiskBlobs(folder, {
      sync: async () => {
        if (syncs >= 0 && ++syncs === failing) throw Object.assign(new Error('i/o error'), { code: 'EIO' })
      },
    })
    await blobs.start()
    syncs = 0
    const bytes = randomBytes(size)
    const refused = { kind: 'unavailable', code: 'disk_failed' }
    await assert.rejects(blobs.write(chunked(bytes), { limit: LIMIT }), refused)
    await assert.rejects(blobs.write(chunked(bytes), { limit: LIMIT }), refused)
    await assert.rejects(blobs.write(chunked(randomBytes(10)), { limit: LIMIT }), refused)
    assert.deepEqual(await readdir(join(folder, 'incoming')), [])
    await blobs.close()
    const again = new DiskBlobs(folder)
    await again.start()
    await again.write(chunked(bytes), { limit: LIMIT })
    await again.close()
  }
})

test('closing waits for a write that runs, and refuses new ones', async () => {
  const { blobs } = await withBlob(1)
  const bytes = randomBytes(400_000)
  const writing = blobs.write(chunked(bytes), { limit: LIMIT })
  const closing = blobs.close()
  await assert.rejects(blobs.write(chunked(bytes), { limit: LIMIT }), { kind: 'unavailable' })
  assert.equal((await writing).digest, sha256(bytes))
  await closing
})

test('a full disk is said to be full, leaves nothing behind, and takes bytes again when there is room', {
  skip: noTmpfs(),
}, async () => {
  const folder = newFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', folder])
  try {
    const blobs = new DiskBlobs(folder)
    await blobs.start()
    const before = await blobs.used()
    const full = { kind: 'unavailable', code: 'disk_full' }
    await assert.rejects(blobs.write(chunked(randomBytes(8 * 1024 * 1024)), { limit: LIMIT }), full)
    assert.deepEqual([await blobs.used(), await readdir(join(folder, 'incoming'))], [before, []])
    const upload = await blobs.begin()
    const start = randomBytes(1000)
    await upload.append(chunked(start), { limit: LIMIT })
    await assert.rejects(upload.append(chunked(randomBytes(8 * 1024 * 1024)), { limit: LIMIT }), full)
    assert.equal((await blobs.resume(upload.id))?.offset, 1000)
    assert.equal((await upload.commit({})).digest, sha256(start))
    const bytes = randomBytes(4 * 1024 * 1024)
    const stored = await blobs.write(chunked(bytes), { limit: LIMIT })
    assertSame(await readAll(await blobs.open(stored, 's')), bytes)
    const partial = await blobs.partial({ digest: sha256(start), root: treeRoot(start), size: 32 * LEAF, hashes: {} })
    await assert.rejects(partial.write(0, randomBytes(32 * LEAF), new Uint8Array(32 * 32)), full)
    await partial.close()
    assert.deepEqual(await readdir(join(folder, 'incoming')), [])
    await blobs.close()
  } finally {
    // Lazily: a file that a failed test left open must not leave the mount behind.
    execFileSync('umount', ['-l', folder])
  }
})

test('a process killed at any step of a write leaves rubbish in incoming only, and the next start removes it', () => {
  const writer = fileURLToPath(new URL('./killed-writer.js', import.meta.url))
  for (const step of ['body', 'sync 1', 'sync 2', 'sync 3', 'sync 4', 'none']) {
    const folder = newFolder()
    const child = spawnSync(process.execPath, [writer, folder, step], { encoding: 'utf8', timeout: 60_000 })
    assert.equal(child.signal, step === 'none' ? null : 'SIGKILL', child.stderr)
    const names = filesIn(folder)
    const complete = step === 'sync 4' || step === 'none'
    assert.equal(names.length, complete ? 2 : 0, `${step}: ${names.join()}`)
    const after = spawnSync(process.execPath, [writer, folder, 'check'], { encoding: 'utf8', timeout: 60_000 })
    assert.equal(after.stdout, complete ? 'whole' : 'absent', after.stderr)
    assert.deepEqual(readdirSync(join(folder, 'incoming')), [])
  }
})

async function withBlob(size: number, options: DiskBlobsOptions = {}) {
  const folder = newFolder()
  const blobs = new DiskBlobs(folder, options)
  await blobs.start()
  const bytes = randomBytes(size)
  const stored = await blobs.write(chunked(bytes), { limit: LIMIT })
  return { folder, blobs, bytes, stored, place: placeOf(folder, stored) }
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cairn-disk-'))
  folders.push(folder)
  return folder
}

function placeOf(folder: string, { digest }: Stored): string {
  return join(folder, 'blobs', digest.slice(0, 2), digest)
}

function filesIn(folder: string): string[] {
  const fans = readdirSync(join(folder, 'blobs'))
  return fans.flatMap((fan) => readdirSync(join(folder, 'blobs', fan)))
}

async function flip(path: string, at: number): Promise<void> {
  const handle = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await handle.read(byte, 0, 1, at)
  byte[0] = (byte[0] ?? 0) ^ 4
  await handle.write(byte, 0, 1, at)
  await handle.close()
}

/** File times move in steps: the test must not be quicker than one. */
async function flipUntilSeen(path: string, at: number, ctimeMs: number): Promise<void> {
  do {
    await flip(path, at)
    await flip(path, at)
  } while ((await stat(path)).ctimeMs === ctimeMs)
  await flip(path, at)
}

function noTmpfs(): string | false {
  return process.platform === 'linux' && process.getuid?.() === 0 ? canMount() : 'needs root to mount a small tmpfs'
}

function canMount(): string | false {
  const folder = mkdtempSync(join(tmpdir(), 'cairn-mount-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]).status === 0
  if (mounted) spawnSync('umount', [folder])
  rmSync(folder, { recursive: true, force: true })
  return mounted ? false : 'mounting is not allowed here'
}
