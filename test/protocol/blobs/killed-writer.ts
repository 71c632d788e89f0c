/**
 * Run by disk.test.ts: `killed-writer <folder> <step>` writes one blob and kills itself at the step; `check` starts on what is
 * left and says whether the blob is whole or absent. Syncs of a
 * first write: 1 and 2 are the bytes and the tree, 3 is the new folder, 4 is the names.
 */

import { syncToDisk } from '../../../protocol/blobs/descriptor.js'
import { DiskBlobs } from '../../../protocol/blobs/disk.js'
import { Hasher } from '../../../protocol/blobs/hashing.js'

const BYTES = Buffer.alloc(1_000_000, 'cairn')

const [folder = '', step = ''] = process.argv.slice(2)
let syncs = Number.NEGATIVE_INFINITY
const blobs = new DiskBlobs(folder, {
  sync: async (descriptor, what) => {
    syncs++
    if (step === `sync ${syncs}`) die()
    await syncToDisk(descriptor, what)
  },
})
await blobs.start()
syncs = 0
if (step === 'check') await check()
else await blobs.write(body(), { limit: BYTES.length })
await blobs.close()

async function* body(): AsyncGenerator<Uint8Array> {
  yield BYTES.subarray(0, 600_000)
  if (step === 'body') die()
  yield BYTES.subarray(600_000)
}

async function check(): Promise<void> {
  const hasher = new Hasher()
  hasher.update(BYTES)
  const { stored } = hasher.finish()
  const there = await blobs.has(stored.digest)
  if (there) for await (const _ of (await blobs.open(stored, 'any')).read());
  process.stdout.write(there ? 'whole' : 'absent')
}

function die(): void {
  process.kill(process.pid, 'SIGKILL')
}
