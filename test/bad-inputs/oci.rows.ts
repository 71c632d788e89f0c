import { createHash } from 'node:crypto'
import { NO_DOCUMENTS, type Row, type Sent, shown, type Table } from './rows.js'

const BASE = '/v2/bad-oci/any'
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const kept = Buffer.from('{}')
const digest = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const descriptor = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digest(kept), size: kept.length }
const image = { schemaVersion: 2, mediaType: MANIFEST, config: descriptor, layers: [descriptor] }
const index = { schemaVersion: 2, mediaType: INDEX, manifests: [] }

const blob = (body: string | Uint8Array, named: string, base = BASE): Sent => ({
  method: 'POST',
  path: `${base}/blobs/uploads/?digest=${encodeURIComponent(named)}`,
  body,
  headers: { 'content-type': 'application/octet-stream' },
})
const put = (body: string, { tag = 'v1', type = MANIFEST, base = BASE } = {}): Sent => ({
  method: 'PUT',
  path: `${base}/manifests/${tag}`,
  body,
  headers: { 'content-type': type },
})
const manifest = (what: string, value: unknown, type = MANIFEST): Row => ({
  what,
  send: () => put(JSON.stringify(value), { type }),
})

const unknown = { ...descriptor, digest: `sha256:${'0'.repeat(64)}` }
const manifests: Row[] = [
  manifest('K02 manifests and layers', { ...image, manifests: [] }),
  manifest('K02 an index with layers', { ...index, layers: [] }, INDEX),
  manifest('K02 another type than its header', image, INDEX),
  manifest(
    'of Docker’s first schema',
    { schemaVersion: 1, fsLayers: [] },
    'application/vnd.docker.distribution.manifest.v1+json',
  ),
  manifest('a config that is nowhere', { ...image, config: unknown }),
  manifest('a layer that is nowhere', { ...image, layers: [unknown] }),
  manifest('an index of what is nowhere', { ...index, manifests: [{ ...unknown, mediaType: MANIFEST }] }, INDEX),
  manifest('a size that is another', { ...image, layers: [{ ...descriptor, size: 5 }] }),
  manifest('a size below nothing', { ...image, layers: [{ ...descriptor, size: -1 }] }),
  manifest('a digest that climbs', { ...image, layers: [{ ...descriptor, digest: 'sha256:../../../../etc/passwd' }] }),
  manifest('a subject that is none', { ...image, subject: 'x' }),
  manifest('a hundred thousand layers', { ...image, layers: Array.from({ length: 100_000 }, () => descriptor) }),
  manifest('annotations that are numbers', { ...image, annotations: { a: 1 } }),
  { what: 'O02 twenty megabytes', send: () => put(`{"a":"${'x'.repeat(20_000_000)}"}`) },
  ...NO_DOCUMENTS.map((text) => ({ what: `a document of ${shown(text)}`, send: () => put(text) })),
  { what: 'another digest', send: () => put(JSON.stringify(image), { tag: unknown.digest }) },
].map((row) => ({ ...row, what: `a manifest: ${row.what}`, statuses: [400, 404, 413] }))

const digests = [
  'sha256:../../../../etc/passwd',
  `sha256:${'0'.repeat(63)}`,
  `sha256:${'A'.repeat(64)}`,
  `sha1:${'0'.repeat(40)}`,
  'md5:',
  ':',
  'x',
]
const names = [
  'A',
  'a..b',
  '-a',
  'a/-b',
  '_a',
  'a%2f..%2fb',
  'a%00b',
  `${'x'.repeat(256)}`,
  `${'a/'.repeat(200)}a`,
  '%D0%B0',
]

export const ociRows: Table = {
  format: 'oci',
  sentence: (body) => {
    const [first] = (JSON.parse(body) as { errors: { code: string; message: string }[] }).errors
    return /^[A-Z_]+$/.test(first?.code ?? '') ? first?.message : undefined
  },
  before: [blob(kept, digest(kept))],
  rows: [
    ...manifests,
    { what: 'a blob with another digest', send: () => blob('other', digest(Buffer.from('bytes'))) },
    ...digests.map((named) => ({ what: `B07 a blob called ${shown(named)}`, send: () => blob('x', named) })),
    ...names.map((name) => ({
      what: `B06 an image called ${shown(name)}`,
      send: () => blob('x', digest(Buffer.from('x')), `/v2/bad-oci/${name}`),
      statuses: [400, 404],
    })),
    ...['a'.repeat(129), '.a', 'a b', 'a%2fb', 'a%00'].map((tag) => ({
      what: `B06 the tag ${shown(tag)}`,
      send: () => put(JSON.stringify(image), { tag: encodeURI(tag) }),
      statuses: [400, 404],
    })),
    {
      what: 'an upload that nobody began',
      send: () => ({ method: 'PATCH', path: `${BASE}/blobs/uploads/00000000-0000-0000-0000-000000000000`, body: 'x' }),
      statuses: [404],
    },
  ],
}
