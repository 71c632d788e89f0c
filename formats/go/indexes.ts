/**
 * What the go command reads about a module: @v/list, rendered from records; @latest and @v/{version}.info, which are an upstream's own
 * where one has the module, and are rendered for what was published here.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Call, Rendered } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { Version as Published } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { asked } from './address.js'
import { type Known, latest, listed, ofRevision } from './choose.js'
import { isPublishedHere, readEntry } from './entry.js'
import { unescapeCase } from './escape.js'
import { parseVersion } from './version.js'

type OfModule = Call<{ module: string }>

/** GET /{module}/@v/list. A module that has only pseudo-versions has an empty list. */
export async function readList(call: OfModule): Promise<Reply> {
  const module = moduleOf(call)
  return call.index(module, 'list', async () => {
    const [entry, known] = [await call.repository.package(module), await knownVersions(call.repository, module)]
    if (!entry || known.length === 0) throw noModule(module)
    const lines = listed(known).map(({ version }) => `${version.text}\n`)
    return { contentType: 'text/plain; charset=utf-8', body: lines.join(''), modified: entry.modified }
  })
}

/** GET /{module}/@latest */
export async function readLatest(call: OfModule): Promise<Reply> {
  const module = moduleOf(call)
  const told = await call.send(`${call.params.module}/@latest`)
  if (told) return told
  return call.index(module, 'latest', async () => {
    const chosen = latest(await knownVersions(call.repository, module))
    const published = chosen && (await publishedHere(call.repository, module, chosen.version.text))
    if (!published) throw noModule(module)
    return info(published)
  })
}

/** GET /{module}/@v/{file}: a file as it is stored; an .info as it is known, where it is none. */
export async function readVersion(call: Call<{ module: string; file: string }>): Promise<Reply> {
  const { params } = call
  const what = asked(params.module, params.file)
  const stored = what && (await call.send(`${params.module}/@v/${params.file}`))
  if (stored) return stored
  if (what?.kind === 'info') return readInfo(call, what.module, what.version)
  throw new RegistryError('missing', `not found: there is no ${params.file} of ${params.module} here`)
}

async function readInfo(call: Call<unknown>, module: string, version: string): Promise<Reply> {
  return call.index(module, `info ${version}`, async () => {
    const published = await resolve(call.repository, module, version)
    if (!published)
      throw new RegistryError('missing', `not found: there is no version ${version} of ${module} here`, {
        code: 'version_missing',
      })
    return info(published)
  })
}

/** A version; the +incompatible one that is meant by a version without; or a commit that a pseudo-version names. */
async function resolve(repository: Repository, module: string, version: string): Promise<Published | undefined> {
  const named = parseVersion(version)
  if (named) {
    const found = await publishedHere(repository, module, version)
    return found || named.isIncompatible ? found : publishedHere(repository, module, `${version}+incompatible`)
  }
  const known = /^[0-9a-f]{7,64}$/.test(version) ? await knownVersions(repository, module) : []
  const found = ofRevision(known, version)
  return found && publishedHere(repository, module, found.version.text)
}

async function publishedHere(repository: Repository, module: string, version: string): Promise<Published | undefined> {
  const found = await repository.version(module, version)
  return found && isPublishedHere(found.meta) ? found : undefined
}

function info({ version, publishedAt }: Published): Rendered {
  return {
    contentType: 'application/json',
    body: JSON.stringify({ Version: version, Time: publishedAt }),
    modified: publishedAt,
  }
}

async function knownVersions(repository: Repository, module: string): Promise<Known[]> {
  const known: Known[] = []
  for await (const { version: text, meta } of repository.versions(module)) {
    const version = parseVersion(text)
    if (version) known.push({ version, ...readEntry(meta) })
  }
  return known
}

function moduleOf({ params }: OfModule): string {
  const module = unescapeCase(params.module)
  if (module === undefined) throw noModule(params.module)
  return module
}

function noModule(module: string): RegistryError {
  return new RegistryError('missing', `not found: there is no module ${module} here`, { code: 'module_missing' })
}
