/** Manifests that are about another one, as an index lists them (section "Listing Referrers" of the distribution specification). */
import { RegistryError } from '../../protocol/errors.js'
import { isObject, parseJson } from '../text/json.js'
import { isDigest } from './digest.js'
import type { Entry } from './entry.js'
import { INDEX } from './manifest.js'

export type Referrer = Pick<Entry, 'mediaType' | 'size' | 'artifactType' | 'annotations'> & { digest: string }

const MOST = 10_000

export function indexOf(manifests: readonly Referrer[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests })
}

/** What is no descriptor is left out. Throws `invalid`, `upstream`. */
export function referrersIn(index: Uint8Array): Referrer[] {
  const { manifests } = asIndex(parseJson(index, 'The list of referrers'))
  if (manifests.length > MOST) throw new RegistryError('upstream', `There are more than ${MOST} referrers`)
  return manifests.flatMap((each) => referrer(each) ?? [])
}

function asIndex(document: unknown): { manifests: unknown[] } {
  const { manifests } = isObject(document) ? document : {}
  if (Array.isArray(manifests)) return { manifests }
  throw new RegistryError('upstream', 'The upstream sent something else than a list of referrers')
}

function referrer(value: unknown): Referrer | undefined {
  const { mediaType, digest, size, artifactType, annotations } = isObject(value) ? value : {}
  if (typeof mediaType !== 'string' || typeof digest !== 'string' || !isDigest(digest)) return undefined
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined
  const texts = Object.entries(isObject(annotations) ? annotations : {}).filter(
    (each): each is [string, string] => typeof each[1] === 'string',
  )
  return {
    mediaType,
    digest,
    size,
    ...(typeof artifactType === 'string' ? { artifactType } : {}),
    ...(texts.length === 0 ? {} : { annotations: Object.fromEntries(texts) }),
  }
}
