/**
 * Makes of a handler's whole answer the one that this client asked for: coding first, since the coded form has its own
 * ETag, then conditions and ranges. Waits only when bytes must be compressed.
 */
import { isWhole } from './body.js'
import { compressed, gzipHeaders, identityHeaders, isCompressible, wantsGzip } from './compress.js'
import { conditional } from './conditional.js'
import type { Reply } from './reply.js'
import type { HttpRequest } from './request.js'

export type Asked = Pick<HttpRequest, 'id' | 'method' | 'headers'>

export function negotiate(request: Asked, reply: Reply): Reply | Promise<Reply> {
  // Frozen headers: prepared (prepared.ts), its form is already chosen.
  if (Object.isFrozen(reply.headers) || !isCompressible(reply)) return conditional(request, reply)
  if (!wantsGzip(request)) return conditional(request, { ...reply, headers: identityHeaders(reply.headers) })
  const answer = conditional(request, { ...reply, headers: gzipHeaders(reply.headers) })
  const { body } = answer
  // A 304 or 412 needs no bytes compressed.
  if (answer.status !== reply.status || body === undefined || !isWhole(body)) return answer
  return compressed(body).then((coded) => ({ ...answer, body: coded }))
}
