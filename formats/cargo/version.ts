/** Versions. Build metadata does not tell them apart, so records carry them without it: 1.0.0+a and 1.0.0+b are one version. */
import semver from 'semver'
import { RegistryError } from '../../protocol/errors.js'

const MAX_VERSION = 150

/** Throws `invalid` unless it is a semantic version in its one canonical spelling. */
export function checkVersion(version: string): void {
  const parsed = version.length > MAX_VERSION ? null : semver.parse(version)
  const spelled = parsed && [parsed.version, ...(parsed.build.length > 0 ? [parsed.build.join('.')] : [])].join('+')
  if (spelled !== version)
    throw new RegistryError('invalid', `${JSON.stringify(version.slice(0, MAX_VERSION))} is not a semantic version`)
}

/** The version in records. */
export function keyOf(version: string): string {
  const plus = version.indexOf('+')
  return plus < 0 ? version : version.slice(0, plus)
}

/** Stable versions before prereleases. */
export function isNewer(version: string, than: string): boolean {
  const [a, b] = [isStable(version), isStable(than)]
  return a === b ? semver.compare(version, than) > 0 : a
}

export function isStable(version: string): boolean {
  return !keyOf(version).includes('-')
}
