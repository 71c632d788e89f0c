/**
 * A repository as the client addressed it: below /v2/{key}, where its name is a part of every image's name, or below one of the other
 * addresses of a repository. Locations are relative to the host, so that they hold behind any proxy.
 */
import type { Call } from '../../protocol/format.js'

export interface View {
  /** No slash at the end: /v2/{key} or …/{key}/v2. */
  prefix: string
  /** What the client puts before an image's name: '{key}/' or ''. */
  before: string
}

type Addressed = Pick<Call<unknown>, 'request' | 'repository'>

export function viewOf({ request, repository }: Addressed): View {
  const { path } = request
  if (path.startsWith('/v2/')) return { prefix: `/v2/${repository.key}`, before: `${repository.key}/` }
  return { prefix: path.slice(0, path.indexOf(VERSION) + VERSION.length - 1), before: '' }
}

/** '/repository/{key}/v2/…': keys hold no slash, so the first one is the version. */
const VERSION = '/v2/'

export function manifestLocation(call: Addressed, name: string, digest: string): string {
  return `${viewOf(call).prefix}/${name}/manifests/${digest}`
}

export function blobLocation(call: Addressed, name: string, digest: string): string {
  return `${viewOf(call).prefix}/${name}/blobs/${digest}`
}

export function uploadLocation(call: Addressed, name: string, id: string): string {
  return `${viewOf(call).prefix}/${name}/blobs/uploads/${id}`
}
