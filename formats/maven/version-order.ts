/**
 * Maven's order of versions, as the "Version Order Specification" of its POM reference describes it and Maven 3.9 computes it:
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

/** A number; a qualifier; a qualifier with a number right behind it ("rc1", "rc-1"); what stands behind a hyphen. */
type Item =
  | { kind: 'number'; value: bigint }
  | { kind: 'word'; value: string }
  | { kind: 'numbered'; word: string; number: bigint }
  | List
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

function parse(version: string): List {
  const parser = new Parser()
  for (const [token] of version.toLowerCase().matchAll(/[.-]|[0-9]+|[^.\-0-9]+/g)) parser.take(token)
  return parser.end()
}

/** Items go into the newest list; a list once begun is the last item of the one before. */
class Parser {
  readonly #lists: List[] = [list()]
  /** A number or word that waits for what follows it. */
  #number: string | undefined
  #word: string | undefined
  /** A hyphen stands behind the word: if a number follows, both are one item. */
  #hyphen = false

  take(token: string): void {
    if (token === '.') this.#separate(false)
    else if (token === '-') this.#dash()
    else if (/[0-9]/.test(token)) this.#takeNumber(token)
    else this.#takeWord(token)
  }

  end(): List {
    if (this.#hyphen) this.#separate(true)
    if (this.#word !== undefined && this.#number === undefined) this.#beginUnlessEmpty()
    if (this.#word !== undefined || this.#number !== undefined) this.#flush()
    for (const each of [...this.#lists].reverse()) normalise(each)
    return this.#lists[0] ?? list()
  }

  #dash(): void {
    if (this.#hyphen) {
      this.#separate(true)
      this.#separate(true)
    } else if (this.#word !== undefined && this.#number === undefined) this.#hyphen = true
    else this.#separate(true)
  }

  #takeNumber(token: string): void {
    if (this.#word !== undefined) this.#beginUnlessEmpty()
    this.#hyphen = false
    this.#number = token
  }

  #takeWord(token: string): void {
    if (this.#hyphen) this.#separate(true)
    if (this.#number !== undefined) {
      this.#flush()
      this.#begin()
    }
    this.#word = token
  }

  #separate(begins: boolean): void {
    if (this.#hyphen && !begins) {
      this.#hyphen = false
      this.#separate(true)
    }
    this.#hyphen = false
    if (this.#word === undefined && this.#number === undefined) this.#add({ kind: 'number', value: 0n })
    else this.#flush()
    if (begins) this.#beginUnlessEmpty()
  }

  #flush(): void {
    const [word, number] = [this.#word, this.#number]
    this.#word = this.#number = undefined
    if (word !== undefined && number !== undefined)
      this.#add({ kind: 'numbered', word: SHORT[word] ?? word, number: BigInt(number) })
    else if (number !== undefined) this.#add({ kind: 'number', value: BigInt(number) })
    else this.#add({ kind: 'word', value: word ?? '' })
  }

  #add(item: Item): void {
    this.#lists.at(-1)?.items.push(item)
  }

  #beginUnlessEmpty(): void {
    if (this.#lists.at(-1)?.items.length !== 0) this.#begin()
  }

  #begin(): void {
    const begun = list()
    this.#add(begun)
    this.#lists.push(begun)
  }
}

function list(): List {
  return { kind: 'list', items: [] }
}

/** Zeros at the end, and before a qualifier, say nothing: 1.0.0 is 1, and 1.0-rc is 1-rc. */
function normalise({ items }: List): void {
  for (let i = items.length - 1; i >= 0; i--) {
    const [item, next] = [items[i], items[i + 1]]
    if (!item || !isNothing(item)) continue
    const inner = next?.kind === 'list' ? next.items[0] : undefined
    if (!next || next.kind === 'word' || inner?.kind === 'word' || inner?.kind === 'numbered') items.splice(i, 1)
  }
}

function isNothing(item: Item): boolean {
  if (item.kind === 'number') return item.value === 0n
  if (item.kind === 'word') return item.value === ''
  return item.kind === 'list' && item.items.length === 0
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
  if (rank(one) !== rank(other)) return rank(one) - rank(other)
  return compareWords(wordOf(one), wordOf(other)) || compareNumbered(one, other)
}

function compareWithNothing(item: Item): number {
  if (item.kind === 'number') return item.value === 0n ? 0 : 1
  if (item.kind !== 'list') return compareWords(wordOf(item), '')
  for (const each of item.items) {
    const result = compareWithNothing(each)
    if (result !== 0) return result
  }
  return 0
}

/** 1-sp < 1-1 < 1.1 */
function rank({ kind }: Item): number {
  return kind === 'number' ? 2 : kind === 'list' ? 1 : 0
}

function wordOf(item: Item): string {
  return item.kind === 'word' ? item.value : item.kind === 'numbered' ? item.word : ''
}

/** "rc" < "rc1" < "rc2" */
function compareNumbered(one: Item, other: Item): number {
  const [a, b] = [one, other].map((item) => (item.kind === 'numbered' ? item.number : -1n))
  return a === undefined || b === undefined ? 0 : Number(a > b) - Number(a < b)
}

function compareWords(one: string, other: string): number {
  const [a, b] = [place(one), place(other)]
  if (a !== b || a !== UNKNOWN) return a - b
  return one < other ? -1 : one > other ? 1 : 0
}

function place(word: string): number {
  return Object.hasOwn(QUALIFIERS, word) ? (QUALIFIERS[word] ?? UNKNOWN) : UNKNOWN
}
