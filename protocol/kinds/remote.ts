/**
 * A repository that another registry is the authority of: what is recorded here is served, what is not is asked of the
 * origin. Every repository of a node is one, with the primary as origin and the change feed as prefetch.
 */
import type { Blobs, Metadata, Origin } from '../ports.js'
import type { FileRecord, RepositoryRecord } from '../records.js'
import { Recorded } from './recorded.js'

const ORIGIN_DEADLINE_MS = 30_000

export class Remote extends Recorded {
  readonly #origin: Origin | undefined

  constructor(record: RepositoryRecord, metadata: Metadata, blobs: Blobs, origin?: Origin) {
    super(record, metadata, blobs)
    this.#origin = origin
  }

  override async file(path: string): Promise<FileRecord | undefined> {
    const held = await super.file(path)
    if (held || !this.#origin) return held
    // The origin records what it fetched before it answers, so the record is read again rather than believed.
    const fetched = await this.#origin.get(this.record, path, AbortSignal.timeout(ORIGIN_DEADLINE_MS))
    return fetched ? super.file(path) : undefined
  }
}
