/**
 * What an identity provider says of itself (SAML 2.0 metadata): where it is asked, and with which keys it signs, of which there may be
 * several while one takes over from another. Asked for by address it is read once an hour, and what was known serves on meanwhile.
 */
import { X509Certificate } from 'node:crypto'
import { RegistryError } from '../../../protocol/errors.js'
import type { SamlSettings } from './settings.js'
import { childrenOf, DSIG, instant, is, METADATA, PROTOCOL, parsed, plainText, within, type XmlElement } from './xml.js'

export interface IdentityProvider {
  /** Where requests go (HTTP-Redirect). */
  signOn: string
  /** undefined: it knows no single logout by HTTP-Redirect. */
  logout: { request: string; response: string } | undefined
  /** PEM. */
  certificates: string[]
}

const REDIRECT = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect'
const MAX_CHARACTERS = 512 * 1024
const MAX_CERTIFICATES = 10
const MIN_RSA_BITS = 2048
const FRESH_MS = 3_600_000
const RETRY_MS = 60_000

export class Metadata {
  readonly #settings: SamlSettings
  readonly #fetch: typeof fetch
  readonly #nowMs: () => number
  #known: { provider: IdentityProvider; askAgainMs: number } | undefined

  constructor(settings: SamlSettings, parts: { fetch: typeof fetch; nowMs: () => number }) {
    this.#settings = settings
    this.#fetch = parts.fetch
    this.#nowMs = parts.nowMs
  }

  /** Throws `invalid` or `unavailable` with what is wrong. */
  async provider(): Promise<IdentityProvider> {
    const known = this.#known
    const now = this.#nowMs()
    if (known && now < known.askAgainMs) return known.provider
    try {
      const provider = await readMetadata(await this.#text(), this.#settings, now)
      this.#known = { provider, askAgainMs: now + FRESH_MS }
      return provider
    } catch (error) {
      if (!known) throw error
      this.#known = { ...known, askAgainMs: now + RETRY_MS }
      return known.provider
    }
  }

  async #text(): Promise<string> {
    const { metadata, metadata_url, allow_http } = this.#settings
    if ((metadata === undefined) === (metadata_url === undefined))
      throw new RegistryError('invalid', 'Either metadata or metadata_url must be given')
    if (metadata_url === undefined) return metadata ?? ''
    if (!metadata_url.startsWith('https:') && !allow_http)
      throw new RegistryError('invalid', `${metadata_url} would be asked over http`)
    const reply = await this.#fetch(metadata_url, { headers: { accept: 'application/samlmetadata+xml, */*;q=0.1' } })
    if (reply.status !== 200)
      throw new RegistryError(
        'invalid',
        `${new URL(metadata_url).host} answers ${reply.status} where its metadata should be`,
      )
    return reply.text()
  }
}

async function readMetadata(xml: string, settings: SamlSettings, nowMs: number): Promise<IdentityProvider> {
  try {
    return await read(xml, settings, nowMs)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new RegistryError('invalid', `The metadata of the identity provider is not right: ${reason}`, {
      code: 'provider_metadata',
      cause,
    })
  }
}

async function read(xml: string, { issuer, allow_http }: SamlSettings, nowMs: number): Promise<IdentityProvider> {
  // Nothing in it is signed for us, so comments may go.
  const root = await parsed(withoutComments(xml).trimStart(), MAX_CHARACTERS)
  const [entity, ...others] = [...within(root)].filter(
    (one) => is(one, METADATA, 'EntityDescriptor') && one.getAttribute('entityID') === issuer,
  )
  if (!entity || others.length > 0) throw new Error(`it does not have ${issuer} once`)
  const until = instant(entity.getAttribute('validUntil')) ?? instant(root.getAttribute('validUntil'))
  if (until !== undefined && until <= nowMs) throw new Error('it is out of date')
  const role = childrenOf(entity, METADATA, 'IDPSSODescriptor').find((one) =>
    one.getAttribute('protocolSupportEnumeration').split(/\s+/).includes(PROTOCOL),
  )
  if (!role) throw new Error(`${issuer} is no identity provider of SAML 2.0`)
  const signOn = serviceOf(role, 'SingleSignOnService', allow_http)
  if (!signOn) throw new Error('it takes no requests by HTTP-Redirect')
  const logout = serviceOf(role, 'SingleLogoutService', allow_http)
  const request = logout?.getAttribute('Location') ?? ''
  return {
    signOn: signOn.getAttribute('Location'),
    logout: logout && { request, response: logout.getAttribute('ResponseLocation') || request },
    certificates: certificatesOf(role),
  }
}

function withoutComments(xml: string): string {
  const [first = '', ...others] = xml.split('<!--')
  return first + others.map((text) => text.slice(endOf(text, '-->'))).join('')
}

function endOf(text: string, mark: string): number {
  const at = text.indexOf(mark)
  if (at === -1) throw new Error('a comment that does not end')
  return at + mark.length
}

function serviceOf(role: XmlElement, name: string, allowHttp: boolean): XmlElement | undefined {
  const service = childrenOf(role, METADATA, name).find((one) => one.getAttribute('Binding') === REDIRECT)
  for (const attribute of ['Location', 'ResponseLocation']) {
    const address = service?.getAttribute(attribute) ?? ''
    if (address === '' && (!service || attribute === 'ResponseLocation')) continue
    const { protocol } = new URL(address)
    if (protocol !== 'https:' && !(allowHttp && protocol === 'http:'))
      throw new Error(`${name} is not at a safe address`)
  }
  return service
}

function certificatesOf(role: XmlElement): string[] {
  const keys = childrenOf(role, METADATA, 'KeyDescriptor').filter((one) => one.getAttribute('use') !== 'encryption')
  const texts = keys.flatMap((key) =>
    [...within(key)].filter((one) => is(one, DSIG, 'X509Certificate')).map((one) => plainText(one)),
  )
  if (texts.length === 0 || texts.length > MAX_CERTIFICATES)
    throw new Error(`it has ${texts.length} certificates to check signatures with, not one to ${MAX_CERTIFICATES}`)
  return texts.map((text) => {
    const certificate = new X509Certificate(Buffer.from(text, 'base64'))
    const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey
    if (asymmetricKeyType !== 'rsa' || (asymmetricKeyDetails?.modulusLength ?? 0) < MIN_RSA_BITS)
      throw new Error(`it signs with another key than RSA of at least ${MIN_RSA_BITS} bits`)
    return certificate.toString()
  })
}
