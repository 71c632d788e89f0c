/** GET and HEAD /{name}/manifests/{reference}: the bytes as they were pushed, whatever the client says it accepts. */
import { collect } from '../../protocol/chunks.js'
import type { Call } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { FileRecord } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { checkDigest } from './digest.js'
import { readEntry } from './entry.js'
import { failure, VERSION_HEADER } from './failure.js'
import { checkName, checkTag, manifestPath } from './name.js'

type OfManifest = Call<{ name: string; reference: string }>

/** By tag as by digest it is kept in memory, since these are what every pull begins with. */
export async function getManifest(call: OfManifest): Promise<Reply> {
  const { repository, params } = call
  const name = checkName(params.name)
  const isDigest = params.reference.includes(':')
  const reference = isDigest ? checkDigest(params.reference) : checkTag(params.reference)
  const render = async () => {
    const digest = isDigest ? reference : await repository.tag(name, reference)
    const version = digest === undefined ? undefined : await repository.version(name, digest)
    const file = version && (await repository.file(manifestPath(name, version.version)))
    if (!version || !file) throw unknownManifest(name, reference)
    return {
      contentType: readEntry(version.meta).mediaType,
      body: await bytesOf(repository, file),
      modified: version.publishedAt,
      headers: { ...VERSION_HEADER, 'docker-content-digest': version.version, etag: `"${version.version}"` },
    }
  }
  return call.index(name, `manifest ${reference}`, render, reference)
}

export function unknownManifest(name: string, reference: string): Error {
  return failure('missing', 'MANIFEST_UNKNOWN', `There is no manifest ${reference} in ${name}`)
}

async function bytesOf(repository: Repository, file: FileRecord): Promise<Buffer> {
  return collect((await repository.open(file)).read(), file.size)
}
