/** dist-tags: GET|PUT|POST|DELETE /-/package/{pkg}/dist-tags[/{tag}]. `latest` always names a version that is there. */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { Step } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { readJson } from '../text/body.js'
import { isObject, own } from '../text/json.js'
import { knownPackage } from './known.js'
import { checkTag, checkVersion, highest } from './name.js'

type Tagging = Call<{ package: string; tag: string }>

const BODY_LIMIT = 64 * 1024

export async function readTags({ repository, params }: Call<{ package: string }>): Promise<Reply> {
  return json(await tagsOf(repository, params.package), 200, { 'cache-control': 'no-cache' })
}

/** The body is a version as a JSON string. */
export async function setTag(call: Tagging): Promise<Reply> {
  const version = await readJson(call.request, BODY_LIMIT)
  checkTag(call.params.tag)
  checkVersion(version)
  return change(call, call.params.package, [[call.params.tag, version]])
}

/** The body is an object of tags; others stay as they are. */
export async function setTags(call: Call<{ package: string }>): Promise<Reply> {
  const sent = await readJson(call.request, BODY_LIMIT)
  if (!isObject(sent)) throw new RegistryError('invalid', 'The body is an object of tags and versions')
  const wanted = Object.entries(sent).map(([tag, version]): [string, string] => {
    checkTag(tag)
    checkVersion(version)
    return [tag, version]
  })
  return change(call, call.params.package, wanted)
}

export async function removeTag(call: Tagging): Promise<Reply> {
  const { package: name, tag } = call.params
  if (tag === 'latest') throw new RegistryError('invalid', 'The tag latest cannot be removed, only moved')
  if (own(await tagsOf(call.repository, name), tag) === undefined)
    throw new RegistryError('missing', `There is no tag ${tag} on ${name}`)
  return change(call, name, [[tag, null]])
}

/** Those of a package's tags that name one of its versions; `latest` is made up where it is missing. */
export function visibleTags(
  tags: Record<string, string>,
  versions: ReadonlyMap<string, unknown>,
): Record<string, string> {
  const found = new Map(Object.entries(tags).filter(([, version]) => versions.has(version)))
  const latest = found.get('latest') ?? highest(versions.keys())
  return latest === undefined ? {} : { latest, ...Object.fromEntries(found) }
}

/** Throws `missing` for a package without versions. */
export async function tagsOf(repository: Repository, name: string): Promise<Record<string, string>> {
  await knownPackage(repository, name)
  const tags = await repository.tags(name)
  const versions = new Map<string, true>()
  // As long as every tag names a version that is there, the others need not be read.
  for (const version of new Set(Object.values(tags)))
    if (await repository.version(name, version)) versions.set(version, true)
  if (!versions.has(own(tags, 'latest') ?? ''))
    for await (const { version } of repository.versions(name)) versions.set(version, true)
  return visibleTags(tags, versions)
}

async function change(
  call: Call<{ package: string }>,
  name: string,
  wanted: [string, string | null][],
): Promise<Reply> {
  const target = call.target()
  await knownPackage(call.repository, name)
  const present = await call.repository.tags(name)
  const steps = wanted
    .filter(([tag, version]) => (own(present, tag) ?? null) !== version)
    .map(([tag, version]): Step => ({ kind: 'tag', package: name, tag, version }))
  if (steps.length > 0) await target.commit(steps, call.principal)
  return json({ ok: true, id: name })
}
