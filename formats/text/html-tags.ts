/**
 * Tags of an HTML page from outside, with their attributes, as lenient as browsers are about the rest. One pass, whatever the page:
 * what is not closed ends it.
 */

export interface HtmlTag {
  /** In lower case, like the names of the attributes, of which the first of several counts. */
  name: string
  attributes: ReadonlyMap<string, string>
}

/** Start tags of these names, in order. Comments, scripts and styles hold none. */
export function* htmlTags(page: string, names: ReadonlySet<string>): Generator<HtmlTag, void, undefined> {
  for (let at = page.indexOf('<'); at >= 0; at = page.indexOf('<', at)) {
    if (page.startsWith('<!--', at)) {
      at = after(page, '-->', at + 4)
      continue
    }
    START.lastIndex = at
    const name = START.exec(page)?.[1]?.toLowerCase()
    if (name === undefined) at++
    else if (name === 'script' || name === 'style') at = closed(page, name, START.lastIndex)
    else if (names.has(name)) {
      const reader = new AttributeReader(page, START.lastIndex)
      const attributes = reader.read()
      if (!attributes) return
      yield { name, attributes }
      at = reader.at
    } else at = START.lastIndex
  }
}

const START = /<([A-Za-z][A-Za-z0-9]*)(?=[\s/>])/y
const NAME = /[^\s/>=]+/y
const UNQUOTED = /[^\s>]*/y
const BETWEEN = /[\s/]*/y
const EQUALS = /\s*=\s*/y

class AttributeReader {
  at: number
  readonly #page: string

  constructor(page: string, at: number) {
    this.#page = page
    this.at = at
  }

  /** undefined: the tag has no end. */
  read(): Map<string, string> | undefined {
    const attributes = new Map<string, string>()
    while (this.at < this.#page.length) {
      this.#take(BETWEEN)
      if (this.#page[this.at] === '>') return attributes
      const name = this.#take(NAME)
      if (name === '') this.at++
      const value = this.#take(EQUALS) === '' ? '' : this.#value()
      if (value === undefined) return undefined
      const lower = name.toLowerCase()
      if (lower !== '' && !attributes.has(lower)) attributes.set(lower, unescaped(value))
    }
    return undefined
  }

  #value(): string | undefined {
    const quote = this.#page[this.at]
    if (quote !== '"' && quote !== "'") return this.#take(UNQUOTED)
    const end = this.#page.indexOf(quote, this.at + 1)
    if (end < 0) return undefined
    const value = this.#page.slice(this.at + 1, end)
    this.at = end + 1
    return value
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.at
    const taken = pattern.exec(this.#page)?.[0] ?? ''
    this.at += taken.length
    return taken
  }
}

/** At the end tag, in any case. */
function closed(page: string, name: 'script' | 'style', from: number): number {
  const end = name === 'script' ? /<\/script/gi : /<\/style/gi
  end.lastIndex = from
  return end.exec(page)?.index ?? page.length
}

/** Behind the next such text; the end of the page where there is none. */
function after(page: string, text: string, from: number): number {
  const at = page.indexOf(text, from)
  return at < 0 ? page.length : at + text.length
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' }

/** References by number, and those by name that pages escape values with; others stand for themselves. */
function unescaped(value: string): string {
  return value.replace(/&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-z]{2,4}));/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return NAMED[name] ?? whole
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal)
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}
