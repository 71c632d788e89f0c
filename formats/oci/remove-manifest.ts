/** DELETE /{name}/manifests/{reference}: a tag alone, or a manifest with all tags that name it. */
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { Step } from '../../protocol/records.js'
import { checkDigest } from './digest.js'
import { VERSION_HEADER } from './failure.js'
import { unknownManifest } from './get-manifest.js'
import { checkName, checkTag } from './name.js'

type OfManifest = Call<{ name: string; reference: string }>

export async function removeManifest(call: OfManifest): Promise<Reply> {
  const name = checkName(call.params.name)
  const { reference } = call.params
  const steps = reference.includes(':')
    ? await removal(call, name, checkDigest(reference))
    : await untagging(call, name, checkTag(reference))
  await call.target().commit(steps, call.principal)
  return empty(202, VERSION_HEADER)
}

async function untagging({ repository }: OfManifest, name: string, tag: string): Promise<Step[]> {
  if ((await repository.tag(name, tag)) === undefined) throw unknownManifest(name, tag)
  return [{ kind: 'tag', package: name, tag, version: null }]
}

async function removal({ repository }: OfManifest, name: string, digest: string): Promise<Step[]> {
  if (!(await repository.version(name, digest))) throw unknownManifest(name, digest)
  const tags = Object.entries(await repository.tags(name)).filter(([, version]) => version === digest)
  const untag = tags.map(([tag]): Step => ({ kind: 'tag', package: name, tag, version: null }))
  return [...untag, { kind: 'remove', package: name, version: digest }]
}
