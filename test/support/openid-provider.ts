/** A real OpenID provider (oidc-provider) with people in memory, and a page on which one says who one is. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair } from 'jose'
// @ts-expect-error: the package has no types.
import Untyped from 'oidc-provider'

export interface TestProvider {
  url: string
  /** What is claimed of whom, by subject; who is not here cannot log in. */
  people: Map<string, Record<string, unknown>>
  /** Goes away, keeping its address. */
  stop(): Promise<void>
  start(): Promise<void>
  close(): Promise<void>
}

interface Provider {
  callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>
  interactionFinished(
    request: IncomingMessage,
    response: ServerResponse,
    result: object,
    options: { mergeWithLastSubmission: boolean },
  ): Promise<void>
}
const Provider = Untyped as new (issuer: string, configuration: object) => Provider

interface Context {
  oidc: {
    client?: { clientId: string }
    session?: { accountId: string }
    params?: { scope: string }
    provider: { Grant: new (of: object) => { addOIDCScope(scope: string): void; save(): Promise<void> } }
  }
}

export const CLIENT = { id: 'cairn', secret: 'a client secret of the tests' }

export async function testProvider(registry: string): Promise<TestProvider> {
  const people: TestProvider['people'] = new Map()
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const key = { ...(await exportJWK(privateKey)), kid: 'one', use: 'sig', alg: 'RS256' }
  let port = 0
  let server: Server | undefined
  let handle: (request: IncomingMessage, response: ServerResponse) => void = () => undefined
  const start = async () => {
    server = createServer((request, response) => handle(request, response))
    await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  }
  const stop = async () => {
    const closed = new Promise((resolve) => server?.close(resolve))
    server?.closeAllConnections()
    await closed
  }
  await start()
  const url = `http://127.0.0.1:${port}`
  const provider = new Provider(url, configuration(registry, people, key))
  handle = (request, response) => {
    if (request.url?.startsWith('/interaction/')) void interact(provider, people, request, response)
    else void provider.callback()(request, response)
  }
  return { url, people, start, stop, close: stop }
}

function configuration(registry: string, people: TestProvider['people'], key: object): object {
  return {
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: [`${registry}/admin/login/corp/callback`],
        post_logout_redirect_uris: [`${registry}/admin/login`],
        backchannel_logout_uri: `${registry}/admin/login/corp/backchannel`,
        backchannel_logout_session_required: true,
        grant_types: ['authorization_code', 'refresh_token'],
      },
    ],
    jwks: { keys: [key] },
    cookies: { keys: ['of the tests'] },
    claims: {
      openid: ['sub'],
      profile: ['preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true },
    },
    // Its own refuses addresses of this machine.
    fetch: (url: string | URL, { method, headers, body }: RequestInit) =>
      fetch(url, { method, headers, body } as RequestInit),
    pkce: { required: () => true },
    issueRefreshToken: async () => true,
    interactions: { url: (_: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    findAccount: (_: unknown, sub: string) => {
      const claims = people.get(sub)
      return claims && { accountId: sub, claims: async () => ({ sub, ...claims }) }
    },
    // What the client asks for is given.
    loadExistingGrant: async ({ oidc }: Context) => {
      const { client, provider, session, params } = oidc
      const grant = new provider.Grant({ clientId: client?.clientId, accountId: session?.accountId })
      grant.addOIDCScope(String(params?.scope))
      await grant.save()
      return grant
    },
  }
}

async function interact(
  provider: Provider,
  people: TestProvider['people'],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'POST') {
    response.writeHead(200, { 'content-type': 'text/html' })
    response.end('<form method="post"><input name="subject"><button>Log in</button></form>')
    return
  }
  let body = ''
  for await (const chunk of request) body += chunk
  const subject = new URLSearchParams(body).get('subject') ?? ''
  const result = people.has(subject)
    ? { login: { accountId: subject } }
    : { error: 'access_denied', error_description: 'nobody' }
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
}
