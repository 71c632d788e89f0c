/** What REST says about records, in the words of its users: schemas for the document, and the functions that fill them. */
import { z } from 'zod'
import type { TokenUse } from '../access/uses.js'
import type { FileRecord, RepositoryRecord, TokenRecord, UserRecord } from '../records.js'
import { ruleFields, rulesJson } from './rules.js'

export const time = z.string().meta({ format: 'date-time' })
export const actions = z.enum(['read', 'write', 'delete', 'admin', 'audit'])

const settingsShape = z.record(z.string().max(64), z.union([z.string().max(256), z.number()]))

export const repositoryShape = z
  .object({
    key: z.string(),
    name: z.string(),
    format: z.string(),
    repo_type: z.enum(['local', 'remote', 'virtual']),
    is_public: z.boolean(),
    project: z.string().optional().meta({ description: 'That it belongs to, where it belongs to one' }),
    allow_redeploy: z.boolean().meta({ description: 'May a path be given other bytes' }),
    immutable_tags: z.array(z.string()).optional().meta({ description: 'Of local repositories that have some' }),
    quota_bytes: z.number().nullable(),
    used_bytes: z.number().nullable().meta({ description: 'Null where it is not known: in lists, and at nodes' }),
    upstream_url: z.string().nullable().meta({ description: 'Shown to those who administer or audit the repository' }),
    upstream_mirrors: z.array(z.string()).optional().meta({ description: 'Shown like upstream_url' }),
    metadata_ttl_seconds: z
      .number()
      .nullable()
      .optional()
      .meta({ description: 'Of remote repositories only; null: a minute' }),
    max_staleness_seconds: z.number().nullable().optional().meta({
      description:
        'A node that has had no news of the primary for longer refuses what is in here (503); null: it never does',
    }),
    settings: settingsShape.optional().meta({ description: "The format's own settings, where any are chosen" }),
    ...ruleFields,
    description: z.string(),
    members: z.array(z.string()),
    url: z.string().meta({ description: 'Where clients of the format find it' }),
    created_at: time,
  })
  .meta({ id: 'Repository' })

export const memberShape = z.object({ member_key: z.string(), priority: z.number() }).meta({ id: 'Member' })

export const artifactShape = z
  .object({
    repository: z.string(),
    path: z.string(),
    size: z.number(),
    digest: z.string().meta({ description: 'SHA-256, hexadecimal' }),
    checksums: z.object({
      sha256: z.string(),
      sha1: z.string().optional(),
      sha512: z.string().optional(),
      md5: z.string().optional(),
    }),
    package: z.string(),
    version: z.string(),
    published_at: time,
    download_url: z.string(),
  })
  .meta({ id: 'Artifact' })

export const propertiesShape = z.record(z.string(), z.string())

export const artifactDetailShape = artifactShape
  .extend({ properties: propertiesShape, download_count: z.number().nullable().meta({ description: 'Null at nodes' }) })
  .meta({ id: 'ArtifactDetail' })

export const userShape = z
  .object({
    username: z.string(),
    email: z.string(),
    is_admin: z.boolean(),
    is_disabled: z.boolean(),
    groups: z.array(z.string()),
    project: z.string().optional().meta({ description: 'That owns it: only service accounts have one' }),
    created_at: time,
  })
  .meta({ id: 'User' })

export const tokenShape = z
  .object({
    id: z.string(),
    name: z.string(),
    username: z.string(),
    scopes: z.array(z.string()),
    created_at: time,
    expires_at: time.nullable(),
    last_used_at: time
      .optional()
      .meta({ description: 'To about a minute; nodes tell it with a delay. Shown in lists' }),
    last_used_from: z.string().optional().meta({ description: "The client's address" }),
  })
  .meta({ id: 'Token' })

export interface RepositoryExtras {
  origin: string
  usedBytes?: number | undefined
  /** Where it comes from and what its rules are is shown. */
  inspects?: boolean
  /** Keys of the members that the asker sees. */
  members: string[]
}

export function repositoryJson(record: RepositoryRecord, extras: RepositoryExtras): z.input<typeof repositoryShape> {
  return {
    key: record.key,
    name: record.name,
    format: record.format,
    repo_type: record.type,
    is_public: record.public,
    ...(record.project === undefined ? {} : { project: record.project }),
    allow_redeploy: record.redeploy,
    ...(record.immutableTags ? { immutable_tags: record.immutableTags } : {}),
    quota_bytes: record.quota ?? null,
    used_bytes: extras.usedBytes ?? null,
    upstream_url: extras.inspects ? (record.upstream ?? null) : null,
    ...(extras.inspects && record.mirrors ? { upstream_mirrors: record.mirrors } : {}),
    ...(record.type === 'remote' ? { metadata_ttl_seconds: record.metadataTtlSeconds ?? null } : {}),
    ...(record.type === 'virtual' ? {} : { max_staleness_seconds: record.maxStalenessSeconds ?? null }),
    ...(record.settings ? { settings: record.settings } : {}),
    ...(extras.inspects ? rulesJson(record.rules) : {}),
    description: record.description,
    members: extras.members,
    url: repositoryUrl(extras.origin, record.key),
    created_at: record.createdAt,
  }
}

export function artifactJson(key: string, file: FileRecord, origin: string): z.input<typeof artifactShape> {
  return {
    repository: key,
    path: file.path,
    size: file.size,
    digest: file.digest,
    checksums: { sha256: file.digest, ...file.hashes },
    package: file.package,
    version: file.version,
    published_at: file.publishedAt,
    download_url: `${origin}/api/v1/repositories/${key}/download/${encodePath(file.path)}`,
  }
}

export function userJson(user: UserRecord): z.input<typeof userShape> {
  const { name, email, admin, disabled, groups, project, createdAt } = user
  const owner = project === undefined ? {} : { project }
  return { username: name, email, is_admin: admin, is_disabled: disabled, groups, ...owner, created_at: createdAt }
}

export function tokenJson(token: TokenRecord, used?: TokenUse): z.input<typeof tokenShape> {
  const { id, name, user, scopes, createdAt, expiresAt } = token
  const last = used ? { last_used_at: used.at, last_used_from: used.remote } : {}
  return { id, name, username: user, scopes, created_at: createdAt, expires_at: expiresAt ?? null, ...last }
}

export function repositoryUrl(origin: string, key: string): string {
  return `${origin}/repository/${key}`
}

/** Each segment percent-encoded, without a slash at the beginning. */
export function encodePath(path: string): string {
  return path.replace(/^\//, '').split('/').map(encodeURIComponent).join('/')
}
