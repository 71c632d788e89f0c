/** API tokens: one's own, those of a project's service accounts for who administers the project, and those of identity providers. */
import { z } from 'zod'
import { PROVISIONING } from '../../protocol/access/scope.js'
import { type Endpoint, endpoint } from '../../protocol/api/endpoint.js'
import { pageFrom, pageOf, pageQuery } from '../../protocol/api/page.js'
import { API } from '../../protocol/api/reads.js'
import { tokenJson, tokenShape } from '../../protocol/api/shapes.js'
import { RegistryError } from '../../protocol/errors.js'
import type { ProjectRecord, TokenRecord } from '../../protocol/records.js'
import { MAX_OVERLAP_MINUTES, MAX_TOKEN_DAYS, type Rotation, type TokenDraft } from '../accounts/tokens.js'
import type { Keeping, PrimaryAccounts } from '../accounts.js'
import type { Federation } from '../identity/federation.js'
import type { Providers } from '../identity/providers.js'
import { SCIM } from '../scim/provider.js'

const expiresInDays = z
  .number()
  .int()
  .min(1)
  .max(MAX_TOKEN_DAYS)
  .nullable()
  .optional()
  .meta({ description: 'Left out: as this system has it (90 days). null: never, where this system allows that' })

const draft = z.strictObject({
  name: z.string().min(1).max(100),
  scopes: z.array(z.string().max(300)).min(1).max(50).default(['*']).meta({
    description:
      '"*", or read, write, delete, admin, audit, each with ":pattern" over repository keys and "/path" (a beginning, "*" any run of characters) if wanted',
  }),
  expires_in_days: expiresInDays,
})

const rotation = z.strictObject({
  overlap_minutes: z
    .number()
    .int()
    .min(0)
    .max(MAX_OVERLAP_MINUTES)
    .default(1440)
    .meta({ description: 'How long the old value works on' }),
  expires_in_days: expiresInDays.meta({ description: 'Left out: as long as the old one was made for' }),
})

const newTokenShape = tokenShape.extend({ value: z.string() }).meta({ id: 'NewToken' })
const OF_PROVIDER = `${API}/identity-providers/{key}/tokens` as const
const OF_SERVICE_ACCOUNT = `${API}/projects/{key}/service-accounts/{name}/tokens` as const

export function tokenEndpoints(
  accounts: PrimaryAccounts,
  federation: Pick<Federation, 'own'>,
  providers: Pick<Providers, 'get'>,
): Endpoint[] {
  return [
    ...ownTokens(accounts),
    ...tokensOfUsers(accounts),
    ...serviceTokens(accounts),
    ...providerTokens(accounts, federation, providers),
  ]
}

function ownTokens(accounts: PrimaryAccounts): Endpoint[] {
  return [
    endpoint({
      name: 'tokens.create',
      method: 'POST',
      path: `${API}/auth/tokens`,
      summary: 'A new API token; its value is shown this once',
      access: 'authenticated',
      body: draft,
      reply: newTokenShape,
      status: 201,
      handle: async ({ body, principal, note }) => madeJson(await accounts.createToken(principal, draftOf(body)), note),
    }),
    endpoint({
      name: 'tokens.list',
      method: 'GET',
      path: `${API}/auth/tokens`,
      summary: 'Your API tokens, without their values',
      access: 'authenticated',
      query: pageQuery,
      reply: pageOf(tokenShape),
      handle: async ({ principal, query }) => listed(accounts, accounts.tokens(principal), query),
    }),
    endpoint({
      name: 'tokens.rotate',
      method: 'POST',
      path: `${API}/auth/tokens/{id}/rotate`,
      summary: 'A successor of one of your tokens, which works on for a while; its value is shown this once',
      access: 'authenticated',
      body: rotation,
      reply: newTokenShape,
      status: 201,
      handle: async ({ params, body, principal, note }) =>
        madeJson(await accounts.rotateToken(principal, params.id, rotationOf(body)), note),
    }),
    endpoint({
      name: 'tokens.revoke',
      method: 'DELETE',
      path: `${API}/auth/tokens/{id}`,
      summary: 'Revokes one of your tokens; administrators can revoke any',
      access: 'authenticated',
      reply: 'empty',
      handle: async ({ principal, params }) => refuseNone(await accounts.revokeToken(principal, params.id)),
    }),
  ]
}

/** For those who look after the system: which there are, so that they can be revoked. */
function tokensOfUsers(accounts: PrimaryAccounts): Endpoint[] {
  return [
    endpoint({
      name: 'user_tokens.list',
      method: 'GET',
      path: `${API}/users/{username}/tokens`,
      summary: 'API tokens of a user, without their values',
      access: 'auditor',
      query: pageQuery,
      reply: pageOf(tokenShape),
      handle: async ({ params, query }) => {
        const owner = accounts.directory.user(params.username)
        if (!owner) throw new RegistryError('missing', `There is no user ${params.username}`)
        return listed(accounts, accounts.tokensFor(owner).list(), query)
      },
    }),
  ]
}

function serviceTokens(accounts: PrimaryAccounts): Endpoint[] {
  const of = (project: ProjectRecord, name: string): Keeping =>
    accounts.tokensFor(accounts.projects.serviceAccount(project, name))
  return [
    endpoint({
      name: 'service_tokens.create',
      method: 'POST',
      path: OF_SERVICE_ACCOUNT,
      summary: 'A new API token of a service account; its value is shown this once',
      access: { project: 'manage' },
      body: draft,
      reply: newTokenShape,
      status: 201,
      handle: async ({ project, params, body, principal, note }) =>
        madeJson(await of(project, params.name).create(principal, draftOf(body)), note),
    }),
    endpoint({
      name: 'service_tokens.list',
      method: 'GET',
      path: OF_SERVICE_ACCOUNT,
      summary: 'API tokens of a service account, without their values',
      access: { project: 'manage' },
      query: pageQuery,
      reply: pageOf(tokenShape),
      handle: async ({ project, params, query }) => listed(accounts, of(project, params.name).list(), query),
    }),
    endpoint({
      name: 'service_tokens.rotate',
      method: 'POST',
      path: `${OF_SERVICE_ACCOUNT}/{id}/rotate`,
      summary: 'A successor of one of its tokens, which works on for a while',
      access: { project: 'manage' },
      body: rotation,
      reply: newTokenShape,
      status: 201,
      handle: async ({ project, params, body, principal, note }) =>
        madeJson(await of(project, params.name).rotate(principal, params.id, rotationOf(body)), note),
    }),
    endpoint({
      name: 'service_tokens.revoke',
      method: 'DELETE',
      path: `${OF_SERVICE_ACCOUNT}/{id}`,
      summary: 'Revokes one of its tokens',
      access: { project: 'manage' },
      reply: 'empty',
      handle: async ({ project, params, principal }) =>
        refuseNone(await of(project, params.name).revoke(principal, params.id)),
    }),
  ]
}

function providerTokens(
  accounts: PrimaryAccounts,
  federation: Pick<Federation, 'own'>,
  providers: Pick<Providers, 'get'>,
): Endpoint[] {
  const of = async (key: string, by: string): Promise<Keeping> => {
    if (providers.get(key).kind !== SCIM)
      throw new RegistryError('invalid', `${key} says itself who somebody is; only a SCIM provider has tokens`)
    return accounts.tokensFor(await federation.own(key, by))
  }
  return [
    endpoint({
      name: 'provider_tokens.create',
      method: 'POST',
      path: OF_PROVIDER,
      summary:
        'A new token with which a SCIM provider provisions users, and nothing else; its value is shown this once',
      access: 'administrator',
      body: draft.omit({ scopes: true }),
      reply: newTokenShape,
      status: 201,
      handle: async ({ params, body, principal, note }) => {
        const keeping = await of(params.key, principal.name)
        return madeJson(await keeping.create(principal, draftOf({ ...body, scopes: [PROVISIONING] })), note)
      },
    }),
    endpoint({
      name: 'provider_tokens.list',
      method: 'GET',
      path: OF_PROVIDER,
      summary: 'Tokens of a SCIM provider, without their values',
      access: 'administrator',
      query: pageQuery,
      reply: pageOf(tokenShape),
      handle: async ({ params, principal, query }) =>
        listed(accounts, (await of(params.key, principal.name)).list(), query),
    }),
    endpoint({
      name: 'provider_tokens.rotate',
      method: 'POST',
      path: `${OF_PROVIDER}/{id}/rotate`,
      summary: 'A successor of one of its tokens, which works on for a while',
      access: 'administrator',
      body: rotation,
      reply: newTokenShape,
      status: 201,
      handle: async ({ params, body, principal, note }) => {
        const keeping = await of(params.key, principal.name)
        return madeJson(await keeping.rotate(principal, params.id, rotationOf(body)), note)
      },
    }),
    endpoint({
      name: 'provider_tokens.revoke',
      method: 'DELETE',
      path: `${OF_PROVIDER}/{id}`,
      summary: 'Revokes one of its tokens',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params, principal }) =>
        refuseNone(await (await of(params.key, principal.name)).revoke(principal, params.id)),
    }),
  ]
}

function draftOf({ name, scopes, expires_in_days }: z.output<typeof draft>): TokenDraft {
  return { name, scopes, expiresInDays: expires_in_days }
}

function rotationOf({ overlap_minutes, expires_in_days }: z.output<typeof rotation>): Rotation {
  return { overlapMinutes: overlap_minutes, expiresInDays: expires_in_days }
}

function madeJson(
  { value, token }: { value: string; token: TokenRecord },
  note: Record<string, string | number | boolean | null>,
): z.input<typeof newTokenShape> {
  note.token = token.id
  return { ...tokenJson(token), value }
}

async function listed(
  accounts: PrimaryAccounts,
  tokens: TokenRecord[],
  query: { limit: number; after?: string | undefined },
) {
  const sorted = tokens.sort((a, b) => (a.id < b.id ? -1 : 1))
  const { items, next } = pageFrom(sorted, (token) => token.id, query)
  const uses = await accounts.lastUses.of(items.map(({ id }) => id))
  return { items: items.map((token) => tokenJson(token, uses.get(token.id))), next }
}

function refuseNone(found: boolean): void {
  if (!found) throw new RegistryError('missing', 'You have no such token')
}
