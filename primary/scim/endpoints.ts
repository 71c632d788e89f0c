/** `/scim/v2` (RFC 7644): which addresses there are, and how a request becomes a question to users or groups and a reply. */
import { z } from 'zod'
import type { Gate } from '../../protocol/access/gate.js'
import { check, readJson } from '../../protocol/api/body.js'
import { type Ask, type Endpoint, endpoint } from '../../protocol/api/endpoint.js'
import { RegistryError } from '../../protocol/errors.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import type { Providers } from '../identity/providers.js'
import { resourceTypeList, schemaList, serviceProviderConfig, wholeList } from './discovery.js'
import { errorReply, SCIM_JSON } from './error.js'
import type { Values } from './evaluate.js'
import type { ScimGroups } from './groups.js'
import { listAsk, listJson, listQuery, searchBody, selectionOf, selectionQuery } from './list.js'
import { SCIM } from './provider.js'
import { type Found, tagOf } from './provisioning.js'
import { group, user } from './schema.js'
import type { ScimUsers } from './users.js'

export interface ScimParts {
  users: ScimUsers
  groups: ScimGroups
  providers: Pick<Providers, 'list'>
  gate: Gate
}

export const ROOT = '/scim/v2'
/** Of a group with all its members, the longest that clients send. */
const MAX_BODY_BYTES = 8 * 1024 * 1024
const body = z.record(z.string(), z.unknown())

type Asked = Pick<Ask<unknown, { provider?: string | undefined }, unknown>, 'principal' | 'request' | 'query' | 'note'>

export function scimEndpoints(parts: ScimParts): Endpoint[] {
  return [
    ...resources(parts, user, parts.users),
    ...resources(parts, group, parts.groups),
    ...patches(parts),
    ...discovery(),
    ...unsupported(),
  ]
}

/** What users and groups have in common. */
type Store = Pick<ScimUsers, 'list' | 'get' | 'create' | 'replace' | 'remove'>

function resources(parts: ScimParts, resource: typeof user, store: Store): Endpoint[] {
  const path = `${ROOT}${resource.endpoint}` as const
  const name = `scim_${resource.name.toLowerCase()}s`
  return [
    endpoint({
      name: `${name}.list`,
      method: 'GET',
      path,
      summary: `${resource.name}s that fit a filter, in pages`,
      access: 'provisioner',
      query: listQuery,
      reply: 'raw',
      handle: async (ask) => {
        const asked = listAsk(ask.query, selectionOf(ask.query), resource)
        return shown(listJson(await store.list(providerOf(ask, parts), baseOf(ask), asked), asked))
      },
    }),
    endpoint({
      name: `${name}.search`,
      method: 'POST',
      path: `${path}/.search`,
      summary: 'The same for a question that is too long for a query',
      access: 'provisioner',
      asks: true,
      query: selectionQuery,
      body: 'stream',
      reply: 'raw',
      handle: async (ask) => {
        const sent = check(await bodyOf(ask.request), searchBody, 'body')
        const asked = listAsk(sent, selectionOf(sent), resource)
        return shown(listJson(await store.list(providerOf(ask, parts), baseOf(ask), asked), asked))
      },
    }),
    endpoint({
      name: `${name}.get`,
      method: 'GET',
      path: `${path}/{id}`,
      summary: `One ${resource.name}`,
      access: 'provisioner',
      query: selectionQuery,
      reply: 'raw',
      handle: async (ask) =>
        one(await store.get(providerOf(ask, parts), ask.params.id, baseOf(ask), selectionOf(ask.query))),
    }),
    endpoint({
      name: `${name}.create`,
      method: 'POST',
      path,
      summary: `A new ${resource.name}`,
      access: 'provisioner',
      query: selectionQuery,
      body: 'stream',
      reply: 'raw',
      handle: async (ask) => {
        const provider = providerOf(ask, parts)
        const made = await store.create(provider, await bodyOf(ask.request), baseOf(ask), selectionOf(ask.query))
        ask.note.created = String(made.whole.id)
        return one(made, 201, { location: `${baseOf(ask)}${resource.endpoint}/${made.whole.id}` })
      },
    }),
    endpoint({
      name: `${name}.replace`,
      method: 'PUT',
      path: `${path}/{id}`,
      summary: `All of one ${resource.name} anew`,
      access: 'provisioner',
      query: selectionQuery,
      body: 'stream',
      reply: 'raw',
      handle: async (ask) => {
        const provider = providerOf(ask, parts)
        const sent = await bodyOf(ask.request)
        const { id } = ask.params
        return one(await store.replace(provider, id, sent, matchOf(ask), baseOf(ask), selectionOf(ask.query)))
      },
    }),
    endpoint({
      name: `${name}.delete`,
      method: 'DELETE',
      path: `${path}/{id}`,
      summary:
        resource.name === 'User'
          ? 'Out of SCIM, sessions and tokens; the account stays, disabled'
          : 'The group goes, its members stay',
      access: 'provisioner',
      query: selectionQuery,
      reply: 'raw',
      handle: async (ask) => {
        await store.remove(providerOf(ask, parts), ask.params.id, matchOf(ask))
        return empty()
      },
    }),
  ]
}

/** Of a group no members come back, as Entra advises: there may be thousands. */
function patches(parts: ScimParts): Endpoint[] {
  return [
    endpoint({
      name: 'scim_users.patch',
      method: 'PATCH',
      path: `${ROOT}/Users/{id}`,
      summary: 'Changes parts of one User',
      access: 'provisioner',
      query: selectionQuery,
      body: 'stream',
      reply: 'raw',
      handle: async (ask) => {
        const provider = providerOf(ask, parts)
        const sent = await bodyOf(ask.request)
        const { id } = ask.params
        return one(await parts.users.patch(provider, id, sent, matchOf(ask), baseOf(ask), selectionOf(ask.query)))
      },
    }),
    endpoint({
      name: 'scim_groups.patch',
      method: 'PATCH',
      path: `${ROOT}/Groups/{id}`,
      summary: 'Changes parts of one Group, its members among them',
      access: 'provisioner',
      query: selectionQuery,
      body: 'stream',
      reply: 'raw',
      handle: async (ask) => {
        const provider = providerOf(ask, parts)
        const version = await parts.groups.patch(provider, ask.params.id, await bodyOf(ask.request), matchOf(ask))
        return empty(204, { etag: tagOf(version) })
      },
    }),
  ]
}

function discovery(): Endpoint[] {
  const listed = (name: string, items: (base: string) => Values[]) => [
    endpoint({
      name: `scim.${name}`,
      method: 'GET',
      path: `${ROOT}/${name}`,
      summary: `What there is: ${name}`,
      access: 'provisioner',
      reply: 'raw',
      handle: async (ask) => shown(wholeList(items(baseOf(ask)))),
    }),
    endpoint({
      name: `scim.${name}.one`,
      method: 'GET',
      path: `${ROOT}/${name}/{id}`,
      summary: `One of ${name}`,
      access: 'provisioner',
      reply: 'raw',
      handle: async (ask) => {
        const found = items(baseOf(ask)).find(({ id }) => id === ask.params.id)
        if (!found) throw new RegistryError('missing', `There is no ${ask.params.id.slice(0, 100)} among ${name}`)
        return shown(found)
      },
    }),
  ]
  return [
    endpoint({
      name: 'scim.ServiceProviderConfig',
      method: 'GET',
      path: `${ROOT}/ServiceProviderConfig`,
      summary: 'What of SCIM is offered',
      access: 'provisioner',
      reply: 'raw',
      handle: async (ask) => shown(serviceProviderConfig(baseOf(ask))),
    }),
    ...listed('ResourceTypes', resourceTypeList),
    ...listed('Schemas', schemaList),
  ]
}

/** RFC 7644 sections 3.7 and 3.11: what is not offered is 501. A search over users and groups together is not, either. */
function unsupported(): Endpoint[] {
  const not = (name: string, method: 'GET' | 'POST') =>
    endpoint({
      name: `scim.${name}`,
      method,
      path: `${ROOT}/${name}`,
      summary: 'Not offered',
      access: 'provisioner',
      body: 'stream',
      reply: 'raw',
      handle: async () => errorReply(501, `${name} is not offered here`),
    })
  return [not('Bulk', 'POST'), not('Me', 'GET'), not('.search', 'POST')]
}

/** An administrator, who belongs to no provider, names it in the query where there are several. */
function providerOf({ principal, query, note }: Asked, { gate, providers }: ScimParts): string {
  const own = gate.provisionsFor(principal)
  const configured = providers.list().filter(({ kind, enabled }) => kind === SCIM && enabled)
  const wanted = own ?? query.provider
  const chosen = configured.filter(({ key }) => wanted === undefined || key === wanted)
  const [provider] = chosen
  if (!provider || chosen.length > 1)
    throw own === undefined
      ? new RegistryError('invalid', 'Which of the SCIM providers is meant, provider=KEY says', {
          code: 'invalidValue',
        })
      : new RegistryError('forbidden', `The identity provider ${own} is switched off`)
  note.provider = provider.key
  return provider.key
}

async function bodyOf(request: HttpRequest): Promise<Values> {
  return readJson(request, body, MAX_BODY_BYTES)
}

function baseOf({ request }: Pick<Asked, 'request'>): string {
  return request.origin + ROOT
}

function matchOf({ request }: Pick<Asked, 'request'>): string | undefined {
  return request.headers.get('if-match')
}

function one({ whole, version }: Found, status = 200, headers: Record<string, string> = {}): Reply {
  return shown(whole, status, { etag: tagOf(version), ...headers })
}

function shown(value: Values, status = 200, headers: Record<string, string> = {}): Reply {
  return {
    status,
    headers: { 'content-type': SCIM_JSON, 'cache-control': 'no-store', ...headers },
    body: JSON.stringify(value),
  }
}
