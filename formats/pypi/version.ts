/** Versions as PEP 440 has them: one spelling for each, and their order. Numbers may be longer than a double can hold. */

export interface Version {
  /** Decimal digits without leading zeros, like every number here. */
  epoch: string
  release: string[]
  pre: { letter: 'a' | 'b' | 'rc'; number: string } | undefined
  post: string | undefined
  dev: string | undefined
  local: string[]
}

/** undefined: it is no version. */
export function parseVersion(text: string): Version | undefined {
  if (text.length > MAX_LENGTH) return undefined
  const groups = VERSION.exec(text.trim().toLowerCase())?.groups
  if (!groups) return undefined
  const { epoch, release = '', letter, pre, shortPost, post, postNumber, dev, devNumber, local } = groups
  return {
    epoch: number(epoch),
    release: release.split('.').map(number),
    pre: letter === undefined ? undefined : { letter: LETTERS[letter] ?? 'rc', number: number(pre) },
    post: shortPost !== undefined || post !== undefined ? number(shortPost ?? postNumber) : undefined,
    dev: dev === undefined ? undefined : number(devNumber),
    local: local === undefined ? [] : local.split(/[-_.]/).map((part) => (isNumber(part) ? number(part) : part)),
  }
}

/** The one spelling of a version: '1.0-RC.1' is '1.0rc1'. */
function formatVersion({ epoch, release, pre, post, dev, local }: Version): string {
  return [
    epoch === '0' ? '' : `${epoch}!`,
    release.join('.'),
    pre ? pre.letter + pre.number : '',
    post === undefined ? '' : `.post${post}`,
    dev === undefined ? '' : `.dev${dev}`,
    local.length === 0 ? '' : `+${local.join('.')}`,
  ].join('')
}

/** undefined: it is no version. */
export function normalVersion(text: string): string | undefined {
  const version = parseVersion(text)
  return version && formatVersion(version)
}

export function isPrerelease({ pre, dev }: Version): boolean {
  return pre !== undefined || dev !== undefined
}

/** Negative: `a` comes before `b`. 1.0 and 1.0.0 are equal. */
export function compareVersions(a: Version, b: Version): number {
  return (
    compareNumbers(a.epoch, b.epoch) ||
    compareReleases(a.release, b.release) ||
    comparePre(a, b) ||
    compareOptional(a.post, b.post, -1) ||
    compareOptional(a.dev, b.dev, 1) ||
    compareLocal(a.local, b.local)
  )
}

/** undefined: one of them is no version. */
export function compareTexts(a: string, b: string): number | undefined {
  const [one, other] = [parseVersion(a), parseVersion(b)]
  return one && other && compareVersions(one, other)
}

const MAX_LENGTH = 200
const LETTERS: Readonly<Record<string, 'a' | 'b' | 'rc'>> = { a: 'a', alpha: 'a', b: 'b', beta: 'b' }
const VERSION = new RegExp(
  [
    /^v?(?:(?<epoch>\d+)!)?(?<release>\d+(?:\.\d+)*)/,
    /(?:[-_.]?(?<letter>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?<pre>\d+)?)?/,
    /(?:-(?<shortPost>\d+)|[-_.]?(?<post>post|rev|r)[-_.]?(?<postNumber>\d+)?)?/,
    /(?:[-_.]?(?<dev>dev)[-_.]?(?<devNumber>\d+)?)?/,
    /(?:\+(?<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?$/,
  ]
    .map(({ source }) => source)
    .join(''),
)

function number(digits: string | undefined): string {
  return (digits ?? '0').replace(/^0+(?=\d)/, '')
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text)
}

function compareNumbers(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}

function compareReleases(a: string[], b: string[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const order = compareNumbers(a[i] ?? '0', b[i] ?? '0')
    if (order !== 0) return order
  }
  return 0
}

/** A development release of a final one comes before its prereleases, the final one after them. */
function comparePre(a: Version, b: Version): number {
  const [x, y] = [rank(a), rank(b)]
  return x - y || compareNumbers(a.pre?.number ?? '0', b.pre?.number ?? '0')
}

function rank({ pre, post, dev }: Version): number {
  if (pre) return pre.letter === 'a' ? 1 : pre.letter === 'b' ? 2 : 3
  return post === undefined && dev !== undefined ? 0 : 4
}

/** `absent`: where none stands, before (-1) or after (1) any. */
function compareOptional(a: string | undefined, b: string | undefined, absent: -1 | 1): number {
  if (a !== undefined && b !== undefined) return compareNumbers(a, b)
  return a === b ? 0 : a === undefined ? absent : -absent
}

/** Numbers come after words, more parts after fewer. */
function compareLocal(a: string[], b: string[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [x, y] = [a[i], b[i]]
    if (x === undefined || y === undefined) return x === y ? 0 : x === undefined ? -1 : 1
    const order =
      isNumber(x) && isNumber(y) ? compareNumbers(x, y) : isNumber(x) ? 1 : isNumber(y) ? -1 : compareText(x, y)
    if (order !== 0) return order
  }
  return 0
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
