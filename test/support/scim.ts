/** SCIM over accounts in memory and a real Postgres, as the primary composes it, and clients that send what companies' providers do. */
import type pg from 'pg'
import { PasswordHashes } from '../../primary/accounts/password.js'
import { PrimaryAccounts } from '../../primary/accounts.js'
import type { ProviderKind } from '../../primary/identity/provider.js'
import { scim } from '../../primary/scim/provider.js'
import { openScim } from '../../primary/scim/scim.js'
import { Gate } from '../../protocol/access/gate.js'
import type { AuditedRequest } from '../../protocol/api/serve.js'
import { conditional } from '../../protocol/http/conditional.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import { testIdentity } from './identity.js'
import { bodyOf, ORIGIN, requestOf } from './request.js'

export interface Answer {
  status: number
  headers: Record<string, string>
  // biome-ignore lint/suspicious/noExplicitAny: what a client reads of JSON
  json: any
}

export type Client = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>

export const BASE = `${ORIGIN}/scim/v2`
export const PASSWORD = 'correct horse battery'

export async function scimWorld(pool: pg.Pool, kinds: readonly ProviderKind[] = []) {
  for (const table of [
    'identity',
    'identity_provider',
    'password',
    'refresh_token',
    'console_session',
    'scim_user',
    'scim_group',
    'scim_promise',
  ])
    await pool.query(`delete from ${table}`)
  const ledger = await MemoryLedger.open()
  const accounts = new PrimaryAccounts({
    pool,
    ledger,
    metadata: ledger.state,
    key: Buffer.alloc(32, 7),
    hashes: new PasswordHashes(1024),
  })
  await accounts.firstStart(PASSWORD)
  const identity = testIdentity(pool, accounts, [scim, ...kinds])
  const gate = new Gate(ledger.state, accounts)
  const audited: AuditedRequest[] = []
  const errors: unknown[] = []
  const handle = openScim({
    ...identity,
    pool,
    metadata: ledger.state,
    gate,
    directory: accounts.directory,
    audit: async (entry) => void audited.push(entry),
    authenticate: ({ headers, remote }) => {
      const authorization = headers.get('authorization')
      return authorization === undefined ? gate.anonymous : gate.authenticate(authorization, remote)
    },
    onError: (error) => void errors.push(error),
    nowMs: Date.now,
  })
  const admin = accounts.directory.user('admin')
  const by = { name: 'admin', user: admin, token: undefined }
  const as =
    (authorization: string | undefined): Client =>
    async (method, path, body, headers = {}) => {
      const type = body === undefined ? {} : { 'content-type': 'application/scim+json' }
      const sent = { ...(authorization === undefined ? {} : { authorization }), ...type, ...headers }
      const request = requestOf(method, `/scim/v2${path}`, {
        headers: sent,
        body: body === undefined ? undefined : JSON.stringify(body),
      })
      const whole = (await handle(request)) ?? { status: 0, headers: {} }
      const reply = conditional(request, whole)
      const text = (await bodyOf(reply)).toString('utf8')
      return { status: reply.status, headers: reply.headers, json: text === '' ? undefined : JSON.parse(text) }
    }
  const tokenOf = async (key: string): Promise<string> => {
    const keeping = accounts.tokensFor(await identity.federation.own(key, 'admin'))
    return `Bearer ${(await keeping.create(by, { name: 'provisioning', scopes: ['scim'] })).value}`
  }
  const provider = async (key: string, settings: object = {}) => {
    await identity.providers.create({ key, kind: 'scim', title: key, enabled: true, settings: { ...settings } })
    return as(await tokenOf(key))
  }
  return {
    ...identity,
    accounts,
    directory: accounts.directory,
    ledger,
    gate,
    audited,
    errors,
    as,
    by,
    provider,
    tokenOf,
  }
}

export function user(userName: string, more: object = {}): object {
  return { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName, active: true, ...more }
}

export function patch(...Operations: object[]): object {
  return { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations }
}

export function filtered(path: string, filter: string): string {
  return `${path}?${new URLSearchParams({ filter })}`
}
