/** A version's line of the index, as it is kept and served: one JSON object without line breaks. Only `yanked` ever changes in it. */
import { isObject, type JsonObject, parseJson } from '../text/json.js'
import type { Draft } from './draft.js'
import { refused } from './fields.js'
import type { Manifest } from './manifest.js'

/** The fields that the registry itself looks at. */
export interface Line {
  name: string
  vers: string
  cksum: string
  yanked: boolean
  fields: JsonObject
}

/** Cargo reads a line into memory at every resolve. */
const MAX_LINE = 2 * 1024 * 1024

/** `at`: ISO 8601. Throws `invalid` when the line would be too long. */
export function layLine(draft: Draft, manifest: Manifest, cksum: string, at: string): string {
  const { name, version, dependencies, features, features2 } = draft
  // Clients before 1.74 do not say which compiler a crate needs, but its Cargo.toml does.
  const rustVersion = manifest.rustVersion ?? draft.rustVersion
  const links = manifest.links ?? draft.links
  const line = JSON.stringify({
    name,
    vers: version,
    deps: dependencies,
    cksum,
    features,
    yanked: false,
    ...(links === undefined ? {} : { links }),
    ...(rustVersion === undefined ? {} : { rust_version: rustVersion }),
    ...(Object.keys(features2).length === 0 ? {} : { v: 2, features2 }),
    pubtime: `${at.slice(0, 'YYYY-MM-DDTHH:MM:SS'.length)}Z`,
  })
  if (line.length > MAX_LINE) throw refused(`The index entry is longer than ${MAX_LINE} characters`)
  return line
}

export function readLine(meta: string): Line {
  const fields = parseJson(meta, 'A stored entry')
  const { name, vers, cksum, yanked } = isObject(fields) ? fields : {}
  return {
    name: String(name),
    vers: String(vers),
    cksum: String(cksum),
    yanked: yanked === true,
    fields: isObject(fields) ? fields : {},
  }
}

export function yankedLine({ fields }: Line, yanked: boolean): string {
  return JSON.stringify({ ...fields, yanked })
}
