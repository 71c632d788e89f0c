/**
 * Names of images and tags, and where their bytes lie in a repository:
 *
 *     {name}/manifests/sha256:…   a manifest; package {name}, version sha256:…
 *     {name}/blobs/sha256:…       a layer or a config; package {name}/_blobs, version sha256:…
 *     {name}/referrers/sha256:…   of a remote repository: who is about that manifest, as the upstream says
 *
 * Blobs have a package of their own because many manifests share one, and because they arrive before any manifest does. No image can
 * have that name: a component never begins with an underscore.
 */
import { failure } from './failure.js'

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`)
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
/** Characters: what clients allow, the host's name included. */
const MAX_NAME = 255
const BLOBS = '/_blobs'

export function isName(name: string): boolean {
  return name.length <= MAX_NAME && NAME.test(name)
}

export function isTag(tag: string): boolean {
  return TAG.test(tag)
}

/** Throws NAME_INVALID. */
export function checkName(name: string): string {
  if (!isName(name)) throw failure('invalid', 'NAME_INVALID', `That is no name of an image: ${name.slice(0, 100)}`)
  return name
}

/** Throws MANIFEST_INVALID. */
export function checkTag(tag: string): string {
  if (!isTag(tag)) throw failure('invalid', 'MANIFEST_INVALID', `That is no tag: ${tag.slice(0, 140)}`)
  return tag
}

export function manifestPath(name: string, digest: string): string {
  return `${name}/manifests/${digest}`
}

export function blobPath(name: string, digest: string): string {
  return `${name}/blobs/${digest}`
}

/** The package that an image's blobs belong to. */
export function blobsOf(name: string): string {
  return name + BLOBS
}

export function isBlobs(packageName: string): boolean {
  return packageName.endsWith(BLOBS)
}

/** The image that a package of blobs belongs to. */
export function imageOf(packageName: string): string | undefined {
  return isBlobs(packageName) ? packageName.slice(0, -BLOBS.length) : undefined
}
