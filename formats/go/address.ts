/** Where a version of a module is: {module}/@v/{version}.{zip, mod or info}, both names escaped. */
import { RegistryError } from '../../protocol/errors.js'
import { escapeCase, unescapeCase } from './escape.js'
import { faultOfMajor, faultOfModule } from './path.js'
import { faultOfPseudo, parseVersion, type Version } from './version.js'

/** A module's path inside a route. */
export const MODULE = /[^@]+/

/** A place in a module as it was asked for, unchecked. */
export interface Asked {
  module: string
  /** A version, or anything that somebody takes for one. */
  version: string
  kind: 'zip' | 'mod' | 'info'
}

/** undefined: no module has such a path. */
export function asked(module: string, file: string): Asked | undefined {
  const [, escaped = '', kind] = /^(.+)\.(zip|mod|info)$/s.exec(file) ?? []
  const [path, version] = [unescapeCase(module), unescapeCase(escaped)]
  if (path === undefined || version === undefined || !isKind(kind)) return undefined
  return { module: path, version, kind }
}

/** Path of a file in the repository. */
export function pathOf(module: string, version: string, kind: Asked['kind']): string {
  return `${escapeCase(module)}/@v/${escapeCase(version)}.${kind}`
}

/** Throws `invalid` unless there may be such a version of such a module. */
export function checkPublishable({ module, version: text }: Asked): Version {
  const fault = faultOfModule(module)
  if (fault !== undefined) throw invalid(`The module path ${JSON.stringify(module.slice(0, 200))} ${fault}`)
  const version = parseVersion(text)
  if (!version) throw invalid(`${JSON.stringify(text.slice(0, 100))} is not a version as Go writes it, such as v1.2.3`)
  const wrong = faultOfMajor(module, version) ?? faultOfPseudo(version)
  if (wrong !== undefined) throw invalid(`${module} cannot have the version ${text}: ${wrong}`)
  if (pathOf(module, text, 'info').length > MAX_PATH) throw invalid(`The path is longer than ${MAX_PATH} bytes`)
  return version
}

/** Bytes. Longer keys do not fit into a database index. */
const MAX_PATH = 1024

function isKind(kind: string | undefined): kind is Asked['kind'] {
  return kind === 'zip' || kind === 'mod' || kind === 'info'
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'invalid_version' })
}
