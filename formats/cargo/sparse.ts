/**
 * The sparse index: config.json, and a text file per crate with one line per version, in the order in which they were published.
 * A crate's file is found only under its own spelling in lower case; cargo then suggests the right one.
 */
import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { RegistryError } from '../../protocol/errors.js'
import type { Call, Rendered } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { Version } from '../../protocol/records.js'
import { readLine } from './line.js'
import { indexPath } from './name.js'

type OfCrate = Call<{ crate: string }>

/** Lines that are joined before the others on this process get a turn. */
const TURN = 200

/** Where downloads and the web interface are. Cargo uses both without another thought, so they are where the client is. */
export async function readConfig({ base, repository }: Call<unknown>): Promise<Reply> {
  const isPublic = repository.record.public
  const body = JSON.stringify({
    dl: `${base}/api/v1/crates`,
    // Without it cargo says that nothing can be published or searched for here.
    ...(repository.record.type === 'remote' ? {} : { api: base }),
    ...(isPublic ? {} : { 'auth-required': true }),
  })
  return {
    status: 200,
    headers: {
      'content-type': 'application/json',
      'cache-control': isPublic ? 'public, no-cache' : 'private, no-cache',
      etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`,
    },
    body,
  }
}

export async function readIndex(call: OfCrate): Promise<Reply> {
  const { crate } = call.params
  // The folders before the name are part of its address.
  if (!call.request.path.endsWith(`/${indexPath(crate)}`)) throw noCrate(crate)
  return call.index(crate, crate, async () => {
    const rendered = await render(call)
    if (!rendered) throw noCrate(crate)
    return rendered
  })
}

async function render({ repository, params }: OfCrate): Promise<Rendered | undefined> {
  const entry = await repository.package(params.crate)
  if (!entry) return undefined
  const lines = linesOf(repository.versions(params.crate), params.crate)
  const first = await lines.next()
  if (first.done) return undefined
  return { contentType: 'text/plain; charset=utf-8', body: parts(first.value, lines), modified: entry.modified }
}

/** Members of a virtual repository may spell one crate in two ways; each address has only its own. */
async function* linesOf(versions: AsyncIterable<Version>, crate: string): AsyncGenerator<string, void, undefined> {
  for await (const { meta } of versions) if (readLine(meta).name.toLowerCase() === crate) yield `${meta}\n`
}

async function* parts(first: string, rest: AsyncGenerator<string, void, undefined>): AsyncGenerator<string> {
  let part = first
  let joined = 1
  for await (const line of rest) {
    part += line
    if (++joined % TURN > 0) continue
    yield part
    part = ''
    await setImmediate()
  }
  yield part
}

function noCrate(crate: string): RegistryError {
  return new RegistryError('missing', `There is no crate ${crate} here`, { code: 'crate_missing' })
}
