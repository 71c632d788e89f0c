/**
 * Lists of images, one reference a line: '{host}/{name}:{tag}@{digest}', of which host, tag and digest may be missing. An image is its
 * manifest and all that this refers to, down to the layers; of an index, the images for one platform or for all.
 */
import { collect } from '../../protocol/chunks.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Lock, LockContent, Locked, Needed, Platform } from '../../protocol/lock.js'
import type { Repository } from '../../protocol/repository.js'
import { isObject, parseJson } from '../text/json.js'
import { isDigest } from './digest.js'
import { parseManifest } from './manifest.js'
import { blobPath, manifestPath } from './name.js'

export const lock: Lock = {
  names: 'a list of images, one a line',
  files: [{ name: /.*/, read: readImages }],
  find,
}

const REFERENCE =
  /^(?:([a-z0-9.-]+(?::\d+)?)\/)?([a-z0-9._/-]+?)(?::([\w.-]{1,128}))?(?:@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?$/i
const MANIFEST_LIMIT = 8 * 1024 * 1024
const MAX_MANIFESTS = 1000

/** A version is a digest where there is one, else a tag. Only what looks like a host is taken for one, as Docker does. */
function readImages(source: string): LockContent {
  const locked: Locked[] = []
  for (const [i, line] of source.split(/\r?\n/).entries()) {
    const text = line.replace(/#.*$/, '').trim()
    if (text === '') continue
    const [, first, rest, tag = 'latest', digest] = REFERENCE.exec(text) ?? []
    if (rest === undefined) throw new RegistryError('invalid', `Line ${i + 1} is no reference of an image`)
    const isHost = first !== undefined && (/[.:]/.test(first) || first === 'localhost')
    const name = first === undefined || isHost ? rest : `${first}/${rest}`
    locked.push({ package: name, version: digest ?? tag, files: [] })
  }
  return { locked, elsewhere: [] }
}

async function find(
  repository: Repository,
  { package: written, version }: Locked,
  platform?: Platform,
): Promise<Needed[] | undefined> {
  const name = imageIn(repository, written)
  const digest = isDigest(version) ? version : await repository.tag(name, version)
  return digest === undefined ? undefined : new Walk(repository, name, platform).from(digest)
}

/** Addresses of this registry's own images begin with the repository's key. */
function imageIn({ key }: Repository, name: string): string {
  return name.startsWith(`${key}/`) ? name.slice(key.length + 1) : name
}

/** From a manifest to everything that is pulled with it. A manifest that cannot be read now is needed, and what is below it unknown. */
class Walk {
  readonly #repository: Repository
  readonly #name: string
  readonly #platform: Platform | undefined
  readonly #needed = new Map<string, Needed>()

  constructor(repository: Repository, name: string, platform: Platform | undefined) {
    this.#repository = repository
    this.#name = name
    this.#platform = platform
  }

  async from(digest: string): Promise<Needed[]> {
    const queue = [digest]
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const path = manifestPath(this.#name, next)
      if (this.#needed.has(path)) continue
      if (this.#needed.size > MAX_MANIFESTS) throw new RegistryError('invalid', `${this.#name} has too many manifests`)
      this.#add(path, next)
      const bytes = await this.#read(path)
      if (!bytes) continue
      const { blobs } = parseManifest(bytes, undefined)
      for (const blob of blobs) this.#add(blobPath(this.#name, blob.digest), blob.digest)
      queue.push(...children(bytes, this.#platform))
    }
    return [...this.#needed.values()]
  }

  #add(path: string, digest: string): void {
    this.#needed.set(path, { name: path, path, sums: [digest] })
  }

  /** undefined: it is not there, or nobody can be asked for it. */
  async #read(path: string): Promise<Buffer | undefined> {
    try {
      const file = await this.#repository.file(path)
      return file && (await collect((await this.#repository.open(file)).read(), MANIFEST_LIMIT))
    } catch (error) {
      if (error instanceof RegistryError && error.kind === 'unavailable') return undefined
      throw error
    }
  }
}

/** The manifests of an index that the platform wants; those that say nothing of one are for all. */
function children(bytes: Buffer, platform: Platform | undefined): string[] {
  const document = parseJson(bytes, 'The manifest')
  const manifests = isObject(document) && Array.isArray(document.manifests) ? document.manifests.filter(isObject) : []
  return manifests
    .filter(({ platform: of }) => {
      if (!platform || !isObject(of)) return true
      return of.os === platform.os && of.architecture === platform.architecture
    })
    .flatMap(({ digest }) => (typeof digest === 'string' ? [digest] : []))
}
