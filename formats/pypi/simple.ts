/**
 * GET /simple/{project}/, what installers read: HTML (PEP 503) or JSON (PEP 691, 700), with yanked versions (592), core metadata
 * (658, 714), provenance (740) and the project's status (792). Files come in the order of publication and are streamed.
 */
import { setImmediate } from 'node:timers/promises'
import { RegistryError } from '../../protocol/errors.js'
import type { Call, Rendered } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { Package } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { escapeHtml } from '../text/html.js'
import { type Listed, listed } from './entry.js'
import { encodePath, normalName } from './name.js'
import { API_VERSION, formFor, isJson, META, movedTo, type SimpleForm } from './simple-form.js'
import { readStatus, type Status } from './status.js'

type OfProject = Call<{ name: string }>

/** Versions that are joined before the others on this process get a turn. */
const TURN = 200

export async function readProject(call: OfProject): Promise<Reply> {
  const name = normalName(call.params.name)
  if (name !== call.params.name) return movedTo(call, `simple/${encodePath(name)}/`)
  const form = formFor(call.request)
  return call.index(name, form, () => render(call, name, form))
}

/** The address without a slash at its end, or in another spelling. */
export async function moveToProject(call: OfProject): Promise<Reply> {
  return movedTo(call, `simple/${encodePath(normalName(call.params.name))}/`)
}

export function noProject(name: string, { key }: Repository): RegistryError {
  return new RegistryError('missing', `There is no project ${name} in ${key}`)
}

/** Where a file's provenance is given out. */
function provenanceUrl(base: string, { path, file }: Listed): string {
  const [name = '', version = ''] = path.split('/')
  return `${base}/integrity/${encodePath(`${name}/${version}/${file}`)}/provenance`
}

async function render(call: Call<unknown>, name: string, form: SimpleForm): Promise<Rendered> {
  const entry = await call.repository.package(name)
  if (!entry || entry.versions === 0) throw noProject(name, call.repository)
  return {
    contentType: form,
    body: isJson(form) ? jsonParts(call, entry) : htmlParts(call, entry),
    modified: entry.modified,
    headers: { vary: 'accept' },
  }
}

async function* jsonParts(
  { repository, base }: Call<unknown>,
  { name, meta }: Package,
): AsyncGenerator<string, void, undefined> {
  const status = readStatus(meta)
  const beginning = { meta: { 'api-version': API_VERSION }, name, ...(status && { 'project-status': status }) }
  yield `${JSON.stringify(beginning).slice(0, -1)},"files":[`
  const versions: string[] = []
  let isFirst = true
  for await (const version of repository.versions(name)) {
    versions.push(version.version)
    for (const file of listed(version)) {
      yield (isFirst ? '' : ',') + JSON.stringify(jsonFile(file, base))
      isFirst = false
    }
    if (versions.length % TURN === 0) await setImmediate()
  }
  yield `],"versions":${JSON.stringify(versions)}}`
}

function jsonFile(file: Listed, base: string) {
  const { path, hashes, metadata, yanked, requiresPython, size, hasProvenance } = file
  const core = typeof metadata === 'string' ? { sha256: metadata } : metadata === true
  return {
    filename: file.file,
    url: `${base}/${encodePath(path)}`,
    hashes,
    ...(requiresPython === undefined ? {} : { 'requires-python': requiresPython }),
    'core-metadata': core,
    'data-dist-info-metadata': core,
    ...(size === undefined ? {} : { size }),
    'upload-time': file.uploaded,
    yanked: yanked === undefined ? false : yanked || true,
    provenance: hasProvenance ? provenanceUrl(base, file) : null,
  }
}

async function* htmlParts(
  { repository, base }: Call<unknown>,
  { name, meta }: Package,
): AsyncGenerator<string, void, undefined> {
  const title = `Links for ${escapeHtml(name)}`
  yield `<!DOCTYPE html>\n<html>\n<head>${META}${statusTags(readStatus(meta))}<title>${title}</title></head>\n<body>\n<h1>${title}</h1>\n`
  let count = 0
  for await (const version of repository.versions(name)) {
    for (const file of listed(version)) yield htmlFile(file, base)
    if (++count % TURN === 0) await setImmediate()
  }
  yield '</body>\n</html>\n'
}

function htmlFile(file: Listed, base: string): string {
  const { path, metadata, yanked, requiresPython, hasProvenance } = file
  const core = typeof metadata === 'string' ? `sha256=${metadata}` : metadata && 'true'
  const attributes: [string, string | undefined][] = [
    ['href', `${base}/${encodePath(path)}${fragment(file)}`],
    ['data-requires-python', requiresPython],
    ['data-core-metadata', core],
    ['data-dist-info-metadata', core],
    ['data-yanked', yanked],
    ['data-provenance', hasProvenance ? provenanceUrl(base, file) : undefined],
  ]
  const written = attributes.flatMap(([name, value]) => (value === undefined ? [] : [`${name}="${escapeHtml(value)}"`]))
  return `<a ${written.join(' ')}>${escapeHtml(file.file)}</a><br>\n`
}

/** A page has room for one hash of a file. */
function fragment({ hashes }: Listed): string {
  const name = STRONGEST_FIRST.find((each) => hashes[each] !== undefined)
  return name === undefined ? '' : `#${name}=${hashes[name]}`
}

const STRONGEST_FIRST = ['sha256', 'sha512', 'sha1', 'md5'] as const

function statusTags(known: Status | undefined): string {
  const said = { 'project-status': known?.status, 'project-status-reason': known?.reason }
  return Object.entries(said)
    .flatMap(([name, value]) =>
      value === undefined ? [] : [`<meta name="pypi:${name}" content="${escapeHtml(value)}">`],
    )
    .join('')
}
