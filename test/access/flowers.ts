/** What each format's repositories hold: one package, under a name of the repository's own. */
import { createHash } from 'node:crypto'
import { publishBody } from '../support/crate.js'
import { moduleUrl, moduleZip } from '../support/go-module.js'
import type { Send } from '../support/memory-fleet.js'
import { publishDocument } from '../support/npm-package.js'
import { FORM_TYPE, uploadForm, wheel } from '../support/python-package.js'

type Part = [method: string, path: string, body: string | Uint8Array, headers?: Record<string, string>]

const IMAGE = 'application/vnd.oci.image.manifest.v1+json'
export const digestOf = (bytes: Uint8Array | string) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
export const layerOf = (name: string) => Buffer.from(`layer of ${name}`)
const descriptor = (bytes: Buffer, mediaType: string) => ({ mediaType, digest: digestOf(bytes), size: bytes.length })
const manifestOf = (name: string) =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: IMAGE,
    config: descriptor(layerOf(name), 'application/vnd.oci.image.config.v1+json'),
    layers: [descriptor(layerOf(name), 'application/vnd.oci.image.layer.v1.tar')],
  })

const FLOWERS: Record<string, (name: string) => Part[]> = {
  generic: (name) => [['PUT', `/${name}/file.txt`, `a ${name}`]],
  cargo: (name) => [['PUT', '/api/v1/crates/new', publishBody({ name, vers: '1.0.0' })]],
  go: (name) => {
    const module = `example.com/${name}`
    return [['PUT', moduleUrl(module, 'v1.0.0.zip'), moduleZip({ module, version: 'v1.0.0' })]]
  },
  maven: (name) => [['PUT', `/com/example/${name}/1.0.0/${name}-1.0.0.jar`, `a ${name}`]],
  npm: (name) => [
    [
      'PUT',
      `/${name}`,
      JSON.stringify(publishDocument({ name, version: '1.0.0' })),
      { 'content-type': 'application/json' },
    ],
  ],
  oci: (name) => [
    ['POST', `/v2/${name}/blobs/uploads/?digest=${digestOf(layerOf(name))}`, layerOf(name)],
    ['PUT', `/v2/${name}/manifests/latest`, manifestOf(name), { 'content-type': IMAGE }],
  ],
  pypi: (name) => [['POST', '/legacy/', uploadForm(wheel({ name, version: '1.0.0' })), { 'content-type': FORM_TYPE }]],
}

/** Throws with the reply's words when it is not taken. */
export async function plant(send: Send, base: string, format: string, name: string): Promise<void> {
  for (const [method, path, body, headers = {}] of FLOWERS[format]?.(name) ?? []) {
    const reply = await send(base + path, { method, body, headers })
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${await reply.text()}`)
  }
}

/** The body of the first part. */
export function publishable(format: string, name: string): string | Uint8Array {
  return FLOWERS[format]?.(name)[0]?.[2] ?? ''
}
