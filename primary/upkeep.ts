/** Lets formats look after their local repositories. What fails in one does not keep the others waiting. */
import type { Format } from '../protocol/format.js'
import type { Metadata, Principal } from '../protocol/ports.js'
import type { RepositoryRecord } from '../protocol/records.js'
import type { Repository } from '../protocol/repository.js'

export interface UpkeepOptions {
  metadata: Pick<Metadata, 'repositories'>
  formats: readonly Format[]
  open: (record: RepositoryRecord) => Repository
  onError: (error: unknown, record: RepositoryRecord) => void
}

/** Who is said to have done it. */
const BY: Principal = { name: 'upkeep', user: undefined, token: undefined }

export async function upkeep({ metadata, formats, open, onError }: UpkeepOptions): Promise<void> {
  for (const record of metadata.repositories()) {
    const format = formats.find(({ name }) => name === record.format)
    if (record.type !== 'local' || !format?.upkeep) continue
    try {
      await format.upkeep(open(record), BY)
    } catch (error) {
      onError(error, record)
    }
  }
}
