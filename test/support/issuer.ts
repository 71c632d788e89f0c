/** Whoever signs tokens: discovery, keys, and a token endpoint that answers what a test says. Knows what it was asked. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWTHeaderParameters, SignJWT } from 'jose'

export interface TestIssuer {
  url: string
  /** Paths, in order. */
  asked: string[]
  /** Replaces what a path answers: a status and headers, or JSON. */
  answers: Map<string, { status?: number; headers?: Record<string, string>; json?: unknown }>
  /** `iss`, `iat`, `exp` in five minutes and a fresh `jti` unless the claims say otherwise; undefined takes a claim away. */
  sign(claims: Record<string, unknown>, header?: Partial<JWTHeaderParameters>): Promise<string>
  jwks: { keys: Record<string, unknown>[] }
  close(): Promise<void>
}

export async function testIssuer(): Promise<TestIssuer> {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true })
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', use: 'sig', alg: 'RS256' }] }
  const asked: string[] = []
  const answers: TestIssuer['answers'] = new Map()
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? ''
    asked.push(path)
    const { status = 200, headers = {}, json } = answers.get(path) ?? { json: standard()[path] }
    request.resume()
    response.writeHead(json === undefined && status === 200 ? 404 : status, {
      'content-type': 'application/json',
      ...headers,
    })
    response.end(json === undefined ? '' : JSON.stringify(json))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const standard = (): Record<string, unknown> => ({
    '/.well-known/openid-configuration': {
      issuer: url,
      authorization_endpoint: `${url}/authorize`,
      token_endpoint: `${url}/token`,
      jwks_uri: `${url}/jwks`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
    },
    '/jwks': jwks,
  })
  let ids = 0
  return {
    url,
    asked,
    answers,
    jwks,
    sign: (claims, header = {}) => {
      const now = Math.floor(Date.now() / 1000)
      const all = { iss: url, iat: now, nbf: now, exp: now + 300, jti: `id-${ids++}`, ...claims }
      const kept = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
      return new SignJWT(kept).setProtectedHeader({ alg: 'RS256', kid: 'one', ...header }).sign(privateKey)
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
