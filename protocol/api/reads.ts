/**
 * The endpoints that the primary and every node answer alike, cut off or not: repositories, artifacts, search, who one is. They
 * read what is replicated and nothing else.
 */
import { z } from 'zod'
import type { Gate } from '../access/gate.js'
import { refuseStale } from '../access/refusal.js'
import { RegistryError } from '../errors.js'
import type { Format } from '../format.js'
import type { Reply } from '../http/reply.js'
import type { HttpRequest } from '../http/request.js'
import type { Blobs, Metadata, Principal } from '../ports.js'
import type { FileRecord, RepositoryRecord } from '../records.js'
import type { Repository } from '../repository.js'
import { accessEndpoints } from './access.js'
import { visibleFiles } from './artifacts.js'
import { type Endpoint, endpoint } from './endpoint.js'
import { type Explaining, explain, explainQuery, explanationShape } from './explain.js'
import { lockEndpoints } from './locks.js'
import { after, limit, pageFrom, pageOf, pageQuery } from './page.js'
import { readProperties } from './properties.js'
import { type Holders, searchArtifacts, searchQuery } from './search.js'
import {
  artifactDetailShape,
  artifactJson,
  artifactShape,
  memberShape,
  repositoryJson,
  repositoryShape,
  repositoryUrl,
  tokenJson,
  tokenShape,
} from './shapes.js'

export interface Reads extends Explaining {
  metadata: Metadata
  gate: Gate
  formats: readonly Format[]
  /** A repository as the principal sees it: through a virtual one, only members that it may read. */
  open: (record: RepositoryRecord, principal: Principal) => Repository
  /** The reply for a recorded file, the same as on the format's own route. */
  file: (repository: Repository, file: FileRecord, request: HttpRequest) => Promise<Reply>
  /** Of this machine. */
  blobs: Pick<Blobs, 'has' | 'settled'>
  /** Where a digest is recorded, for stores that have an index of them. */
  holders?: Holders
  /** At the primary only. */
  usage?: (scope: string) => Promise<number>
  downloads?: (scope: string, path: string) => Promise<number>
}

export const API = '/api/v1'

export function readEndpoints(reads: Reads): Endpoint[] {
  return [
    ...repositoryReads(reads),
    ...artifactReads(reads),
    ...otherReads(reads),
    ...accessEndpoints(reads.metadata, reads.gate),
    ...lockEndpoints(reads),
  ]
}

function repositoryReads(reads: Reads): Endpoint[] {
  const { metadata, gate, usage } = reads
  return [
    endpoint({
      name: 'repositories.list',
      method: 'GET',
      path: `${API}/repositories`,
      summary: 'Repositories that you may see',
      access: 'anyone',
      query: pageQuery.extend({
        format: z.string().max(64).optional(),
        repo_type: z.enum(['local', 'remote', 'virtual']).optional(),
      }),
      reply: pageOf(repositoryShape),
      handle: async ({ query, principal, request }) => {
        const seen = metadata
          .repositories()
          .filter(({ format, type }) => (query.format ?? format) === format && (query.repo_type ?? type) === type)
          .filter((record) => gate.sees(principal, record))
        const { items, next } = pageFrom(seen, (record) => record.key, query)
        return {
          items: items.map((record) =>
            repositoryJson(record, {
              origin: request.origin,
              inspects: inspects(gate, principal, record),
              members: seenMembers(reads, principal, record).map(({ member_key }) => member_key),
            }),
          ),
          next,
        }
      },
    }),
    endpoint({
      name: 'repositories.get',
      method: 'GET',
      path: `${API}/repositories/{key}`,
      summary: 'One repository',
      access: { repository: 'see' },
      reply: repositoryShape,
      handle: async ({ repository, principal, request }) =>
        repositoryJson(repository, {
          origin: request.origin,
          usedBytes: await usage?.(repository.scope),
          inspects: inspects(gate, principal, repository),
          members: seenMembers(reads, principal, repository).map(({ member_key }) => member_key),
        }),
    }),
    endpoint({
      name: 'repositories.explain',
      method: 'GET',
      path: `${API}/repositories/{key}/explain`,
      summary: 'Why you get a package from a repository, or do not: where it is found, by which rule, how fresh',
      access: { repository: 'see' },
      query: explainQuery,
      reply: explanationShape,
      handle: async ({ repository, principal, query }) => explain(reads, repository, principal, query),
    }),
    endpoint({
      name: 'members.list',
      method: 'GET',
      path: `${API}/repositories/{key}/members`,
      summary: 'Members of a virtual repository that you may see, first wins',
      access: { repository: 'see' },
      reply: z.object({ items: z.array(memberShape) }),
      handle: async ({ repository, principal }) => ({
        items: seenMembers(reads, principal, repository),
      }),
    }),
  ]
}

function artifactReads({ gate, open, file: fileReply, downloads }: Reads): Endpoint[] {
  return [
    endpoint({
      name: 'artifacts.list',
      method: 'GET',
      path: `${API}/repositories/{key}/artifacts`,
      summary: 'Files of a repository, in byte order of their paths',
      access: { repository: 'see' },
      query: z.strictObject({ prefix: z.string().max(4096).optional(), after, limit }),
      reply: pageOf(artifactShape),
      handle: async ({ repository, principal, query, request }) => {
        refuseStale(gate, repository)
        const may = (path: string) => gate.looks(principal, repository, path)
        const page = { ...query, reach: gate.reach(principal, repository) }
        const { files, next } = await visibleFiles(open(repository, principal), page, may)
        return { items: files.map((file) => artifactJson(repository.key, file, request.origin)), next }
      },
    }),
    endpoint({
      name: 'artifacts.get',
      method: 'GET',
      path: `${API}/repositories/{key}/artifacts/{path*}`,
      summary: 'What is known about one file',
      access: { repository: 'look' },
      reply: artifactDetailShape,
      handle: async ({ repository, principal, params, request }) => {
        const opened = open(repository, principal)
        const file = await existing(opened, params.path)
        const version = await opened.version(file.package, file.version)
        return {
          ...artifactJson(repository.key, file, request.origin),
          properties: readProperties(version?.meta ?? ''),
          download_count: (await downloads?.(repository.scope, file.path)) ?? null,
        }
      },
    }),
    endpoint({
      name: 'artifacts.download',
      method: 'GET',
      path: `${API}/repositories/{key}/download/{path*}`,
      summary: 'The bytes of one file; ranges and conditions apply',
      access: { repository: 'read' },
      reply: 'raw',
      handle: async ({ repository, principal, params, request }) => {
        const opened = open(repository, principal)
        return fileReply(opened, await existing(opened, params.path), request)
      },
    }),
  ]
}

function otherReads(reads: Reads): Endpoint[] {
  const { metadata, gate, formats } = reads
  return [
    endpoint({
      name: 'auth.me',
      method: 'GET',
      path: `${API}/auth/me`,
      summary: 'Who you are, as the registry sees it',
      access: 'anyone',
      reply: z.object({
        username: z.string(),
        is_anonymous: z.boolean(),
        is_admin: z.boolean(),
        email: z.string(),
        groups: z.array(z.string()),
        token: tokenShape.nullable(),
      }),
      handle: async ({ principal: { name, user, token } }) => ({
        username: name,
        is_anonymous: user === undefined,
        is_admin: user?.admin ?? false,
        email: user?.email ?? '',
        groups: user?.groups ?? [],
        token: token && token.use !== 'session' ? tokenJson(token) : null,
      }),
    }),
    endpoint({
      name: 'search.artifacts',
      method: 'GET',
      path: `${API}/search/artifacts`,
      summary: 'Files by name, version, path or checksum in all repositories that you may read',
      access: 'anyone',
      query: searchQuery,
      reply: pageOf(artifactShape),
      handle: async ({ query, principal, request }) => {
        const { found, next } = await searchArtifacts(reads, principal, query)
        return { items: found.map(({ key, file }) => artifactJson(key, file, request.origin)), next }
      },
    }),
    endpoint({
      name: 'snippets.list',
      method: 'GET',
      path: `${API}/snippets`,
      summary: 'Lines that point each client at the repositories that you may see',
      access: 'anyone',
      query: pageQuery,
      reply: pageOf(z.object({ key: z.string(), format: z.string(), url: z.string(), snippet: z.string() })),
      handle: async ({ principal, request, query }) => {
        const seen = metadata.repositories().filter((record) => gate.sees(principal, record))
        const { items, next } = pageFrom(seen, (record) => record.key, query)
        return { items: items.map((record) => snippetOf(record, formats, request.origin)), next }
      },
    }),
  ]
}

/** Also for the console. '' for a format that this program does not know. */
export function snippetOf(record: RepositoryRecord, formats: readonly Format[], origin: string) {
  const url = repositoryUrl(origin, record.key)
  const snippet = formats.find((format) => format.name === record.format)?.snippet({ base: url, key: record.key }) ?? ''
  return { key: record.key, format: record.format, url, snippet }
}

/** Throws `missing`. */
export async function existing(repository: Repository, path: string): Promise<FileRecord> {
  const file = await repository.file(path)
  if (!file) throw noFile(repository.key, path)
  return file
}

export function noFile(key: string, path: string): RegistryError {
  return new RegistryError('missing', `${key} has no file ${path}`, { code: 'artifact_missing' })
}

/** Members of a virtual repository, as far as somebody sees them. */
export function seenMembers(
  { metadata, gate }: Pick<Reads, 'metadata' | 'gate'>,
  principal: Principal,
  { members, priorities }: RepositoryRecord,
): z.input<typeof memberShape>[] {
  return members.flatMap((member_key, i) => {
    const member = metadata.repository(member_key)
    return member && gate.sees(principal, member) ? [{ member_key, priority: priorities?.[i] ?? i + 1 }] : []
  })
}

/** Is where it comes from and what its rules are shown. */
function inspects(gate: Gate, principal: Principal, record: RepositoryRecord): boolean {
  return gate.decide(principal, 'audit', record).allowed
}
