/** GET /simple/: all projects, read and written page by page, so that a million of them cost no more memory than a thousand. */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import { packagesWithin } from '../search/packages.js'
import { escapeHtml } from '../text/html.js'
import { API_VERSION, formFor, isJson, META, movedTo } from './simple-form.js'

const PAGE = 1000

export async function readRoot(call: Call<unknown>): Promise<Reply> {
  const form = formFor(call.request)
  return {
    status: 200,
    headers: { 'content-type': form, vary: 'accept', 'cache-control': 'no-cache' },
    body: encoded(isJson(form) ? jsonParts(call) : htmlParts(call)),
  }
}

export async function moveToRoot(call: Call<unknown>): Promise<Reply> {
  return movedTo(call, 'simple/')
}

/** XML-RPC, which `pip search` asks for, and pages for people are not here. */
export async function readTop({ base }: Call<unknown>): Promise<Reply> {
  throw new RegistryError('missing', `Installers look at ${base}/simple/; uploads go to ${base}/legacy/`)
}

async function* jsonParts(call: Call<unknown>): AsyncGenerator<string, void, undefined> {
  yield `{"meta":{"api-version":"${API_VERSION}"},"projects":[`
  let isFirst = true
  for await (const names of pages(call)) {
    const part = names.map((name) => JSON.stringify({ name })).join(',')
    yield isFirst ? part : `,${part}`
    isFirst = false
  }
  yield ']}'
}

async function* htmlParts(call: Call<unknown>): AsyncGenerator<string, void, undefined> {
  yield `<!DOCTYPE html>\n<html>\n<head>${META}<title>Simple index</title></head>\n<body>\n`
  for await (const names of pages(call))
    yield names.map((name) => `<a href="${encodeURIComponent(name)}/">${escapeHtml(name)}</a><br>\n`).join('')
  yield '</body>\n</html>\n'
}

/** Names that there is something of and that the asker may read; no page is empty. */
async function* pages(call: Call<unknown>): AsyncGenerator<string[], void, undefined> {
  for await (const page of packagesWithin(call.repository, call.reach(), { atOnce: PAGE })) {
    call.request.signal.throwIfAborted()
    const names = page.filter(({ versions, name }) => versions > 0 && call.may('read', name)).map(({ name }) => name)
    if (names.length > 0) yield names
  }
}

async function* encoded(parts: AsyncIterable<string>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const part of parts) yield Buffer.from(part)
}
