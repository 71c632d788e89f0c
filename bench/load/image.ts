/** Images that nobody has seen, of layers that cannot be compressed, and how clients push them. */
import { createHash, randomFillSync } from 'node:crypto'
import { Connection } from './connection.js'

interface Blob {
  digest: string
  bytes: Buffer
}

export interface Image {
  layers: Blob[]
  config: Blob
  manifest: Buffer
}

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'

/** Windows of one random buffer: as different as random layers, and made in a moment. */
export function imageOf(layers: number, layerBytes: number): Image {
  const random = randomFillSync(Buffer.allocUnsafe(layerBytes + layers * APART))
  const made = Array.from({ length: layers }, (_, i) => blob(random.subarray(i * APART, i * APART + layerBytes)))
  const diffs = made.map(({ digest }) => digest)
  const config = blob(
    Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: diffs } })),
  )
  const described = ({ digest, bytes }: Blob, mediaType: string) => ({ mediaType, digest, size: bytes.length })
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: described(config, 'application/vnd.oci.image.config.v1+json'),
      layers: made.map((layer) => described(layer, 'application/vnd.oci.image.layer.v1.tar')),
    }),
  )
  return { layers: made, config, manifest }
}

const APART = 64

function blob(bytes: Buffer): Blob {
  return { digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, bytes }
}

export interface Registry {
  url: string
  /** The image's name, with what this registry has in front of it. */
  name: string
  authorization?: string
}

/** The layers, so many at a time, then the config and the manifest, by the tag `latest`. */
export async function pushImage(registry: Registry, image: Image, atOnce: number): Promise<void> {
  const queue = [...image.layers]
  const worker = async () => {
    const connection = new Connection(registry.url)
    for (let next = queue.shift(); next; next = queue.shift()) await pushBlob(connection, registry, next)
    connection.close()
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  const connection = new Connection(registry.url)
  await pushBlob(connection, registry, image.config)
  await ask(connection, registry, 201, {
    method: 'PUT',
    path: `/v2/${registry.name}/manifests/latest`,
    headers: { 'content-type': MANIFEST_TYPE },
    body: image.manifest,
  })
  connection.close()
}

/** As docker, containerd and skopeo do: is it there, begin, all bytes in one PATCH, end. */
async function pushBlob(connection: Connection, registry: Registry, { digest, bytes }: Blob): Promise<void> {
  const blobs = `/v2/${registry.name}/blobs`
  await ask(connection, registry, 404, { method: 'HEAD', path: `${blobs}/${digest}` })
  const empty = Buffer.alloc(0)
  const begun = await ask(connection, registry, 202, { method: 'POST', path: `${blobs}/uploads/`, body: empty })
  const headers = { 'content-type': 'application/octet-stream' }
  const added = await ask(connection, registry, 202, { method: 'PATCH', path: begun, headers, body: bytes })
  const end = `${added}${added.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`
  await ask(connection, registry, 201, { method: 'PUT', path: end, body: empty })
}

/** The path that the reply's Location leads to. */
async function ask(
  connection: Connection,
  { url, authorization }: Registry,
  status: number,
  request: Parameters<Connection['request']>[0],
): Promise<string> {
  const headers = { ...request.headers, ...(authorization === undefined ? {} : { authorization }) }
  const answer = await connection.request({ ...request, headers, keep: true })
  if (answer.status !== status)
    throw new Error(
      `${request.method} ${url}${request.path} answered ${answer.status}: ${answer.body.toString('utf8', 0, 300)}`,
    )
  const { pathname, search } = new URL(answer.headers.get('location') ?? '', url)
  return pathname + search
}
