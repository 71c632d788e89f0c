/** A page of the files that somebody may read. Bounded work: a page may hold fewer than asked for and still have a next. */
import type { FileRecord } from '../records.js'
import type { Repository } from '../repository.js'

const READ_PAGE = 1000
const MAX_READS = 10

export interface FilePage {
  files: FileRecord[]
  next: string | null
}

export async function visibleFiles(
  repository: Pick<Repository, 'files'>,
  page: { prefix?: string | undefined; after?: string | undefined; limit: number },
  wanted: (path: string, file: FileRecord) => boolean,
  maxReads = MAX_READS,
): Promise<FilePage> {
  const files: FileRecord[] = []
  let cursor = page.after
  for (let reads = 0; reads < maxReads; reads++) {
    const size = reads === 0 ? Math.min(READ_PAGE, page.limit + 1) : READ_PAGE
    const read = await repository.files({
      limit: size,
      ...(page.prefix ? { prefix: page.prefix } : {}),
      ...(cursor === undefined ? {} : { after: cursor }),
    })
    for (const file of read) {
      if (!wanted(file.path, file)) continue
      if (files.length === page.limit) return { files, next: files.at(-1)?.path ?? null }
      files.push(file)
    }
    if (read.length < size) return { files, next: null }
    cursor = read.at(-1)?.path
  }
  return { files, next: cursor ?? null }
}
