/**
 * GET /v2/: is this a registry, and does it want a token. It always does, even where anybody may read: Docker learns only here how to ask
 * for one, and would push without. Whoever has no account gets a token that stands for nobody.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { Principal } from '../../protocol/ports.js'
import type { RootCall } from '../../protocol/root.js'
import { VERSION_HEADER } from './failure.js'

export async function ping(call: RootCall): Promise<Reply> {
  await demandToken(call)
  return alive()
}

/** Below the address of a repository, where the gate was asked. */
export async function pingOne(_: Call<unknown>): Promise<Reply> {
  return alive()
}

/** Who it is that brings credentials, be it nobody. Throws `unauthenticated` without any. */
export async function demandToken({ request, principal }: RootCall): Promise<Principal> {
  if (!request.headers.has('authorization')) throw new RegistryError('unauthenticated', 'This needs a token')
  return principal()
}

function alive(): Reply {
  return json({}, 200, { ...VERSION_HEADER, 'cache-control': 'no-store' })
}
