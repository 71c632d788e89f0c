/**
 * How another cargo registry is read: each line of a crate's file in its sparse index is an entry as it stands. Crates lie where the
 * template in its config.json says, and have the checksums that the lines say.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Asking, Offering, Upstream } from '../../protocol/format.js'
import type { Offer } from '../../protocol/kinds/listing.js'
import { isObject, type JsonObject, parseJson } from '../text/json.js'
import { linkFrom } from '../text/link.js'
import { isoTime } from '../text/time.js'
import { cratePath, idOf, indexFolder, indexPath } from './name.js'

/** Old crates have names and versions that could not be published any more; these are all that a path can carry. */
const NAME = /^[a-z0-9_-]{1,64}$/
const VERSION = /^[A-Za-z0-9][A-Za-z0-9.+-]{0,149}$/
const CHECKSUM = /^[0-9a-f]{64}$/
/** Several times as many as any crate has; others are not looked at. */
const MAX_LINES = 100_000
const CONFIG_SECONDS = 3600
const BEGINNING = '1970-01-01T00:00:00.000Z'

export const upstream: Upstream = {
  listing: {
    ask: (name) => (NAME.test(name) ? { path: indexPath(name) } : undefined),
    parse: parseIndex,
    packageOf: (path) => {
      const [id = '', file = '', more] = path.split('/')
      const name = file.slice(0, id.length)
      const isCrate = more === undefined && idOf(name) === id && /^-.+\.crate$/.test(file.slice(id.length))
      return isCrate && NAME.test(name.toLowerCase()) ? name.toLowerCase() : undefined
    },
  },
}

/** Lines that are of no version of this crate are left out, as cargo does. Throws `upstream`. */
async function parseIndex(name: string, document: Uint8Array, upstreamAsked: Asking): Promise<Offering> {
  const lines = new TextDecoder()
    .decode(document)
    .split('\n', MAX_LINES)
    .filter((line) => line.trim() !== '')
  const entries = new Map<string, Entry>()
  for (const line of lines) {
    const entry = readEntry(name, line.trim())
    if (entry && !entries.has(entry.version)) entries.set(entry.version, entry)
  }
  if (lines.length > 0 && entries.size === 0)
    throw new RegistryError('upstream', `The upstream's answer is not about ${name}`)
  const locate = await downloads(upstreamAsked)
  const versions = [...entries.values()].map(({ offer }) => offer)
  const urls = [...entries.values()].map(({ path, ...entry }): [string, string] => [path, locate(entry)])
  const times = versions.map(({ publishedAt }) => publishedAt).filter((time) => time !== '')
  return {
    created: times.sort()[0] ?? BEGINNING,
    modified: '',
    meta: '',
    tags: {},
    versions,
    urls: new Map(urls),
  }
}

interface Crate {
  name: string
  version: string
  checksum: string
}

interface Entry extends Crate {
  path: string
  offer: Offer
}

function readEntry(expected: string, line: string): Entry | undefined {
  const { name, vers: version, cksum: checksum, pubtime } = fieldsOf(line)
  if (typeof name !== 'string' || name.toLowerCase() !== expected) return undefined
  if (typeof version !== 'string' || !VERSION.test(version)) return undefined
  if (typeof checksum !== 'string' || !CHECKSUM.test(checksum)) return undefined
  const path = cratePath(name, version)
  const files = [{ path, offered: true as const, promised: { sha256: checksum } }]
  return { name, version, checksum, path, offer: { version, publishedAt: isoTime(pubtime) ?? '', files, meta: line } }
}

function fieldsOf(line: string): JsonObject {
  try {
    const fields = parseJson(line)
    return isObject(fields) ? fields : {}
  } catch {
    return {}
  }
}

/** Where crates lie: the `dl` of the upstream's config.json, whose markers cargo's book lists; without any, below it. */
async function downloads(upstreamAsked: Asking): Promise<(crate: Crate) => string> {
  const base = new URL(upstreamAsked.base)
  const found = await upstreamAsked.read('config.json', CONFIG_SECONDS)
  const config = found && parseJson(found, "The upstream's config.json")
  if (!isObject(config) || typeof config.dl !== 'string' || !linkFrom(base, config.dl.replace(MARKER, 'x')))
    throw new RegistryError('upstream', `The upstream ${base.host} does not say where its crates are`)
  const template = config.dl.search(MARKER) < 0 ? `${config.dl}/{crate}/{version}/download` : config.dl
  return ({ name, version, checksum }) => {
    const values: Record<string, string> = {
      crate: name,
      version,
      prefix: indexFolder(name),
      lowerprefix: indexFolder(name.toLowerCase()),
      'sha256-checksum': checksum,
    }
    return template.replace(MARKER, (whole, marker: string) => values[marker] ?? whole)
  }
}

const MARKER = /\{(crate|version|prefix|lowerprefix|sha256-checksum)\}/g
