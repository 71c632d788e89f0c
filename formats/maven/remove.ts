/**
 * DELETE of a file or of a version's folder: takes the whole version away, softly, since a version that lacks a file would only
 * break builds. Its paths stay taken. A group forgets a plugin of which nothing is left.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { Step } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { pluginVersion, readEntry } from './entry.js'
import { packageAt, packageOfGroup } from './layout.js'

export async function remove(call: Call<{ path: string }>): Promise<Reply> {
  const { repository, params, principal } = call
  const target = call.target()
  const found = await versionsAt(repository, params.path)
  if (!found) throw new RegistryError('missing', `There is no ${params.path} in ${repository.key}`)
  const { name, versions } = found
  const gone = versions.map((version): Step => ({ kind: 'remove', package: name, version }))
  await target.commit([...gone, ...(await forgetPlugin(repository, name, versions))], principal)
  return empty(204)
}

async function versionsAt(
  repository: Repository,
  path: string,
): Promise<{ name: string; versions: string[] } | undefined> {
  const file = await repository.file(path)
  if (file) return { name: file.package, versions: [file.version] }
  const folder = path.replace(/\/$/, '')
  const slash = folder.lastIndexOf('/')
  const [name, base] = [packageAt(folder.slice(0, Math.max(0, slash))), folder.slice(slash + 1)]
  const versions: string[] = []
  for await (const { version, meta } of repository.versions(name))
    if (readEntry(meta)?.base === base) versions.push(version)
  return versions.length === 0 ? undefined : { name, versions }
}

async function forgetPlugin(repository: Repository, name: string, versions: string[]): Promise<Step[]> {
  const [group = '', artifact = ''] = name.split(':')
  const entry = { package: packageOfGroup(group), version: pluginVersion(artifact) }
  if (!(await repository.version(entry.package, entry.version))) return []
  const going = new Set(versions)
  for await (const { version, meta } of repository.versions(name)) if (readEntry(meta) && !going.has(version)) return []
  return [{ kind: 'amend', ...entry, meta: '{}' }]
}
