/**
 * Writing artifacts by REST. A PUT is the same as on the format's own route, with the same checks; a removal takes the whole
 * version that a file belongs to, softly: its paths stay burned, and it can be restored for a set number of days.
 */
import { z } from 'zod'
import { type Endpoint, endpoint } from '../../protocol/api/endpoint.js'
import { propertyChanges, readProperties, writeProperties } from '../../protocol/api/properties.js'
import { API, existing, noFile } from '../../protocol/api/reads.js'
import { artifactJson, artifactShape, encodePath, propertiesShape, repositoryUrl } from '../../protocol/api/shapes.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Format } from '../../protocol/format.js'
import { matchesAny } from '../../protocol/glob.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import { immutableTag } from '../../protocol/metadata/reduce.js'
import type { Metadata, Principal } from '../../protocol/ports.js'
import type { FileRecord, RepositoryRecord, Step } from '../../protocol/records.js'
import type { Repository, Writable } from '../../protocol/repository.js'
import type { Downloads } from '../downloads.js'

export interface ArtifactsOptions {
  metadata: Metadata
  formats: readonly Format[]
  open: (record: RepositoryRecord, principal: Principal) => Repository
  /** Answers a request below /repository/, as for the format's own clients (`Registry.handle`). */
  formatRoute: (request: HttpRequest) => Promise<Reply> | Reply | undefined
  downloads: Downloads
  /** How long a removed artifact can be restored. */
  restoreDays: number
  nowMs: () => number
}

const DAY_MS = 86_400_000
const ATTEMPTS = 4

export function artifactEndpoints(options: ArtifactsOptions): Endpoint[] {
  return [...fileEndpoints(options), ...propertyEndpoints(options)]
}

function fileEndpoints({ metadata, formats, open, formatRoute, restoreDays, nowMs }: ArtifactsOptions): Endpoint[] {
  return [
    endpoint({
      name: 'artifacts.put',
      method: 'PUT',
      path: `${API}/repositories/{key}/artifacts/{path*}`,
      summary: "Stores a file, by the rules of the repository's format; replies with what is then known about it",
      access: { repository: 'write' },
      body: 'stream',
      reply: 'raw',
      status: 201,
      handle: async ({ repository, params, request }) => {
        const reply = await formatRoute(redirected(request, repositoryUrl('', repository.key), params.path))
        if (!reply) throw new RegistryError('missing', `There is nothing at ${params.path}`)
        // Anything but "stored" (a refusal, a resumable upload that waits for more) is for the client as it is.
        if (reply.status !== 200 && reply.status !== 201) return reply
        const file = await recorded(metadata, repository, params.path)
        return json(artifactJson(repository.key, file, request.origin), reply.status, { 'cache-control': 'no-store' })
      },
    }),
    endpoint({
      name: 'artifacts.delete',
      method: 'DELETE',
      path: `${API}/repositories/{key}/artifacts/{path*}`,
      summary: 'Removes the version that the file belongs to; it can be restored for some days, its paths stay burned',
      access: { repository: 'delete' },
      reply: 'empty',
      handle: async ({ repository, params, principal }) => {
        const target = targetOf(open(repository, principal))
        const file = await recorded(metadata, repository, params.path)
        await refuseIfImmutable(repository, metadata, file)
        await target.commit([{ kind: 'remove', package: file.package, version: file.version }], principal)
      },
    }),
    endpoint({
      name: 'artifacts.restore',
      method: 'POST',
      path: `${API}/repositories/{key}/artifacts/{path*}/restore`,
      summary: 'Brings back what was removed lately',
      access: { repository: 'write' },
      reply: artifactShape,
      handle: async ({ repository, params, principal, request }) => {
        const opened = open(repository, principal)
        const target = targetOf(opened)
        const removed = await metadata.removed(target.record.scope, params.path)
        if (!removed)
          throw new RegistryError('missing', `${repository.key} has no removed file ${params.path}`, {
            code: 'artifact_missing',
          })
        if (nowMs() - Date.parse(removed.removedAt) > restoreDays * DAY_MS)
          throw new RegistryError(
            'conflict',
            `It was removed more than ${restoreDays} days ago and cannot be restored`,
            { code: 'restore_window_over' },
          )
        const format = formats.find(({ name }) => name === repository.format)
        const others = (await format?.restoredWith?.(opened, removed)) ?? []
        const step: Step = { kind: 'restore', package: removed.package, version: removed.version }
        await target.commit([...others, step], principal)
        return artifactJson(repository.key, await recorded(metadata, repository, params.path), request.origin)
      },
    }),
  ]
}

function propertyEndpoints({ open, downloads }: ArtifactsOptions): Endpoint[] {
  return [
    endpoint({
      name: 'artifacts.update',
      method: 'PATCH',
      path: `${API}/repositories/{key}/artifacts/{path*}`,
      summary: 'Changes the properties of the version that the file belongs to',
      access: { repository: 'write' },
      body: z.strictObject({ properties: propertyChanges }),
      reply: z.object({ properties: propertiesShape }),
      handle: async ({ repository, params, body, principal }) => {
        const opened = open(repository, principal)
        const { package: name, version } = await existing(opened, params.path)
        return { properties: await amend(opened, name, version, principal, body.properties) }
      },
    }),
    endpoint({
      name: 'statistics.get',
      method: 'GET',
      path: `${API}/repositories/{key}/statistics`,
      summary: 'Downloads of a repository, or of one file in it',
      access: { repository: 'look' },
      query: z.strictObject({
        path: z.string().max(4096).optional(),
        days: z.coerce.number().int().min(1).max(366).default(30),
      }),
      reply: z
        .object({
          total: z.number(),
          last_download_at: z.string().nullable(),
          days: z.array(z.object({ day: z.string(), count: z.number() })),
          top: z.array(z.object({ path: z.string(), count: z.number() })),
        })
        .meta({ id: 'Statistics' }),
      handle: async ({ repository, query }) => {
        const { total, lastAt, days, top } = await downloads.statistics(repository.scope, query)
        return { total, last_download_at: lastAt ?? null, days, top }
      },
    }),
  ]
}

async function refuseIfImmutable(
  { scope, immutableTags = [] }: RepositoryRecord,
  metadata: Metadata,
  file: FileRecord,
): Promise<void> {
  if (immutableTags.length === 0) return
  for (const [tag, version] of Object.entries(await metadata.tags(scope, file.package)))
    if (version === file.version && matchesAny(immutableTags, tag)) throw immutableTag(file.package, tag)
}

/** Reads, changes and writes under an optimistic lock; somebody else's change in between means once more. */
async function amend(
  repository: Repository,
  name: string,
  version: string,
  by: Principal,
  changes: Record<string, string | null>,
): Promise<Record<string, string>> {
  const target = targetOf(repository)
  for (let attempt = 1; ; attempt++) {
    const [entry, found] = [await repository.package(name), await repository.version(name, version)]
    if (!entry || !found) throw new RegistryError('missing', 'It was removed meanwhile')
    const meta = writeProperties(found.meta, changes)
    try {
      await target.commit([{ kind: 'amend', package: name, version, meta }], by, { package: name, last: entry.last })
      return readProperties(meta)
    } catch (error) {
      if (!(error instanceof RegistryError && error.kind === 'conflict') || attempt === ATTEMPTS) throw error
    }
  }
}

/** A file of a repository that is written to, whatever its rules say of reading it. Throws `missing`. */
async function recorded(metadata: Metadata, { key, scope }: RepositoryRecord, path: string): Promise<FileRecord> {
  const file = await metadata.file(scope, path)
  if (!file) throw noFile(key, path)
  return file
}

/** The same request, to another path. Written out, since a request's fields are read from it when asked for. */
function redirected(request: HttpRequest, base: string, path: string): HttpRequest {
  const { id, method, query, headers, length, body, signal, remote, origin } = request
  return { id, method, query, headers, length, body, signal, remote, origin, path: `${base}/${encodePath(path)}` }
}

function targetOf(repository: Repository): Writable {
  if (!repository.target)
    throw new RegistryError('unsupported', `${repository.key} is not a repository that can be written to`, {
      code: 'not_writable',
    })
  return repository.target
}
