/** Small request bodies, collected whole under a limit. */

import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { bounded } from '../../protocol/blobs/bounded.js'
import { collect } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import { parseJson } from './json.js'

type Asked = Pick<HttpRequest, 'body' | 'signal' | 'headers'>

/** The bytes, decompressed where the client sent gzip; the limit holds for both forms. Throws `too_large`, `invalid`. */
export async function readBody(request: Asked, limit: number): Promise<Buffer> {
  const bytes = await collect(bounded(request.body, limit, request.signal))
  return decode(bytes, request.headers.get('content-encoding'), limit)
}

/** The body as JSON. Throws `too_large`, `invalid`. */
export async function readJson(request: Asked, limit: number): Promise<unknown> {
  return parseJson(await readBody(request, limit))
}

const inflate = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip)

async function decode(bytes: Buffer, coding: string | undefined, limit: number): Promise<Buffer> {
  if (coding === undefined || coding === 'identity') return bytes
  if (coding !== 'gzip') throw new RegistryError('invalid', 'The Content-Encoding must be gzip or none')
  try {
    return await inflate(bytes, { maxOutputLength: limit })
  } catch (cause) {
    if (cause instanceof RangeError) throw new RegistryError('too_large', `The body is larger than ${limit} bytes`)
    throw new RegistryError('invalid', 'The body is not gzip, as its Content-Encoding says', { cause })
  }
}
