/**
 * PUT /{path}: a file as the body, in one request or in several (upload.ts). 201 when it is new, 200 when these bytes are there
 * already, 409 when others are and the repository does not allow to replace them.
 */
import { bounded } from '../../protocol/blobs/bounded.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { FileRecord } from '../../protocol/records.js'
import type { Writable } from '../../protocol/repository.js'
import {
  bodyDigests,
  checkDigests,
  Digesting,
  type Digests,
  digestsOf,
  hashesFor,
  together,
  wholeDigests,
} from './digests.js'
import { checkPath } from './path.js'
import { checkPreconditions } from './preconditions.js'
import { record, refuseOtherBytes, storedReply } from './record.js'
import { putPart } from './upload.js'

export type Putting = Call<{ path: string }>

/** Bytes. An operator's own limit (`CAIRN_MAX_UPLOAD_BYTES`) is lower. */
const FILE_LIMIT = 1024 ** 4

export async function put(call: Putting): Promise<Reply> {
  const { request, repository, params } = call
  const target = call.target()
  checkPath(params.path)
  checkForm(request.headers)
  const present = await repository.file(params.path)
  checkPreconditions(request.headers, present)
  if (/^true$/i.test(request.headers.get('x-checksum-deploy') ?? '')) return deployByChecksum(call, present)
  if (request.headers.has('content-range')) return putPart(call, target, present)
  const expected = together(wholeDigests(request.headers), bodyDigests(request.headers))
  return present && !target.record.redeploy
    ? putAgain(call, present, expected)
    : putNew(call, target, present, expected)
}

async function putNew(
  call: Putting,
  target: Writable,
  present: FileRecord | undefined,
  expected: Digests,
): Promise<Reply> {
  const { body, length, signal } = call.request
  const options = {
    hashes: hashesFor(expected),
    limit: FILE_LIMIT,
    signal,
    ...(length === undefined ? {} : { length }),
  }
  const digesting = new Digesting([])
  const stored = await target.receive(digesting.watch(body), options)
  checkDigests(expected, digestsOf(stored))
  return record(call, target, stored, present)
}

/** The bytes are there or they are not wanted, so they are compared as they pass and never stored. */
async function putAgain(call: Putting, present: FileRecord, expected: Digests): Promise<Reply> {
  const { body, length, signal } = call.request
  if (length !== undefined && length !== present.size) throw refuseOtherBytes(present)
  if (expected.sha256 !== undefined && expected.sha256 !== present.digest) throw refuseOtherBytes(present)
  const digesting = new Digesting(['sha256', ...hashesFor(expected)])
  for await (const _ of bounded(digesting.watch(body), FILE_LIMIT, signal))
    if (digesting.size > present.size) throw refuseOtherBytes(present)
  const digests = digesting.digests()
  checkDigests(expected, digests)
  if (digests.sha256 !== present.digest) throw refuseOtherBytes(present)
  return storedReply(call, present, 200)
}

/**
 * Conan and other clients ask first whether the bytes are here already and send them only if not. Only this path is looked at:
 * a digest alone must not copy a file out of a repository that the client may not read.
 */
function deployByChecksum(call: Putting, present: FileRecord | undefined): Reply {
  const expected = wholeDigests(call.request.headers)
  if (expected.sha256 === undefined && expected.sha1 === undefined)
    throw new RegistryError('invalid', 'X-Checksum-Deploy needs X-Checksum-Sha256 or X-Checksum-Sha1')
  const known = present && digestsOf(present)
  const isHere =
    known &&
    (['sha256', 'sha1'] as const).every((name) => expected[name] === undefined || expected[name] === known[name])
  if (!present || !isHere) throw new RegistryError('missing', 'These bytes are not here; send them')
  return storedReply(call, present, 201)
}

function checkForm(headers: ReadonlyMap<string, string>): void {
  if (/^multipart\//i.test(headers.get('content-type') ?? ''))
    throw new RegistryError(
      'invalid',
      'Send the file itself as the body, not as a form (curl --upload-file, not --form)',
    )
  if ((headers.get('content-encoding') ?? 'identity').toLowerCase() !== 'identity')
    throw new RegistryError('invalid', 'Send the file without a Content-Encoding: it is stored as it arrives')
}
