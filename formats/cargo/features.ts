/**
 * A crate's features. Values in the newer syntax ("dep:name", "name?/feature") go into `features2`, which cargo older than 1.60
 * does not read and would otherwise choke on.
 */
import { isObject, type JsonObject } from '../text/json.js'
import { refused, textsOf } from './fields.js'

export interface Features {
  features: Record<string, string[]>
  /** Empty: the entry needs no newer cargo. */
  features2: Record<string, string[]>
}

const MAX_FEATURES = 10_000
const NAME = /^[\p{XID_Start}_0-9][\p{XID_Continue}+.-]*$/u
const MAX_NAME = 200

/** Throws `invalid`. */
export function parseFeatures(sent: unknown): Features {
  const found: Features = { features: {}, features2: {} }
  if (sent === undefined || sent === null) return found
  if (!isObject(sent)) throw refused('"features" is an object')
  const names = Object.keys(sent)
  if (names.length > MAX_FEATURES) throw refused(`A crate has at most ${MAX_FEATURES} features`)
  for (const name of names) add(found, sent, name)
  return found
}

/** Throws `invalid`: "feature", "dep:crate", "crate/feature" or "crate?/feature". */
export function checkFeatureValue(value: string): void {
  const names = value.startsWith('dep:') ? [value.slice('dep:'.length)] : value.split(/\??\//)
  if (names.length > 2) throw refused(`${JSON.stringify(value.slice(0, 100))} is not the name of a feature`)
  for (const name of names) checkFeatureName(name)
}

function add({ features, features2 }: Features, sent: JsonObject, name: string): void {
  checkFeatureName(name)
  const values = textsOf(sent, name)
  for (const value of values) checkFeatureValue(value)
  const isNewer = values.some((value) => value.startsWith('dep:') || value.includes('?/'))
  const into = isNewer ? features2 : features
  into[name] = values
}

function checkFeatureName(name: string): void {
  if (name.length > MAX_NAME || !NAME.test(name))
    throw refused(`${JSON.stringify(name.slice(0, 100))} is not the name of a feature`)
}
