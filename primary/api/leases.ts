/** Leases on names: which node publishes what while it is cut off. For administrators of the system. */
import { z } from 'zod'
import { type Endpoint, endpoint } from '../../protocol/api/endpoint.js'
import { pageFrom, pageOf, pageQuery } from '../../protocol/api/page.js'
import { API } from '../../protocol/api/reads.js'
import { time } from '../../protocol/api/shapes.js'
import type { Metadata } from '../../protocol/ports.js'
import type { LeaseRecord } from '../../protocol/records.js'
import type { Leases } from '../leases.js'

const PATH = `${API}/leases` as const
const MAX_DAYS = 366
const days = z.number().positive().max(MAX_DAYS)
const name = z
  .string()
  .max(256)
  .regex(/^[^*\p{Cc}]*\*$/u, 'must be what names begin with, and a "*"')

const leaseShape = z
  .object({
    id: z.string(),
    repository: z.string().nullable().meta({ description: 'Key; null: it was deleted' }),
    node: z.string().meta({ description: 'Id' }),
    node_name: z.string().nullable(),
    names: z.array(z.string()),
    status: z.enum(['active', 'ended', 'closed']).meta({
      description: '`ended`: the node takes nothing more, and its names stay closed until it has reported',
    }),
    created_at: time,
    until: time,
    closed_at: time.nullable(),
    closed_by: z.string().nullable(),
    voided: z.array(z.object({ names: z.string(), reason: z.string(), at: time, by: z.string() })),
  })
  .meta({ id: 'Lease' })

type Records = Pick<Metadata, 'access' | 'scope'>

export function leaseEndpoints(leases: Leases, metadata: Records, nowMs: () => number): Endpoint[] {
  const json = (lease: LeaseRecord) => leaseJson(lease, metadata, nowMs())
  return [
    endpoint({
      name: 'leases.create',
      method: 'POST',
      path: PATH,
      summary: 'Lets one node, and nobody else, publish what has certain names, also while it is cut off',
      access: 'administrator',
      body: z.strictObject({
        repository: z.string(),
        node: z.string().meta({ description: 'Id or name' }),
        names: z.array(name).min(1).max(100).meta({ description: 'Of packages: `@acme/*`; `*` is all' }),
        days: days.default(30),
      }),
      reply: leaseShape,
      status: 201,
      handle: async ({ body, principal, note, response }) => {
        const lease = await leases.create(body, principal.name)
        note.created = lease.id
        response.headers.location = `${PATH}/${lease.id}`
        return json(lease)
      },
    }),
    endpoint({
      name: 'leases.list',
      method: 'GET',
      path: PATH,
      summary: 'All leases, in the order in which they were made',
      access: 'auditor',
      query: pageQuery,
      reply: pageOf(leaseShape),
      handle: async ({ query }) => {
        const order = ({ createdAt, id }: LeaseRecord) => `${createdAt} ${id}`
        const all = leases.list().sort((a, b) => (order(a) < order(b) ? -1 : 1))
        const { items, next } = pageFrom(all, order, query)
        return { items: items.map(json), next }
      },
    }),
    endpoint({
      name: 'leases.get',
      method: 'GET',
      path: `${PATH}/{id}`,
      summary: 'One lease',
      access: 'auditor',
      reply: leaseShape,
      handle: async ({ params }) => json(leases.get(params.id)),
    }),
    endpoint({
      name: 'leases.renew',
      method: 'POST',
      path: `${PATH}/{id}/renew`,
      summary: 'Lets it last longer, from now',
      access: 'administrator',
      body: z.strictObject({ days }),
      reply: leaseShape,
      handle: async ({ params, body, principal }) => json(await leases.renew(params.id, body.days, principal.name)),
    }),
    endpoint({
      name: 'leases.end',
      method: 'POST',
      path: `${PATH}/{id}/end`,
      summary: 'Ends it; its names open once the node has heard of that and reported',
      access: 'administrator',
      reply: leaseShape,
      handle: async ({ params, principal }) => json(await leases.end(params.id, principal.name)),
    }),
    endpoint({
      name: 'leases.void',
      method: 'POST',
      path: `${PATH}/{id}/void`,
      summary: 'Gives up what waits at the node; all of it closes the lease',
      access: 'administrator',
      body: z.strictObject({
        names: name.meta({ description: '`*` is all that waits' }),
        reason: z.string().min(1).max(500),
      }),
      reply: leaseShape,
      handle: async ({ params, body, principal, note }) => {
        note.names = body.names
        note.reason = body.reason
        const prefix = body.names.slice(0, -1)
        return json(await leases.void(params.id, { prefix, reason: body.reason }, principal.name))
      },
    }),
  ]
}

function leaseJson(lease: LeaseRecord, metadata: Records, nowMs: number): z.input<typeof leaseShape> {
  const { id, scope, node, prefixes, createdAt, until, closed, voided = [] } = lease
  return {
    id,
    repository: metadata.scope(scope)?.key ?? null,
    node,
    node_name: metadata.access('node', node)?.name ?? null,
    names: prefixes.map(pattern),
    status: closed ? 'closed' : Date.parse(until) > nowMs ? 'active' : 'ended',
    created_at: createdAt,
    until,
    closed_at: closed?.at ?? null,
    closed_by: closed?.by ?? null,
    voided: voided.map(({ prefix, reason, at, by }) => ({ names: pattern(prefix), reason, at, by })),
  }
}

function pattern(prefix: string): string {
  return `${prefix}*`
}
