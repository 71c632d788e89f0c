/** The metadata of a publish, parsed: what goes into the index, and what describes the crate to people. */
import { isObject } from '../text/json.js'
import { type Dependency, parseDependency } from './dependency.js'
import { type Features, parseFeatures } from './features.js'
import { listOf, refused, textOf, textsOf } from './fields.js'
import { checkName } from './name.js'
import { checkVersion } from './version.js'

export interface Draft extends Features {
  name: string
  version: string
  dependencies: Dependency[]
  links: string | undefined
  rustVersion: string | undefined
  about: About
}

/** What people are shown of a crate. */
export interface About {
  description: string
  license: string
  homepage: string
  documentation: string
  repository: string
  keywords: string[]
  categories: string[]
}

/** Throws `invalid`. */
export function parseDraft(sent: unknown): Draft {
  if (!isObject(sent)) throw refused('The metadata of a publish is an object')
  const name = textOf(sent, 'name')
  const version = textOf(sent, 'vers')
  if (name === undefined || version === undefined) throw refused('The metadata of a publish needs "name" and "vers"')
  checkName(name)
  checkVersion(version)
  const short = (field: string) => textOf(sent, field) ?? ''
  return {
    name,
    version,
    dependencies: listOf(sent, 'deps').map(parseDependency),
    ...parseFeatures(sent.features),
    links: textOf(sent, 'links'),
    rustVersion: textOf(sent, 'rust_version'),
    about: {
      description: textOf(sent, 'description', MAX_DESCRIPTION) ?? '',
      license: short('license'),
      homepage: short('homepage'),
      documentation: short('documentation'),
      repository: short('repository'),
      keywords: textsOf(sent, 'keywords', MAX_WORDS),
      categories: textsOf(sent, 'categories', MAX_WORDS),
    },
  }
}

const MAX_DESCRIPTION = 10_000
const MAX_WORDS = 100
