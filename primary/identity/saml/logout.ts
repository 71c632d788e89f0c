/**
 * A provider's request to end sessions (SAML 2.0 profiles, section 4.4), in the address (bindings, section 3.4) or as a form (3.5). Signed
 * or refused.
 */
import { createVerify } from 'node:crypto'
import { promisify } from 'node:util'
import { inflateRaw } from 'node:zlib'
import { type NameId, nameIdOf } from './response.js'
import { refuseWrapping, SIGNATURE_HASHES, verified } from './signature.js'
import {
  ASSERTION,
  base64,
  childrenOf,
  instant,
  is,
  onlyChild,
  PROTOCOL,
  parsed,
  plainText,
  utf8,
  type XmlElement,
} from './xml.js'

export interface LogoutRequest {
  /** Counts once. */
  id: string
  /** From then on it is refused for its age. */
  untilMs: number
  nameId: NameId
  /** None: all of them. */
  sessionIndexes: string[]
}

export interface LogoutExpected {
  issuer: string
  destination: string
  certificates: readonly string[]
  nowMs: number
  skewMs: number
}

const MAX_BYTES = 64 * 1024
const PARAMETERS = ['SAMLRequest', 'RelayState', 'SigAlg', 'Signature']
const MAX_AGE_MS = 10 * 60_000
const inflate = promisify(inflateRaw)

export async function logoutInQuery(query: string, expected: LogoutExpected): Promise<LogoutRequest> {
  const raw = new Map<string, string>()
  for (const pair of query.split('&')) {
    const [name = '', ...values] = pair.split('=')
    if (raw.has(name) || !PARAMETERS.includes(name)) throw new Error('a parameter twice, or an unknown one')
    raw.set(name, values.join('='))
  }
  const of = (name: string) => decodeURIComponent((raw.get(name) ?? '').replace(/\+/g, '%20'))
  const hash = SIGNATURE_HASHES.get(of('SigAlg'))
  if (hash === undefined) throw new Error('not signed, or by a weak method')
  const signed = ['SAMLRequest', 'RelayState', 'SigAlg'].flatMap((name) =>
    raw.has(name) ? [`${name}=${raw.get(name)}`] : [],
  )
  const signature = base64(of('Signature'))
  const isSigned = expected.certificates.some((certificate) =>
    createVerify(hash).update(signed.join('&')).verify(certificate, signature),
  )
  if (!isSigned) throw new Error('no valid signature')
  const bytes = await inflate(base64(of('SAMLRequest')), { maxOutputLength: MAX_BYTES })
  return checked(await parsed(utf8(bytes)), expected)
}

export async function logoutInForm(message: string, expected: LogoutExpected): Promise<LogoutRequest> {
  const xml = utf8(base64(message))
  const root = await parsed(xml)
  refuseWrapping(root)
  return checked(await verified(xml, root, expected.certificates), expected)
}

function checked(request: XmlElement, { issuer, destination, nowMs, skewMs }: LogoutExpected): LogoutRequest {
  if (!is(request, PROTOCOL, 'LogoutRequest') || request.getAttribute('Version') !== '2.0')
    throw new Error('not a request to log out')
  if (plainText(onlyChild(request, ASSERTION, 'Issuer')) !== issuer) throw new Error('another issuer')
  if (request.getAttribute('Destination') !== destination) throw new Error('another destination')
  const id = request.getAttribute('ID')
  const issuedMs = instant(request.getAttribute('IssueInstant'))
  if (id === '' || issuedMs === undefined || issuedMs > nowMs + skewMs) throw new Error('no ID, or of the future')
  const untilMs = Math.min(
    issuedMs + MAX_AGE_MS,
    instant(request.getAttribute('NotOnOrAfter')) ?? Number.POSITIVE_INFINITY,
  )
  if (untilMs + skewMs <= nowMs) throw new Error('too old')
  return {
    id,
    untilMs: untilMs + skewMs,
    nameId: nameIdOf(request),
    sessionIndexes: childrenOf(request, PROTOCOL, 'SessionIndex').map((one) => plainText(one)),
  }
}
