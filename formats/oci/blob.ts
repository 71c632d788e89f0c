/** GET, HEAD and DELETE /{name}/blobs/{digest}. */
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { FileRecord } from '../../protocol/records.js'
import { checkDigest } from './digest.js'
import { failure, VERSION_HEADER } from './failure.js'
import { blobPath, checkName } from './name.js'

type OfBlob = Call<{ name: string; digest: string }>

export async function getBlob(call: OfBlob): Promise<Reply> {
  const { digest } = call.params
  const file = await known(call)
  refuseBackwards(call.request.headers.get('range'))
  return call.file(file, {
    ...VERSION_HEADER,
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    etag: `"${digest}"`,
  })
}

/** The image loses the blob; its bytes stay for whoever else has them. */
export async function removeBlob(call: OfBlob): Promise<Reply> {
  const target = call.target()
  const { package: name, version } = await known(call)
  await target.commit([{ kind: 'remove', package: name, version }], call.principal)
  return empty(202, VERSION_HEADER)
}

async function known({ repository, params }: OfBlob): Promise<FileRecord> {
  const name = checkName(params.name)
  const file = await repository.file(blobPath(name, checkDigest(params.digest)))
  if (!file) throw failure('missing', 'BLOB_UNKNOWN', `There is no blob ${params.digest} in ${name}`)
  return file
}

/** HTTP lets a range that ends before it begins be ignored; the conformance program of the specification wants it refused. */
function refuseBackwards(range: string | undefined): void {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? []
  if (first !== undefined && Number(last) < Number(first))
    throw failure('range', 'SIZE_INVALID', 'The range ends before it begins')
}
