/**
 * XML of others. What no message of SAML needs (DOCTYPE, entities, CDATA, comments, processing instructions) is refused before any
 * parser sees it, and so is what is large or deep. The parser is the one with which signatures are checked.
 */
import { parseDomFromString } from '@node-saml/node-saml/lib/xml.js'

/** As much of the DOM as is needed here. */
export interface XmlElement {
  readonly localName: string
  readonly namespaceURI: string | null
  readonly textContent: string
  readonly parentNode: XmlElement
  readonly childNodes: ArrayLike<XmlElement & { readonly nodeType: number }>
  readonly attributes: ArrayLike<{ readonly localName: string; readonly value: string }>
  /** '' where there is none. */
  getAttribute(name: string): string
  toString(): string
}

export const ASSERTION = 'urn:oasis:names:tc:SAML:2.0:assertion'
export const PROTOCOL = 'urn:oasis:names:tc:SAML:2.0:protocol'
export const METADATA = 'urn:oasis:names:tc:SAML:2.0:metadata'
export const DSIG = 'http://www.w3.org/2000/09/xmldsig#'

const MAX_CHARACTERS = 256 * 1024
const MAX_DEPTH = 32
const MAX_ELEMENTS = 5000
const DECLARATION = /^\uFEFF?<\?xml\s[^<>?]{0,200}\?>/
const ELEMENT_NODE = 1

/** The root element. Throws what is wrong. */
export async function parsed(xml: string, maxCharacters = MAX_CHARACTERS): Promise<XmlElement> {
  if (xml.length > maxCharacters) throw new Error(`more than ${maxCharacters} characters`)
  const text = xml.replace(DECLARATION, '')
  measure(text)
  const document = (await parseDomFromString(text)) as { documentElement: XmlElement }
  return document.documentElement
}

/** Of bytes that must be UTF-8, without what precedes the root. */
export function utf8(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes).replace(DECLARATION, '')
}

/** Only the alphabet of RFC 4648 section 4, and white space. */
export function base64(text: string): Buffer {
  const bare = text.replace(/\s/g, '')
  if (bare === '' || !/^[A-Za-z0-9+/]*={0,2}$/.test(bare)) throw new Error('not base64')
  return Buffer.from(bare, 'base64')
}

export function is(element: XmlElement, namespace: string, name: string): boolean {
  return element.namespaceURI === namespace && element.localName === name
}

export function elementsOf(parent: XmlElement): XmlElement[] {
  return Array.from(parent.childNodes).filter(({ nodeType }) => nodeType === ELEMENT_NODE)
}

export function childrenOf(parent: XmlElement, namespace: string, name: string): XmlElement[] {
  return elementsOf(parent).filter((child) => is(child, namespace, name))
}

/** undefined: there is none. Throws where there are several. */
export function childOf(parent: XmlElement, namespace: string, name: string): XmlElement | undefined {
  const [first, ...others] = childrenOf(parent, namespace, name)
  if (others.length > 0) throw new Error(`several ${name} in ${parent.localName}`)
  return first
}

export function onlyChild(parent: XmlElement, namespace: string, name: string): XmlElement {
  const child = childOf(parent, namespace, name)
  if (!child) throw new Error(`no ${name} in ${parent.localName}`)
  return child
}

/** The element and all below it. */
export function* within(element: XmlElement): Generator<XmlElement> {
  yield element
  for (const child of elementsOf(element)) yield* within(child)
}

/** Text with nothing but text in it. */
export function plainText(element: XmlElement): string {
  if (elementsOf(element).length > 0) throw new Error(`more than text in ${element.localName}`)
  return element.textContent
}

/** xs:dateTime with a time zone, in milliseconds since the epoch; undefined for an empty one. */
export function instant(text: string): number | undefined {
  if (text === '') return undefined
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN
  if (Number.isNaN(ms)) throw new Error('not a time')
  return ms
}

function measure(xml: string): void {
  let [depth, elements] = [0, 0]
  for (let at = xml.indexOf('<'); at !== -1; ) {
    const next = xml[at + 1]
    if (next === '!' || next === '?') throw new Error('a DOCTYPE, comment, CDATA or instruction')
    const end = endOfTag(xml, at + 1)
    if (next === '/') depth--
    else {
      if (++elements > MAX_ELEMENTS) throw new Error(`more than ${MAX_ELEMENTS} elements`)
      if (depth >= MAX_DEPTH) throw new Error(`deeper than ${MAX_DEPTH}`)
      if (xml[end - 1] !== '/') depth++
    }
    at = xml.indexOf('<', end)
  }
}

/** Where the tag's `>` is, which may also stand in its attributes. */
function endOfTag(xml: string, from: number): number {
  let quote = ''
  for (let at = from; at < xml.length; at++) {
    const character = xml.charAt(at)
    if (character === '<') break
    if (quote !== '') quote = character === quote ? '' : quote
    else if (character === '"' || character === "'") quote = character
    else if (character === '>') return at
  }
  throw new Error('a tag that does not end')
}
