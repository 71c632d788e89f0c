/**
 * How a version's entry is kept, so that packuments are joined from text and never parsed: its fields are put in an order that
 * lets both forms be cut out, and its URLs are completed when it is read.
 *
 *     {"dist":{"tarball":"name/-/name-1.0.0.tgz",          <- base URL goes in front of the path
 *      "attestations":{"url":"-/npm/v1/attestations/…",…}, <- here too, where there is one
 *      …},"name":…,"version":…,"dependencies":…,           <- what the abbreviated form has
 *      "_id":"name@1.0.0",                                 <- the abbreviated form ends before this
 *      …}                                                  <- the rest, as it was published
 */
import { isObject, type JsonObject, parseJson } from '../text/json.js'

/** What the registry says about a version, whatever the client said. */
export interface Facts {
  /** Path inside the repository. */
  tarball: string
  shasum: string
  integrity: string
  fileCount: number
  unpackedSize: number
  /** Path inside the repository, and what the first statement claims. */
  attestations?: { path: string; predicateType: string }
}

/** The entry as it is stored. `entry.name` and `entry.version` must be right. */
export function layEntry(entry: JsonObject, facts: Facts): string {
  const { tarball, shasum, integrity, fileCount, unpackedSize, attestations } = facts
  const sent = isObject(entry.dist) ? entry.dist : {}
  const { signatures: _s, 'npm-signature': _n, attestations: _a, tarball: _t, ...kept } = sent
  const dist = {
    tarball,
    ...(attestations && {
      attestations: { url: attestations.path, provenance: { predicateType: attestations.predicateType } },
    }),
    ...kept,
    shasum,
    integrity,
    fileCount,
    unpackedSize,
  }
  return orderEntry({ ...entry, dist })
}

/** A stored entry with other fields than before, in the same order. */
export function orderEntry(entry: JsonObject): string {
  const { dist, name, version, _id: _, ...others } = entry
  const short: JsonObject = {}
  const rest: JsonObject = {}
  for (const field of SHORT) if (Object.hasOwn(others, field)) short[field] = others[field]
  for (const [field, value] of Object.entries(others)) if (!SHORT_SET.has(field)) rest[field] = value
  const id = `${String(name)}@${String(version)}`
  const first = fields(short)
  // A dependency called "_id" could stand where the short form ends: such an entry is kept in an order that is read the slow way.
  const head = first.includes(border(id)) ? { name, dist, version } : { dist, name, version }
  return `{${[fields(head), first, fields({ _id: id }), fields(rest)].filter((text) => text !== '').join(',')}}`
}

/** Without the braces, so that objects are joined as text. */
function fields(object: JsonObject): string {
  return JSON.stringify(object).slice(1, -1)
}

/** Makes entries readable for a client that reaches the repository at `base` (no slash at the end). */
export function entriesAt(base: string): {
  full: (meta: string) => string
  short: (meta: string, id: string) => string
} {
  const prefix = `${JSON.stringify(base).slice(1, -1)}/`
  const full = (meta: string): string => {
    if (!meta.startsWith(OPENING)) return JSON.stringify(complete(meta, base))
    const end = meta.indexOf('"', OPENING.length) + 1
    if (!meta.startsWith(ATTESTATIONS, end)) return OPENING + prefix + meta.slice(OPENING.length)
    const url = end + ATTESTATIONS.length
    return OPENING + prefix + meta.slice(OPENING.length, url) + prefix + meta.slice(url)
  }
  const short = (meta: string, id: string): string => {
    const end = meta.startsWith(OPENING) ? meta.indexOf(border(id)) : -1
    if (end > 0) return full(`${meta.slice(0, end)}}`)
    return JSON.stringify(abbreviate(complete(meta, base)))
  }
  return { full, short }
}

/** A stored entry, parsed; its URLs are still paths. An entry that cannot be read is empty. */
export function readEntry(meta: string): JsonObject {
  const entry = parseJson(meta, 'A stored entry')
  return isObject(entry) ? entry : {}
}

/** npm's abbreviated form, and `time`'s friends that installers look at; in the order in which they are kept. */
const SHORT = [
  'deprecated',
  'dependencies',
  'optionalDependencies',
  'devDependencies',
  'peerDependencies',
  'peerDependenciesMeta',
  'bundleDependencies',
  'bundledDependencies',
  'acceptDependencies',
  'bin',
  'directories',
  'engines',
  'os',
  'cpu',
  'libc',
  '_hasShrinkwrap',
  'hasInstallScript',
  'funding',
]
const SHORT_SET = new Set(SHORT)
const OPENING = '{"dist":{"tarball":"'
const ATTESTATIONS = ',"attestations":{"url":"'

function border(id: string): string {
  return `,"_id":${JSON.stringify(id)}`
}

/** The slow way, for an entry in another order: a numeric field name comes first in any JSON object. */
function complete(meta: string, base: string): JsonObject {
  const entry = readEntry(meta)
  const dist = isObject(entry.dist) ? entry.dist : {}
  const { attestations } = dist
  const completed: JsonObject = { ...dist, tarball: `${base}/${String(dist.tarball)}` }
  if (isObject(attestations)) completed.attestations = { ...attestations, url: `${base}/${String(attestations.url)}` }
  return { ...entry, dist: completed }
}

function abbreviate(entry: JsonObject): JsonObject {
  const fields = ['dist', 'name', 'version', ...SHORT].filter((field) => Object.hasOwn(entry, field))
  return Object.fromEntries(fields.map((field) => [field, entry[field]]))
}
