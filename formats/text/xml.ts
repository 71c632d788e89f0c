/**
 * A strict reader for small XML documents from outside: well-formed, without document type or entities of its own, within limits.
 * Namespaces are not resolved; names are as they were written.
 */
import { RegistryError } from '../../protocol/errors.js'

export interface XmlElement {
  name: string
  attributes: ReadonlyMap<string, string>
  children: XmlElement[]
  /** All text directly in it, references resolved. */
  text: string
}

export interface XmlLimits {
  /** And attributes. */
  elements: number
  depth: number
}

/** The document's one element. Throws `invalid`. Whoever calls has limited the bytes. */
export function parseXml(source: Uint8Array, limits: XmlLimits, what = 'The document'): XmlElement {
  return new Reader(decode(source, what), limits, what).document()
}

/** The only child of that name; undefined when there is none. Throws `invalid` when there are several. */
export function child(element: XmlElement | undefined, name: string): XmlElement | undefined {
  const found = element?.children.filter((one) => one.name === name) ?? []
  if (found.length > 1) throw new RegistryError('invalid', `<${name}> stands there more than once`, { code: CODE })
  return found[0]
}

/** The trimmed text of the only child of that name; undefined when there is none or it is empty. */
export function childText(element: XmlElement | undefined, name: string): string | undefined {
  return child(element, name)?.text.trim() || undefined
}

export function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

const CODE = 'invalid_xml'
const NAME = '[A-Za-z_:\\u00c0-\\ufffd][\\w:.\\-\\u00b7-\\ufffd]*'
const START = new RegExp(`<(${NAME})`, 'y')
const ATTRIBUTE = new RegExp(`\\s+(${NAME})\\s*=\\s*(?:"([^"<]*)"|'([^'<]*)')`, 'y')
const START_END = /\s*(\/?)>/y
const END = new RegExp(`</(${NAME})\\s*>`, 'y')
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const FORBIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/
const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }
/** Those that documents of the ecosystems really come in. */
const ENCODINGS = new Set(['utf-8', 'us-ascii', 'iso-8859-1', 'iso-8859-15', 'windows-1252', 'utf-16'])

function decode(source: Uint8Array, what: string): string {
  const bytes = Buffer.from(source.buffer, source.byteOffset, source.byteLength)
  const beginning = bytes.toString('latin1', 0, 256)
  const declared = /^(?:\xef\xbb\xbf)?<\?xml\s[^>]*?\bencoding\s*=\s*["']([A-Za-z0-9._-]+)["']/.exec(beginning)?.[1]
  const marked = beginning.startsWith('\xff\xfe')
    ? 'utf-16le'
    : beginning.startsWith('\xfe\xff')
      ? 'utf-16be'
      : undefined
  const encoding = marked ?? declared?.toLowerCase() ?? 'utf-8'
  if (!marked && !ENCODINGS.has(encoding)) throw broken(what, `is in the encoding ${encoding}; send UTF-8`)
  let text: string
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch (cause) {
    throw broken(what, `holds bytes that are not ${encoding}`, cause)
  }
  if (FORBIDDEN.test(text)) throw broken(what, 'holds control characters')
  return text
}

class Reader {
  readonly #text: string
  readonly #limits: XmlLimits
  readonly #what: string
  #at = 0
  #elements = 0

  constructor(text: string, limits: XmlLimits, what: string) {
    this.#text = text
    this.#limits = limits
    this.#what = what
  }

  document(): XmlElement {
    this.#between()
    const root = this.#open()
    if (!root) throw this.#fail('has no element')
    if (!root.closed) this.#content(root.element)
    this.#between()
    if (this.#at < this.#text.length) throw this.#fail('goes on after its end')
    return root.element
  }

  /** Without recursion, so that no depth can exhaust the stack. */
  #content(root: XmlElement): void {
    const open = [root]
    for (let top: XmlElement | undefined = root; top; top = open.at(-1)) {
      const lt = this.#text.indexOf('<', this.#at)
      if (lt < 0) throw this.#fail(`ends within <${top.name}>`)
      top.text += this.#resolve(this.#text.slice(this.#at, lt))
      this.#at = lt
      if (this.#text.startsWith('<![CDATA[', lt)) top.text += this.#upTo('<![CDATA['.length, ']]>')
      else if (this.#skip()) continue
      else if (this.#text.startsWith('</', lt)) {
        const name = this.#match(END)?.[1]
        if (name !== top.name) throw this.#fail(`has <${top.name}> without its end`)
        open.pop()
      } else {
        const started = this.#open()
        if (!started) throw this.#fail('holds a "<" that begins nothing')
        top.children.push(started.element)
        if (!started.closed) open.push(started.element)
        if (open.length > this.#limits.depth) throw this.#fail(`is nested deeper than ${this.#limits.depth} elements`)
      }
    }
  }

  #open(): { element: XmlElement; closed: boolean } | undefined {
    const name = this.#match(START)?.[1]
    if (name === undefined) return undefined
    this.#count()
    const attributes = new Map<string, string>()
    for (let found = this.#match(ATTRIBUTE); found; found = this.#match(ATTRIBUTE)) {
      const [, attribute = '', double, single = ''] = found
      this.#count()
      if (attributes.has(attribute)) throw this.#fail(`names the attribute ${attribute} twice`)
      attributes.set(attribute, this.#resolve(double ?? single))
    }
    const end = this.#match(START_END)
    if (!end) throw this.#fail(`has a broken <${name}>`)
    return { element: { name, attributes, children: [], text: '' }, closed: end[1] === '/' }
  }

  /** White space, comments and instructions, where nothing else may stand. */
  #between(): void {
    do this.#match(/\s*/y)
    while (this.#skip())
  }

  #skip(): boolean {
    if (this.#text.startsWith('<!--', this.#at)) {
      if (this.#upTo(4, '-->').includes('--')) throw this.#fail('has "--" in a comment')
      return true
    }
    if (this.#text.startsWith('<?', this.#at)) {
      this.#upTo(2, '?>')
      return true
    }
    if (this.#text.startsWith('<!', this.#at) && !this.#text.startsWith('<![CDATA[', this.#at))
      throw this.#fail('has a document type, which is not accepted')
    return false
  }

  #upTo(skipped: number, end: string): string {
    const from = this.#at + skipped
    const to = this.#text.indexOf(end, from)
    if (to < 0) throw this.#fail(`has no ${end} where one is needed`)
    this.#at = to + end.length
    return this.#text.slice(from, to)
  }

  #match(expression: RegExp): RegExpExecArray | null {
    expression.lastIndex = this.#at
    const found = expression.exec(this.#text)
    if (found) this.#at = expression.lastIndex
    return found
  }

  #resolve(text: string): string {
    if (!text.includes('&')) return text
    return text.replace(/&(?:#(\d{1,7});|#x([0-9a-fA-F]{1,6});|([a-z]+);)?/g, (whole, decimal, hex, name) => {
      const code = decimal !== undefined ? Number(decimal) : hex !== undefined ? Number.parseInt(hex, 16) : undefined
      const found = code === undefined ? (Object.hasOwn(NAMED, name ?? '') ? NAMED[name] : undefined) : character(code)
      if (found === undefined) throw this.#fail(`refers to ${whole}, which XML does not define`)
      return found
    })
  }

  #count(): void {
    if (++this.#elements > this.#limits.elements) throw this.#fail(`has more than ${this.#limits.elements} elements`)
  }

  #fail(sentence: string): RegistryError {
    return broken(this.#what, sentence)
  }
}

function character(code: number): string | undefined {
  const isText = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
  const text = isText ? String.fromCodePoint(code) : undefined
  return text !== undefined && !FORBIDDEN.test(text) ? text : undefined
}

function broken(what: string, sentence: string, cause?: unknown): RegistryError {
  return new RegistryError('invalid', `${what} ${sentence}`, { code: CODE, cause })
}
