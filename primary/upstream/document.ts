/** An upstream's document, whole: gzip is undone, and the limit holds for both forms. */

import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { collect } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import type { UpstreamReply } from './client.js'

const inflate = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip)

/** Throws `upstream`. */
export async function readDocument(reply: UpstreamReply, limit: number): Promise<Buffer> {
  const coding = reply.headers.get('content-encoding') ?? 'identity'
  const tooLong = () => nonsense(reply.url, `a document of more than ${limit} bytes`)
  const bytes = await collect(reply.body, limit, tooLong)
  if (coding === 'identity') return bytes
  if (coding !== 'gzip') throw nonsense(reply.url, 'an encoding that was not asked for')
  try {
    return await inflate(bytes, { maxOutputLength: limit })
  } catch (cause) {
    throw nonsense(reply.url, 'a document that cannot be unpacked', cause)
  }
}

export function nonsense(url: URL, what: string, cause?: unknown): RegistryError {
  return new RegistryError('upstream', `The upstream ${url.host} sent ${what}`, { cause })
}
