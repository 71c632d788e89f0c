/**
 * Who a client is and how it becomes somebody: whoami, log-in and log-out, profile. npm first tries log-in by browser
 * (POST /-/v1/login); 404 makes it ask for user name and password.
 */

import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { UserRecord } from '../../protocol/records.js'
import type { RootCall } from '../../protocol/root.js'
import { readJson } from '../text/body.js'
import { isObject } from '../text/json.js'

const BODY_LIMIT = 64 * 1024
const USER_PREFIX = 'org.couchdb.user:'
const NO_STORE = { 'cache-control': 'no-store' }

/** The user behind a request. Throws `unauthenticated` for anybody else. */
export function userOf({ principal }: Pick<Call<unknown>, 'principal'>): UserRecord {
  if (!principal.user) throw new RegistryError('unauthenticated', 'You are not logged in')
  return principal.user
}

export async function whoami(call: Call<unknown>): Promise<Reply> {
  return json({ username: userOf(call).name }, 200, NO_STORE)
}

export async function loginByBrowser(): Promise<Reply> {
  throw new RegistryError('missing', 'There is no log-in by browser here; use a user name and password')
}

/** PUT /-/user/org.couchdb.user:{name}[/-rev/{rev}]. Replies with a token. */
export async function login(call: RootCall): Promise<Reply> {
  const id = call.params.user
  const sent = await readJson(call.request, BODY_LIMIT)
  if (!isObject(sent) || typeof sent.name !== 'string' || typeof sent.password !== 'string')
    throw new RegistryError('invalid', 'The body needs "name" and "password"')
  if (id !== USER_PREFIX + sent.name)
    throw new RegistryError('invalid', 'The name in the body is not the one in the path')
  const token = await call.accounts.login(sent.name, sent.password, 'npm login')
  return json({ ok: true, id, rev: '1-0', token }, 201, NO_STORE)
}

/**
 * `npm owner add` asks for a user before it names one. Every name is answered alike: who has an account is not for everybody to
 * know, and a maintainer needs none.
 */
export async function readUser(call: Call<{ user: string }>): Promise<Reply> {
  const { user: id } = call.params
  const name = id.startsWith(USER_PREFIX) ? id.slice(USER_PREFIX.length) : id
  const email = call.principal.user?.name === name ? call.principal.user.email : ''
  return json({ _id: USER_PREFIX + name, name, email, type: 'user', roles: [] }, 200, NO_STORE)
}

/** DELETE /-/user/token/{token} */
export async function logout(call: Call<{ token: string }>): Promise<Reply> {
  userOf(call)
  if (!(await call.accounts.revokeToken(call.principal, call.params.token)))
    throw new RegistryError('missing', 'There is no such token')
  return json({ ok: true }, 200, NO_STORE)
}

export async function readProfile(call: Call<unknown>): Promise<Reply> {
  const { name, email, createdAt } = userOf(call)
  const profile = {
    tfa: null,
    name,
    email,
    email_verified: false,
    created: createdAt,
    updated: createdAt,
    cidr_whitelist: null,
  }
  return json(profile, 200, NO_STORE)
}

export async function changeProfile(): Promise<Reply> {
  throw new RegistryError('unsupported', 'Accounts are changed through the REST interface, not by npm')
}

/** `npm access list packages {user}` */
export async function readUserPackages(call: Call<{ user: string }>): Promise<Reply> {
  const { name } = userOf(call)
  if (call.params.user !== name) throw new RegistryError('missing', 'Only your own packages can be listed')
  const packages = await call.repository.packages({ limit: LISTED })
  const rights = packages.flatMap((entry) => {
    if (call.may('write', entry.name)) return [[entry.name, 'write']]
    return call.may('read', entry.name) ? [[entry.name, 'read']] : []
  })
  return json(Object.fromEntries(rights), 200, NO_STORE)
}

const LISTED = 5000

export async function ok(): Promise<Reply> {
  return json({}, 200, NO_STORE)
}
