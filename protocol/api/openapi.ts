/** The OpenAPI 3.1 document, made from the very schemas that validate; nothing in it is written twice. */
import { z } from 'zod'
import { type Endpoint, endpoint } from './endpoint.js'

type Json = Record<string, unknown>

export interface Described {
  version: string
  endpoints: readonly Endpoint[]
}

const PROBLEM = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string().meta({ description: 'A stable word for scripts' }),
    request_id: z.string(),
  })
  .meta({ id: 'Problem' })

export function openApi({ version, endpoints }: Described): Json {
  const components: Json = {}
  const paths: Record<string, Json> = {}
  componentOf(PROBLEM, 'output', components)
  for (const one of [...endpoints].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const path = one.path.replaceAll('*}', '}')
    paths[path] = { ...paths[path], [one.method.toLowerCase()]: operationOf(one, components) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Cairn',
      version,
      description: 'A distributed artifact registry. Errors are RFC 9457 problems; every reply has an X-Request-Id.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    // No credentials at all is an answer too: anonymous may read what is public.
    security: [{}, { bearer: [] }, { basic: [] }],
    tags: [...new Set(endpoints.map(tagOf))].sort().map((name) => ({ name })),
    paths,
    components: {
      schemas: components,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'An API token or the access token of a session' },
        basic: { type: 'http', scheme: 'basic', description: 'User and password, or any user name and a token' },
      },
    },
  }
}

/** The document as an endpoint. `describe` is asked once, when it is first wanted. */
export function openApiEndpoint(describe: () => Described): Endpoint {
  let text: string | undefined
  return endpoint({
    name: 'openapi.get',
    method: 'GET',
    path: '/api/v1/openapi.json',
    summary: 'This document',
    access: 'anyone',
    reply: 'raw',
    handle: async () => {
      text ??= JSON.stringify(openApi(describe()))
      return { status: 200, headers: { 'content-type': 'application/json', 'cache-control': 'no-cache' }, body: text }
    },
  })
}

function operationOf(one: Endpoint, components: Json): Json {
  const body = bodyOf(one, components)
  return {
    operationId: one.name,
    summary: one.summary,
    tags: [tagOf(one)],
    parameters: [...pathParameters(one.path), ...queryParameters(one.query, components)],
    ...(body ? { requestBody: { required: true, content: body } } : {}),
    responses: {
      [one.status]: { description: one.summary, ...replyOf(one, components) },
      default: {
        description: 'A problem',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
    'x-cairn-access': requirementOf(one.access),
  }
}

function bodyOf({ body }: Endpoint, components: Json): Json | undefined {
  if (body === undefined) return undefined
  if (body === 'stream') return { 'application/octet-stream': {} }
  return { 'application/json': { schema: componentOf(body, 'input', components) } }
}

function replyOf({ reply }: Endpoint, components: Json): Json {
  if (reply === 'empty') return {}
  if (reply === 'raw') return { content: { '*/*': {} } }
  return { content: { 'application/json': { schema: componentOf(reply, 'output', components) } } }
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{([a-z_]+)(\*?)\}/g)].map(([, name, star]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
    ...(star === '*' ? { description: 'Any number of segments; slashes stay as they are' } : {}),
  }))
}

function queryParameters(query: z.ZodObject | undefined, components: Json): Json[] {
  if (!query) return []
  const { properties = {}, required = [] } = componentOf(query, 'input', components) as {
    properties?: Record<string, Json>
    required?: string[]
  }
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema,
  }))
}

/** JSON Schema of a schema; those with an id become components. */
function componentOf(schema: z.ZodType, io: 'input' | 'output', components: Json): Json {
  const { $schema: _, $defs, ...rest } = rewrite(z.toJSONSchema(schema, { io, target: 'draft-2020-12' })) as Json
  for (const [id, value] of Object.entries(($defs ?? {}) as Record<string, Json>)) components[id] = withoutId(value)
  if (typeof rest.id !== 'string') return rest
  components[rest.id] = withoutId(rest)
  return { $ref: `#/components/schemas/${rest.id}` }
}

function withoutId({ id: _, $id: __, ...rest }: Json): Json {
  return rest
}

function rewrite(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(rewrite)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      key === '$ref' && typeof inner === 'string' ? inner.replace('#/$defs/', '#/components/schemas/') : rewrite(inner),
    ]),
  )
}

/** 'users' of 'users.create'. */
function tagOf({ name }: Endpoint): string {
  return name.split('.', 1)[0] ?? name
}

function requirementOf(access: Endpoint['access']): string {
  if (typeof access === 'string') return access
  return 'project' in access ? `project:${access.project}` : `repository:${access.repository}`
}
