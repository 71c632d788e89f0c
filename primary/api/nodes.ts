/** Edge nodes: join tokens, health, sync policies, removal. For administrators of the system. */
import { z } from 'zod'
import { type Endpoint, endpoint } from '../../protocol/api/endpoint.js'
import { pageFrom, pageOf, pageQuery } from '../../protocol/api/page.js'
import { API } from '../../protocol/api/reads.js'
import { time } from '../../protocol/api/shapes.js'
import type { Whereabouts } from '../fleet/whereabouts.js'
import type { Nodes, NodeView } from '../nodes.js'

const glob = z.string().regex(/^[a-z0-9._*-]{1,63}$/, 'must be a repository key, or a pattern of such with "*"')
const repositories = z.array(glob).min(1).max(100)
const nodeName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._ -]{0,62}$/, 'must be 1 to 63 letters, digits, ".", "_", "-" and spaces')
const pathGlobs = z.array(z.string().min(1).max(512)).max(100)

const policyShape = z
  .strictObject({
    repository: glob,
    mode: z.enum(['on_demand', 'scheduled', 'eager']),
    include: pathGlobs.default([]),
    exclude: pathGlobs.default([]),
    pin: z.boolean().optional().meta({ description: 'What the policy names is not evicted from the cache' }),
    window: z
      .string()
      .regex(/^(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d$/, 'must be HH:MM-HH:MM, UTC')
      .optional()
      .meta({ description: 'HH:MM-HH:MM in UTC; needed for `scheduled`' }),
  })
  .refine((policy) => policy.mode !== 'scheduled' || policy.window !== undefined, 'a scheduled policy needs a window')

const nodeShape = z
  .object({
    id: z.string(),
    name: z.string(),
    status: z.enum(['pending', 'online', 'offline', 'revoked', 'key']),
    repositories: z.array(z.string()),
    sync_policies: z.array(
      z.object({
        repository: z.string(),
        mode: z.string(),
        include: z.array(z.string()),
        exclude: z.array(z.string()),
        pin: z.boolean().optional(),
        window: z.string().optional(),
      }),
    ),
    created_at: time,
    last_heartbeat: time.nullable(),
    lag: z.number().nullable().meta({ description: 'Changes not yet applied, when last heard of' }),
    cache_used_bytes: z.number().nullable(),
    cache_limit_bytes: z.number().nullable(),
    peers: z.number().nullable(),
    url: z.string().nullable(),
    version: z.string().nullable(),
    sync_requested_at: time.nullable(),
    alarm: z.string().nullable().meta({ description: 'Why the node cannot believe the log that the primary signs' }),
    join_key: z
      .object({ used: z.number(), uses: z.number().nullable(), expires_at: time })
      .nullable()
      .meta({ description: 'Of a join key for ephemeral nodes' }),
  })
  .meta({ id: 'EdgeNode' })

const amount = { blobs: z.number(), bytes: z.number() }

const whereaboutsShape = z
  .object({
    share: z
      .number()
      .meta({ description: 'Of all blobs that were looked at; below 1, amounts are estimates of the whole' }),
    silent: z.number().meta({ description: 'Nodes that are connected and did not answer' }),
    places: z.array(
      z.object({
        place: z.string().meta({ description: '`primary`, a site, or a node without one' }),
        nodes: z.number(),
        ...amount,
        only_here: z.object(amount).meta({ description: 'What is nowhere else' }),
      }),
    ),
    repositories: z.array(
      z.object({
        key: z.string(),
        ...amount,
        copies: z.number().meta({ description: 'Of a blob, on average' }),
        single: z.object(amount).meta({ description: 'With one copy' }),
        none: z.object(amount).meta({ description: 'With none; a remote fetches it again' }),
      }),
    ),
  })
  .meta({ id: 'Whereabouts' })

export function nodeEndpoints(nodes: Nodes, whereabouts: () => Promise<Whereabouts>): Endpoint[] {
  return [
    endpoint({
      name: 'mesh.get',
      method: 'GET',
      path: `${API}/mesh`,
      summary: 'Where the bytes are: copies of what each repository holds, and what would be gone with one place',
      access: 'auditor',
      reply: whereaboutsShape,
      handle: whereabouts,
    }),
    endpoint({
      name: 'edge_nodes.create',
      method: 'POST',
      path: `${API}/edge-nodes`,
      summary: 'A place for a node in the fleet, or a join key for ephemeral nodes; the join token is shown this once',
      access: 'administrator',
      body: z.strictObject({
        name: nodeName.optional(),
        repositories: repositories.default(['*']),
        ephemeral: z
          .strictObject({
            uses: z.int().min(1).max(1_000_000).optional().meta({ description: 'Left out: without a limit' }),
            expires_in_days: z.int().min(1).max(3650).default(90),
          })
          .optional()
          .meta({ description: 'The token lets many nodes join, which leave no trace; otherwise one, within a day' }),
      }),
      reply: z.object({ id: z.string(), join_token: z.string(), expires_at: time }).meta({ id: 'JoinToken' }),
      status: 201,
      handle: async ({ body, note, response, principal }) => {
        const { name = '', repositories: held, ephemeral } = body
        const key = ephemeral && { uses: ephemeral.uses, days: ephemeral.expires_in_days }
        const draft = { name, repositories: held, ephemeral: key }
        const { id, joinToken, expiresAt } = await nodes.create(draft, principal.name)
        note.created = id
        response.headers.location = `${API}/edge-nodes/${id}`
        return { id, join_token: joinToken, expires_at: expiresAt }
      },
    }),
    endpoint({
      name: 'edge_nodes.list',
      method: 'GET',
      path: `${API}/edge-nodes`,
      summary: 'Nodes with their health',
      access: 'auditor',
      query: pageQuery,
      reply: pageOf(nodeShape),
      handle: async ({ query }) => {
        const order = ({ createdAt, id }: NodeView) => `${createdAt} ${id}`
        const all = (await nodes.list()).sort((a, b) => (order(a) < order(b) ? -1 : 1))
        const { items, next } = pageFrom(all, order, query)
        return { items: items.map(nodeJson), next }
      },
    }),
    endpoint({
      name: 'edge_nodes.get',
      method: 'GET',
      path: `${API}/edge-nodes/{id}`,
      summary: 'One node',
      access: 'auditor',
      reply: nodeShape,
      handle: async ({ params }) => nodeJson(await nodes.get(params.id)),
    }),
    endpoint({
      name: 'edge_nodes.update',
      method: 'PATCH',
      path: `${API}/edge-nodes/{id}`,
      summary: 'Changes what a node may hold and what it fetches beforehand',
      access: 'administrator',
      body: z.strictObject({
        name: nodeName.optional(),
        repositories: repositories.optional(),
        sync_policies: z.array(policyShape).max(100).optional(),
      }),
      reply: nodeShape,
      handle: async ({ params, body, principal }) => {
        const changes = { name: body.name, repositories: body.repositories, policies: body.sync_policies }
        return nodeJson(await nodes.update(params.id, changes, principal.name))
      },
    }),
    endpoint({
      name: 'edge_nodes.revoke',
      method: 'DELETE',
      path: `${API}/edge-nodes/{id}`,
      summary: 'Removes a node from the fleet: its certificate and join token end',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params, principal }) => nodes.revoke(params.id, principal.name),
    }),
    endpoint({
      name: 'edge_nodes.sync',
      method: 'POST',
      path: `${API}/edge-nodes/{id}/sync`,
      summary: 'Asks a node to fetch at once what its policies say; it hears of it with its next heartbeat',
      access: 'administrator',
      reply: z.object({ sync_requested_at: time }),
      status: 202,
      handle: async ({ params }) => ({ sync_requested_at: await nodes.requestSync(params.id) }),
    }),
  ]
}

function nodeJson(node: NodeView): z.input<typeof nodeShape> {
  const { heartbeat } = node
  return {
    id: node.id,
    name: node.name,
    status: node.state,
    repositories: node.repositories,
    sync_policies: node.policies,
    created_at: node.createdAt,
    last_heartbeat: node.heardAt ?? null,
    lag: node.lag ?? null,
    cache_used_bytes: heartbeat?.cache.used ?? null,
    cache_limit_bytes: heartbeat?.cache.limit ?? null,
    peers: heartbeat?.peers ?? null,
    url: heartbeat?.url ?? null,
    version: heartbeat?.version ?? null,
    sync_requested_at: node.syncRequestedAt ?? null,
    alarm: node.alarm ?? null,
    join_key: node.ephemeral
      ? { used: node.ephemeral.used, uses: node.ephemeral.uses ?? null, expires_at: node.ephemeral.expiresAt }
      : null,
  }
}
