/**
 * A page of the files that somebody may read, looked for only where there can be some. Bounded work: a page may hold fewer than asked
 * for and still have a next.
 */
import { sections } from '../access/path.js'
import type { FileRecord } from '../records.js'
import type { Repository } from '../repository.js'

const READ_PAGE = 1000
const MAX_READS = 10
/** Behind every path that begins with the same text. */
const LAST = '\u{10ffff}'

export interface FilePage {
  files: FileRecord[]
  next: string | null
}

export interface Asked {
  prefix?: string | undefined
  after?: string | undefined
  limit: number
  /** Beginnings of paths that are wanted, sorted, none of them within another. */
  reach?: readonly string[]
}

export async function visibleFiles(
  repository: Pick<Repository, 'files'>,
  { prefix = '', after, limit, reach = [''] }: Asked,
  wanted: (path: string, file: FileRecord) => boolean,
  maxReads = MAX_READS,
): Promise<FilePage> {
  const files: FileRecord[] = []
  let cursor = after
  let reads = 0
  for (const within of sections(reach, prefix, after)) {
    for (;;) {
      if (reads === maxReads) return { files, next: cursor ?? null }
      const size = reads++ === 0 ? Math.min(READ_PAGE, limit + 1) : READ_PAGE
      const read = await repository.files({
        limit: size,
        ...(within === '' ? {} : { prefix: within }),
        ...(cursor === undefined ? {} : { after: cursor }),
      })
      for (const file of read) {
        if (!wanted(file.path, file)) continue
        if (files.length === limit) return { files, next: files.at(-1)?.path ?? null }
        files.push(file)
      }
      if (read.length < size) break
      cursor = read.at(-1)?.path
    }
    cursor = within + LAST
  }
  return { files, next: null }
}
