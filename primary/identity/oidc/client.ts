/**
 * The OpenID client of one provider. Discovery is asked for when it is first needed and once an hour, what was known serves on while the
 * provider is down; the issuer is checked, and so are signatures, also of tokens that come straight from the provider.
 */
import * as client from 'openid-client'
import { RegistryError } from '../../../protocol/errors.js'
import type { OidcSettings } from './settings.js'

const FRESH_MS = 3_600_000
const TIMEOUT_SECONDS = 10

export class OidcClient {
  readonly #settings: OidcSettings
  readonly #fetch: typeof fetch
  readonly #nowMs: () => number
  #known: { configuration: client.Configuration; atMs: number } | undefined

  constructor(settings: OidcSettings, parts: { fetch: typeof fetch; nowMs: () => number }) {
    this.#settings = settings
    this.#fetch = parts.fetch
    this.#nowMs = parts.nowMs
  }

  async configuration(): Promise<client.Configuration> {
    const known = this.#known
    if (known && this.#nowMs() - known.atMs < FRESH_MS) return known.configuration
    try {
      const configuration = await discover(this.#settings, this.#fetch)
      this.#known = { configuration, atMs: this.#nowMs() }
      return configuration
    } catch (error) {
      if (known) return known.configuration
      throw explained(error, this.#settings.issuer)
    }
  }

  /** Throws what the provider, or the library about the provider, says: `unavailable`, `upstream`, or `invalid`. */
  async ask<T>(use: (configuration: client.Configuration) => Promise<T>): Promise<T> {
    const configuration = await this.configuration()
    try {
      return await use(configuration)
    } catch (error) {
      throw explained(error, this.#settings.issuer)
    }
  }
}

async function discover(settings: OidcSettings, fetcher: typeof fetch): Promise<client.Configuration> {
  const { issuer, client_id, client_secret, token_auth, allow_http } = settings
  const authentication =
    client_secret === undefined
      ? client.None()
      : token_auth === 'post'
        ? client.ClientSecretPost(client_secret)
        : client.ClientSecretBasic(client_secret)
  const configuration = await client.discovery(new URL(issuer), client_id, undefined, authentication, {
    // The library's own type of options is narrower where it does not matter.
    [client.customFetch]: (url, options) => fetcher(url, options as RequestInit),
    execute: allow_http
      ? [client.enableNonRepudiationChecks, client.allowInsecureRequests]
      : [client.enableNonRepudiationChecks],
    timeout: TIMEOUT_SECONDS,
  })
  const { issuer: own, authorization_endpoint = '' } = configuration.serverMetadata()
  if (own !== issuer) throw new RegistryError('invalid', `The discovery document of ${issuer} is another issuer's`)
  if (!authorization_endpoint.startsWith('https:') && !(allow_http && authorization_endpoint.startsWith('http:')))
    throw new RegistryError('invalid', `${issuer} tells no address for log-ins that is safe`)
  return configuration
}

/** What the library, or a limit, said about a provider at this address, as an error of ours. */
export function explained(error: unknown, issuer: string): unknown {
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (cause instanceof RegistryError) return cause
  const host = new URL(issuer).host
  if (error instanceof client.ResponseBodyError || error instanceof client.AuthorizationResponseError)
    return new RegistryError('invalid', `The identity provider ${host} refused: ${word(error.error)}`, {
      code: `provider_${word(error.error)}`,
      cause: error,
    })
  if (error instanceof client.ClientError || error instanceof TypeError)
    return new RegistryError('invalid', `The answer of the identity provider ${host} is not right: ${error.message}`, {
      code: 'provider_answer',
      cause: error,
    })
  return error
}

/** An error code of OAuth, which others chose. */
function word(code: string): string {
  return /^[a-z_]{1,64}$/.test(code) ? code : 'error'
}
