/**
 * A rendered index in the forms that clients ask for, made once and sent many times: identity and gzip, each with its own
 * ETag and with headers that are checked and laid out only once.
 */
import { isWhole } from './body.js'
import { compressed, gzipHeaders, identityHeaders, isCompressible, wantsGzip } from './compress.js'
import type { Reply } from './reply.js'
import type { HttpRequest } from './request.js'

export interface Prepared {
  readonly identity: Reply
  /** Undefined when the content is not worth compressing. */
  readonly gzip: Reply | undefined
  /** Bytes that keeping it costs. */
  readonly size: number
}

/** The body must be in memory. The reply and its bytes must not change afterwards. */
export async function prepare(reply: Reply): Promise<Prepared> {
  const { body = '' } = reply
  if (!isWhole(body)) throw new TypeError('Only a body in memory can be kept')
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  if (!isCompressible({ ...reply, body: bytes })) return measure(frozen(reply.status, { ...reply.headers }, bytes))
  const coded = await compressed(bytes)
  return measure(
    frozen(reply.status, identityHeaders(reply.headers), bytes),
    frozen(reply.status, gzipHeaders(reply.headers), coded),
  )
}

/** The form for this client; conditions are still to be applied, as to any reply. */
export function choose(request: Pick<HttpRequest, 'headers'>, prepared: Prepared): Reply {
  return prepared.gzip !== undefined && wantsGzip(request) ? prepared.gzip : prepared.identity
}

/** Headers that are frozen are laid out once (head.ts). */
function frozen(status: number, headers: Record<string, string>, body: Uint8Array): Reply {
  return Object.freeze({ status, headers: Object.freeze(headers), body })
}

const OVERHEAD = 1024

function measure(identity: Reply, gzip?: Reply): Prepared {
  const bytes = [identity, gzip].map((reply) => (reply?.body instanceof Uint8Array ? reply.body.byteLength : 0))
  return { identity, gzip, size: OVERHEAD + bytes.reduce((sum, each) => sum + each, 0) }
}
