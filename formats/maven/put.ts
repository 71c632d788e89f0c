/**
 * PUT: what `mvn deploy`, Gradle, sbt and Ivy send. Files are streamed into the store and recorded one by one; checksum files are
 * compared and never stored; metadata is accepted and never stored, since here it is made from records.
 */
import { bounded } from '../../protocol/blobs/bounded.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { FileRecord, Stored } from '../../protocol/records.js'
import type { Writable } from '../../protocol/repository.js'
import {
  bodyDigests,
  checkDigests,
  Digesting,
  type Digests,
  digestsOf,
  together,
  wholeDigests,
} from '../generic/digests.js'
import { refuseOtherBytes } from '../generic/record.js'
import { putChecksum } from './checksum.js'
import { type ArtifactPath, checksumOf, metadataFolder, parseArtifact } from './layout.js'
import { checkVersionPolicy } from './policy.js'
import { POM_LIMIT, type Pom, parsePom } from './pom.js'
import { record } from './record.js'

type Putting = Call<{ path: string }>

/** Bytes. An operator's own limit (`CAIRN_MAX_UPLOAD_BYTES`) is lower. */
const FILE_LIMIT = 1024 ** 4
const METADATA_LIMIT = 16 * 1024 * 1024
/** Maven asks for the first two, Gradle for all. */
const HASHES = ['md5', 'sha1', 'sha512'] as const

export async function put(call: Putting): Promise<Reply> {
  const { path } = call.params
  const target = call.target()
  const sum = checksumOf(path)
  if (metadataFolder(sum?.path ?? path) !== undefined) return ignore(call)
  if (sum) return putChecksum(call, sum.path, sum.algorithm)
  const at = parseArtifact(path)
  checkVersionPolicy(target.record, at.base)
  const expected = together(wholeDigests(call.request.headers), bodyDigests(call.request.headers))
  const present = await call.repository.file(path)
  if (present && !target.record.redeploy) return compare(call, present, expected)
  const { stored, pom } = await receive(call, target, at, expected)
  return record(call, target, at, stored, pom)
}

/** It is read to its end, so that the client hears the reply. */
async function ignore({ request }: Putting): Promise<Reply> {
  for await (const _ of bounded(request.body, METADATA_LIMIT, request.signal));
  return empty(201)
}

/** The bytes are there or they are not wanted, so they are compared as they pass and never stored. */
async function compare({ request }: Putting, present: FileRecord, expected: Digests): Promise<Reply> {
  const { body, length, signal } = request
  if (length !== undefined && length !== present.size) throw refuseOtherBytes(present)
  const digesting = new Digesting(['sha256'])
  for await (const _ of bounded(digesting.watch(body), FILE_LIMIT, signal))
    if (digesting.size > present.size) throw refuseOtherBytes(present)
  if (digesting.digests().sha256 !== present.digest) throw refuseOtherBytes(present)
  checkDigests(expected, digestsOf(present))
  return empty(200)
}

async function receive(
  { request }: Putting,
  target: Writable,
  at: ArtifactPath,
  expected: Digests,
): Promise<{ stored: Stored; pom: Pom | undefined }> {
  const { body, length, signal, headers } = request
  if ((headers.get('content-encoding') ?? 'identity').toLowerCase() !== 'identity')
    throw new RegistryError('invalid', 'Send the file without a Content-Encoding: it is stored as it arrives')
  const poms: Pom[] = []
  const isPom = at.rest === '.pom'
  const stored = await target.receive(isPom ? parsing(body, at, poms) : body, {
    hashes: HASHES,
    limit: isPom ? POM_LIMIT : FILE_LIMIT,
    signal,
    ...(length === undefined ? {} : { length }),
  })
  checkDigests(expected, digestsOf(stored))
  return { stored, pom: poms[0] }
}

/** The same bytes again; ends only when they are a POM in order, so that no other is stored. */
async function* parsing(
  body: AsyncIterable<Uint8Array>,
  at: ArtifactPath,
  poms: Pom[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks: Buffer[] = []
  for await (const chunk of bounded(body, POM_LIMIT)) {
    chunks.push(Buffer.from(chunk))
    yield chunk
  }
  poms.push(parsePom(Buffer.concat(chunks), at))
}
