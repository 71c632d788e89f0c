/**
 * The token flow of Docker's registries: user and password (or a token of ours) in, a bearer token out. The token is one that the gate knows
 * anyway, on the primary and on every node, so it can never do more than its user may; what the client asked for as scope is decided
 * request by request. A node that is cut off still exchanges tokens; only passwords need the primary.
 *
 *     GET  /v2/_token?service=…&scope=…           Authorization: Basic
 *     POST /v2/_token   grant_type=password&username=…&password=…, or grant_type=refresh_token&refresh_token=…
 */
import { parseCredentials } from '../../protocol/access/credentials.js'
import { ANONYMOUS_TOKEN } from '../../protocol/access/token.js'
import { RegistryError } from '../../protocol/errors.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import type { RootCall } from '../../protocol/root.js'
import { readBody } from '../text/body.js'
import { VERSION_HEADER } from './failure.js'

interface Granted {
  value: string
  expiresInSeconds: number
  /** May be kept by the client instead of the password. */
  lasting: boolean
}

/** Clients ask again after so long; a token of ours may live longer, or be revoked earlier. */
const EXPIRES_IN_SECONDS = 300
const FORM_LIMIT = 64 * 1024

export async function getToken(call: RootCall): Promise<Reply> {
  return exchange(call, call.request.headers.get('authorization'), new URLSearchParams(call.request.query))
}

export async function postToken(call: RootCall): Promise<Reply> {
  const form = new URLSearchParams((await readBody(call.request, FORM_LIMIT)).toString('utf8'))
  return exchange(call, call.request.headers.get('authorization') ?? fromForm(form), form)
}

async function exchange(call: RootCall, authorization: string | undefined, asked: URLSearchParams): Promise<Reply> {
  const granted = authorization === undefined ? ANYBODY : await grantOrLess(call, authorization, asked)
  if (!('value' in granted)) return granted
  const { value, expiresInSeconds, lasting } = granted
  const wantsLasting = asked.get('offline_token') === 'true' || asked.get('access_type') === 'offline'
  const reply = {
    token: value,
    access_token: value,
    token_type: 'Bearer',
    expires_in: expiresInSeconds,
    ...(lasting && wantsLasting ? { refresh_token: value } : {}),
  }
  return json(reply, 200, { ...VERSION_HEADER, 'cache-control': 'no-store' })
}

const ANYBODY: Granted = { value: ANONYMOUS_TOKEN, expiresInSeconds: EXPIRES_IN_SECONDS, lasting: false }

/**
 * Cut off, nobody can check a password. Who asks for something with one gets what anybody gets, so that public images go on being pulled
 * by those who have logged in; who only wants to log in is told to come back.
 */
async function grantOrLess(call: RootCall, authorization: string, asked: URLSearchParams): Promise<Granted | Reply> {
  try {
    return await grant(call, authorization)
  } catch (error) {
    if (!(error instanceof RegistryError) || error.kind !== 'unavailable' || !asked.has('scope')) throw error
    return { ...ANYBODY, expiresInSeconds: ANYBODY_MEANWHILE_SECONDS }
  }
}

/** As short as clients take it. */
const ANYBODY_MEANWHILE_SECONDS = 60

/** The primary's own reply where only it can tell. */
async function grant(call: RootCall, authorization: string): Promise<Granted | Reply> {
  const principal = await call.principal(authorization)
  const credentials = parseCredentials(authorization)
  if (credentials.kind === 'token')
    return { value: credentials.value, expiresInSeconds: EXPIRES_IN_SECONDS, lasting: principal.token?.use === 'api' }
  if (call.forward) return call.forward(withCredentials(call.request, authorization))
  return { ...(await call.accounts.session(principal)), lasting: false }
}

/** As a POST, whose effect a node waits for: the token must be known there before the client uses it. */
function withCredentials(request: HttpRequest, authorization: string): HttpRequest {
  const { id, path, query, signal, remote, origin } = request
  const headers = new Map([['authorization', authorization]])
  return { id, method: 'POST', path, query, headers, length: 0, body: nothing(), signal, remote, origin }
}

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}

function fromForm(form: URLSearchParams): string {
  const field = (name: string) => form.get(name) ?? ''
  switch (form.get('grant_type')) {
    case 'password':
      return `Basic ${Buffer.from(`${field('username')}:${field('password')}`).toString('base64')}`
    case 'refresh_token':
      return `Bearer ${field('refresh_token')}`
    default:
      throw new RegistryError('invalid', 'grant_type is "password" or "refresh_token"', { code: 'UNSUPPORTED' })
  }
}
