/** Where a node keeps blobs, as those see it who fetch and serve them: the cache and its disk, or a simulation of them. */
import type { DiskBlobs } from '../protocol/blobs/disk.js'
import type { Partial } from '../protocol/blobs/partial.js'
import type { Stored } from '../protocol/records.js'
import type { Cache } from './cache.js'

export interface Store extends Pick<Cache, 'heal' | 'has' | 'open' | 'reserve' | 'keep'> {
  readonly disk: Pick<DiskBlobs, 'piece' | 'write'>
  partial(stored: Stored): Promise<Incoming>
}

/** A blob that arrives piece by piece. */
export type Incoming = Pick<Partial, 'learn' | 'write' | 'read' | 'has' | 'piece' | 'complete' | 'close'>
