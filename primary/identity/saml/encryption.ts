/**
 * Encrypted assertions (XML Encryption 1.1). RSA with PKCS #1 v1.5 is refused, and so is CBC, which tells attackers about the text
 * when they may change it: unless the response around it is signed, so that they may not.
 */
import { decryptXml } from '@node-saml/node-saml/lib/xml.js'
import { is, onlyChild, within, type XmlElement } from './xml.js'

const XMLENC = 'http://www.w3.org/2001/04/xmlenc#'
const XMLENC11 = 'http://www.w3.org/2009/xmlenc11#'
const GCM = [`${XMLENC11}aes128-gcm`, `${XMLENC11}aes256-gcm`]
const CBC = [`${XMLENC}aes128-cbc`, `${XMLENC}aes256-cbc`]
const KEY_TRANSPORT = `${XMLENC}rsa-oaep-mgf1p`

/** `isSigned`: what it is in is what its sender signed. */
export async function decrypted(encrypted: XmlElement, privateKey: string, isSigned: boolean): Promise<string> {
  const data = onlyChild(encrypted, XMLENC, 'EncryptedData')
  const all = [...within(encrypted)]
  const [key, ...others] = all.filter((element) => is(element, XMLENC, 'EncryptedKey'))
  if (!key || others.length > 0 || all.filter(({ localName }) => localName === 'EncryptedData').length !== 1)
    throw new Error('not one thing encrypted with one key')
  // Its address would be put into a query.
  if (all.some(({ localName }) => localName === 'RetrievalMethod')) throw new Error('a key somewhere else')
  const method = methodOf(data)
  if (methodOf(key) !== KEY_TRANSPORT || !(GCM.includes(method) || (isSigned && CBC.includes(method))))
    throw new Error('a weak encryption')
  return decryptXml(encrypted.toString(), privateKey)
}

function methodOf(element: XmlElement): string {
  return onlyChild(element, XMLENC, 'EncryptionMethod').getAttribute('Algorithm')
}
