/**
 * Signing on with OpenID Connect: the authorization code flow with PKCE, state and nonce. Groups are what the ID token and the userinfo
 * endpoint claim; they are asked for anew with a refresh token where there is one. The provider can end sessions (back-channel logout).
 */
import * as client from 'openid-client'
import { readForm } from '../../../protocol/api/body.js'
import { RegistryError } from '../../../protocol/errors.js'
import { empty, type Reply } from '../../../protocol/http/reply.js'
import type { HttpRequest } from '../../../protocol/http/request.js'
import { claimAt, textAt, textsAt } from '../claims.js'
import type { Identity } from '../identity.js'
import type { Provider, ProviderKind, ProviderParts, Route } from '../provider.js'
import { RoundTrips } from '../round-trip.js'
import { signIn } from '../sign-in.js'
import { OidcClient } from './client.js'
import { type Grant, Grants } from './grants.js'
import { onward } from './onward.js'
import { type OidcSettings, oidcSettings } from './settings.js'

type Claims = Record<string, unknown>

export const oidc: ProviderKind<OidcSettings> = {
  kind: 'oidc',
  settings: oidcSettings,
  secrets: ['client_secret'],
  realm: ({ issuer }) => issuer,
  check: async (settings, parts) => {
    const configuration = await new OidcClient(settings, parts).configuration()
    const { jwks_uri } = configuration.serverMetadata()
    await parts.issuers.check({ issuer: settings.issuer, jwksUri: jwks_uri, allowHttp: settings.allow_http })
  },
  open: (key, settings, parts) => new OidcProvider(key, settings, parts),
}

const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'
/** A logout token is sent as soon as it is made. */
const LOGOUT_MAX_AGE_SECONDS = 300
const MINUTE_MS = 60_000

class OidcProvider implements Provider {
  readonly routes: Readonly<Record<string, Route>>
  readonly #key: string
  readonly #settings: OidcSettings
  readonly #parts: ProviderParts
  readonly #client: OidcClient
  readonly #trips: RoundTrips
  readonly #grants: Grants

  constructor(key: string, settings: OidcSettings, parts: ProviderParts) {
    this.#key = key
    this.#settings = settings
    this.#parts = parts
    this.#client = new OidcClient(settings, parts)
    this.#trips = new RoundTrips({ provider: key, ...parts })
    this.#grants = new Grants(key, parts)
    this.routes = {
      'GET start': (request) => this.#start(request),
      'GET callback': (request) => this.#callback(request),
      'GET logout': (request) => this.#logout(request),
      'POST backchannel': (request) => this.#backchannel(request),
    }
  }

  async tick(signal: AbortSignal): Promise<void> {
    await this.#grants.sweep()
    const { refresh_minutes, outage_grace_hours } = this.#settings
    if (refresh_minutes === 0) return
    const periodMs = refresh_minutes * MINUTE_MS
    for (const grant of await this.#grants.due(periodMs)) {
      signal.throwIfAborted()
      if (!(await this.#renewed(grant, periodMs))) break
    }
    for (const subject of await this.#grants.endFailing(outage_grace_hours * 60 * MINUTE_MS))
      await this.#endSessions(subject)
  }

  async #start(request: HttpRequest): Promise<Reply> {
    const configuration = await this.#client.configuration()
    const { trip, setCookie } = this.#trips.begin(request)
    const location = client.buildAuthorizationUrl(configuration, {
      redirect_uri: trip.redirectUri,
      scope: this.#settings.scopes.join(' '),
      state: trip.state,
      nonce: trip.nonce,
      code_challenge: await client.calculatePKCECodeChallenge(trip.verifier),
      code_challenge_method: 'S256',
    })
    return empty(303, { location: location.href, 'set-cookie': setCookie, 'cache-control': 'no-store' })
  }

  async #callback(request: HttpRequest): Promise<Reply> {
    const trip = await this.#trips.end(request)
    const tokens = await this.#client.ask((configuration) =>
      client.authorizationCodeGrant(configuration, new URL(`${trip.redirectUri}?${request.query}`), {
        pkceCodeVerifier: trip.verifier,
        expectedState: trip.state,
        expectedNonce: trip.nonce,
        idTokenExpected: true,
      }),
    )
    const claims = tokens.claims() as Claims | undefined
    const subject = claims && textAt(claims, 'sub')
    if (!claims || !subject) throw new RegistryError('invalid', 'The provider does not say who you are')
    if (claims.azp !== undefined && claims.azp !== this.#settings.client_id)
      throw new RegistryError('invalid', 'The ID token was made for another application', { code: 'provider_answer' })
    const identity = this.#identity(subject, await this.#complete(claims, subject, tokens.access_token))
    const reply = await signIn(this.#parts, identity, request, trip.next)
    await this.#grants.add(subject, textAt(claims, 'sid') || undefined, tokens.refresh_token)
    return reply
  }

  /** RP-Initiated Logout 1.0: the session here has ended, the provider's may as well. */
  async #logout({ origin }: HttpRequest): Promise<Reply> {
    const back = `${origin}/admin/login`
    const configuration = await this.#client.configuration()
    if (configuration.serverMetadata().end_session_endpoint === undefined) return onward(back)
    return onward(client.buildEndSessionUrl(configuration, { post_logout_redirect_uri: back }).href)
  }

  /** Back-Channel Logout 1.0, section 2.6. What is wrong with a logout token is 400. */
  async #backchannel(request: HttpRequest): Promise<Reply> {
    const form = await readForm(request)
    try {
      await this.#endAs(form.get('logout_token') ?? '')
    } catch (error) {
      if (!(error instanceof RegistryError) || error.kind !== 'unauthenticated') throw error
      throw new RegistryError('invalid', error.message, { code: error.code, cause: error })
    }
    return empty(200, { 'cache-control': 'no-store' })
  }

  async #endAs(token: string): Promise<void> {
    const { issuer, client_id, allow_http } = this.#settings
    const { jwks_uri } = (await this.#client.configuration()).serverMetadata()
    const claims: Claims = await this.#parts.issuers.verify(
      token,
      { issuer, jwksUri: jwks_uri, allowHttp: allow_http },
      { audiences: [client_id], maxAgeSeconds: LOGOUT_MAX_AGE_SECONDS, requiredClaims: ['jti'] },
    )
    const [subject, session] = [textAt(claims, 'sub'), textAt(claims, 'sid')]
    const events = claimAt(claims, 'events')
    const isLogout = typeof events === 'object' && events !== null && Object.hasOwn(events, LOGOUT_EVENT)
    if (!isLogout || claims.nonce !== undefined || (subject === '' && session === ''))
      throw new RegistryError('invalid', 'This is no logout token', { code: 'token_invalid' })
    const untilMs = this.#parts.nowMs() + 2 * LOGOUT_MAX_AGE_SECONDS * 1000
    if (!(await this.#parts.once.use('logout', `${issuer}\0${textAt(claims, 'jti')}`, untilMs)))
      throw new RegistryError('invalid', 'This logout token was used before', { code: 'token_replayed' })
    const ended = await this.#grants.end({ session: session || undefined, subject: subject || undefined })
    for (const one of new Set([...ended, ...(subject ? [subject] : [])])) await this.#endSessions(one)
  }

  /** false: the provider is away, and the others need not be tried. */
  async #renewed(grant: Grant, periodMs: number): Promise<boolean> {
    try {
      const tokens = await this.#client.ask((configuration) =>
        client.refreshTokenGrant(configuration, grant.refreshToken ?? ''),
      )
      const claimed = (tokens.claims() as Claims | undefined) ?? {}
      const claims = await this.#complete(claimed, grant.subject, tokens.access_token)
      await this.#grants.asked(grant.session, tokens.refresh_token)
      if (!(await this.#parts.federation.renew(this.#identity(grant.subject, claims)))) await this.#over(grant)
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      if (error.code === 'provider_invalid_grant') await this.#over(grant)
      else if (error.kind === 'unavailable') await this.#grants.failed(periodMs)
      else await this.#grants.failed(periodMs, grant.session)
      return error.kind !== 'unavailable'
    }
    return true
  }

  async #over({ session, subject }: Grant): Promise<void> {
    await this.#grants.end({ session })
    await this.#endSessions(subject)
  }

  async #endSessions(subject: string): Promise<void> {
    const user = await this.#parts.federation.accountOf(this.#key, subject)
    if (user !== undefined) await this.#parts.endSessions(user)
  }

  /** What the ID token leaves out, the userinfo endpoint may tell. */
  async #complete(claims: Claims, subject: string, accessToken: string): Promise<Claims> {
    const { name_claim, groups_claims } = this.#settings
    const wanted = ['email', name_claim, ...groups_claims]
    if (wanted.every((claim) => claimAt(claims, claim) !== undefined)) return claims
    return this.#client.ask(async (configuration) => {
      if (configuration.serverMetadata().userinfo_endpoint === undefined) return claims
      return { ...(await client.fetchUserInfo(configuration, accessToken, subject)), ...claims }
    })
  }

  #identity(subject: string, claims: Claims): Identity {
    const { name_claim, groups_claims } = this.#settings
    const email = textAt(claims, 'email')
    if (Object.hasOwn(Object(claims._claim_names), 'groups'))
      throw new RegistryError(
        'forbidden',
        'The provider leaves groups out that do not fit; let it tell those of this application only',
      )
    return {
      provider: this.#key,
      subject,
      name: textAt(claims, name_claim) || email || subject,
      email,
      emailVerified: claims.email_verified === true,
      groups: groups_claims.length === 0 ? undefined : groups_claims.flatMap((claim) => textsAt(claims, claim)),
      admin: undefined,
    }
  }
}
