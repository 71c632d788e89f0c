/**
 * Images and other artifacts: the OCI distribution specification 1.1, and what Docker had before it. A package is an image's name, a version is
 * a manifest's digest, tags are tags. Clients know no other path than /v2/, so the repository's key is the first part of the name:
 * host/{key}/{name}:{tag}.
 */
import { type Format, type RouteOptions, read, write } from '../protocol/format.js'
import { rootRoute } from '../protocol/root.js'
import { getBlob, removeBlob } from './oci/blob.js'
import { catalogOfAll, catalogOfOne } from './oci/catalog.js'
import { TOKEN_PATH } from './oci/challenge.js'
import { errorReply } from './oci/failure.js'
import { getManifest } from './oci/get-manifest.js'
import { lock } from './oci/lock.js'
import { ping, pingOne } from './oci/ping.js'
import { putManifest } from './oci/put-manifest.js'
import { listReferrers } from './oci/referrers.js'
import { removeManifest } from './oci/remove-manifest.js'
import { restoredWith } from './oci/restored.js'
import { listTags } from './oci/tags.js'
import { getToken, postToken } from './oci/token.js'
import { addToUpload, cancelUpload, endUpload, readUpload } from './oci/upload.js'
import { beginUpload } from './oci/uploads.js'
import { upstream } from './oci/upstream.js'

/** The gate is asked about the image's name. */
const OF_IMAGE = { subject: ({ name = '' }: Record<string, string>) => name } satisfies RouteOptions
const DELETES = { ...OF_IMAGE, action: 'delete' } as const

export const oci: Format = {
  name: 'oci',
  hashes: [],
  root: 'v2',
  rootRoutes: [
    rootRoute('GET', '/v2/', ping),
    rootRoute('GET', '/v2', ping),
    rootRoute('GET', '/v2/_catalog', catalogOfAll),
    rootRoute('GET', TOKEN_PATH, getToken),
    rootRoute('POST', TOKEN_PATH, postToken),
  ],
  routes: [
    read('/v2/', pingOne),
    read('/v2', pingOne),
    read('/v2/_catalog', catalogOfOne, { lists: true }),
    write('POST', '/v2/:name*/blobs/uploads/', beginUpload, OF_IMAGE),
    write('POST', '/v2/:name*/blobs/uploads', beginUpload, OF_IMAGE),
    write('GET', '/v2/:name*/blobs/uploads/:id', readUpload, OF_IMAGE),
    write('PATCH', '/v2/:name*/blobs/uploads/:id', addToUpload, OF_IMAGE),
    write('PUT', '/v2/:name*/blobs/uploads/:id', endUpload, OF_IMAGE),
    write('DELETE', '/v2/:name*/blobs/uploads/:id', cancelUpload, OF_IMAGE),
    read('/v2/:name*/blobs/:digest', getBlob, OF_IMAGE),
    write('DELETE', '/v2/:name*/blobs/:digest', removeBlob, DELETES),
    read('/v2/:name*/manifests/:reference', getManifest, OF_IMAGE),
    write('PUT', '/v2/:name*/manifests/:reference', putManifest, OF_IMAGE),
    write('DELETE', '/v2/:name*/manifests/:reference', removeManifest, DELETES),
    read('/v2/:name*/tags/list', listTags, OF_IMAGE),
    read('/v2/:name*/referrers/:digest', listReferrers, OF_IMAGE),
  ],
  error: errorReply,
  upstream,
  restoredWith,
  lock,
  environment: ({ base, key }) => ({ variables: { CAIRN_IMAGES: `${new URL(base).host}/${key}` } }),
  snippet: ({ base, key }) => {
    const host = new URL(base).host
    return [
      `docker login ${host}   # user name, and a token as the password`,
      `docker tag image:latest ${host}/${key}/image:latest`,
      `docker push ${host}/${key}/image:latest`,
      `skopeo copy docker://${host}/${key}/image:latest oci:image   # http: --src-tls-verify=false`,
    ].join('\n')
  },
}
