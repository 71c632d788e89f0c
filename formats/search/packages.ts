/** A repository's packages in order of their names, page by page, looked for only where there can be some that the asker may read. */
import { sections } from '../../protocol/access/path.js'
import type { Package } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'

/** `reach`: what the names begin with that may be read. Whether one may be read is still to be asked. */
export async function* packagesWithin(
  repository: Pick<Repository, 'packages'>,
  reach: readonly string[],
  { atOnce, after = '' }: { atOnce: number; after?: string },
): AsyncGenerator<Package[], void, undefined> {
  let cursor = after
  for (const prefix of sections(reach, '', after === '' ? undefined : after))
    for (;;) {
      const page = await repository.packages({
        limit: atOnce,
        ...(prefix === '' ? {} : { prefix }),
        ...(cursor === '' ? {} : { after: cursor }),
      })
      if (page.length > 0) yield page
      cursor = page.at(-1)?.name ?? cursor
      if (page.length < atOnce) break
    }
}
