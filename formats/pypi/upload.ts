/**
 * POST / or /legacy/: one wheel or source archive, as twine, uv, poetry, flit, hatch and pdm send it. The file goes into the store
 * while it arrives, wherever in the form it stands; it gets its name when everything about it has been checked.
 */
import { once } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { type Reply, text } from '../../protocol/http/reply.js'
import type { Held, Stored } from '../../protocol/records.js'
import type { Writable } from '../../protocol/repository.js'
import { type Fields, readForm, single } from '../text/form.js'
import type { Part } from '../text/multipart.js'
import { parseAttestations } from './attestations.js'
import { checkDigests, hashed, watchBlake2 } from './digests.js'
import { type Distribution, parseFilename } from './filename.js'
import { checkMetadata, METADATA_LIMIT, parseMetadata, requiresPython } from './metadata.js'
import { metadataPath, normalName, provenancePath } from './name.js'
import { publish, taken } from './publish.js'
import { SourceInspection } from './sdist.js'
import { normalVersion } from './version.js'
import { readZipMetadata } from './wheel.js'

const LIMITS = { parts: 5000, header: 8192, fields: 16 * 1024 * 1024 }
const FILE_LIMIT = 64 * 1024 ** 3

export async function upload(call: Call<unknown>): Promise<Reply> {
  const target = call.target()
  const files: Received[] = []
  const take = async (part: Part, before: Fields): Promise<void> => {
    if (files.length > 0) throw invalid('A form carries exactly one file')
    files.push(await receive(call, target, part, before))
  }
  const fields = await readForm(call.request, 'content', take, LIMITS)
  checkAction(fields)
  const [file] = files
  if (!file) throw invalid('The form has no file in its field "content"')
  checkForm(fields, file.distribution)
  const blake2 = checkDigests(fields, file.stored, file.blake2)
  const metadata = parseMetadata(file.metadata)
  checkMetadata(metadata, file.distribution)
  const needs = requiresPython(metadata)
  const isNew = await publish(call, target, {
    distribution: file.distribution,
    files: await together(call, target, file, single(fields, 'attestations')),
    note: {
      uploaded: target.now(),
      ...(needs === undefined ? {} : { requiresPython: needs }),
      ...(blake2 === undefined ? {} : { blake2 }),
    },
  })
  return text(isNew ? 'Published\n' : 'These bytes were here already\n', isNew ? 201 : 200, {
    'cache-control': 'no-store',
  })
}

interface Received {
  distribution: Distribution
  stored: Stored
  metadata: Buffer
  blake2: string | undefined
}

async function receive(call: Call<unknown>, target: Writable, part: Part, before: Fields): Promise<Received> {
  checkAction(before)
  const distribution = parseFilename(part.filename ?? '')
  const { name, path } = distribution
  if (!call.may('write', name)) throw new RegistryError('forbidden', `You may not publish ${name} here`)
  await refuseEarly(call, target, path, single(before, 'sha256_digest'))
  const { signal } = call.request
  const options = { hashes: ['md5'] as const, limit: FILE_LIMIT, signal }
  const hash = await watchBlake2(before)
  const body = hash ? hashed(part.body, hash) : part.body
  if (distribution.archive === 'tar') {
    const inspection = new SourceInspection()
    const stored = await target.receive(inspection.watch(body), options)
    return { distribution, stored, metadata: inspection.packageInfo(), blake2: hash?.digest() }
  }
  const stored = await target.receive(body, options)
  const bytes = await call.repository.open({ path, ...stored })
  return { distribution, stored, metadata: await readZipMetadata(bytes, distribution, signal), blake2: hash?.digest() }
}

/** What is announced with other bytes than are here need not be sent to its end. */
async function refuseEarly(
  call: Call<unknown>,
  target: Writable,
  path: string,
  sha256: string | undefined,
): Promise<void> {
  if (target.record.redeploy || sha256 === undefined) return
  const present = await call.repository.file(path)
  if (present && present.digest !== sha256.toLowerCase()) throw taken(path)
}

/** The file and what is kept beside it. */
async function together(
  { principal, request }: Call<unknown>,
  target: Writable,
  { distribution, stored, metadata }: Received,
  attestations: string | undefined,
): Promise<Held[]> {
  const { path, file } = distribution
  const keep = async (beside: string, bytes: Buffer): Promise<Held> => {
    const options = { limit: Math.max(LIMITS.fields * 2, METADATA_LIMIT), length: bytes.length, signal: request.signal }
    return { path: beside, ...(await target.receive(once(bytes), options)) }
  }
  const held: Held[] = [{ path, ...stored }, await keep(metadataPath(path), metadata)]
  if (attestations === undefined || attestations === '') return held
  const document = parseAttestations(attestations, file, stored, principal.name)
  return [...held, await keep(provenancePath(path), document)]
}

function checkAction(fields: Fields): void {
  const action = single(fields, ':action')
  if (action !== undefined && action !== 'file_upload')
    throw invalid(`The :action ${JSON.stringify(action.slice(0, 50))} is not offered here, only file_upload`)
  const version = single(fields, 'protocol_version')
  if (version !== undefined && version !== '1') throw invalid('The protocol_version must be 1')
}

/** What the form says must be what the file's name says. */
function checkForm(fields: Fields, { file, kind, name, version }: Distribution): void {
  const said = { name: single(fields, 'name'), version: single(fields, 'version'), kind: single(fields, 'filetype') }
  if (said.name === undefined || normalName(said.name) !== name)
    throw invalid(`The form's name ${JSON.stringify(said.name?.slice(0, 100) ?? '')} is not that of ${file}`)
  if (said.version === undefined || normalVersion(said.version) !== version)
    throw invalid(`The form's version ${JSON.stringify(said.version?.slice(0, 100) ?? '')} is not that of ${file}`)
  if (said.kind !== undefined && said.kind !== kind)
    throw invalid(`The form's filetype is not ${kind}, as that of ${file}`)
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'invalid_upload' })
}
