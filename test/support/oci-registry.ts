/**
 * A registry of images that is read as an upstream: manifests, blobs, tags in pages, referrers, and tokens if it wants them. Any path can be
 * given another script (`answer`), and every request is counted.
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type ScriptedUpstream, scriptedUpstream } from './upstream.js'

export const IMAGE = 'application/vnd.oci.image.manifest.v1+json'
export const INDEX = 'application/vnd.oci.image.index.v1+json'

export interface Descriptor {
  mediaType: string
  digest: string
  size: number
  artifactType?: string
}

export interface OciRegistry extends ScriptedUpstream {
  /** Stores bytes; the same again changes nothing. */
  blob(bytes: Uint8Array, mediaType?: string): Descriptor
  manifest(name: string, document: object, tag?: string): Descriptor
  /** An image of one layer. */
  image(name: string, tag: string, layer: Uint8Array, more?: object): Descriptor
  untag(name: string, tag: string): void
  /** Knows no referrers, as registries of before 1.1. */
  old: boolean
  /** Largest page of tags. */
  page: number
  /** Wants tokens of this realm; each is good for one scope, and until it is taken back. */
  realm: string | undefined
  /** Tokens that were given out and are good. */
  readonly tokens: Set<string>
  /** Seconds that tokens last, as the realm says. */
  lasts: number
  /** Where blobs are redirected to. */
  storage: string | undefined
}

interface Stored {
  bytes: Uint8Array
  type: string
}

export async function ociRegistry(): Promise<OciRegistry> {
  const blobs = new Map<string, Stored>()
  const tags = new Map<string, Map<string, string>>()
  const about = new Map<string, Descriptor[]>()
  let tokens = 0

  const serve = (request: IncomingMessage, response: ServerResponse): unknown => {
    const url = new URL(request.url ?? '/', registry.url)
    if (url.pathname === '/token') return give(url, response)
    const [, name = '', what = '', reference = ''] =
      /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/([^/]+)$/.exec(url.pathname) ?? []
    const scope = `repository:${name}:pull`
    if (registry.realm !== undefined && !registry.tokens.has(`${request.headers.authorization} ${scope}`)) {
      const challenge = `Bearer realm="${registry.realm}",service="test",scope="${scope}"`
      return response.writeHead(401, { 'www-authenticate': challenge }).end('{"errors":[{"code":"UNAUTHORIZED"}]}')
    }
    if (what === 'tags') return list(url, name, response)
    if (what === 'referrers') return refer(reference, response)
    if (what === 'blobs' && registry.storage !== undefined)
      return response.writeHead(307, { location: `${registry.storage}${reference}` }).end()
    const found = blobs.get(what === 'manifests' ? (tags.get(name)?.get(reference) ?? reference) : reference)
    if (!found || !tags.has(name)) return response.writeHead(404).end('{"errors":[{"code":"NAME_UNKNOWN"}]}')
    return send(request, response, found, what === 'manifests')
  }

  function give(url: URL, response: ServerResponse): unknown {
    const token = `token-${++tokens}`
    for (const scope of url.searchParams.getAll('scope')) registry.tokens.add(`Bearer ${token} ${scope}`)
    return response.end(JSON.stringify({ token, expires_in: registry.lasts }))
  }

  function send(request: IncomingMessage, response: ServerResponse, { bytes, type }: Stored, tagged: boolean): unknown {
    const digest = digestOf(bytes)
    if (request.headers['if-none-match'] === `"${digest}"`) return response.writeHead(304).end()
    const validator = tagged ? { etag: `"${digest}"` } : {}
    response.writeHead(200, {
      'content-type': type,
      'content-length': bytes.length,
      'docker-content-digest': digest,
      ...validator,
    })
    return response.end(request.method === 'HEAD' ? undefined : bytes)
  }

  function list(url: URL, name: string, response: ServerResponse): unknown {
    const all = [...(tags.get(name)?.keys() ?? [])].sort()
    if (all.length === 0) return response.writeHead(404).end()
    const n = Math.min(registry.page, Number(url.searchParams.get('n') ?? registry.page))
    const last = url.searchParams.get('last') ?? ''
    const rest = all.filter((tag) => tag > last)
    const page = rest.slice(0, n)
    const more = rest.length > n ? { link: `</v2/${name}/tags/list?n=${n}&last=${page.at(-1)}>; rel="next"` } : {}
    return response
      .writeHead(200, { 'content-type': 'application/json', ...more })
      .end(JSON.stringify({ name, tags: page }))
  }

  function refer(subject: string, response: ServerResponse): unknown {
    if (registry.old) return response.writeHead(404).end('404 page not found')
    const manifests = about.get(subject) ?? []
    response.writeHead(200, { 'content-type': INDEX })
    return response.end(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }))
  }

  const store = (bytes: Uint8Array, mediaType: string): Descriptor => {
    const digest = digestOf(bytes)
    blobs.set(digest, { bytes, type: mediaType })
    return { mediaType, digest, size: bytes.length }
  }

  const registry: OciRegistry = {
    ...(await scriptedUpstream(serve)),
    old: false,
    page: 1000,
    realm: undefined,
    tokens: new Set(),
    lasts: 300,
    storage: undefined,
    blob: (bytes, mediaType = 'application/vnd.oci.image.layer.v1.tar') => store(bytes, mediaType),
    manifest: (name, document, tag) => {
      const { mediaType = IMAGE, subject, artifactType } = document as Partial<Descriptor> & { subject?: Descriptor }
      // Spaces as no serialiser writes them: the bytes must stay.
      const made = store(Buffer.from(`${JSON.stringify(document, undefined, 3)}\n `), mediaType)
      const named = tags.get(name) ?? new Map<string, string>()
      tags.set(name, named)
      if (tag !== undefined) named.set(tag, made.digest)
      if (subject)
        about.set(subject.digest, [
          ...(about.get(subject.digest) ?? []),
          { ...made, ...(artifactType === undefined ? {} : { artifactType }) },
        ])
      return made
    },
    image: (name, tag, layer, more = {}) => {
      const config = registry.blob(
        Buffer.from('{"architecture":"amd64","os":"linux"}'),
        'application/vnd.oci.image.config.v1+json',
      )
      const layers = [registry.blob(layer)]
      return registry.manifest(name, { schemaVersion: 2, mediaType: IMAGE, config, layers, ...more }, tag)
    },
    untag: (name, tag) => void tags.get(name)?.delete(tag),
  }
  return registry
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
