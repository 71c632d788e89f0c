/**
 * Versions of Go modules (golang.org/x/mod/semver and module): 'v1.2.3', 'v1.2.3-pre', 'v2.0.0+incompatible', and pseudo-versions,
 * which name a commit: 'v0.0.0-20260102150405-abcdef123456'.
 */
export interface Version {
  text: string
  /** Without leading zeros, so that any length can be compared. */
  core: [major: string, minor: string, patch: string]
  /** Without '-'; '' for a release. */
  prerelease: string
  isIncompatible: boolean
}

/** undefined unless it is a version in its one canonical spelling: with all three numbers, and no build but +incompatible. */
export function parseVersion(text: string): Version | undefined {
  const match = VERSION.exec(text)
  if (!match) return undefined
  const [, major = '', minor = '', patch = '', prerelease = '', incompatible] = match
  if (prerelease.split('.').some((part) => /^0\d+$/.test(part))) return undefined
  return { text, core: [major, minor, patch], prerelease, isIncompatible: incompatible !== undefined }
}

export function majorOf({ core }: Version): string {
  return `v${core[0]}`
}

/** In the order of semantic versions; equal ones (+incompatible beside none) by their text. */
export function compareVersions(a: Version, b: Version): number {
  for (const i of [0, 1, 2] as const) {
    const order = compareNumbers(a.core[i], b.core[i])
    if (order !== 0) return order
  }
  return comparePrereleases(a.prerelease, b.prerelease) || compareBytes(a.text, b.text)
}

/** As people write them in rules: without a 'v', or with fewer than three numbers. undefined: one of them is no version. */
export function compareTexts(a: string, b: string): number | undefined {
  const [one, other] = [parseVersion(whole(a)), parseVersion(whole(b))]
  return one && other && compareVersions(one, other)
}

export interface Pseudo {
  /** 'yyyymmddhhmmss', of the commit. */
  time: string
  revision: string
}

export function pseudoOf({ text }: Version): Pseudo | undefined {
  const match = PSEUDO.exec(text)
  return match?.[1] === undefined || match[2] === undefined ? undefined : { time: match[1], revision: match[2] }
}

/** When the commit that a pseudo-version names was made, ISO 8601; undefined: it is none. */
export function pseudoTime(version: Version): string | undefined {
  const iso = isoOf(pseudoOf(version)?.time ?? '')
  return isTime(iso) ? iso : undefined
}

/** What is wrong with a version that has a pseudo-version's form; undefined: nothing. */
export function faultOfPseudo(version: Version): string | undefined {
  const pseudo = pseudoOf(version)
  if (!pseudo) return undefined
  if (!isTime(isoOf(pseudo.time))) return `${pseudo.time} is not a time`
  const { core, prerelease, isIncompatible } = version
  // v1.2.4-0.time-revision follows v1.2.3, so nothing can be followed by v1.2.0-0.
  if (prerelease.startsWith('0.') && prerelease.split('.').length === 2 && core[2] === '0')
    return 'no version comes before it'
  if (isIncompatible && !prerelease.includes('.')) return 'without a version before it, it cannot be +incompatible'
  return undefined
}

const VERSION = /^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(\+incompatible)?$/
const PSEUDO = /^v\d+\.(?:0\.0-|\d+\.\d+-(?:[^+]*\.)?0\.)(\d{14})-([A-Za-z0-9]+)(?:\+incompatible)?$/

function whole(text: string): string {
  const [, numbers = ''] = /^v?(\d+(?:\.\d+)?)$/.exec(text) ?? []
  if (numbers !== '') return `v${numbers}${numbers.includes('.') ? '' : '.0'}.0`
  return text.startsWith('v') ? text : `v${text}`
}

function isoOf(digits: string): string {
  return digits.replace(/^(....)(..)(..)(..)(..)(..)$/, '$1-$2-$3T$4:$5:$6.000Z')
}

function isTime(iso: string): boolean {
  const time = new Date(iso)
  return !Number.isNaN(time.getTime()) && time.toISOString() === iso
}

/** SemVer 2.0.0 section 11.4: numbers before words, the shorter list before the longer, and any prerelease before the release. */
function comparePrereleases(a: string, b: string): number {
  if (a === b) return 0
  if (a === '' || b === '') return a === '' ? 1 : -1
  const [left, right] = [a.split('.'), b.split('.')]
  for (let i = 0; ; i++) {
    const [one, other] = [left[i], right[i]]
    if (one === undefined || other === undefined) return one === undefined ? -1 : 1
    if (one === other) continue
    const [isNumber, isOtherNumber] = [/^\d+$/.test(one), /^\d+$/.test(other)]
    if (isNumber !== isOtherNumber) return isNumber ? -1 : 1
    return isNumber ? compareNumbers(one, other) : compareBytes(one, other)
  }
}

function compareNumbers(a: string, b: string): number {
  return a.length - b.length || compareBytes(a, b)
}

function compareBytes(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}
