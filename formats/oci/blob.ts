/** GET, HEAD and DELETE /{name}/blobs/{digest}. */
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import { checkDigest } from './digest.js'
import { failure, VERSION_HEADER } from './failure.js'
import { blobPath, checkName } from './name.js'

type OfBlob = Call<{ name: string; digest: string }>

export async function getBlob(call: OfBlob): Promise<Reply> {
  const { name, digest } = call.params
  const path = pathOf(call)
  refuseBackwards(call.request.headers.get('range'))
  const reply = await call.send(path)
  if (!reply) throw unknownBlob(name, digest)
  const own = { 'content-type': 'application/octet-stream', 'docker-content-digest': digest, etag: `"${digest}"` }
  return { ...reply, headers: { ...reply.headers, ...VERSION_HEADER, ...own } }
}

/** The image loses the blob; its bytes stay for whoever else has them. */
export async function removeBlob(call: OfBlob): Promise<Reply> {
  const target = call.target()
  const file = await call.repository.file(pathOf(call))
  if (!file) throw unknownBlob(call.params.name, call.params.digest)
  await target.commit([{ kind: 'remove', package: file.package, version: file.version }], call.principal)
  return empty(202, VERSION_HEADER)
}

function pathOf({ params }: OfBlob): string {
  return blobPath(checkName(params.name), checkDigest(params.digest))
}

function unknownBlob(name: string, digest: string): Error {
  return failure('missing', 'BLOB_UNKNOWN', `There is no blob ${digest} in ${name}`)
}

/** HTTP lets a range that ends before it begins be ignored; the conformance program of the specification wants it refused. */
function refuseBackwards(range: string | undefined): void {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? []
  if (first !== undefined && Number(last) < Number(first))
    throw failure('range', 'SIZE_INVALID', 'The range ends before it begins')
}
