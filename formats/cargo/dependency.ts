/**
 * A dependency as it is published, turned into what the index says. A renamed one swaps its names: publishing has `name` and
 * `explicit_name_in_toml`, the index has the name in the code as `name` and the crate as `package`.
 */
import { isObject, type JsonObject } from '../text/json.js'
import { checkFeatureValue } from './features.js'
import { flagOf, refused, textOf, textsOf } from './fields.js'

export interface Dependency extends JsonObject {
  name: string
  req: string
  features: string[]
  optional: boolean
  default_features: boolean
  target: string | null
  kind: string
  /** URL of another registry's index; null: this one. */
  registry: string | null
  package?: string
}

/** Throws `invalid`. */
export function parseDependency(sent: unknown): Dependency {
  if (!isObject(sent)) throw refused('A dependency is an object')
  const crate = nameIn(sent, 'name')
  if (crate === undefined) throw refused('A dependency needs a name')
  const alias = nameIn(sent, 'explicit_name_in_toml')
  const features = textsOf(sent, 'features')
  for (const feature of features) checkFeatureValue(feature)
  return {
    name: alias ?? crate,
    req: requirement(sent, crate),
    features,
    optional: flagOf(sent, 'optional', false),
    default_features: flagOf(sent, 'default_features', true),
    target: textOf(sent, 'target') ?? null,
    kind: kindOf(sent),
    registry: textOf(sent, 'registry') ?? null,
    ...(alias === undefined ? {} : { package: crate }),
    ...unstable(sent),
  }
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$/
const KINDS = ['normal', 'build', 'dev']

function nameIn(sent: JsonObject, field: string): string | undefined {
  const name = textOf(sent, field)
  if (name !== undefined && !NAME.test(name)) throw refused(`${JSON.stringify(name.slice(0, 100))} is not a crate name`)
  return name
}

function kindOf(sent: JsonObject): string {
  const kind = textOf(sent, 'kind') ?? 'normal'
  if (!KINDS.includes(kind)) throw refused(`A dependency's "kind" is one of ${KINDS.join(', ')}`)
  return kind
}

/** By the grammar of the semver crate: "^1.2, <1.9", "=1.0.0-rc.1", "1.*". */
function requirement(sent: JsonObject, crate: string): string {
  const req = textOf(sent, 'version_req') ?? '*'
  const isOne = req.trim() === '*' || req.split(',').every((part) => COMPARATOR.test(part.trim()))
  if (!isOne) throw refused(`${JSON.stringify(req.slice(0, 100))}, asked of ${crate}, is not a version requirement`)
  return req
}

const NUMBER = '(?:0|[1-9]\\d{0,19})'
const PART = `(?:${NUMBER}|[*xX])`
const IDENTIFIERS = '[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*'
const COMPARATOR = new RegExp(
  `^(?:[<>]=?|[=^~])?\\s*${NUMBER}(?:\\.${PART}(?:\\.${PART}(?:-${IDENTIFIERS})?(?:\\+${IDENTIFIERS})?)?)?$`,
)

/** Binary dependencies, which only nightly cargo has: carried as they are. */
function unstable(sent: JsonObject): JsonObject {
  const artifact = sent.artifact === undefined || sent.artifact === null ? [] : textsOf(sent, 'artifact')
  if (artifact.length === 0) return {}
  const target = textOf(sent, 'bindep_target')
  return { artifact, ...(target === undefined ? {} : { bindep_target: target }), lib: flagOf(sent, 'lib', false) }
}
