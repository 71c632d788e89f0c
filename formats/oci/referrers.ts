/** GET /{name}/referrers/{digest}: an index of the manifests whose subject it is, which may be none. */
import type { Call } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { Repository } from '../../protocol/repository.js'
import { checkDigest } from './digest.js'
import { type Entry, readEntry } from './entry.js'
import { VERSION_HEADER } from './failure.js'
import { INDEX } from './manifest.js'
import { checkName } from './name.js'
import { linkTo, pageAsked } from './page.js'
import { viewOf } from './view.js'

type Referrer = Pick<Entry, 'mediaType' | 'size' | 'artifactType' | 'annotations'> & { digest: string }

const PAGE = 1000
/** Bytes: a reply is a manifest, and clients take those up to 4 MiB. */
const PAGE_BYTES = 3 * 1024 * 1024

export async function listReferrers(call: Call<{ name: string; digest: string }>): Promise<Reply> {
  const { repository, request, params } = call
  const name = checkName(params.name)
  const subject = checkDigest(params.digest)
  const query = new URLSearchParams(request.query)
  const asked = pageAsked(query, PAGE)
  const type = query.get('artifactType') ?? undefined
  const { prefix } = viewOf(call)
  const filter = type === undefined ? undefined : { artifactType: type }
  return call.index(name, `referrers ${prefix} ${subject} ${asked.n} ${asked.last} ${type ?? ''}`, async () => {
    const all = await referrersOf(repository, name, subject, type)
    const { entries, next } = page(all, asked.n, asked.last)
    const path = `${prefix}/${name}/referrers/${subject}`
    const link = next ? { link: linkTo(path, asked, entries.at(-1)?.digest ?? '', filter) } : {}
    return {
      contentType: INDEX,
      body: JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: entries }),
      modified: (await repository.package(name))?.modified ?? repository.record.createdAt,
      headers: { ...VERSION_HEADER, ...link, ...(filter ? { 'oci-filters-applied': 'artifactType' } : {}) },
    }
  })
}

/** In order of publication. */
async function referrersOf(
  repository: Repository,
  name: string,
  subject: string,
  type: string | undefined,
): Promise<Referrer[]> {
  const found: Referrer[] = []
  for await (const { version, meta } of repository.versions(name)) {
    if (!meta.includes(subject)) continue
    const { subject: about, mediaType, size, artifactType, annotations } = readEntry(meta)
    if (about !== subject || (type !== undefined && artifactType !== type)) continue
    found.push({
      mediaType,
      digest: version,
      size,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(annotations === undefined ? {} : { annotations }),
    })
  }
  return found
}

/** A page begins behind the digest that ended the last one; should that be gone, the list begins anew. */
function page(all: Referrer[], n: number, last: string): { entries: Referrer[]; next: boolean } {
  const rest = all.slice(all.findIndex(({ digest }) => digest === last) + 1)
  const entries: Referrer[] = []
  let bytes = 0
  for (const each of rest.slice(0, n)) {
    bytes += JSON.stringify(each).length
    if (entries.length > 0 && bytes > PAGE_BYTES) break
    entries.push(each)
  }
  return { entries, next: entries.length > 0 && entries.length < rest.length }
}
