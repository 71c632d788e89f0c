/**
 * `npm token`: GET|POST /-/npm/v1/tokens, DELETE /-/npm/v1/tokens/token/{key}. A token made here never does more than the one
 * that made it, and a restriction that cannot be kept is refused rather than dropped.
 */
import { TOKEN_PREFIX } from '../../protocol/access/token.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { empty, json, type Reply } from '../../protocol/http/reply.js'
import type { TokenRecord } from '../../protocol/records.js'
import { readJson } from '../text/body.js'
import { isObject, type JsonObject } from '../text/json.js'
import { userOf } from './account.js'

const BODY_LIMIT = 64 * 1024
const NO_STORE = { 'cache-control': 'no-store' }
/** What npm can ask for and this registry has no word for. */
const RESTRICTIONS = ['cidr_whitelist', 'packages', 'scopes', 'orgs', 'bypass_2fa']

export async function listTokens(call: Call<unknown>): Promise<Reply> {
  userOf(call)
  const objects = call.accounts.tokens(call.principal).map(describe)
  return json({ objects, total: objects.length, urls: {} }, 200, NO_STORE)
}

export async function createToken(call: Call<unknown>): Promise<Reply> {
  const user = userOf(call)
  const sent = await readJson(call.request, BODY_LIMIT)
  if (!isObject(sent)) throw new RegistryError('invalid', 'The body is not an object')
  for (const field of RESTRICTIONS)
    if (asks(sent[field])) throw new RegistryError('invalid', `Tokens here cannot be restricted by "${field}"`)
  const scopes = scopesFor(sent, call.principal.token)
  const expiresInDays = daysOf(sent.expires)
  await checkPassword(call, user.name, sent.password)
  const { value, token } = await call.accounts.createToken(call.principal, {
    name: typeof sent.name === 'string' && sent.name !== '' ? sent.name : 'npm token',
    scopes,
    ...(expiresInDays === undefined ? {} : { expiresInDays }),
  })
  return json({ ...describe(token), token: value, expires: token.expiresAt ?? null }, 201, NO_STORE)
}

export async function revokeToken(call: Call<{ token: string }>): Promise<Reply> {
  userOf(call)
  if (!(await call.accounts.revokeToken(call.principal, call.params.token)))
    throw new RegistryError('missing', 'There is no such token')
  return empty(204)
}

/** `token` is the beginning of its text, by which npm recognises what a user pastes; all of them begin alike. */
function describe({ id, name, scopes, createdAt, expiresAt }: TokenRecord) {
  return {
    key: id,
    token: TOKEN_PREFIX,
    name,
    cidr_whitelist: null,
    readonly: scopes.every(isReading),
    automation: false,
    created: createdAt,
    updated: createdAt,
    ...(expiresAt === undefined ? {} : { expires: expiresAt }),
  }
}

function scopesFor(sent: JsonObject, held: TokenRecord | undefined): string[] {
  const mayDo = held?.scopes ?? ['*']
  const readOnly = sent.readonly === true || sent.packages_and_scopes_permission === 'read-only'
  if (!readOnly) return mayDo
  const reading = mayDo.flatMap((scope) => (isReading(scope) ? [scope] : scope === '*' ? ['read'] : []))
  if (reading.length === 0)
    throw new RegistryError('forbidden', 'Your token may not read, so it cannot make one that does')
  return reading
}

function isReading(scope: string): boolean {
  return scope === 'read' || scope.startsWith('read:')
}

/** npm asks for the password again, so that a token that was stolen does not live on in others. */
async function checkPassword({ accounts, principal }: Call<unknown>, user: string, password: unknown): Promise<void> {
  if (typeof password !== 'string') throw new RegistryError('invalid', 'The body needs "password"')
  const probe = await accounts.login(user, password, 'npm token create')
  await accounts.revokeToken(principal, probe)
}

function daysOf(expires: unknown): number | undefined {
  if (expires === undefined || expires === null) return undefined
  if (typeof expires !== 'number' || !Number.isInteger(expires) || expires < 1)
    throw new RegistryError('invalid', '"expires" is a number of days')
  return expires
}

function asks(restriction: unknown): boolean {
  return Array.isArray(restriction)
    ? restriction.length > 0
    : restriction !== undefined && restriction !== null && restriction !== false
}
