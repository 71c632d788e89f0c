/** An image on disk as skopeo and others read it (image-spec, "OCI Image Layout"), made without any of them. */
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

const MEDIA = 'application/vnd.oci.image.'

/** With one layer, a compressed tar archive: skopeo would compress another. Returns the manifest's digest. */
export async function writeLayout(folder: string, layer: Uint8Array): Promise<string> {
  const blobs = join(folder, 'blobs', 'sha256')
  await mkdir(blobs, { recursive: true })
  const add = async (bytes: Uint8Array, mediaType: string) => {
    const hex = createHash('sha256').update(bytes).digest('hex')
    await writeFile(join(blobs, hex), bytes)
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length }
  }
  const json = (value: unknown) => Buffer.from(JSON.stringify(value))
  const held = await add(layer, `${MEDIA}layer.v1.tar+gzip`)
  const rootfs = {
    type: 'layers',
    diff_ids: [`sha256:${createHash('sha256').update(gunzipSync(layer)).digest('hex')}`],
  }
  const config = await add(json({ architecture: 'amd64', os: 'linux', rootfs }), `${MEDIA}config.v1+json`)
  const mediaType = `${MEDIA}manifest.v1+json`
  const manifest = await add(json({ schemaVersion: 2, mediaType, config, layers: [held] }), mediaType)
  const named = { ...manifest, annotations: { 'org.opencontainers.image.ref.name': 'image' } }
  await writeFile(join(folder, 'index.json'), json({ schemaVersion: 2, manifests: [named] }))
  await writeFile(join(folder, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }))
  return manifest.digest
}
