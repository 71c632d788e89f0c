/**
 * Signing on at a forge with OAuth 2: the authorization code flow with PKCE and state. There is no ID token, so who it is is asked with
 * the access token, which is then forgotten.
 */
import * as client from 'openid-client'
import { z } from 'zod'
import { RegistryError } from '../../../protocol/errors.js'
import { empty, type Reply } from '../../../protocol/http/reply.js'
import type { HttpRequest } from '../../../protocol/http/request.js'
import { admissionFields } from '../admission.js'
import { explained } from '../oidc/client.js'
import type { ProviderKind, ProviderParts } from '../provider.js'
import { RoundTrips } from '../round-trip.js'
import { signIn } from '../sign-in.js'
import { type Ask, presets, type Said } from './presets.js'

const oauth2Settings = z.strictObject({
  ...admissionFields,
  preset: z.enum(['github', 'gitlab']),
  url: z
    .url({ protocol: /^https?$/ })
    .max(512)
    .meta({ description: 'Of the forge' }),
  client_id: z.string().min(1).max(512),
  client_secret: z.string().min(1).max(1024),
  allow_http: z
    .boolean()
    .default(false)
    .meta({ description: 'For tests: everything can be read and changed on its way' }),
})
type OAuth2Settings = z.output<typeof oauth2Settings>

const PAGE = 100
const MAX_PAGES = 10

export const oauth2: ProviderKind<OAuth2Settings> = {
  kind: 'oauth2',
  settings: oauth2Settings,
  secrets: ['client_secret'],
  realm: ({ url }) => new URL(url).origin,
  check: async ({ url, allow_http, preset }, { fetch: ask }) => {
    if (!url.startsWith('https:') && !allow_http) throw new RegistryError('invalid', `${url} would be asked over http`)
    const api = presets[preset].api(new URL(url))
    // Without credentials a forge says who it does not know.
    const { status } = await ask(`${api}/user`, { headers: { accept: 'application/json' } })
    if (![200, 401, 403].includes(status))
      throw new RegistryError('invalid', `${new URL(api).host} does not answer as ${preset} does (${status})`)
  },
  open: (key, settings, parts) => {
    const forge = new Forge(settings, parts.fetch)
    const trips = new RoundTrips({ provider: key, ...parts })
    return {
      routes: {
        'GET start': (request) => start(forge, trips, request),
        'GET callback': (request) => callback(key, forge, trips, parts, request),
      },
    }
  },
}

async function start(forge: Forge, trips: RoundTrips, request: HttpRequest): Promise<Reply> {
  const { trip, setCookie } = trips.begin(request)
  const location = await forge.address(trip.redirectUri, trip.state, trip.verifier)
  return empty(303, { location, 'set-cookie': setCookie, 'cache-control': 'no-store' })
}

async function callback(
  key: string,
  forge: Forge,
  trips: RoundTrips,
  parts: ProviderParts,
  request: HttpRequest,
): Promise<Reply> {
  const trip = await trips.end(request)
  const said = await forge.who(new URL(`${trip.redirectUri}?${request.query}`), trip.state, trip.verifier)
  return signIn(parts, { provider: key, admin: undefined, ...said }, request, trip.next)
}

class Forge {
  readonly #settings: OAuth2Settings
  readonly #fetch: typeof fetch
  readonly #configuration: client.Configuration

  constructor(settings: OAuth2Settings, fetcher: typeof fetch) {
    const { url, client_id, client_secret, preset, allow_http } = settings
    const { origin } = new URL(url)
    this.#settings = settings
    this.#fetch = fetcher
    this.#configuration = new client.Configuration(
      {
        issuer: origin,
        authorization_endpoint: origin + presets[preset].authorize,
        token_endpoint: origin + presets[preset].token,
      },
      client_id,
      undefined,
      client.ClientSecretPost(client_secret),
    )
    this.#configuration[client.customFetch] = (address, options) => fetcher(address, options as RequestInit)
    if (allow_http) client.allowInsecureRequests(this.#configuration)
  }

  async address(redirectUri: string, state: string, verifier: string): Promise<string> {
    return client.buildAuthorizationUrl(this.#configuration, {
      redirect_uri: redirectUri,
      scope: presets[this.#settings.preset].scopes.join(' '),
      state,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }).href
  }

  async who(callbackUrl: URL, state: string, verifier: string): Promise<Said> {
    const { url, preset } = this.#settings
    // GitHub names itself otherwise than by its address; the callback's own path says which provider it is of.
    callbackUrl.searchParams.delete('iss')
    try {
      const { access_token } = await client.authorizationCodeGrant(this.#configuration, callbackUrl, {
        expectedState: state,
        pkceCodeVerifier: verifier,
      })
      return await presets[preset].who(this.#asking(access_token))
    } catch (error) {
      throw explained(error, url)
    }
  }

  #asking(token: string): Ask {
    const api = presets[this.#settings.preset].api(new URL(this.#settings.url))
    return async (path, shape) => {
      const found =
        shape instanceof z.ZodArray ? await this.#all(api + path, token) : await this.#json(api + path, token)
      return parsed(found, shape, api)
    }
  }

  async #all(address: string, token: string): Promise<unknown[]> {
    const all: unknown[] = []
    for (let page = 1; page <= MAX_PAGES; page++) {
      const url = new URL(address)
      url.searchParams.set('per_page', String(PAGE))
      url.searchParams.set('page', String(page))
      const found = await this.#json(url.href, token)
      all.push(...parsed(found, z.array(z.unknown()), address))
      if (all.length < page * PAGE) return all
    }
    throw new RegistryError('forbidden', `${new URL(address).host} tells of more groups than can be taken`)
  }

  async #json(address: string, token: string): Promise<unknown> {
    const reply = await this.#fetch(address, {
      headers: { accept: 'application/json', authorization: `Bearer ${token}` },
    })
    const { host } = new URL(address)
    if (reply.status !== 200)
      throw new RegistryError('upstream', `${host} answered ${reply.status} where it tells of people`)
    return reply.json().catch((cause: unknown) => {
      throw new RegistryError('upstream', `${host} sent no JSON where it tells of people`, { cause })
    })
  }
}

function parsed<T>(value: unknown, shape: z.ZodType<T>, api: string): T {
  const result = shape.safeParse(value)
  if (result.success) return result.data
  throw new RegistryError('upstream', `${new URL(api).host} tells of people in another way than is known`)
}
