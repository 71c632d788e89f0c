/**
 * How another Maven repository is read. Its maven-metadata.xml of an artifact or a group becomes a listing of versions and plugins.
 * Files are in no listing: each is asked for where it is, whether there is metadata or not. Checksum files are never asked for on
 * a client's behalf, since they are computed from the bytes that are held.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Upstream } from '../../protocol/format.js'
import type { Listed, Offer } from '../../protocol/kinds/listing.js'
import { isoTime } from '../text/time.js'
import { child, childText, parseXml, type XmlElement } from '../text/xml.js'
import { pluginVersion, writeListed, writeVersioning } from './entry.js'
import {
  artifactAt,
  checksumOf,
  folderOf,
  isMoving,
  METADATA,
  metadataFolder,
  packageAt,
  snapshotAt,
} from './layout.js'

const LIMITS = { elements: 400_000, depth: 20 }
const MAX_VERSION = 256
const BEGINNING = '1970-01-01T00:00:00.000Z'
const ID = /^[\w.-]{1,200}$/

export const upstream: Upstream = {
  listing: {
    ask: (name) => {
      const folder = folderOf(name)
      return folder === undefined ? undefined : { path: `${folder}/${METADATA}` }
    },
    parse: (_, document) => parseMetadata(document),
    packageOf: (path) => fileAt(path)?.package,
    unlisted: (path) => fileAt(path)?.version,
  },
  mutable: isMoving,
  sumBeside: (path) => (isMoving(path) ? undefined : { path: `${path}.sha1`, hash: 'sha1' }),
}

/** The versions are in the document's own order. Throws `invalid`, `upstream`. */
export function parseMetadata(document: Uint8Array): Listed {
  const metadata = parseXml(document, LIMITS, "The upstream's metadata")
  if (metadata.name !== 'metadata') throw new RegistryError('upstream', "The upstream's answer is no Maven metadata")
  const versioning = child(metadata, 'versioning')
  const updated = dateOf(childText(versioning, 'lastUpdated')) ?? BEGINNING
  const offers = [
    ...each(child(versioning, 'versions'), 'version').flatMap(({ text }) => versionOffer(text.trim())),
    ...each(child(metadata, 'plugins'), 'plugin').flatMap((plugin) => pluginOffer(plugin, updated)),
  ]
  return {
    created: updated,
    modified: updated,
    meta: writeVersioning({ latest: childText(versioning, 'latest'), release: childText(versioning, 'release') }),
    tags: {},
    versions: [...new Map(offers.map((offer) => [offer.version, offer])).values()],
  }
}

/** When it was published is not said. */
function versionOffer(version: string): Offer[] {
  if (version.length > MAX_VERSION || !/^[^\s/:"<>|?*\\]+$/.test(version)) return []
  return [{ version, publishedAt: '', files: [], meta: writeListed(version) }]
}

function pluginOffer(plugin: XmlElement, publishedAt: string): Offer[] {
  const [prefix = '', artifactId = ''] = [childText(plugin, 'prefix'), childText(plugin, 'artifactId')]
  if (!ID.test(prefix) || !ID.test(artifactId)) return []
  const meta = JSON.stringify({ prefix, artifactId, name: (childText(plugin, 'name') ?? artifactId).slice(0, 500) })
  return [{ version: pluginVersion(artifactId), publishedAt, files: [], meta }]
}

/** What a path belongs to that is a file here: of an artifact, or the metadata of a snapshot, which only the upstream can make. */
function fileAt(path: string): { package: string; version: string } | undefined {
  if (checksumOf(path)) return undefined
  const folder = metadataFolder(path)
  if (folder === undefined) return artifactAt(path)
  const snapshot = snapshotAt(folder)
  return snapshot && { package: packageAt(snapshot.folder), version: snapshot.base }
}

function each(element: XmlElement | undefined, name: string): XmlElement[] {
  return element?.children.filter((one) => one.name === name) ?? []
}

/** yyyyMMddHHmmss, UTC. */
function dateOf(digits: string | undefined): string | undefined {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)\.?(\d\d)(\d\d)(\d\d)$/.exec(digits ?? '') ?? []
  return isoTime(`${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`)
}
