import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DiskBlobs } from '../../../protocol/blobs/disk.js'
import { MemoryBlobs } from '../../../protocol/blobs/memory.js'
import { blobsContract } from '../../contracts/blobs.js'

blobsContract('memory', async () => ({
  blobs: new MemoryBlobs(),
  restart: async () => undefined,
  close: async () => undefined,
}))

blobsContract('disk', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cairn-blobs-'))
  let blobs = new DiskBlobs(folder)
  await blobs.start()
  return {
    get blobs() {
      return blobs
    },
    restart: async () => {
      await blobs.close()
      blobs = new DiskBlobs(folder)
      await blobs.start()
    },
    close: async () => {
      await blobs.close()
      await rm(folder, { recursive: true })
    },
  }
})
