/**
 * Maven's order of versions, as the "Version Order Specification" of its POM reference describes it and Maven 3 computes it:
 * numbers by value, known qualifiers before and after a release, unknown ones in alphabetical order behind them.
 */

/** Negative, zero or positive. Versions that Maven holds for equal ("1" and "1.0") give zero. */
export function compareVersions(one: string, other: string): number {
  return compareLists(parse(one), parse(other))
}

/** For sorting many: each is parsed once. Equal ones keep a fixed order. */
export function sortVersions(versions: Iterable<string>): string[] {
  const parsed = [...versions].map((version) => ({ version, items: parse(version) }))
  parsed.sort((a, b) => compareLists(a.items, b.items) || (a.version < b.version ? -1 : a.version > b.version ? 1 : 0))
  return parsed.map(({ version }) => version)
}

/** A number, a qualifier, or what stands behind a hyphen or where digits and letters meet. */
type Item = { kind: 'number'; value: bigint } | { kind: 'word'; value: string } | List
interface List {
  kind: 'list'
  items: Item[]
}

/** The place of a release among the known qualifiers. */
const RELEASE = 5
const QUALIFIERS: Readonly<Record<string, number>> = {
  alpha: 0,
  beta: 1,
  milestone: 2,
  rc: 3,
  cr: 3,
  snapshot: 4,
  '': RELEASE,
  ga: RELEASE,
  final: RELEASE,
  release: RELEASE,
  sp: 6,
}
const UNKNOWN = 7
/** Only with a number right behind them. */
const SHORT: Readonly<Record<string, string>> = { a: 'alpha', b: 'beta', m: 'milestone' }

/** Items go into the newest list; a list once begun is the last item of the one before. */
function parse(version: string): List {
  const lists: [List, ...List[]] = [{ kind: 'list', items: [] }]
  const newest = (): Item[] => (lists.at(-1) ?? lists[0]).items
  const begin = (): void => {
    const begun: List = { kind: 'list', items: [] }
    newest().push(begun)
    lists.push(begun)
  }
  const tokens = version.toLowerCase().match(/[.-]|[0-9]+|[^.\-0-9]+/g) ?? []
  for (const [i, token] of tokens.entries()) {
    const next = tokens[i + 1]
    if (isSeparator(token)) {
      // Nothing in front of it is a zero: "1..2" is 1.0.2.
      if (i === 0 || isSeparator(tokens[i - 1])) newest().push(ZERO)
      if (token === '-') begin()
    } else if (isNumber(token)) {
      newest().push({ kind: 'number', value: BigInt(token) })
      if (next !== undefined && !isSeparator(next)) begin()
    } else {
      // ".x" at the end and before a digit is "-x".
      const isNumbered = next !== undefined && isNumber(next)
      if ((isNumbered || next === undefined) && newest().length > 0) begin()
      newest().push({
        kind: 'word',
        value: isNumbered && Object.hasOwn(SHORT, token) ? (SHORT[token] ?? token) : token,
      })
      if (isNumbered) begin()
    }
  }
  for (const each of lists.reverse()) normalise(each)
  return lists.at(-1) ?? lists[0]
}

const ZERO: Item = { kind: 'number', value: 0n }

function isSeparator(token: string | undefined): boolean {
  return token === '.' || token === '-'
}

function isNumber(token: string): boolean {
  return /^[0-9]/.test(token)
}

/** Zeros and releases at the end, and before what stands behind a hyphen, say nothing: 1.0.0 is 1, and 1.0-rc is 1-rc. */
function normalise({ items }: List): void {
  for (let i = items.length - 1; i >= 0; i--) {
    const item = items[i]
    if (item && isNothing(item)) items.splice(i, 1)
    else if (item?.kind !== 'list') break
  }
}

function isNothing(item: Item): boolean {
  if (item.kind === 'number') return item.value === 0n
  return item.kind === 'word' ? place(item.value) === RELEASE : item.items.length === 0
}

function compareLists(one: List, other: List): number {
  for (let i = 0; i < Math.max(one.items.length, other.items.length); i++) {
    const [a, b] = [one.items[i], other.items[i]]
    const result = a ? compareItems(a, b) : b ? -compareItems(b, undefined) : 0
    if (result !== 0) return result
  }
  return 0
}

function compareItems(one: Item, other: Item | undefined): number {
  if (!other) return compareWithNothing(one)
  if (one.kind === 'number' && other.kind === 'number')
    return Number(one.value > other.value) - Number(one.value < other.value)
  if (one.kind === 'list' && other.kind === 'list') return compareLists(one, other)
  if (one.kind === 'word' && other.kind === 'word') return compareWords(one.value, other.value)
  return RANK[one.kind] - RANK[other.kind]
}

/** 1-sp < 1-1 < 1.1 */
const RANK: Readonly<Record<Item['kind'], number>> = { word: 0, list: 1, number: 2 }

function compareWithNothing(item: Item): number {
  if (item.kind === 'number') return item.value === 0n ? 0 : 1
  if (item.kind === 'word') return compareWords(item.value, '')
  for (const each of item.items) {
    const result = compareWithNothing(each)
    if (result !== 0) return result
  }
  return 0
}

function compareWords(one: string, other: string): number {
  const [a, b] = [place(one), place(other)]
  if (a !== b || a !== UNKNOWN) return a - b
  return one < other ? -1 : one > other ? 1 : 0
}

function place(word: string): number {
  return Object.hasOwn(QUALIFIERS, word) ? (QUALIFIERS[word] ?? UNKNOWN) : UNKNOWN
}
