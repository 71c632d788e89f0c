/** GET /api/v1/crates/{crate}/{version}/download: the .crate, without a redirect. It is a plain file as well. */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import { knownVersion } from './known.js'

export async function download(call: Call<{ crate: string; version: string }>): Promise<Reply> {
  const { crate, version } = call.params
  const { entry } = await knownVersion(call.repository, crate, version)
  const [file] = entry.files
  const reply = file && (await call.send(file.path))
  if (!reply) throw new RegistryError('missing', `The bytes of ${crate} ${version} are not here`)
  return reply
}
