/**
 * A response to a log-in (SAML 2.0 profiles, section 4.1.4). Everything that says who it is, for whom and for how long is read from what
 * the provider signed. Throws an Error with the reason, which is for the audit trail and not for whoever sent it.
 */
import { decrypted } from './encryption.js'
import { refuseWrapping, signatureOf, verified } from './signature.js'
import {
  ASSERTION,
  childOf,
  childrenOf,
  elementsOf,
  instant,
  is,
  onlyChild,
  PROTOCOL,
  parsed,
  plainText,
  type XmlElement,
} from './xml.js'

export interface Keys {
  /** PEM: any of them may have signed. */
  certificates: readonly string[]
  /** PEM: opens what is encrypted for us. */
  privateKey: string
}

export interface Opened {
  /** As it was signed, where it was. */
  response: XmlElement
  responseSigned: boolean
  /** As it was signed: by itself, or with the response. */
  assertion: XmlElement
}

export interface Expected {
  /** The identity provider's entityID. */
  issuer: string
  /** Ours. */
  audience: string
  /** Where responses are to be sent. */
  recipient: string
  /** Of the request that this browser is on its way with. */
  requestId: string | undefined
  /** Responses to no request are taken. */
  unsolicited: boolean
  nowMs: number
  skewMs: number
}

export interface NameId {
  value: string
  format: string
  nameQualifier: string
  spNameQualifier: string
}

export interface Vouched {
  /** Counts once. */
  id: string
  /** From then on it is refused for its age. */
  untilMs: number
  solicited: boolean
  nameId: NameId
  /** '' where the provider tells none. */
  sessionIndex: string
  attributes: readonly Attribute[]
}

interface Attribute {
  name: string
  friendlyName: string
  values: readonly string[]
}

/** However long the provider lets it live. */
const MAX_AGE_MS = 10 * 60_000
const SUCCESS = 'urn:oasis:names:tc:SAML:2.0:status:Success'
const BEARER = 'urn:oasis:names:tc:SAML:2.0:cm:bearer'
const CONDITIONS = ['AudienceRestriction', 'OneTimeUse', 'ProxyRestriction']

export async function opened(xml: string, { certificates, privateKey }: Keys): Promise<Opened> {
  const root = await parsed(xml)
  if (!is(root, PROTOCOL, 'Response')) throw new Error('not a response')
  refuseWrapping(root)
  const responseSigned = signatureOf(root) !== undefined
  const response = responseSigned ? await verified(xml, root, certificates) : root
  const plain = childOf(root, ASSERTION, 'Assertion')
  const encrypted = childOf(response, ASSERTION, 'EncryptedAssertion')
  if (plain && encrypted) throw new Error('two assertions')
  if (encrypted) {
    const text = await decrypted(encrypted, privateKey, responseSigned)
    const inner = await parsed(text)
    if (!is(inner, ASSERTION, 'Assertion')) throw new Error('something else is encrypted')
    refuseWrapping(inner)
    return { response, responseSigned, assertion: await verified(text, inner, certificates) }
  }
  if (!plain) throw new Error(`no assertion: ${statusOf(response)}`)
  if (signatureOf(plain)) return { response, responseSigned, assertion: await verified(xml, plain, certificates) }
  if (!responseSigned) throw new Error('nothing is signed')
  return { response, responseSigned, assertion: onlyChild(response, ASSERTION, 'Assertion') }
}

export function vouched({ response, responseSigned, assertion }: Opened, expected: Expected): Vouched {
  const { issuer, recipient, nowMs, skewMs } = expected
  for (const message of [response, assertion])
    if (message.getAttribute('Version') !== '2.0') throw new Error('not SAML 2.0')
  if (statusOf(response) !== 'Success') throw new Error(`status ${statusOf(response)}`)
  const destination = response.getAttribute('Destination')
  if (destination !== recipient && (destination !== '' || responseSigned)) throw new Error('another destination')
  const sender = childOf(response, ASSERTION, 'Issuer')
  if (sender && plainText(sender) !== issuer) throw new Error('another issuer of the response')
  if (plainText(onlyChild(assertion, ASSERTION, 'Issuer')) !== issuer) throw new Error('another issuer')
  const id = assertion.getAttribute('ID')
  const issuedMs = instant(assertion.getAttribute('IssueInstant'))
  if (id === '' || issuedMs === undefined || issuedMs > nowMs + skewMs) throw new Error('no ID, or of the future')
  const untilMs = issuedMs + MAX_AGE_MS + skewMs
  if (untilMs <= nowMs) throw new Error('too old')
  checkConditions(onlyChild(assertion, ASSERTION, 'Conditions'), expected)
  const subject = onlyChild(assertion, ASSERTION, 'Subject')
  const inResponseTo = confirmed(subject, expected)
  const claimed = response.getAttribute('InResponseTo')
  const solicited = inResponseTo !== ''
  if (claimed !== inResponseTo && (claimed !== '' || responseSigned)) throw new Error('in response to two requests')
  if (solicited ? inResponseTo !== expected.requestId : !expected.unsolicited) throw new Error('not asked for here')
  const [statement] = childrenOf(assertion, ASSERTION, 'AuthnStatement')
  if (!statement) throw new Error('no statement of a log-in')
  return {
    id,
    untilMs,
    solicited,
    nameId: nameIdOf(subject),
    sessionIndex: statement.getAttribute('SessionIndex'),
    attributes: attributesOf(assertion),
  }
}

export function nameIdOf(parent: XmlElement): NameId {
  const nameId = onlyChild(parent, ASSERTION, 'NameID')
  return {
    value: plainText(nameId),
    format: nameId.getAttribute('Format'),
    nameQualifier: nameId.getAttribute('NameQualifier'),
    spNameQualifier: nameId.getAttribute('SPNameQualifier'),
  }
}

function checkConditions(conditions: XmlElement, expected: Expected): void {
  checkTimes(conditions, expected)
  // Whoever does not know a condition must take it as not met (core, section 2.5.1).
  if (elementsOf(conditions).some((one) => !CONDITIONS.includes(one.localName))) throw new Error('an unknown condition')
  const restrictions = childrenOf(conditions, ASSERTION, 'AudienceRestriction')
  const isForUs = restrictions.every((one) =>
    childrenOf(one, ASSERTION, 'Audience').some((audience) => plainText(audience) === expected.audience),
  )
  if (restrictions.length === 0 || !isForUs) throw new Error('another audience')
}

/** Which request a bearer may answer with it, '' for none. Throws where it is not for us, or no longer. */
function confirmed(subject: XmlElement, expected: Expected): string {
  const [bearer, ...others] = childrenOf(subject, ASSERTION, 'SubjectConfirmation').filter(
    (one) => one.getAttribute('Method') === BEARER,
  )
  if (!bearer || others.length > 0) throw new Error('not for one bearer')
  const data = onlyChild(bearer, ASSERTION, 'SubjectConfirmationData')
  if (data.getAttribute('Recipient') !== expected.recipient) throw new Error('another recipient')
  if (data.getAttribute('NotOnOrAfter') === '') throw new Error('no end')
  checkTimes(data, expected)
  return data.getAttribute('InResponseTo')
}

function checkTimes(element: XmlElement, { nowMs, skewMs }: Expected): void {
  const notBefore = instant(element.getAttribute('NotBefore'))
  const notOnOrAfter = instant(element.getAttribute('NotOnOrAfter'))
  if (notBefore !== undefined && nowMs + skewMs < notBefore) throw new Error('not yet')
  if (notOnOrAfter !== undefined && nowMs - skewMs >= notOnOrAfter) throw new Error('no longer')
}

/** The last word of the innermost status code. */
function statusOf(response: XmlElement): string {
  const outer = onlyChild(onlyChild(response, PROTOCOL, 'Status'), PROTOCOL, 'StatusCode')
  if (outer.getAttribute('Value') === SUCCESS) return 'Success'
  const word = (childOf(outer, PROTOCOL, 'StatusCode') ?? outer).getAttribute('Value').split(':').at(-1) ?? ''
  return /^[A-Za-z]{1,64}$/.test(word) && word !== 'Success' ? word : 'unknown'
}

function attributesOf(assertion: XmlElement): Attribute[] {
  return childrenOf(assertion, ASSERTION, 'AttributeStatement')
    .flatMap((statement) => childrenOf(statement, ASSERTION, 'Attribute'))
    .map((attribute) => ({
      name: attribute.getAttribute('Name'),
      friendlyName: attribute.getAttribute('FriendlyName'),
      values: childrenOf(attribute, ASSERTION, 'AttributeValue').map(({ textContent }) => textContent.trim()),
    }))
}
