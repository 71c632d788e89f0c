/**
 * Reads a TOML 1.0 document: its tables, lists and texts. Every other value is read past and left out. It is no validator: it
 * refuses what it cannot follow and keys that are given twice, and lets other mistakes pass.
 */
import { RegistryError } from '../../protocol/errors.js'

export type TomlTable = Map<string, TomlValue>
export type TomlValue = string | TomlValue[] | TomlTable

/** Throws `invalid` (with `what` as its subject). */
export function parseToml(source: string, what: string): TomlTable {
  return new Reader(source, what).run()
}

export function textAt(table: TomlTable, key: string): string | undefined {
  const value = table.get(key)
  return typeof value === 'string' ? value : undefined
}

/** Empty where there is none. */
export function tableAt(table: TomlTable, key: string): TomlTable {
  const value = table.get(key)
  return value instanceof Map ? value : new Map()
}

/** Of a list of tables, or of a list that has tables among its entries. */
export function tablesAt(table: TomlTable, key: string): TomlTable[] {
  const value = table.get(key)
  return Array.isArray(value) ? value.filter((entry) => entry instanceof Map) : []
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

class Reader {
  readonly #source: string
  readonly #what: string
  readonly #root: TomlTable = new Map()
  #at = 0
  #table = this.#root

  constructor(source: string, what: string) {
    this.#source = source
    this.#what = what
  }

  run(): TomlTable {
    for (this.#match(BLANK_LINES); this.#at < this.#source.length; this.#match(BLANK_LINES)) {
      if (this.#peek() === '[') this.#header()
      else this.#pair(this.#table, 0)
      if (this.#match(LINE_END) === undefined) throw this.#broken('a line goes on where it should end')
    }
    return this.#root
  }

  #header(): void {
    const isList = this.#take('[[')
    if (!isList) this.#expect('[')
    const path = this.#path()
    this.#expect(isList ? ']]' : ']')
    this.#table = isList ? this.#entry(path) : this.#within(this.#root, path)
  }

  /** A new one in a list of tables. */
  #entry(path: string[]): TomlTable {
    const parent = this.#within(this.#root, path.slice(0, -1))
    const key = path.at(-1) ?? ''
    const list = parent.get(key) ?? []
    if (!Array.isArray(list)) throw this.#broken(`${key} is no list of tables`)
    const entry: TomlTable = new Map()
    list.push(entry)
    parent.set(key, list)
    return entry
  }

  /** The table that a path leads to; of a list of tables it is the last. */
  #within(from: TomlTable, path: readonly string[]): TomlTable {
    let table = from
    for (const key of path) {
      const known = table.get(key) ?? new Map()
      table.set(key, known)
      const next = Array.isArray(known) ? known.at(-1) : known
      if (!(next instanceof Map)) throw this.#broken(`${key} is no table`)
      table = next
    }
    return table
  }

  #pair(into: TomlTable, depth: number): void {
    const path = this.#path()
    const key = path.at(-1) ?? ''
    this.#expect('=')
    this.#match(BLANK)
    const value = this.#value(depth)
    const table = this.#within(into, path.slice(0, -1))
    if (table.has(key)) throw this.#broken(`${key} is given twice`)
    if (value !== undefined) table.set(key, value)
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

  /** undefined: a number, a truth value or a time. */
  #value(depth: number): TomlValue | undefined {
    if (depth > MAX_DEPTH) throw this.#broken('values lie too deep')
    const first = this.#peek()
    if (first === '"' || first === "'") return this.#take(first.repeat(3)) ? this.#block(first) : this.#line(first)
    if (first === '[') return this.#list(depth + 1)
    if (first === '{') return this.#inline(depth + 1)
    if (this.#match(BARE_VALUE) === undefined) throw this.#broken('a value is missing')
    return undefined
  }

  #list(depth: number): TomlValue[] {
    const list: TomlValue[] = []
    this.#expect('[')
    for (;;) {
      this.#match(BLANK_LINES)
      if (this.#take(']')) return list
      const value = this.#value(depth)
      if (value !== undefined) list.push(value)
      this.#match(BLANK_LINES)
      if (!this.#take(',') && this.#peek() !== ']') throw this.#broken('a list is not closed')
    }
  }

  #inline(depth: number): TomlTable {
    const table: TomlTable = new Map()
    this.#expect('{')
    for (;;) {
      this.#match(BLANK_LINES)
      if (this.#take('}')) return table
      this.#pair(table, depth)
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
