/** PUT /{name}/manifests/{reference}: by tag, or by digest with any number of ?tag=. */

import { bounded } from '../../protocol/blobs/bounded.js'
import { collect, once } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import type { Step, VersionKey } from '../../protocol/records.js'
import { checkDigest, checkStored, digestOf, hashesFor, mismatch } from './digest.js'
import { entryOf } from './entry.js'
import { failure, VERSION_HEADER } from './failure.js'
import { keep } from './keep.js'
import { type Descriptor, MANIFEST_LIMIT, type ParsedManifest, parseManifest } from './manifest.js'
import { blobPath, checkName, checkTag, manifestPath } from './name.js'
import { manifestLocation } from './view.js'

type OfManifest = Call<{ name: string; reference: string }>

const MAX_TAGS = 100
const ATTEMPTS = 4

export async function putManifest(call: OfManifest): Promise<Reply> {
  const { request, params } = call
  const name = checkName(params.name)
  const asked = wanted(params.reference, request.query)
  call.target()
  const bytes = await readBytes(request)
  const digest = digestOf(bytes, asked.digest)
  if (asked.digest !== undefined && digest !== asked.digest) throw mismatch(digest, asked.digest)
  const manifest = parseManifest(bytes, request.headers.get('content-type'))
  const named = { digest, bytes, tags: asked.tags }
  for (let attempt = 1; ; attempt++) {
    const references = await checkReferences(call, name, manifest)
    try {
      await publish(call, named, entryOf(manifest, bytes.length), references)
      break
    } catch (error) {
      // A manifest was deleted meanwhile, and what this one relies on with it.
      if (!(error instanceof RegistryError && error.kind === 'missing') || attempt === ATTEMPTS) throw error
    }
  }
  return accepted(call, digest, asked.digest === undefined ? [] : asked.tags, manifest.subject)
}

interface Named {
  digest: string
  bytes: Uint8Array
  tags: string[]
}

async function publish(call: OfManifest, named: Named, meta: string, references: References): Promise<void> {
  const { repository, request } = call
  const { digest, bytes } = named
  const { name } = call.params
  const target = call.target()
  const tags = named.tags.map((tag): Step => ({ kind: 'tag', package: name, tag, version: digest }))
  if (await repository.version(name, digest)) return retag(call, name, digest, tags)
  const options = { hashes: hashesFor(digest), limit: MANIFEST_LIMIT, signal: request.signal, length: bytes.length }
  const stored = await target.receive(once(bytes), options)
  checkStored(stored, digest)
  const files = [{ path: manifestPath(name, digest), ...stored }]
  const manifest = { package: name, version: digest, files, meta, publishedAt: target.now() }
  await keep(call, target, manifest, { before: references.revived, after: tags, present: references.present })
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

interface References {
  present: VersionKey[]
  /** Blobs that went with a manifest after this client was told that they are here. */
  revived: Step[]
}

/** Everything but the subject must be there first, so that what can be pulled by a tag is whole. */
async function checkReferences(call: OfManifest, name: string, manifest: ParsedManifest): Promise<References> {
  const { repository } = call
  const references: References = { present: [], revived: [] }
  for (const { digest, size } of distinct(manifest.blobs)) {
    const path = blobPath(name, digest)
    const blob = await repository.file(path)
    const found = blob ?? (await call.target().restorable(path))
    if (!found) throw failure('missing', 'MANIFEST_BLOB_UNKNOWN', `The blob ${digest} is not in ${name}; push it first`)
    if (found.size !== size)
      throw failure('invalid', 'MANIFEST_INVALID', `The blob ${digest} has ${found.size} bytes, not ${size}`)
    if (blob) references.present.push(blob)
    else references.revived.push({ kind: 'restore', package: found.package, version: found.version })
  }
  for (const { digest } of distinct(manifest.manifests)) {
    const file = (await repository.file(manifestPath(name, digest))) ?? (await repository.file(blobPath(name, digest)))
    if (!file)
      throw failure('missing', 'MANIFEST_BLOB_UNKNOWN', `The manifest ${digest} is not in ${name}; push it first`)
    references.present.push(file)
  }
  return references
}

function distinct(descriptors: Descriptor[]): Iterable<Descriptor> {
  return new Map(descriptors.map((each) => [each.digest, each])).values()
}

async function readBytes({ body, headers, signal }: HttpRequest): Promise<Buffer> {
  if ((headers.get('content-encoding') ?? 'identity') !== 'identity')
    throw failure('invalid', 'MANIFEST_INVALID', 'A manifest is sent as it is, without a Content-Encoding')
  return collect(bounded(body, MANIFEST_LIMIT, signal))
}
