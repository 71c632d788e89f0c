import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DiskBlobs } from '../../../protocol/blobs/disk.js'
import type { Damage } from '../../../protocol/blobs/healing.js'
import { scrub } from '../../../protocol/blobs/scrub.js'
import { once } from '../../../protocol/chunks.js'
import type { Digest, FileRecord, Stored } from '../../../protocol/records.js'

const SIZES = [100, 70_000, 300_000, 3_000_000]

test('rot is found without a reader, and healed where somebody has the bytes right', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cairn-scrub-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const bodies = new Map<Digest, Buffer>()
  const damages: Damage[] = []
  let helps = true
  const disk = new DiskBlobs(folder, {
    repair: async ({ digest }, _, start, end) => (helps ? bodies.get(digest)?.subarray(start, end) : undefined),
    onDamage: (damage) => damages.push(damage),
  })
  await disk.start()
  const known: Stored[] = []
  for (const size of SIZES) {
    const body = randomBytes(size)
    const stored = await disk.write(once(body), { limit: size })
    bodies.set(stored.digest, body)
    known.push(stored)
  }
  const unrecorded = await disk.write(once(Buffer.from('nobody knows')), { limit: 100 })
  const pathOf = (digest: Digest) => join(folder, 'blobs', digest.slice(0, 2), digest)
  const flip = async ({ digest, size }: Stored) => {
    const bytes = await readFile(pathOf(digest))
    bytes[size - 1] = (bytes[size - 1] ?? 0) ^ 1
    await writeFile(pathOf(digest), bytes)
  }
  const file = async (_: string, path: string) => known.find(({ digest }) => digest === path) as FileRecord | undefined
  const run = () =>
    scrub({
      disk,
      metadata: { file },
      holders: async (digest) => (digest === unrecorded.digest ? [] : [{ scope: 's', path: digest }]),
      bytesPerSecond: 1e9,
      signal: AbortSignal.timeout(60_000),
    })
  const bytes = SIZES.reduce((sum, size) => sum + size, 0)
  assert.deepEqual(await run(), { blobs: 4, bytes, damaged: 0 })
  for (const stored of known) await flip(stored)
  assert.deepEqual(await run(), { blobs: 4, bytes, damaged: 0 })
  assert.deepEqual(new Set(damages.map(({ digest, healed }) => `${digest} ${healed}`)).size, 4)
  for (const { digest } of known) assert.deepEqual(await readFile(pathOf(digest)), bodies.get(digest))
  helps = false
  const [small] = known
  assert.ok(small)
  await flip(small)
  assert.equal((await run()).damaged, 1)
  await disk.close()
})
