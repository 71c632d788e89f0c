/** PUT /{name}/manifests/{reference}: by tag, or by digest with any number of ?tag=. */

import { bounded } from '../../protocol/blobs/bounded.js'
import { collect, once } from '../../protocol/chunks.js'
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import type { Step } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { checkDigest, checkStored, digestOf, hashesFor, mismatch } from './digest.js'
import { entryOf } from './entry.js'
import { failure, VERSION_HEADER } from './failure.js'
import { keep } from './keep.js'
import { type Descriptor, MANIFEST_LIMIT, type ParsedManifest, parseManifest } from './manifest.js'
import { blobPath, checkName, checkTag, manifestPath } from './name.js'
import { manifestLocation } from './view.js'

type OfManifest = Call<{ name: string; reference: string }>

const MAX_TAGS = 100

export async function putManifest(call: OfManifest): Promise<Reply> {
  const { request, repository, params } = call
  const name = checkName(params.name)
  const asked = wanted(params.reference, request.query)
  const target = call.target()
  const bytes = await readBytes(request)
  const digest = digestOf(bytes, asked.digest)
  if (asked.digest !== undefined && digest !== asked.digest) throw mismatch(digest, asked.digest)
  const manifest = parseManifest(bytes, request.headers.get('content-type'))
  await checkReferences(repository, name, manifest)
  const meta = entryOf(manifest, bytes.length)
  const steps = asked.tags.map((tag): Step => ({ kind: 'tag', package: name, tag, version: digest }))
  if (await repository.version(name, digest)) await retag(call, name, digest, steps)
  else {
    const options = { hashes: hashesFor(digest), limit: MANIFEST_LIMIT, signal: request.signal, length: bytes.length }
    const stored = await target.receive(once(bytes), options)
    checkStored(stored, digest)
    const files = [{ path: manifestPath(name, digest), ...stored }]
    await keep(call, target, { package: name, version: digest, files, meta, publishedAt: target.now() }, steps)
  }
  return accepted(call, digest, asked.digest === undefined ? [] : asked.tags, manifest.subject)
}

function accepted(call: OfManifest, digest: string, tags: string[], subject: Descriptor | undefined): Reply {
  return empty(201, {
    ...VERSION_HEADER,
    location: manifestLocation(call, call.params.name, digest),
    'docker-content-digest': digest,
    ...(tags.length === 0 ? {} : { 'oci-tag': tags.join(', ') }),
    ...(subject === undefined ? {} : { 'oci-subject': subject.digest }),
  })
}

function wanted(reference: string, query: string): { digest: string | undefined; tags: string[] } {
  if (!reference.includes(':')) return { digest: undefined, tags: [checkTag(reference)] }
  const tags = new URLSearchParams(query).getAll('tag').map(checkTag)
  if (tags.length > MAX_TAGS)
    throw failure('invalid', 'MANIFEST_INVALID', `At most ${MAX_TAGS} tags can be set at once`)
  return { digest: checkDigest(reference), tags: [...new Set(tags)] }
}

/** The manifest is there: only tags that name another one change anything. */
async function retag(call: OfManifest, name: string, digest: string, steps: Step[]): Promise<void> {
  const moved: Step[] = []
  for (const step of steps)
    if (step.kind === 'tag' && (await call.repository.tag(name, step.tag)) !== digest) moved.push(step)
  if (moved.length > 0) await call.target().commit(moved, call.principal)
}

/** Everything but the subject must be there first, so that what can be pulled by a tag is whole. */
async function checkReferences(repository: Repository, name: string, manifest: ParsedManifest): Promise<void> {
  for (const { digest, size } of distinct(manifest.blobs)) {
    const blob = await repository.file(blobPath(name, digest))
    if (!blob) throw failure('missing', 'MANIFEST_BLOB_UNKNOWN', `The blob ${digest} is not in ${name}; push it first`)
    if (blob.size !== size)
      throw failure('invalid', 'MANIFEST_INVALID', `The blob ${digest} has ${blob.size} bytes, not ${size}`)
  }
  for (const { digest } of distinct(manifest.manifests)) {
    const file = (await repository.file(manifestPath(name, digest))) ?? (await repository.file(blobPath(name, digest)))
    if (!file)
      throw failure('missing', 'MANIFEST_BLOB_UNKNOWN', `The manifest ${digest} is not in ${name}; push it first`)
  }
}

function distinct(descriptors: Descriptor[]): Iterable<Descriptor> {
  return new Map(descriptors.map((each) => [each.digest, each])).values()
}

async function readBytes({ body, headers, signal }: HttpRequest): Promise<Buffer> {
  if ((headers.get('content-encoding') ?? 'identity') !== 'identity')
    throw failure('invalid', 'MANIFEST_INVALID', 'A manifest is sent as it is, without a Content-Encoding')
  return collect(bounded(body, MANIFEST_LIMIT, signal))
}
