/**
 * How another module proxy is read. Its @v/list becomes a listing; .info, .mod and .zip are files, asked for where they are and kept
 * as they came, so that times and answers are the upstream's own. So is what lies below sumdb/, where a proxy gives access to
 * checksum databases (golang.org/design/25530-sumdb): the go command verifies it, wherever it comes from.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Asking, Upstream } from '../../protocol/format.js'
import type { Listed, Offer } from '../../protocol/kinds/listing.js'
import { isObject, parseJson } from '../text/json.js'
import { isoTime } from '../text/time.js'
import { asked } from './address.js'
import { escapeCase, unescapeCase } from './escape.js'
import { faultOfModule } from './path.js'
import { parseVersion, pseudoTime } from './version.js'

const BEGINNING = '1970-01-01T00:00:00.000Z'
const MAX_VERSION = 256
/** Tiles and records never change; what is supported, and how long the log is, may. */
const DATABASE =
  /^(sumdb\/[^@]+?)\/(?:(supported|latest)|lookup\/.+|tile\/\d+\/(?:data|\d+)\/(?:x\d{3}\/)*\d{3}(?:\.p\/\d+)?)$/

export const upstream: Upstream = {
  listing: {
    ask: (name) => (faultOfModule(name) === undefined ? { path: `${escapeCase(name)}/@v/list` } : undefined),
    parse: parseList,
    packageOf: (path) => fileAt(path)?.package,
    unlisted: (path) => fileAt(path)?.version,
  },
  mutable: (path) => fileAt(path)?.changes ?? false,
}

/** A module that has only pseudo-versions lists none: then the one that the upstream calls the latest is offered. Throws `upstream`. */
export async function parseList(name: string, document: Uint8Array, asking: Pick<Asking, 'read'>): Promise<Listed> {
  const text = Buffer.from(document).toString('latin1')
  // Once, a time could follow.
  const words = text.split('\n').map((line) => line.trim().split(/\s+/, 1)[0] ?? '')
  const offers = words.flatMap((version) => offer(version))
  if (offers.length === 0 && words.some((word) => word !== ''))
    throw new RegistryError('upstream', `The upstream's answer is no list of versions of ${name}`)
  const versions = offers.length > 0 ? offers : await latest(name, asking)
  return {
    created: BEGINNING,
    modified: BEGINNING,
    meta: '',
    tags: {},
    versions: [...new Map(versions.map((one) => [one.version, one])).values()],
  }
}

async function latest(name: string, asking: Pick<Asking, 'read'>): Promise<Offer[]> {
  const document = await asking.read(`${escapeCase(name)}/@latest`, 0)
  const told = document && parseJson(document, "The upstream's answer")
  const { Version: version, Time: time } = isObject(told) ? told : {}
  return typeof version === 'string' ? offer(version, isoTime(time)) : []
}

function offer(text: string, time?: string): Offer[] {
  const version = text.length > MAX_VERSION ? undefined : parseVersion(text)
  return version ? [{ version: text, publishedAt: time ?? pseudoTime(version) ?? '', files: [], meta: '{}' }] : []
}

interface FileAt {
  package: string
  version: string
  changes: boolean
}

function fileAt(path: string): FileAt | undefined {
  const [, database, moving] = DATABASE.exec(path) ?? []
  if (database !== undefined) return { package: database, version: '', changes: moving !== undefined }
  const [, module = '', file] = /^([^@]+)\/@(?:latest|v\/([^/]+))$/.exec(path) ?? []
  const what = file === undefined ? { module: unescapeCase(module) ?? '', version: 'latest' } : asked(module, file)
  if (!what || faultOfModule(what.module) !== undefined) return undefined
  const isQuery = !parseVersion(what.version)
  // What a branch or a part of a commit names is a question that only .info answers.
  if (isQuery && 'kind' in what && what.kind !== 'info') return undefined
  return { package: what.module, version: what.version, changes: isQuery }
}
