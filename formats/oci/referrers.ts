/** GET /{name}/referrers/{digest}: an index of the manifests whose subject it is, which may be none. */
import { collect } from '../../protocol/chunks.js'
import type { Call } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { Repository } from '../../protocol/repository.js'
import { checkDigest } from './digest.js'
import { readEntry } from './entry.js'
import { VERSION_HEADER } from './failure.js'
import { INDEX } from './manifest.js'
import { checkName } from './name.js'
import { linkTo, pageAsked } from './page.js'
import { indexOf, type Referrer, referrersIn } from './referrer.js'
import { referrersOf } from './upstream.js'
import { viewOf } from './view.js'

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
  const reference = referrersOf(subject)
  const filter = type === undefined ? undefined : { artifactType: type }
  const render = async () => {
    const { all, modified } = await known(repository, name, subject)
    const wanted = type === undefined ? all : all.filter(({ artifactType }) => artifactType === type)
    const { entries, next } = page(wanted, asked.n, asked.last)
    const path = `${prefix}/${name}/referrers/${subject}`
    const link = next ? { link: linkTo(path, asked, entries.at(-1)?.digest ?? '', filter) } : {}
    return {
      contentType: INDEX,
      body: indexOf(entries),
      modified,
      headers: { ...VERSION_HEADER, ...link, ...(filter ? { 'oci-filters-applied': 'artifactType' } : {}) },
    }
  }
  return call.index(name, `referrers ${prefix} ${subject} ${asked.n} ${asked.last} ${type ?? ''}`, render, reference)
}

interface Known {
  all: Referrer[]
  /** ISO 8601. */
  modified: string
}

/** What an upstream says, or what is here. */
async function known(repository: Repository, name: string, subject: string): Promise<Known> {
  const listed = await repository.version(name, referrersOf(subject))
  const [file] = listed?.files ?? []
  if (listed && file && !('offered' in file)) {
    const all = referrersIn(await collect((await repository.open(file)).read(), file.size))
    return { all, modified: listed.publishedAt }
  }
  const modified = (await repository.package(name))?.modified ?? repository.record.createdAt
  return { all: await published(repository, name, subject), modified }
}

/** In order of publication. */
async function published(repository: Repository, name: string, subject: string): Promise<Referrer[]> {
  const found: Referrer[] = []
  for await (const { version, meta } of repository.versions(name)) {
    if (!meta.includes(subject)) continue
    const { subject: about, mediaType, size, artifactType, annotations } = readEntry(meta)
    if (about !== subject) continue
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
