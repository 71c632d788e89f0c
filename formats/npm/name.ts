/**
 * Names of packages, tags and versions, and the paths made of them. What can be read is wider than what can be made: packages
 * from before today's rules keep their names.
 */
import { isBuiltin } from 'node:module'
import semver from 'semver'
import { RegistryError } from '../../protocol/errors.js'

/** A package's name inside a route: one segment, or two where the first begins with '@'. Never a word of the registry's own ('-'). */
export const NAME = /@[^/]+\/[^/]+|[^/@-][^/]*/

const MAX_NAME = 214
const MAX_TAG = 128
/** Bytes of a file's name that every client's disk can hold. */
const MAX_FILE = 255
const READABLE = /^(?:@[A-Za-z0-9~'!()*_.-]+\/)?[A-Za-z0-9~'!()*_.-]+$/
const NEW = /^(?:@[a-z0-9_.-]+\/)?[a-z0-9_.-]+$/
/** validate-npm-package-name refuses these, and they would be folders of another meaning. */
const TAKEN = new Set(['node_modules', 'favicon.ico'])

/** Throws `invalid`: can such a package exist at all. */
export function checkName(name: string): void {
  if (name.length > MAX_NAME || !READABLE.test(name))
    throw invalid(`${JSON.stringify(name.slice(0, 100))} is not a package name`)
}

/** Throws `invalid`: may such a package be made today. By the rules of validate-npm-package-name. */
export function checkNewName(name: string): void {
  checkName(name)
  if (!NEW.test(name))
    throw invalid(
      `${name} is not a name for a new package: only lowercase letters, digits, ".", "_" and "-", with a scope or without`,
    )
  const bare = unscoped(name)
  if (/^[._-]/.test(name) || bare.startsWith('.') || name.startsWith('@.'))
    throw invalid(`${name} is not a package name: it begins with ".", "_" or "-"`)
  if (TAKEN.has(name)) throw invalid(`${name} is not a package name`)
  if (isBuiltin(name)) throw invalid(`${name} is a module of Node.js`)
}

/** '@scope/name' → 'name'. */
export function unscoped(name: string): string {
  return name.slice(name.indexOf('/') + 1)
}

/** Throws `invalid` unless it is a version in its one canonical spelling. */
export function checkVersion(version: unknown): asserts version is string {
  if (typeof version !== 'string' || version.length > 256)
    throw invalid('A version is a text of at most 256 characters')
  const canonical = semver.valid(version)
  if (canonical === null) throw invalid(`${JSON.stringify(version)} is not a semantic version`)
  // Build metadata does not tell versions apart, so 1.0.0+a and 1.0.0 would be one version with two tarballs.
  if (canonical !== version) throw invalid(`${JSON.stringify(version)} must be written ${canonical}`)
}

/** Throws `invalid`: a tag that could be taken for a range would make installs ambiguous. */
export function checkTag(tag: string): void {
  if (tag === 'latest') return
  if (tag.length === 0 || tag.length > MAX_TAG || encodeURIComponent(tag) !== tag || tag === '__proto__')
    throw invalid(`${JSON.stringify(tag.slice(0, MAX_TAG))} is not a tag name`)
  if (semver.validRange(tag) !== null) throw invalid(`${tag} is not a tag name: it is a version range`)
}

export function tarballPath(name: string, version: string): string {
  return `${name}/-/${fileName(name, version, 'tgz')}`
}

export function bundlePath(name: string, version: string): string {
  return `${name}/-/${fileName(name, version, 'sigstore')}`
}

/**
 * The version that an attachment or file is named for. npm writes the scope into the name of an attachment, others do not.
 * undefined: it is not named like a file of this package.
 */
export function versionOfFile(name: string, file: string, extension: 'tgz' | 'sigstore'): string | undefined {
  const ending = `.${extension}`
  const beginning = [`${name}-`, `${unscoped(name)}-`].find((one) => file.startsWith(one))
  if (beginning === undefined || !file.endsWith(ending) || file.length <= beginning.length + ending.length)
    return undefined
  return file.slice(beginning.length, -ending.length)
}

/** The newest version, stable ones before prereleases. */
export function highest(versions: Iterable<string>): string | undefined {
  let best: string | undefined
  for (const version of versions) if (best === undefined || isNewer(version, best)) best = version
  return best
}

function isNewer(version: string, than: string): boolean {
  const [a, b] = [semver.prerelease(version) === null, semver.prerelease(than) === null]
  return a === b ? semver.compare(version, than) > 0 : a
}

function fileName(name: string, version: string, extension: string): string {
  const file = `${unscoped(name)}-${version}.${extension}`
  if (file.length > MAX_FILE) throw invalid(`The file name ${file.slice(0, 60)}… is longer than ${MAX_FILE} bytes`)
  return file
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence)
}
