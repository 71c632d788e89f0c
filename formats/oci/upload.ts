/**
 * An upload that has begun, at /{name}/blobs/uploads/{id}: PATCH adds to it, PUT ends it, GET says how far it got, DELETE gives it up. It
 * belongs to the user, the image and the repository. Its bytes survive a restart; they are hashed again then.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { Upload } from '../../protocol/ports.js'
import type { Writable } from '../../protocol/repository.js'
import { acceptBlob, BLOB_LIMIT, isHere } from './accept.js'
import { checkDigest, hashesFor } from './digest.js'
import { errorReply, failure, VERSION_HEADER } from './failure.js'
import { blobPath, checkName } from './name.js'
import { progressHeaders, uploadKey } from './progress.js'

type OfUpload = Call<{ name: string; id: string }>

export async function readUpload(call: OfUpload): Promise<Reply> {
  const { offset } = await resumed(call)
  return empty(204, progressHeaders(call, { ...call.params, offset }))
}

export async function cancelUpload(call: OfUpload): Promise<Reply> {
  await (await resumed(call)).abort()
  return empty(204, VERSION_HEADER)
}

/** PATCH: a part with Content-Range, or everything that comes. */
export async function addToUpload(call: OfUpload): Promise<Reply> {
  const upload = await resumed(call)
  const refused = await append(call, upload)
  return refused ?? empty(202, progressHeaders(call, { ...call.params, offset: upload.offset }))
}

/** PUT ?digest=: the last part or nothing more, then the blob is there. */
export async function endUpload(call: OfUpload): Promise<Reply> {
  const { params, request, repository } = call
  const target = call.target()
  const digest = checkDigest(new URLSearchParams(request.query).get('digest') ?? '')
  const upload = await target.resume(keyOf(call))
  // A client that lost the reply asks again.
  if (!upload && (await repository.file(blobPath(params.name, digest)))) return isHere(call, params.name, digest)
  if (!upload) throw unknown()
  const refused = await append(call, upload)
  if (refused) return refused
  return acceptBlob(call, params.name, digest, await upload.commit({ hashes: hashesFor(digest) }))
}

function keyOf(call: OfUpload): string {
  checkName(call.params.name)
  return uploadKey(call, call.params.name, call.params.id)
}

async function resumed(call: OfUpload): Promise<Upload> {
  const upload = await call.target().resume(keyOf(call))
  if (!upload) throw unknown()
  return upload
}

function unknown(): RegistryError {
  return failure('missing', 'BLOB_UPLOAD_UNKNOWN', 'There is no such upload; it has ended, or was given up')
}

/** Undefined: added. Otherwise the reply that says where to go on. */
async function append(call: OfUpload, upload: Upload): Promise<Reply | undefined> {
  const { request } = call
  const { length } = request
  const part = parseContentRange(request.headers.get('content-range'))
  if (part && part.first !== upload.offset) return outOfOrder(call, upload.offset)
  const size = part && part.last - part.first + 1
  if (size !== undefined && length !== undefined && length !== size)
    throw failure('invalid', 'SIZE_INVALID', 'Content-Length and Content-Range contradict each other')
  if (length === 0) return undefined
  const target = call.target()
  await target.checkRoom(upload.offset + (length ?? 0))
  const before = upload.offset
  const body = withinRoom(request.body, target, before)
  const limit = size === undefined ? BLOB_LIMIT : before + size
  const after = await added(upload.append(body, { limit, signal: request.signal }))
  if (size !== undefined && after !== before + size)
    throw failure(
      'invalid',
      'SIZE_INVALID',
      `The part has ${after - before} bytes, not the ${size} of its Content-Range`,
    )
  return undefined
}

async function added(appending: Promise<number>): Promise<number> {
  try {
    return await appending
  } catch (error) {
    if (error instanceof RegistryError && error.kind === 'conflict')
      throw new RegistryError('conflict', error.message, { code: 'BLOB_UPLOAD_INVALID', cause: error })
    throw error
  }
}

/** A body without a length is asked again and again whether there is room for it. */
async function* withinRoom(
  body: AsyncIterable<Uint8Array>,
  target: Writable,
  before: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let size = before
  let asked = before
  for await (const chunk of body) {
    size += chunk.length
    if (size - asked > ASK_AFTER_BYTES) {
      asked = size
      await target.checkRoom(size)
    }
    yield chunk
  }
}

const ASK_AFTER_BYTES = 64 * 1024 * 1024

function outOfOrder(call: OfUpload, offset: number): Reply {
  const error = failure('range', 'BLOB_UPLOAD_INVALID', `The upload goes on at byte ${offset}`)
  const reply = errorReply(error, 416, call.request)
  return { ...reply, headers: { ...reply.headers, ...progressHeaders(call, { ...call.params, offset }) } }
}

/** 'FIRST-LAST', both inclusive: not the Content-Range of RFC 9110, though some clients send that. */
function parseContentRange(header: string | undefined): { first: number; last: number } | undefined {
  if (header === undefined) return undefined
  const [, first, last] = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/.exec(header.trim()) ?? []
  if (first === undefined || Number(last) < Number(first))
    throw failure('invalid', 'BLOB_UPLOAD_INVALID', 'Content-Range is not of the form FIRST-LAST')
  return { first: Number(first), last: Number(last) }
}
