/**
 * What the indexes need to know about a version, kept as its entry (`meta`):
 *
 *     {"base":"1.1-SNAPSHOT","packaging":"jar"}             no packaging: its POM has not arrived, and no index shows it
 *     {"base":"1.1","packaging":""}                         what an upstream lists, which does not tell
 *     {"prefix":"hello","artifactId":"…","name":"…"}        a plugin of a group, under the version 'plugin:{artifactId}'
 *     {"versioning":{"latest":"…","release":"…"}}           of a package as a whole: what an upstream says about it
 */
import { isObject, type JsonObject, parseJson } from '../text/json.js'

export interface Entry {
  base: string
  packaging: string | undefined
}

/** What a repository that is the authority says of an artifact's versions, beside their list. */
export interface Versioning {
  latest: string | undefined
  release: string | undefined
}

export interface PluginEntry {
  prefix: string
  artifactId: string
  name: string
}

/** undefined: it is not a version of an artifact. */
export function readEntry(meta: string): Entry | undefined {
  const { base, packaging } = fields(meta)
  return typeof base === 'string'
    ? { base, packaging: typeof packaging === 'string' ? packaging : undefined }
    : undefined
}

/** Over an entry that is there, so that what others keep in it stays. */
export function writeEntry({ base, packaging }: Entry, before = ''): string {
  return JSON.stringify({ ...fields(before), base, ...(packaging === undefined ? {} : { packaging }) })
}

export function writeListed(base: string): string {
  return writeEntry({ base, packaging: '' })
}

export function writeVersioning(versioning: Versioning): string {
  return JSON.stringify({ versioning })
}

/** undefined: nobody said anything, so it follows from the versions. */
export function readVersioning(meta: string): Versioning | undefined {
  const { versioning } = fields(meta)
  if (!isObject(versioning)) return undefined
  const { latest, release } = versioning
  return {
    latest: typeof latest === 'string' ? latest : undefined,
    release: typeof release === 'string' ? release : undefined,
  }
}

/** undefined: it is no plugin, or one that is gone. */
export function readPlugin(meta: string): PluginEntry | undefined {
  const { prefix, artifactId, name } = fields(meta)
  if (typeof prefix !== 'string' || typeof artifactId !== 'string') return undefined
  return { prefix, artifactId, name: typeof name === 'string' ? name : artifactId }
}

/** A version of the package of its group (layout.ts); no real version holds a colon. */
export function pluginVersion(artifact: string): string {
  return `plugin:${artifact}`
}

function fields(meta: string): JsonObject {
  const entry = meta === '' ? {} : parseJson(meta, 'A stored entry')
  return isObject(entry) ? entry : {}
}
