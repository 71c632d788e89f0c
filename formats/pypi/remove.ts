/** DELETE /{project}/{version}/{file} and DELETE /pypi/{project}/{version}. What was removed stays taken. */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { Step, Version } from '../../protocol/records.js'
import { listed, pathsOf, readEntry, writeEntry } from './entry.js'
import { knownVersion } from './known.js'
import { filePath, normalName } from './name.js'
import { normalVersion } from './version.js'

/** With the last of its files the version goes too. */
export async function removeFile(call: Call<{ name: string; version: string; file: string }>): Promise<Reply> {
  const { name, version, file } = call.params
  const target = call.target()
  const path = filePath(name, version, file)
  const last = (await call.repository.package(name))?.last ?? 0
  const known = await call.repository.version(name, version)
  if (!known || !listed(known).some((file) => file.path === path))
    throw new RegistryError('missing', `There is no ${path} in ${call.repository.key}`)
  await target.commit(removal(known, path, file), call.principal, { package: name, last })
  return empty(204)
}

export async function removeVersion(call: Call<{ name: string; version: string }>): Promise<Reply> {
  const name = normalName(call.params.name)
  const target = call.target()
  const { version } = await knownVersion(call, name, normalVersion(call.params.version) ?? '')
  await target.commit([{ kind: 'remove', package: name, version }], call.principal)
  return empty(204)
}

function removal(known: Version, path: string, file: string): Step[] {
  const { package: name, version } = known
  if (listed(known).length === 1) return [{ kind: 'remove', package: name, version }]
  const entry = readEntry(known.meta)
  const { [file]: _, ...files } = entry.files
  return [
    ...pathsOf({ path }, known).map((gone): Step => ({ kind: 'withdraw', package: name, version, path: gone })),
    { kind: 'amend', package: name, version, meta: writeEntry({ ...entry, files }) },
  ]
}
