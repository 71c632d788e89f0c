/**
 * Signing on with SAML 2.0 (web browser SSO and single logout profiles). What we send is signed; what we are sent is believed as far as it
 * is signed, for us, now, once, and asked for by this very browser. Whatever is wrong with it, the answer is the same; the audit trail
 * has the reason.
 */
import { generateServiceProviderMetadata, SAML } from '@node-saml/node-saml'
import { readForm } from '../../../protocol/api/body.js'
import { RegistryError } from '../../../protocol/errors.js'
import { empty, type Reply } from '../../../protocol/http/reply.js'
import type { HttpRequest } from '../../../protocol/http/request.js'
import type { Identity } from '../identity.js'
import { leftSession } from '../leaving.js'
import { onward } from '../oidc/onward.js'
import type { Provider, ProviderKind, ProviderParts, Route } from '../provider.js'
import { RoundTrips, type Trip } from '../round-trip.js'
import { signIn } from '../sign-in.js'
import { OwnKeys } from './keys.js'
import { type LogoutRequest, logoutInForm, logoutInQuery } from './logout.js'
import { type IdentityProvider, Metadata } from './metadata.js'
import { type NameId, opened, type Vouched, vouched } from './response.js'
import { type SamlSettings, samlSettings } from './settings.js'
import { base64, utf8 } from './xml.js'

export const saml: ProviderKind<SamlSettings> = {
  kind: 'saml',
  settings: samlSettings,
  secrets: [],
  realm: ({ issuer }) => issuer,
  check: async (settings, parts) => {
    await new Metadata(settings, parts).provider()
  },
  open: (key, settings, parts) => new SamlProvider(key, settings, parts),
}

/** Of a provider's session, as the console's sessions keep it. */
type ProviderSession = NameId & { sessionIndex: string }

const MAX_FORM_BYTES = 512 * 1024
const MAX_REASON_CHARACTERS = 200
const TRANSIENT = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient'
const FORMATS = {
  persistent: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
  emailAddress: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
  unspecified: null,
}
/** What it would remember, the browser keeps and Postgres counts. */
const NOTHING_KEPT = { saveAsync: async () => null, getAsync: async () => null, removeAsync: async () => null }

class SamlProvider implements Provider {
  readonly routes: Readonly<Record<string, Route>>
  readonly #key: string
  readonly #settings: SamlSettings
  readonly #parts: ProviderParts
  readonly #metadata: Metadata
  readonly #keys: OwnKeys
  readonly #trips: RoundTrips

  constructor(key: string, settings: SamlSettings, parts: ProviderParts) {
    this.#key = key
    this.#settings = settings
    this.#parts = parts
    this.#metadata = new Metadata(settings, parts)
    this.#keys = new OwnKeys(key, parts)
    this.#trips = new RoundTrips({ provider: key, posted: true, ...parts })
    this.routes = {
      'GET start': (request) => this.#start(request),
      'GET metadata': (request) => this.#describe(request),
      'POST callback': (request) => this.#callback(request),
      'GET logout': (request) => this.#logout(request),
      'GET slo': (request) => this.#singleLogout(request, new URLSearchParams(request.query), true),
      'POST slo': async (request) => this.#singleLogout(request, await readForm(request), false),
    }
  }

  async #start(request: HttpRequest): Promise<Reply> {
    const { trip, setCookie } = this.#trips.begin(request)
    const client = await this.#client(request, await this.#metadata.provider(), requestId(trip))
    const location = await client.getAuthorizeUrlAsync('', undefined, {})
    return empty(303, { location, 'set-cookie': setCookie, 'cache-control': 'no-store' })
  }

  async #describe(request: HttpRequest): Promise<Reply> {
    const { privateKey, certificate } = await this.#keys.get()
    const metadata = generateServiceProviderMetadata({
      issuer: this.#entityId(request),
      callbackUrl: this.#address(request, 'callback'),
      logoutCallbackUrl: this.#address(request, 'slo'),
      identifierFormat: FORMATS[this.#settings.name_id_format],
      wantAssertionsSigned: true,
      privateKey,
      publicCerts: certificate,
      decryptionPvk: privateKey,
      decryptionCert: certificate,
    })
    return { status: 200, headers: { 'content-type': 'application/samlmetadata+xml' }, body: metadata }
  }

  /** RelayState leads nowhere: where to go is what this browser keeps since the beginning. */
  async #callback(request: HttpRequest): Promise<Reply> {
    const form = await readForm(request, MAX_FORM_BYTES)
    const trip = this.#trips.under(request)
    // Before anything costs time.
    if (!trip && !this.#settings.idp_initiated) throw await this.#refused(request, 'not begun in this browser')
    const { certificates } = await this.#metadata.provider()
    const { privateKey } = await this.#keys.get()
    const said = await this.#believed(request, async () => {
      const message = await opened(utf8(base64(form.get('SAMLResponse') ?? '')), { certificates, privateKey })
      return vouched(message, { ...this.#expected(request), requestId: trip && requestId(trip) })
    })
    await this.#once(request, said)
    if (said.solicited && trip && !(await this.#trips.spend(trip)))
      throw await this.#refused(request, 'answered before')
    const session: ProviderSession = { ...said.nameId, sessionIndex: said.sessionIndex }
    const next = said.solicited && trip ? trip.next : '/'
    return signIn(this.#parts, this.#identity(said), request, next, JSON.stringify(session))
  }

  /** Of somebody whose session here has ended: the provider's ends too, if it can. */
  async #logout(request: HttpRequest): Promise<Reply> {
    const back = `${request.origin}/admin/login`
    const kept = leftSession(this.#parts, this.#key, request)
    const provider = await this.#metadata.provider()
    if (kept === undefined || !provider.logout) return onward(back)
    const { value, format, nameQualifier, spNameQualifier, sessionIndex } = JSON.parse(kept) as ProviderSession
    const client = await this.#client(request, provider)
    const of = {
      issuer: this.#settings.issuer,
      nameID: value,
      nameIDFormat: format,
      ...(nameQualifier && { nameQualifier }),
      ...(spNameQualifier && { spNameQualifier }),
      ...(sessionIndex && { sessionIndex }),
    }
    return onward(await client.getLogoutUrlAsync(of, '', {}))
  }

  /** The answer to our request changes nothing, whatever it says; the provider's own request ends sessions. */
  async #singleLogout(request: HttpRequest, message: URLSearchParams, isInQuery: boolean): Promise<Reply> {
    const back = `${request.origin}/admin/login`
    if (!message.has('SAMLRequest')) return empty(303, { location: back, 'cache-control': 'no-store' })
    const provider = await this.#metadata.provider()
    const expected = {
      ...this.#expected(request),
      destination: this.#address(request, 'slo'),
      certificates: provider.certificates,
    }
    const asked = await this.#believed(request, () =>
      isInQuery ? logoutInQuery(request.query, expected) : logoutInForm(message.get('SAMLRequest') ?? '', expected),
    )
    await this.#once(request, asked)
    for (const user of await this.#meant(asked)) {
      await this.#parts.endSessions(user)
      await this.#audit(request, user, 'ok', {})
    }
    if (!provider.logout) return empty(303, { location: back, 'cache-control': 'no-store' })
    const client = await this.#client(request, {
      ...provider,
      logout: { ...provider.logout, request: provider.logout.response },
    })
    const answered = { ID: asked.id } as Parameters<SAML['getLogoutResponseUrlAsync']>[0]
    const location = await client.getLogoutResponseUrlAsync(answered, message.get('RelayState') ?? '', {}, true)
    return empty(303, { location, 'cache-control': 'no-store' })
  }

  /** Whose sessions a provider's request is about. */
  async #meant({ nameId, sessionIndexes }: LogoutRequest): Promise<Set<string>> {
    const users = new Set<string>()
    for (const { user, providerSession } of await this.#parts.console.ofProvider(this.#key)) {
      const { value, sessionIndex } = JSON.parse(providerSession) as ProviderSession
      const isMeant = sessionIndexes.length === 0 || sessionIndexes.includes(sessionIndex)
      if (value === nameId.value && isMeant) users.add(user)
    }
    return users
  }

  async #once(request: HttpRequest, { id, untilMs }: { id: string; untilMs: number }): Promise<void> {
    if (!(await this.#parts.once.use('saml', `${this.#settings.issuer}\0${id}`, untilMs)))
      throw await this.#refused(request, 'used before')
  }

  async #believed<T>(request: HttpRequest, read: () => Promise<T>): Promise<T> {
    try {
      return await read()
    } catch (cause) {
      throw await this.#refused(request, cause instanceof Error ? cause.message : 'unknown', cause)
    }
  }

  /** What is wrong with a message is for the audit trail: its sender is told that something is. */
  async #refused(request: HttpRequest, reason: string, cause?: unknown): Promise<RegistryError> {
    await this.#audit(request, 'anonymous', 'saml_refused', { reason: reason.slice(0, MAX_REASON_CHARACTERS) })
    return new RegistryError('invalid', 'What the identity provider sent cannot be taken; begin again', {
      code: 'saml_refused',
      cause,
    })
  }

  async #audit(request: HttpRequest, who: string, outcome: string, detail: object): Promise<void> {
    await this.#parts.audit({
      who,
      action: request.path.endsWith('/slo') ? 'console.logout' : 'console.login',
      subject: request.path,
      outcome,
      requestId: request.id,
      remote: request.remote,
      detail: { provider: this.#key, ...detail },
    })
  }

  #identity({ nameId, attributes }: Vouched): Identity {
    const { subject_attribute, name_attributes, email_attributes, email_verified, groups_attributes } = this.#settings
    const valuesOf = (name: string) => {
      const named = attributes.filter((attribute) => attribute.name === name)
      const found = named.length > 0 ? named : attributes.filter(({ friendlyName }) => friendlyName === name)
      return found.flatMap(({ values }) => values).filter((value) => value !== '')
    }
    const firstOf = (names: readonly string[]) => names.flatMap(valuesOf)[0] ?? ''
    const subject = subject_attribute !== undefined ? firstOf([subject_attribute]) : stable(nameId)
    const email = firstOf(email_attributes)
    return {
      provider: this.#key,
      subject,
      name: firstOf(name_attributes) || email || subject,
      email,
      emailVerified: email_verified && email !== '',
      groups: groups_attributes.length === 0 ? undefined : [...new Set(groups_attributes.flatMap(valuesOf))],
      admin: undefined,
    }
  }

  #expected(request: HttpRequest) {
    const { issuer, idp_initiated, clock_skew_seconds } = this.#settings
    return {
      issuer,
      audience: this.#entityId(request),
      recipient: this.#address(request, 'callback'),
      unsolicited: idp_initiated,
      nowMs: this.#parts.nowMs(),
      skewMs: clock_skew_seconds * 1000,
    }
  }

  /** For what we send, never for what we are sent. */
  async #client(request: HttpRequest, provider: IdentityProvider, id?: string): Promise<SAML> {
    const { privateKey, certificate } = await this.#keys.get()
    return new SAML({
      issuer: this.#entityId(request),
      callbackUrl: this.#address(request, 'callback'),
      entryPoint: provider.signOn,
      ...(provider.logout && { logoutUrl: provider.logout.request }),
      idpCert: provider.certificates,
      identifierFormat: FORMATS[this.#settings.name_id_format],
      disableRequestedAuthnContext: true,
      privateKey,
      publicCert: certificate,
      signatureAlgorithm: 'sha256',
      digestAlgorithm: 'sha256',
      cacheProvider: NOTHING_KEPT,
      ...(id !== undefined && { generateUniqueId: () => id }),
    })
  }

  #entityId(request: HttpRequest): string {
    return this.#settings.entity_id ?? this.#address(request, 'metadata')
  }

  #address({ origin }: HttpRequest, name: string): string {
    return `${origin}/admin/login/${this.#key}/${name}`
  }
}

/** An ID begins with no digit. */
function requestId({ state }: Trip): string {
  return `_${state}`
}

function stable({ value, format }: NameId): string {
  if (format === TRANSIENT)
    throw new RegistryError(
      'forbidden',
      'The provider names you anew each time; an administrator can set subject_attribute',
      {
        code: 'not_admitted',
      },
    )
  return value
}
