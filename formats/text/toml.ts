/**
 * Finds the texts in a TOML 1.0 document: values that are strings, by the path of tables and keys that leads to them. Every
 * other value is read past, so that nothing inside a text or a list is taken for a key. Entries of lists and of inline tables
 * are not reported. It is no validator: it refuses what it cannot follow, and lets other mistakes pass.
 */
import { RegistryError } from '../../protocol/errors.js'

type Found = (path: readonly string[], text: string) => void

/** Throws `invalid` (with `what` as its subject), and what `found` throws. */
export function scanToml(source: string, what: string, found: Found): void {
  new Scanner(source, what, found).run()
}

const MAX_DEPTH = 100
const BLANK = /[ \t]*/y
const BLANK_LINES = /(?:[ \t\r\n]|#[^\n]*)*/y
const BARE_KEY = /[A-Za-z0-9_-]+/y
/** Numbers, truth values and times; a time may have a blank in its middle. */
const BARE_VALUE = /[A-Za-z0-9_+.:-]+(?: \d[0-9:.Z+-]*)?/y
const LINE_END = /[ \t]*(?:#[^\n]*)?(?:\r?\n|$)/y
const ESCAPE = /\\(?:([btnfre"\\])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|[ \t]*\r?\n[ \t\r\n]*)/y
const ESCAPED: Readonly<Record<string, string>> = { b: '\b', t: '\t', n: '\n', f: '\f', r: '\r', e: '\x1b' }

class Scanner {
  readonly #source: string
  readonly #what: string
  readonly #found: Found
  #at = 0
  /** undefined: an entry of a list of tables. */
  #table: string[] | undefined = []

  constructor(source: string, what: string, found: Found) {
    this.#source = source
    this.#what = what
    this.#found = found
  }

  run(): void {
    for (this.#match(BLANK_LINES); this.#at < this.#source.length; this.#match(BLANK_LINES)) {
      if (this.#peek() === '[') this.#header()
      else this.#pair()
      if (this.#match(LINE_END) === undefined) throw this.#broken('a line goes on where it should end')
    }
  }

  #header(): void {
    const isList = this.#take('[[')
    if (!isList) this.#expect('[')
    const path = this.#path()
    this.#expect(isList ? ']]' : ']')
    this.#table = isList ? undefined : path
  }

  #pair(): void {
    const path = this.#path()
    this.#expect('=')
    this.#match(BLANK)
    const text = this.#value(0)
    if (text !== undefined && this.#table) this.#found([...this.#table, ...path], text)
  }

  #path(): string[] {
    const path: string[] = []
    do {
      this.#match(BLANK)
      path.push(this.#key())
      this.#match(BLANK)
    } while (this.#take('.'))
    return path
  }

  #key(): string {
    const quote = this.#peek()
    if (quote === '"' || quote === "'") return this.#line(quote)
    const key = this.#match(BARE_KEY)
    if (key === undefined) throw this.#broken('a key is missing')
    return key
  }

  /** undefined: not a text. */
  #value(depth: number): string | undefined {
    if (depth > MAX_DEPTH) throw this.#broken('values lie too deep')
    const first = this.#peek()
    if (first === '"' || first === "'") return this.#take(first.repeat(3)) ? this.#block(first) : this.#line(first)
    if (first === '[') this.#list(depth + 1)
    else if (first === '{') this.#inline(depth + 1)
    else if (this.#match(BARE_VALUE) === undefined) throw this.#broken('a value is missing')
    return undefined
  }

  #list(depth: number): void {
    this.#expect('[')
    for (;;) {
      this.#match(BLANK_LINES)
      if (this.#take(']')) return
      this.#value(depth)
      this.#match(BLANK_LINES)
      if (!this.#take(',') && this.#peek() !== ']') throw this.#broken('a list is not closed')
    }
  }

  #inline(depth: number): void {
    this.#expect('{')
    for (;;) {
      this.#match(BLANK_LINES)
      if (this.#take('}')) return
      this.#path()
      this.#expect('=')
      this.#match(BLANK)
      this.#value(depth)
      this.#match(BLANK_LINES)
      if (!this.#take(',') && this.#peek() !== '}') throw this.#broken('an inline table is not closed')
    }
  }

  /** A text on one line; it stands on the opening quote. */
  #line(quote: string): string {
    this.#expect(quote)
    const text = this.#until(quote, (character) => character === quote || character === '\n')
    if (!this.#take(quote)) throw this.#broken('a text is not closed on its line')
    return text
  }

  /** A text over several lines; it stands behind the opening quotes. */
  #block(quote: string): string {
    this.#match(/\r?\n/y)
    const end = quote.repeat(3)
    const text = this.#until(quote, () => this.#source.startsWith(end, this.#at))
    this.#at += end.length
    // Up to two quotes may stand before the closing ones.
    let extra = ''
    while (extra.length < 2 && this.#take(quote)) extra += quote
    return text + extra
  }

  #until(quote: string, ends: (character: string) => boolean): string {
    const parts: string[] = []
    let from = this.#at
    for (; ; this.#at++) {
      const character = this.#peek()
      if (character === '') throw this.#broken('a text is not closed')
      if (ends(character)) return parts.join('') + this.#source.slice(from, this.#at)
      if (quote === '"' && character === '\\') {
        parts.push(this.#source.slice(from, this.#at), this.#escape())
        from = this.#at
        this.#at--
      }
    }
  }

  #escape(): string {
    ESCAPE.lastIndex = this.#at
    const found = ESCAPE.exec(this.#source)
    if (!found) throw this.#broken('a text holds an unknown escape')
    this.#at = ESCAPE.lastIndex
    const [, short, ...hex] = found
    if (short !== undefined) return ESCAPED[short] ?? short
    const digits = hex.find((one) => one !== undefined)
    if (digits === undefined) return ''
    const point = Number.parseInt(digits, 16)
    if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) throw this.#broken('a text holds an impossible escape')
    return String.fromCodePoint(point)
  }

  #peek(): string {
    return this.#source.charAt(this.#at)
  }

  #take(text: string): boolean {
    const is = this.#source.startsWith(text, this.#at)
    if (is) this.#at += text.length
    return is
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw this.#broken(`${JSON.stringify(text)} is missing`)
  }

  #match(expression: RegExp): string | undefined {
    expression.lastIndex = this.#at
    const found = expression.exec(this.#source)?.[0]
    this.#at += found?.length ?? 0
    return found
  }

  #broken(how: string): RegistryError {
    let line = 1
    for (let i = this.#source.indexOf('\n'); i >= 0 && i < this.#at; i = this.#source.indexOf('\n', i + 1)) line++
    return new RegistryError('invalid', `${this.#what} is not TOML: in line ${line} ${how}`, { code: 'invalid_toml' })
  }
}
