/**
 * Signatures in XML as SAML wants them (core, section 5.4): one, of the very element that it is in, with algorithms that nobody has
 * broken. What is read afterwards is what was signed, canonical, not the document that it came in.
 */
import { getVerifiedXml } from '@node-saml/node-saml/lib/xml.js'
import {
  ASSERTION,
  childOf,
  DSIG,
  elementsOf,
  is,
  onlyChild,
  PROTOCOL,
  parsed,
  within,
  type XmlElement,
} from './xml.js'

/** By the identifiers of RFC 6931; and what node:crypto calls their hash. */
export const SIGNATURE_HASHES: ReadonlyMap<string, string> = new Map([
  ['http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', 'sha256'],
  ['http://www.w3.org/2001/04/xmldsig-more#rsa-sha512', 'sha512'],
])
const DIGESTS = ['http://www.w3.org/2001/04/xmlenc#sha256', 'http://www.w3.org/2001/04/xmlenc#sha512']
const ENVELOPED = `${DSIG}enveloped-signature`
const EXCLUSIVE = 'http://www.w3.org/2001/10/xml-exc-c14n#'
const CARRIERS = ['Response', 'Assertion', 'EncryptedAssertion']

/** The element's own; undefined: it has none. Throws for one of another shape. */
export function signatureOf(element: XmlElement): XmlElement | undefined {
  const signature = childOf(element, DSIG, 'Signature')
  if (!signature) return undefined
  const info = onlyChild(signature, DSIG, 'SignedInfo')
  const reference = onlyChild(info, DSIG, 'Reference')
  const names = elementsOf(signature).map(({ localName }) => localName)
  if (names.some((name) => !['SignedInfo', 'SignatureValue', 'KeyInfo'].includes(name)))
    throw new Error('a signature with more than a signature')
  if (elementsOf(info).length !== 3) throw new Error('a signature of several things')
  if (algorithmOf(info, 'CanonicalizationMethod') !== EXCLUSIVE) throw new Error('an unusual canonicalization')
  if (!SIGNATURE_HASHES.has(algorithmOf(info, 'SignatureMethod'))) throw new Error('a weak signature method')
  if (!DIGESTS.includes(algorithmOf(reference, 'DigestMethod'))) throw new Error('a weak digest method')
  const id = element.getAttribute('ID')
  if (id === '' || reference.getAttribute('URI') !== `#${id}`) throw new Error('a signature of another element')
  const transforms = elementsOf(onlyChild(reference, DSIG, 'Transforms')).map((one) => one.getAttribute('Algorithm'))
  if (transforms.join(' ') !== `${ENVELOPED} ${EXCLUSIVE}`) throw new Error('unusual transforms')
  return signature
}

/** The element as it was signed. `xml`: the document that it is in. */
export async function verified(xml: string, element: XmlElement, certificates: readonly string[]): Promise<XmlElement> {
  const text = signatureOf(element) && getVerifiedXml(xml, element as never, [...certificates])
  if (!text) throw new Error('no valid signature')
  const signed = await parsed(text)
  const same = is(signed, element.namespaceURI ?? '', element.localName)
  if (!same || signed.getAttribute('ID') !== element.getAttribute('ID')) throw new Error('another element was signed')
  return signed
}

/** A second response or assertion anywhere, or a signature of anything else, has no business in a message. */
export function refuseWrapping(root: XmlElement): void {
  const ids = new Set<string>()
  for (const element of within(root)) {
    for (const { localName, value } of Array.from(element.attributes)) {
      if (localName.toLowerCase() !== 'id') continue
      if (ids.has(value)) throw new Error('an ID that comes twice')
      ids.add(value)
    }
    const isTop = element.parentNode === root && element.localName !== 'Response'
    if (element !== root && CARRIERS.includes(element.localName) && !isTop)
      throw new Error(`a hidden ${element.localName}`)
    if (is(element, DSIG, 'Signature') && !signs(element.parentNode, root))
      throw new Error('a signature of something else')
  }
}

function signs(parent: XmlElement, root: XmlElement): boolean {
  return (
    parent === root ||
    (parent.parentNode === root && is(parent, ASSERTION, 'Assertion') && is(root, PROTOCOL, 'Response'))
  )
}

function algorithmOf(parent: XmlElement, name: string): string {
  return onlyChild(parent, DSIG, name).getAttribute('Algorithm')
}
