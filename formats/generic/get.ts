/** GET /{path}: a file, else a sidecar of one, else (where files lie below the path) its directory. */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import { digestHeaders } from './digests.js'
import { listing } from './listing.js'
import { encodePath } from './record.js'
import { sidecar } from './sidecar.js'

export async function get(call: Call<{ path: string }>): Promise<Reply> {
  const { path } = call.params
  if (path === '' || path.endsWith('/')) return listing(call)
  const reply = await call.send(path, digestHeaders)
  if (reply) return reply
  const made = await sidecar(call)
  if (made) return made
  const [below] = await call.repository.files({ prefix: `${path}/`, limit: 1 })
  if (!below || !call.may('read', below.path))
    throw new RegistryError('missing', `There is no ${path} in ${call.repository.key}`)
  return empty(302, { location: `${call.base}/${encodePath(path)}/`, 'cache-control': 'no-cache' })
}
