/**
 * Manifests, as far as a registry must understand them: OCI images and indexes (image-spec 1.1), Docker's schema 2 and its lists. What is
 * in them besides is nobody's business here; their bytes are kept as they came.
 */
import { RegistryError } from '../../protocol/errors.js'
import { isObject, type JsonObject, parseJson } from '../text/json.js'
import { isDigest } from './digest.js'
import { failure } from './failure.js'

export interface Descriptor {
  mediaType: string
  digest: string
  size: number
}

export interface ParsedManifest {
  mediaType: string
  /** What a referrers list says it is; undefined: nothing. */
  artifactType: string | undefined
  annotations: Record<string, string> | undefined
  subject: Descriptor | undefined
  /** Must be in the repository as blobs. */
  blobs: Descriptor[]
  /** Must be in the repository as manifests (or, as build caches have them, as blobs). */
  manifests: Descriptor[]
}

/** Bytes. Clients make manifests of 4 MiB at most; a registry must take those. */
export const MANIFEST_LIMIT = 8 * 1024 * 1024
const IMAGES = ['application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json']
export const INDEX = 'application/vnd.oci.image.index.v1+json'
const INDEXES = [INDEX, 'application/vnd.docker.distribution.manifest.list.v2+json']
/** All that are known here, as clients ask for them. */
export const MANIFESTS = [...IMAGES, ...INDEXES]
/** Layers that lie somewhere else, by licence. */
const FOREIGN = /^application\/vnd\.(?:oci\.image\.layer\.nondistributable\.|docker\.image\.rootfs\.foreign\.)/
const MAX_REFERENCES = 10_000

/** `contentType`: the request's header, if any. Throws MANIFEST_INVALID. */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined): ParsedManifest {
  const document = parsed(bytes)
  if (!isObject(document)) throw invalid('The manifest is not a JSON object')
  if (document.schemaVersion !== 2) throw invalid('The manifest’s schemaVersion is not 2')
  const mediaType = mediaTypeOf(document, contentType)
  const common = { mediaType, annotations: annotationsOf(document), subject: optional(document.subject, 'subject') }
  return IMAGES.includes(mediaType) ? image(document, common) : index(document, common)
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return parseJson(bytes)
  } catch (cause) {
    throw new RegistryError('invalid', 'The manifest is not JSON', { code: 'MANIFEST_INVALID', cause })
  }
}

type Common = Pick<ParsedManifest, 'mediaType' | 'annotations' | 'subject'>

function image(document: JsonObject, common: Common): ParsedManifest {
  if (document.manifests !== undefined) throw invalid('An image has no "manifests"; this looks like an index')
  const config = descriptor(document.config, 'config')
  const layers = list(document.layers, 'layers')
  const artifactType = textOf(document.artifactType) ?? config.mediaType
  const held = layers.filter(({ mediaType }) => !FOREIGN.test(mediaType))
  return { ...common, artifactType, blobs: [config, ...held], manifests: [] }
}

function index(document: JsonObject, common: Common): ParsedManifest {
  if (document.layers !== undefined || document.config !== undefined)
    throw invalid('An index has no "layers" and no "config"; this looks like an image')
  const manifests = list(document.manifests, 'manifests')
  return { ...common, artifactType: textOf(document.artifactType), blobs: [], manifests }
}

/** The header and the document must agree where both say it; parameters of the header mean nothing. */
function mediaTypeOf(document: JsonObject, contentType: string | undefined): string {
  const header = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const inside = textOf(document.mediaType)
  const said = header === '' || header === 'application/json' || header === 'application/octet-stream' ? inside : header
  const mediaType = said ?? (Array.isArray(document.manifests) ? INDEX : IMAGES[0]) ?? INDEX
  if (!MANIFESTS.includes(mediaType))
    throw invalid(`Manifests of the type ${mediaType.slice(0, 100)} are not known here`)
  if (inside !== undefined && inside !== mediaType)
    throw invalid(`The Content-Type is ${mediaType}, and the manifest says that it is ${inside.slice(0, 100)}`)
  return mediaType
}

function list(value: unknown, field: string): Descriptor[] {
  if (!Array.isArray(value)) throw invalid(`The manifest has no list of ${field}`)
  if (value.length > MAX_REFERENCES) throw invalid(`The manifest has more than ${MAX_REFERENCES} ${field}`)
  return value.map((each) => descriptor(each, field))
}

function optional(value: unknown, field: string): Descriptor | undefined {
  return value === undefined || value === null ? undefined : descriptor(value, field)
}

function descriptor(value: unknown, field: string): Descriptor {
  if (!isObject(value)) throw invalid(`The manifest’s ${field} is no descriptor`)
  const { mediaType, digest, size } = value
  if (typeof mediaType !== 'string' || mediaType === '' || mediaType.length > 255)
    throw invalid(`A descriptor in ${field} has no mediaType`)
  if (typeof digest !== 'string' || !isDigest(digest)) throw invalid(`A descriptor in ${field} has no valid digest`)
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw invalid(`A descriptor in ${field} has no valid size`)
  return { mediaType, digest, size }
}

function annotationsOf({ annotations }: JsonObject): Record<string, string> | undefined {
  if (annotations === undefined || annotations === null) return undefined
  if (!isObject(annotations)) throw invalid('The manifest’s annotations are no object')
  const entries = Object.entries(annotations).map(([key, value]): [string, string] => {
    if (typeof value !== 'string') throw invalid('An annotation of the manifest is no text')
    return [key, value]
  })
  return Object.fromEntries(entries)
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function invalid(sentence: string): Error {
  return failure('invalid', 'MANIFEST_INVALID', sentence)
}
