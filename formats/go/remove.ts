/** DELETE /{module}/@v/{version}.zip: takes a version away, softly; it never comes back with other bytes. */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import { zipOf } from './publish.js'

export async function removeVersion(call: Call<{ module: string; file: string }>): Promise<Reply> {
  const target = call.target()
  const { module, version } = zipOf(call)
  if (!(await call.repository.version(module, version)))
    throw new RegistryError('missing', `There is no version ${version} of ${module} here`, { code: 'version_missing' })
  await target.commit([{ kind: 'remove', package: module, version }], call.principal)
  return empty(204)
}
