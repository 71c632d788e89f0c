// A file in several requests, so that a broken connection costs only what was on its way:
//
//     PUT /{path}   Content-Range: bytes 0-1048575/5000000   ->  202, Range: bytes=0-1048575, Upload-Offset: 1048576
//     PUT /{path}   Content-Range: bytes */5000000           ->  202, the same: how far did it get
//     PUT /{path}   Content-Range: bytes 1048576-4999999/5000000  ->  201, as for a PUT of the whole
//     GET /-/uploads/{path}?total=5000000                    ->  204 with Upload-Offset, or 404
//
// A part that does not begin where the last one ended is answered 416 with the right offset; one that begins at 0 starts over.
// An upload belongs to the user, the path, the size and the X-Checksum-Sha256 (where one is sent, it is sent with every part).
import { createHash } from 'node:crypto'
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { Upload } from '../../protocol/ports.js'
import type { FileRecord } from '../../protocol/records.js'
import type { Writable } from '../../protocol/repository.js'
import { bodyDigests, checkDigests, Digesting, type Digests, digestsOf, hashesFor, wholeDigests } from './digests.js'
import { record, refuseOtherBytes } from './record.js'

type Uploading = Call<{ path: string }>

interface Part {
  /** undefined: a question, no bytes. */
  bytes: { first: number; last: number } | undefined
  total: number
}

const LIMIT = 1024 ** 4

export async function putPart(call: Uploading, target: Writable, present: FileRecord | undefined): Promise<Reply> {
  const { headers, length } = call.request
  const { bytes, total } = parseContentRange(headers.get('content-range') ?? '')
  const whole = wholeDigests(headers)
  if (
    present &&
    !target.record.redeploy &&
    (present.size !== total || (whole.sha256 ?? present.digest) !== present.digest)
  )
    throw refuseOtherBytes(present)
  const id = uploadId(call, total, whole)
  const known = await target.resume(id)
  if (!bytes) return progress(202, known?.offset ?? 0)
  if (length !== undefined && length !== bytes.last - bytes.first + 1)
    throw invalid('Content-Length and Content-Range contradict each other')
  const upload = await positioned(target, id, known, bytes.first, total)
  if (!upload) return progress(416, known?.offset ?? 0)
  const offset = await append(call, upload, bytes, whole)
  if (offset < total) return progress(202, offset)
  const stored = await upload.commit({ hashes: hashesFor(whole) })
  checkDigests(whole, digestsOf(stored))
  return record(call, target, stored, present)
}

/** GET /-/uploads/{path}?total=N */
export async function readUpload(call: Uploading): Promise<Reply> {
  const total = new URLSearchParams(call.request.query).get('total') ?? ''
  if (!/^\d{1,15}$/.test(total)) throw invalid('The upload is asked for with ?total= and the size of the whole file')
  const upload = await call.target().resume(uploadId(call, Number(total), wholeDigests(call.request.headers)))
  if (!upload) throw new RegistryError('missing', 'There is no such upload', { code: 'upload_missing' })
  return progress(204, upload.offset)
}

/** undefined: the part does not begin where the upload stands. */
async function positioned(
  target: Writable,
  id: string,
  known: Upload | undefined,
  first: number,
  total: number,
): Promise<Upload | undefined> {
  if (known && known.offset === first) return known
  if (first !== 0) return undefined
  await target.checkRoom(total)
  await known?.abort()
  return target.begin(id)
}

async function append(
  { request }: Uploading,
  upload: Upload,
  { first, last }: { first: number; last: number },
  whole: Digests,
): Promise<number> {
  const expected = bodyDigests(request.headers)
  const digesting = new Digesting(['sha256', ...hashesFor(expected)])
  const offset = await upload.append(digesting.watch(request.body), {
    hashes: hashesFor(whole),
    limit: last + 1,
    signal: request.signal,
  })
  if (offset !== last + 1)
    throw invalid(`The part has ${offset - first} bytes, not the ${last - first + 1} of its Content-Range`)
  try {
    checkDigests(expected, digesting.digests())
  } catch (error) {
    // The wrong bytes are in, and cannot be taken out again.
    await upload.abort()
    throw error
  }
  return offset
}

function uploadId({ repository, params, principal }: Uploading, total: number, { sha256 = '' }: Digests): string {
  const parts = [repository.record.scope, params.path, principal.name, String(total), sha256]
  return createHash('sha256').update(parts.join('\0')).digest('hex')
}

function progress(status: 202 | 204 | 416, offset: number): Reply {
  return empty(status, {
    'cache-control': 'no-store',
    'upload-offset': String(offset),
    ...(offset === 0 ? {} : { range: `bytes=0-${offset - 1}` }),
  })
}

// 'bytes 0-9/100', or 'bytes */100' (RFC 9110 section 14.4). Throws `invalid`.
function parseContentRange(header: string): Part {
  const [, first, last, size = ''] = /^bytes (?:(\d{1,15})-(\d{1,15})|\*)\/(\d{1,15})$/.exec(header.trim()) ?? []
  const total = Number(size)
  if (size === '' || total === 0) throw invalid('Content-Range is not of the form "bytes FIRST-LAST/TOTAL"')
  if (total > LIMIT) throw new RegistryError('too_large', `Files here have at most ${LIMIT} bytes`)
  if (first === undefined || last === undefined) return { bytes: undefined, total }
  const bytes = { first: Number(first), last: Number(last) }
  if (bytes.first > bytes.last || bytes.last >= total)
    throw invalid('Content-Range names bytes that the file does not have')
  return { bytes, total }
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'invalid_range' })
}
