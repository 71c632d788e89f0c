/** What installs read: GET /{pkg} in its forms, and GET /{pkg}/{version or tag}. */

import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import { own } from '../text/json.js'
import { entriesAt } from './entry.js'
import { noPackage } from './known.js'
import { type Form, renderPackument, SHORT_TYPE } from './render.js'
import { tagsOf } from './tags.js'

export async function readPackument(call: Call<{ package: string }>): Promise<Reply> {
  const { request, params } = call
  const form = formFor(request.query, request.headers.get('accept'))
  if (form === 'write') return readForWriting(call)
  return call.index(params.package, form, () => found(call, form))
}

export async function readVersion(call: Call<{ package: string; version: string }>): Promise<Reply> {
  const { package: name, version: asked } = call.params
  const version = await resolve(call, name, asked)
  return call.index(name, `version ${version}`, async () => {
    const entry = await call.repository.version(name, version)
    if (!entry) throw noVersion(name, asked)
    return { contentType: 'application/json', body: entriesAt(call.base).full(entry.meta), modified: entry.publishedAt }
  })
}

/** Never kept: what is sent back must be compared with what is there now. */
async function readForWriting(call: Call<{ package: string }>): Promise<Reply> {
  const { contentType, body } = await found(call, 'write')
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  return {
    status: 200,
    headers: { 'content-type': contentType, 'cache-control': 'no-store' },
    body: isBytes(bytes) ? bytes : encoded(bytes),
  }
}

async function found(call: Call<{ package: string }>, form: Form) {
  const rendered = await renderPackument(call.repository, call.params.package, form, call.base)
  if (!rendered) throw noPackage(call.params.package)
  return rendered
}

async function resolve(call: Call<unknown>, name: string, asked: string): Promise<string> {
  if (await call.repository.version(name, asked)) return asked
  const version = own(await tagsOf(call.repository, name), asked)
  if (version === undefined) throw noVersion(name, asked)
  return version
}

function formFor(query: string, accept: string | undefined): Form {
  if (new URLSearchParams(query).get('write') === 'true') return 'write'
  return accept !== undefined && prefersShort(accept) ? 'short' : 'full'
}

function prefersShort(accept: string): boolean {
  const short = quality(accept, SHORT_TYPE) ?? 0
  return short > 0 && short >= (quality(accept, 'application/json') ?? 0)
}

/** RFC 9110 section 12.4.2, for a media type that is named as it is. */
function quality(accept: string, type: string): number | undefined {
  for (const range of accept.toLowerCase().split(',')) {
    const [name, ...parameters] = range.split(';').map((part) => part.trim())
    if (name !== type) continue
    const q = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1)
    return q >= 0 && q <= 1 ? q : 0
  }
  return undefined
}

function noVersion(name: string, asked: string): RegistryError {
  return new RegistryError('missing', `There is no version or tag ${asked} of ${name} here`, {
    code: 'version_missing',
  })
}

function isBytes(body: Uint8Array | AsyncIterable<string | Uint8Array>): body is Uint8Array {
  return body instanceof Uint8Array
}

async function* encoded(parts: AsyncIterable<string | Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part
}
