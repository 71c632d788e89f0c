/** Keys, metadata and messages of a SAML identity provider that says whatever it is told to, and signs it as it is told to. */
import { randomBytes, webcrypto } from 'node:crypto'
import { signXml } from '@node-saml/node-saml/lib/xml.js'

export interface SamlKeys {
  /** PEM, both. */
  key: string
  certificate: string
}

export async function samlKeys(modulusLength = 2048): Promise<SamlKeys> {
  // x509's own dependency injection asks for it.
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength,
    publicExponent: new Uint8Array([1, 0, 1]),
  }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const made = await x509.X509CertificateGenerator.createSelfSigned(
    { name: 'CN=idp', notAfter: new Date(Date.now() + 86_400_000), signingAlgorithm: algorithm, keys },
    webcrypto as Parameters<typeof x509.X509CertificateGenerator.createSelfSigned>[1],
  )
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  return { key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'), certificate: made.toString('pem') }
}

/** An identity provider's, with log-ins at `{url}/sso` and log-outs at `{url}/slo`. */
export function idpMetadata(entityId: string, url: string, certificates: readonly string[]): string {
  const redirect = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect'
  const keys = certificates.map(
    (pem) =>
      `<KeyDescriptor use="signing"><d:KeyInfo xmlns:d="http://www.w3.org/2000/09/xmldsig#"><d:X509Data><d:X509Certificate>${bare(pem)}</d:X509Certificate></d:X509Data></d:KeyInfo></KeyDescriptor>`,
  )
  return `<?xml version="1.0"?><!-- as made --><EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${entityId}"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">${keys.join('')}<SingleLogoutService Binding="${redirect}" Location="${url}/slo"/><SingleSignOnService Binding="${redirect}" Location="${url}/sso"/></IDPSSODescriptor></EntityDescriptor>`
}

export function bare(pem: string): string {
  return pem.replace(/-----[A-Z ]+-----|\s/g, '')
}

export interface Saying {
  issuer: string
  /** '' leaves it out, as with the others. */
  responseIssuer?: string
  destination: string
  recipient?: string
  audience: string
  inResponseTo: string
  subjectInResponseTo?: string
  nameId: string
  nameIdFormat?: string
  sessionIndex?: string
  /** By name, or by name and friendly name. */
  attributes?: Record<string, string[]>
  friendly?: Record<string, string>
  status?: string
  issuedMs?: number
  lifetimeMs?: number
  id?: string
}

/** Unsigned. */
export function responseOf(saying: Saying): string {
  const { destination, inResponseTo, responseIssuer = saying.issuer, status = 'Success' } = saying
  const issued = new Date(saying.issuedMs ?? Date.now()).toISOString()
  return `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:xs="http://www.w3.org/2001/XMLSchema" ID="${newId()}" Version="2.0" IssueInstant="${issued}"${attribute('Destination', destination)}${attribute('InResponseTo', inResponseTo)}>${responseIssuer && `<saml:Issuer>${responseIssuer}</saml:Issuer>`}<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:${status}"/></samlp:Status>${assertionOf(saying)}</samlp:Response>`
}

export function assertionOf(saying: Saying): string {
  const {
    issuer,
    audience,
    nameId,
    nameIdFormat = 'persistent',
    sessionIndex = '',
    attributes = {},
    friendly = {},
  } = saying
  const { recipient = saying.destination, subjectInResponseTo = saying.inResponseTo, id = newId() } = saying
  const issuedMs = saying.issuedMs ?? Date.now()
  const [issued, ends] = [issuedMs, issuedMs + (saying.lifetimeMs ?? 300_000)].map((ms) => new Date(ms).toISOString())
  const said = Object.entries(attributes).map(
    ([name, values]) =>
      `<saml:Attribute Name="${name}"${attribute('FriendlyName', friendly[name] ?? '')}>${values.map((value) => `<saml:AttributeValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">${value}</saml:AttributeValue>`).join('')}</saml:Attribute>`,
  )
  const format = `urn:oasis:names:tc:SAML:2.0:nameid-format:${nameIdFormat}`
  return `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:xs="http://www.w3.org/2001/XMLSchema" ID="${id}" Version="2.0" IssueInstant="${issued}"><saml:Issuer>${issuer}</saml:Issuer><saml:Subject><saml:NameID Format="${format}">${nameId}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="${ends}"${attribute('Recipient', recipient)}${attribute('InResponseTo', subjectInResponseTo)}/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="${issued}" NotOnOrAfter="${ends}">${audience && `<saml:AudienceRestriction><saml:Audience>${audience}</saml:Audience></saml:AudienceRestriction>`}</saml:Conditions><saml:AuthnStatement AuthnInstant="${issued}"${attribute('SessionIndex', sessionIndex)}><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>${said.length > 0 ? `<saml:AttributeStatement>${said.join('')}</saml:AttributeStatement>` : ''}</saml:Assertion>`
}

export function logoutRequestOf(saying: {
  issuer: string
  destination: string
  nameId: string
  sessionIndex?: string
}): string {
  const { issuer, destination, nameId, sessionIndex = '' } = saying
  const issued = new Date().toISOString()
  return `<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="${newId()}" Version="2.0" IssueInstant="${issued}"${attribute('Destination', destination)}><saml:Issuer>${issuer}</saml:Issuer><saml:NameID>${nameId}</saml:NameID>${sessionIndex && `<samlp:SessionIndex>${sessionIndex}</samlp:SessionIndex>`}</samlp:LogoutRequest>`
}

export interface Signing {
  algorithm?: 'sha1' | 'sha256' | 'sha512'
  digest?: string
}

/** With an enveloped signature of the first element of this name. */
export function signed(xml: string, name: string, { key, certificate }: SamlKeys, how: Signing = {}): string {
  const path = `//*[local-name(.)='${name}']`
  const { algorithm = 'sha256', digest = algorithm } = how
  return signXml(
    xml,
    path,
    { reference: `${path}/*[local-name(.)='Issuer']`, action: 'after' },
    { privateKey: key, publicCert: certificate, signatureAlgorithm: algorithm, digestAlgorithm: digest },
  )
}

/** The first element of this name, as it stands there. */
export function cut(xml: string, name: string): string {
  return new RegExp(`<(\\w+:)?${name}[ >].*?</(\\w+:)?${name}>`, 's').exec(xml)?.[0] ?? ''
}

export function newId(): string {
  return `_${randomBytes(16).toString('hex')}`
}

function attribute(name: string, value: string): string {
  return value && ` ${name}="${value}"`
}
