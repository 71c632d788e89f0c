/**
 * How another OCI registry is read: a manifest by its tag or digest, referrers by their subject (the list becomes a version of its own,
 * which may change), tags as a listing, and blobs as files that say themselves what they must be.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Asking, Found, Question, Upstream } from '../../protocol/format.js'
import { isObject, parseJson } from '../text/json.js'
import { digestOf, isDigest } from './digest.js'
import { entryOf } from './entry.js'
import { INDEX, MANIFEST_LIMIT, MANIFESTS, parseManifest } from './manifest.js'
import { blobPath, blobsOf, isName, isTag, manifestPath } from './name.js'
import { indexOf, referrersIn } from './referrer.js'

const BEGINNING = '1970-01-01T00:00:00.000Z'
const TAGS_AT_ONCE = 1000
const MAX_TAGS = 100_000
const REFERRERS = 'referrers/'

/** The reference under which the referrers of a manifest are looked up. */
export function referrersOf(subject: string): string {
  return REFERRERS + subject
}

export const upstream: Upstream = {
  listing: {
    ask: (name) => (isName(name) ? { path: `${name}/tags/list?n=${TAGS_AT_ONCE}` } : undefined),
    parse: async (_, document, asking) => {
      const tags = tagsIn(document)
      for await (const page of asking.rest()) tags.push(...tagsIn(page))
      if (tags.length > MAX_TAGS) throw new RegistryError('upstream', `The upstream has more than ${MAX_TAGS} tags`)
      const named = Object.fromEntries(tags.map((tag) => [tag, '']))
      return { created: BEGINNING, modified: BEGINNING, meta: '', tags: named, versions: [] }
    },
    packageOf: (path) => /^(.+)\/(?:blobs|manifests|referrers)\/[^/]+$/.exec(path)?.[1],
  },
  lookup: {
    ask: (name, reference) => (isName(name) ? questions(name, reference) : []),
    parse: ({ name, reference }, document, asking) =>
      reference.startsWith(REFERRERS)
        ? referrers(name, reference, document, asking)
        : manifest(name, reference, document, asking.headers),
    referenceOf: (path) => {
      const [, name = '', digest = ''] = /^(.+)\/manifests\/([^/]+)$/.exec(path) ?? []
      return isName(name) && isDigest(digest) ? { name, reference: digest } : undefined
    },
    fileOf: (path) => {
      const [, name = '', digest = ''] = /^(.+)\/blobs\/([^/]+)$/.exec(path) ?? []
      if (!isName(name) || !isDigest(digest) || path !== blobPath(name, digest)) return undefined
      const [algorithm, hex = ''] = digest.split(':')
      const promised = algorithm === 'sha512' ? { sha512: hex } : { sha256: hex }
      return { package: blobsOf(name), version: digest, promised }
    },
  },
  mutable: (path) => path.includes(`/${REFERRERS}`),
}

/** Registries of before 1.1 know no referrers; there clients keep the list under a tag (section "Referrers Tag Schema"). */
function questions(name: string, reference: string): Question[] {
  const subject = reference.startsWith(REFERRERS) ? reference.slice(REFERRERS.length) : undefined
  if (subject === undefined)
    return isDigest(reference) || isTag(reference)
      ? [{ path: `${name}/manifests/${reference}`, headers: { accept: MANIFESTS.join(', ') } }]
      : []
  if (!isDigest(subject)) return []
  const headers = { accept: INDEX }
  const tag = subject.replace(':', '-').slice(0, 128)
  return [`${name}/referrers/${subject}`, `${name}/manifests/${tag}`].map((path) => ({ path, headers }))
}

function manifest(name: string, reference: string, bytes: Uint8Array, headers: ReadonlyMap<string, string>): Found {
  if (bytes.length > MANIFEST_LIMIT) throw new RegistryError('upstream', 'The upstream’s manifest is too large')
  const said = headers.get('docker-content-digest') ?? ''
  const version = digestOf(bytes, isDigest(reference) ? reference : said)
  if ((isDigest(reference) && version !== reference) || (isDigest(said) && digestOf(bytes, said) !== said))
    throw new RegistryError(
      'upstream',
      `What the upstream sent as ${name}@${reference} has not the digest that it should`,
    )
  const type = headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
  const parsed = parseManifest(bytes, type !== undefined && MANIFESTS.includes(type) ? type : undefined)
  const found = { version, path: manifestPath(name, version), bytes, meta: entryOf(parsed, bytes.length) }
  return isDigest(reference) ? found : { ...found, tag: reference }
}

/** All pages as one index, whatever each says besides. */
async function referrers(name: string, reference: string, document: Uint8Array, { rest }: Asking): Promise<Found> {
  const manifests = referrersIn(document)
  for await (const page of rest()) manifests.push(...referrersIn(page))
  const bytes = Buffer.from(indexOf(manifests))
  const meta = JSON.stringify({ mediaType: INDEX, size: bytes.length, references: [] })
  return { version: reference, path: `${name}/${reference}`, bytes, meta }
}

function tagsIn(document: Uint8Array): string[] {
  const listed = parseJson(document, 'The list of tags')
  const tags = isObject(listed) ? (listed.tags ?? []) : undefined
  if (!Array.isArray(tags)) throw new RegistryError('upstream', 'The upstream sent something else than a list of tags')
  return tags.filter((tag): tag is string => typeof tag === 'string' && isTag(tag))
}
