/** Changing repositories and their members. Who administers one may describe and open it; its quota, upstream and rules are the system's. */
import { z } from 'zod'
import type { Gate } from '../../protocol/access/gate.js'
import { type Endpoint, endpoint } from '../../protocol/api/endpoint.js'
import { API, seenMembers } from '../../protocol/api/reads.js'
import { changedRules, givesRules, ruleFields } from '../../protocol/api/rules.js'
import { memberShape, repositoryJson, repositoryShape } from '../../protocol/api/shapes.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Format } from '../../protocol/format.js'
import type { Metadata, Principal } from '../../protocol/ports.js'
import type { RepositoryRecord } from '../../protocol/records.js'
import type { Repositories } from '../repositories.js'
import type { UpstreamCredential } from '../upstream/credentials.js'

const quota = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).nullable()
const name = z.string().min(1).max(200)
const description = z.string().max(4000)
const upstream = z.string().min(1).max(2048)
const mirrors = z
  .array(upstream)
  .max(10)
  .meta({ description: 'Asked for the same paths, in order, while upstream_url cannot be asked' })
/** What a request is made of: anything else is between the upstream and whoever set it up. */
const NOT_FOR_CREDENTIALS = [
  ...['host', 'connection', 'content-length', 'transfer-encoding', 'upgrade', 'te', 'trailer', 'expect', 'keep-alive'],
  ...['accept', 'accept-encoding', 'range', 'if-none-match', 'if-modified-since', 'proxy-authorization', 'user-agent'],
]
const project = z.string().min(1).max(63).nullable()
const ttl = z.number().int().min(0).max(31_536_000)
/** An idle primary is heard of every 15 s, so a node that reaches it is never too old. */
const staleness = z
  .number()
  .int()
  .min(60)
  .max(315_360_000)
  .nullable()
  .meta({ description: 'Not of virtual ones, whose members have their own; null: however old a node’s knowledge is' })
const immutable = z
  .array(z.string().min(1).max(128))
  .max(100)
  .meta({ description: 'Globs over tags that are set once: moving or deleting one is refused with 409' })
/** Written and never shown. */
const auth = z
  .union([
    z.strictObject({
      username: z
        .string()
        .min(1)
        .max(256)
        .regex(/^[^:]*$/),
      password: z.string().max(1024),
    }),
    z.strictObject({
      token: z
        .string()
        .min(1)
        .max(8192)
        .regex(/^[\x21-\x7e]+$/),
    }),
    z.strictObject({
      header: z
        .string()
        .max(64)
        .regex(/^[A-Za-z][A-Za-z0-9-]*$/)
        .refine((header) => !NOT_FOR_CREDENTIALS.includes(header.toLowerCase()), 'is not for credentials'),
      value: z
        .string()
        .min(1)
        .max(8192)
        .regex(/^[\x20-\x7e]+$/),
    }),
  ])
  .nullable()
  .meta({
    description:
      'Credentials for the upstream: Basic, bearer or a header of its own. Never shown again; null takes them away',
  })
type UpstreamAuth = NonNullable<z.output<typeof auth>>
const setting = z.union([z.string().max(256), z.number(), z.null()])
const type = z.enum(['local', 'remote', 'virtual'])

/** What the formats offer, in words. */
function settingsOf(formats: readonly Format[]) {
  const offered = formats.flatMap(({ name: format, settings = {} }) =>
    Object.entries(settings).map(([name, { description }]) => `${name} (${format}): ${description}`),
  )
  const said = `Of local repositories, by format; null takes one away. ${offered.join('. ')}`
  return z.record(z.string().max(64), setting).optional().meta({ description: said })
}

export function repositoryEndpoints(
  repositories: Repositories,
  metadata: Metadata,
  gate: Gate,
  formats: readonly Format[],
): Endpoint[] {
  const settings = settingsOf(formats)
  return [
    endpoint({
      name: 'repositories.create',
      method: 'POST',
      path: `${API}/repositories`,
      summary: 'A new repository',
      access: 'administrator',
      body: z.strictObject({
        key: z.string().min(1).max(200),
        format: z.string().min(1).max(64),
        repo_type: type.default('local'),
        name: name.optional(),
        description: description.optional(),
        is_public: z.boolean().optional(),
        project: project.optional(),
        allow_redeploy: z.boolean().optional(),
        immutable_tags: immutable.optional(),
        quota_bytes: quota.optional(),
        upstream_url: upstream.nullable().optional(),
        upstream_mirrors: mirrors.optional(),
        upstream_auth: auth.optional(),
        metadata_ttl_seconds: ttl.nullable().optional(),
        max_staleness_seconds: staleness.optional(),
        settings,
        ...ruleFields,
        members: z.array(z.string().max(63)).max(100).optional(),
      }),
      reply: repositoryShape,
      status: 201,
      handle: async ({ body, principal, request, response, note }) => {
        note.created = body.key
        const { key, format, repo_type, is_public, allow_redeploy, quota_bytes, ...others } = body
        const { upstream_url, upstream_mirrors, upstream_auth, metadata_ttl_seconds, immutable_tags, ...rest } = others
        const { name, description, members } = rest
        const draft = {
          name,
          description,
          members,
          key,
          format,
          type: repo_type,
          public: is_public,
          project: body.project ?? undefined,
          redeploy: allow_redeploy,
          immutableTags: immutable_tags,
          quota: quota_bytes ?? undefined,
          upstream: upstream_url ?? undefined,
          mirrors: upstream_mirrors,
          metadataTtlSeconds: metadata_ttl_seconds ?? undefined,
          maxStalenessSeconds: body.max_staleness_seconds ?? undefined,
          credential: upstream_auth ? credentialOf(upstream_auth) : undefined,
          rules: changedRules(undefined, body),
          settings: body.settings,
        }
        const record = await repositories.create(draft, principal.name)
        response.headers.location = `${API}/repositories/${key}`
        return repositoryJson(record, {
          origin: request.origin,
          usedBytes: 0,
          inspects: true,
          members: record.members,
        })
      },
    }),
    endpoint({
      name: 'repositories.update',
      method: 'PATCH',
      path: `${API}/repositories/{key}`,
      summary: 'Changes a repository; key, format and type stay as they are',
      access: { repository: 'admin' },
      body: z.strictObject({
        name: name.optional(),
        description: description.optional(),
        is_public: z.boolean().optional(),
        project: project.optional(),
        allow_redeploy: z.boolean().optional(),
        immutable_tags: immutable.optional(),
        quota_bytes: quota.optional(),
        upstream_url: upstream.optional(),
        upstream_mirrors: mirrors.optional(),
        upstream_auth: auth.optional(),
        metadata_ttl_seconds: ttl.nullable().optional(),
        max_staleness_seconds: staleness.optional(),
        settings,
        ...ruleFields,
        // Taken so that a document that was read can be sent back; refused when they differ.
        key: z.string().optional(),
        format: z.string().optional(),
        repo_type: type.optional(),
      }),
      reply: repositoryShape,
      handle: async ({ repository, body, principal, request }) => {
        refuseOtherKind(repository, body)
        const { quota_bytes, max_staleness_seconds, upstream_url, upstream_mirrors, upstream_auth } = body
        const system = [quota_bytes, max_staleness_seconds, upstream_url, upstream_mirrors, upstream_auth]
        const moves = body.project !== undefined && body.project !== (repository.project ?? null)
        const isSystem = moves || system.some((field) => field !== undefined) || givesRules(body)
        if (isSystem && !gate.mayAdminister(principal))
          throw new RegistryError(
            'forbidden',
            'Only a system administrator changes quotas, staleness bounds, projects, upstreams and rules',
          )
        const changes = {
          name: body.name,
          description: body.description,
          public: body.is_public,
          project: body.project,
          redeploy: body.allow_redeploy,
          immutableTags: body.immutable_tags,
          quota: body.quota_bytes,
          upstream: body.upstream_url,
          mirrors: body.upstream_mirrors,
          metadataTtlSeconds: body.metadata_ttl_seconds ?? undefined,
          maxStalenessSeconds: body.max_staleness_seconds,
          credential: body.upstream_auth && credentialOf(body.upstream_auth),
          settings: body.settings,
          ...(givesRules(body) ? { rules: changedRules(repository.rules, body) ?? null } : {}),
        }
        const record = await repositories.update(repository.key, changes, principal.name)
        const seen = seenMembers({ metadata, gate }, principal, record).map(({ member_key }) => member_key)
        return repositoryJson(record, { origin: request.origin, inspects: true, members: seen })
      },
    }),
    endpoint({
      name: 'repositories.delete',
      method: 'DELETE',
      path: `${API}/repositories/{key}`,
      summary: 'Removes a repository with everything in it',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params, principal }) => repositories.remove(params.key, principal.name),
    }),
    ...memberEndpoints(repositories, metadata, gate),
  ]
}

function memberEndpoints(repositories: Repositories, metadata: Metadata, gate: Gate): Endpoint[] {
  return [
    endpoint({
      name: 'members.add',
      method: 'POST',
      path: `${API}/repositories/{key}/members`,
      summary: 'Adds a member to a virtual repository, or moves it; lower priorities win',
      access: { repository: 'admin' },
      body: z.strictObject({
        member_key: z.string().min(1).max(63),
        priority: z.number().int().min(0).max(1_000_000).optional(),
      }),
      reply: z.object({ items: z.array(memberShape) }),
      status: 201,
      handle: async ({ repository, body, principal, note }) => {
        note.member = body.member_key
        refuseUnseen(body.member_key, principal, metadata, gate)
        const record = await repositories.addMember(repository.key, body.member_key, body.priority, principal.name)
        return { items: seenMembers({ metadata, gate }, principal, record) }
      },
    }),
    endpoint({
      name: 'members.remove',
      method: 'DELETE',
      path: `${API}/repositories/{key}/members/{member_key}`,
      summary: 'Takes a member out of a virtual repository',
      access: { repository: 'admin' },
      reply: 'empty',
      handle: async ({ repository, params, principal }) => {
        const members = seenMembers({ metadata, gate }, principal, repository)
        if (!members.some(({ member_key }) => member_key === params.member_key))
          throw new RegistryError('missing', `${params.member_key} is no member of ${repository.key} that you may see`)
        await repositories.removeMember(repository.key, params.member_key, principal.name)
      },
    }),
  ]
}

function credentialOf(auth: UpstreamAuth): UpstreamCredential {
  if ('header' in auth) return { kind: 'header', ...auth }
  return 'token' in auth ? { kind: 'bearer', ...auth } : { kind: 'basic', ...auth }
}

/** What may not be seen must look as if it were not there. */
function refuseUnseen(key: string, principal: Principal, metadata: Metadata, gate: Gate): void {
  const record = metadata.repository(key)
  if (!record || !gate.sees(principal, record))
    throw new RegistryError('invalid', `There is no repository ${key}`, { code: 'member_missing' })
}

function refuseOtherKind(
  record: RepositoryRecord,
  body: { key?: string | undefined; format?: string | undefined; repo_type?: string | undefined },
): void {
  const changed = [
    body.key !== undefined && body.key !== record.key && 'key',
    body.format !== undefined && body.format !== record.format && 'format',
    body.repo_type !== undefined && body.repo_type !== record.type && 'repo_type',
  ].filter((field) => field !== false)
  if (changed.length > 0)
    throw new RegistryError('invalid', `${changed.join(' and ')} cannot be changed; make another repository`, {
      code: 'immutable_field',
    })
}
