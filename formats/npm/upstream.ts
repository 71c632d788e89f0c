/**
 * How another npm registry is read: its packument becomes a listing, whose entries are kept in the same order as published ones,
 * so that both are joined into packuments the same way. Tarballs get the paths that they have everywhere.
 */
import semver from 'semver'
import { RegistryError } from '../../protocol/errors.js'
import type { Upstream } from '../../protocol/format.js'
import type { Offer } from '../../protocol/kinds/listing.js'
import { isObject, type JsonObject, parseJson } from '../text/json.js'
import { isoTime } from '../text/time.js'
import { orderEntry } from './entry.js'
import { promisedBy } from './integrity.js'
import { checkName, tarballPath } from './name.js'
import { notesOf, readNotes, text, writeNotes } from './notes.js'

const MAX_VERSION = 256
const BEGINNING = '1970-01-01T00:00:00.000Z'

export const upstream: Upstream = {
  listing: {
    ask: (name) =>
      isName(name) ? { path: name.replace('/', '%2f'), headers: { accept: 'application/json' } } : undefined,
    parse: parsePackument,
    packageOf: (path) => /^((?:@[^/]+\/)?[^/@-][^/]*)\/-\/[^/]+\.tgz$/.exec(path)?.[1],
  },
}

/** Versions that are not versions, or have no tarball, are left out. Throws `invalid`, `upstream`. */
export function parsePackument(name: string, document: Uint8Array) {
  const packument = parseJson(document, "The upstream's answer")
  if (!isObject(packument) || packument.name !== name)
    throw new RegistryError('upstream', `The upstream's answer is not about ${name}`)
  const times = isObject(packument.time) ? packument.time : {}
  const urls = new Map<string, string>()
  const versions: Offer[] = []
  for (const [version, entry] of Object.entries(isObject(packument.versions) ? packument.versions : {})) {
    const offer = isObject(entry) ? offerOf(name, version, entry, times, urls) : undefined
    if (offer) versions.push(offer)
  }
  const tags = Object.entries(isObject(packument['dist-tags']) ? packument['dist-tags'] : {})
  const known = new Set(versions.map(({ version }) => version))
  return {
    created: isoTime(times.created) ?? BEGINNING,
    modified: isoTime(times.modified) ?? BEGINNING,
    meta: notes(packument),
    tags: Object.fromEntries(tags.filter((tag): tag is [string, string] => known.has(text(tag[1])))),
    versions,
    urls,
  }
}

function offerOf(
  name: string,
  version: string,
  entry: JsonObject,
  times: JsonObject,
  urls: Map<string, string>,
): Offer | undefined {
  const dist = isObject(entry.dist) ? entry.dist : {}
  if (version.length > MAX_VERSION || semver.valid(version) !== version.split('+')[0] || entry.version !== version)
    return undefined
  if (entry.name !== name || typeof dist.tarball !== 'string') return undefined
  const path = tarballPath(name, version)
  urls.set(path, dist.tarball)
  // Attestations are asked for by an address of the upstream's own.
  const { tarball: _t, attestations: _a, ...kept } = dist
  const promised = promisedBy(dist)
  return {
    version,
    publishedAt: isoTime(times[version]) ?? '',
    files: [{ path, offered: true, ...(promised && { promised }) }],
    meta: orderEntry(Object.assign(entry, { dist: { tarball: path, ...kept } })),
  }
}

function notes(packument: JsonObject): string {
  const { maintainers } = readNotes({ meta: JSON.stringify({ maintainers: packument.maintainers ?? [] }) })
  const readme = { filename: text(packument.readmeFilename), text: text(packument.readme) }
  return writeNotes({ maintainers, users: [], ...notesOf(packument, readme) })
}

function isName(name: string): boolean {
  try {
    checkName(name)
    return true
  } catch {
    return false
  }
}
