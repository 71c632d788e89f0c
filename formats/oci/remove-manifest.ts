/**
 * DELETE /{name}/manifests/{reference}: a tag alone, or a manifest with all tags that name it and the blobs that no other manifest of the
 * image names. Those can be restored for as long as a push may last that was told they are here (put-manifest.ts does so).
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { Step, Version } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { checkDigest } from './digest.js'
import { readEntry } from './entry.js'
import { VERSION_HEADER } from './failure.js'
import { unknownManifest } from './get-manifest.js'
import { blobsOf, checkName, checkTag } from './name.js'

type OfManifest = Call<{ name: string; reference: string }>

const ATTEMPTS = 8

export async function removeManifest(call: OfManifest): Promise<Reply> {
  const name = checkName(call.params.name)
  const { reference } = call.params
  if (reference.includes(':')) await remove(call, name, checkDigest(reference))
  else await untag(call, name, checkTag(reference))
  return empty(202, VERSION_HEADER)
}

async function untag(call: OfManifest, name: string, tag: string): Promise<void> {
  const target = call.target()
  if ((await call.repository.tag(name, tag)) === undefined) throw unknownManifest(name, tag)
  await target.commit([{ kind: 'tag', package: name, tag, version: null }], call.principal)
}

/** Under a lock on the image: a manifest that is pushed meanwhile may name the same blobs. */
async function remove(call: OfManifest, name: string, digest: string): Promise<void> {
  const { repository, principal } = call
  const target = call.target()
  for (let attempt = 1; ; attempt++) {
    const last = (await repository.package(name))?.last ?? 0
    try {
      await target.commit(await removal(repository, name, digest), principal, { package: name, last })
      return
    } catch (error) {
      const isRaced = error instanceof RegistryError && error.kind === 'conflict' && error.code !== 'tag_immutable'
      if (!isRaced || attempt === ATTEMPTS) throw error
    }
  }
}

async function removal(repository: Repository, name: string, digest: string): Promise<Step[]> {
  const version = await repository.version(name, digest)
  if (!version) throw unknownManifest(name, digest)
  const tags = Object.entries(await repository.tags(name)).filter(([, named]) => named === digest)
  const untag = tags.map(([tag]): Step => ({ kind: 'tag', package: name, tag, version: null }))
  const blobs = await onlyOf(repository, name, version)
  const free = blobs.map((blob): Step => ({ kind: 'remove', package: blobsOf(name), version: blob }))
  return [...untag, { kind: 'remove', package: name, version: digest }, ...free]
}

/** Blobs that no other manifest of the image names. */
async function onlyOf(repository: Repository, name: string, { version, meta }: Version): Promise<string[]> {
  const left = new Set(readEntry(meta).references)
  for await (const other of repository.versions(name))
    if (other.version !== version) for (const digest of readEntry(other.meta).references) left.delete(digest)
  const held = await Promise.all([...left].map((digest) => repository.version(blobsOf(name), digest)))
  return held.flatMap((blob) => (blob ? [blob.version] : []))
}
