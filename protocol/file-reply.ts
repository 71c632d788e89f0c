/** Replies whose body is a file of a repository: one that is recorded, or one that is arriving from an upstream. */
import type { Format } from './format.js'
import { contentTypeOf, downloadHeaders } from './http/mime.js'
import type { Reply } from './http/reply.js'
import type { HttpRequest } from './http/request.js'
import type { Arrival } from './kinds/arrival.js'
import type { Bytes } from './ports.js'
import type { FileRecord, RepositoryRecord } from './records.js'
import type { Repository } from './repository.js'

/** Called for each file that a client gets. */
export type Count = (record: RepositoryRecord, path: string) => void

const IMMUTABLE = 'max-age=31536000, immutable'

export interface Sending {
  format: Format
  repository: Repository
  request: HttpRequest
  count: Count | undefined
}

export async function fileReply(
  { format, repository, request, count }: Sending,
  file: FileRecord,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const { record } = repository
  const bytes = request.method === 'HEAD' ? unread(file.size) : await repository.open(file)
  if (request.method === 'GET') count?.(record, file.path)
  return {
    status: 200,
    headers: {
      ...described(format, record, file.path),
      etag: `"${file.digest}"`,
      'last-modified': new Date(file.publishedAt).toUTCString(),
      'x-checksum-sha256': file.digest,
      ...(file.hashes.sha1 ? { 'x-checksum-sha1': file.hashes.sha1 } : {}),
      ...(file.hashes.md5 ? { 'x-checksum-md5': file.hashes.md5 } : {}),
      'x-cairn-source': bytes.source,
      ...headers,
    },
    body: bytes,
  }
}

/** Bytes whose digest nobody knows yet: the end of them comes only once it is known to be right. */
export function arrivingReply({ format, repository, request, count }: Sending, path: string, arrival: Arrival): Reply {
  const { record } = repository
  const { size } = arrival
  const read: Bytes['read'] = (range, signal) => arrival.read(range, signal)
  if (request.method === 'GET') count?.(record, path)
  return {
    status: 200,
    headers: { ...described(format, record, path), 'x-cairn-source': 'upstream' },
    body: size === undefined ? read() : { size, source: 'upstream', read },
  }
}

/** What follows from the path alone. */
function described(format: Format, record: RepositoryRecord, path: string): Record<string, string> {
  const type = format.contentType?.(path) ?? contentTypeOf(path)
  const changes = record.redeploy || (record.type !== 'local' && format.upstream?.mutable?.(path) === true)
  return {
    'content-type': type,
    ...downloadHeaders(path, type),
    'cache-control': `${record.public ? 'public' : 'private'}, ${changes ? 'no-cache' : IMMUTABLE}`,
  }
}

/** Stands for the bytes of a HEAD reply, which nobody reads. */
function unread(size: number): Bytes {
  return {
    size,
    source: 'cache',
    read() {
      throw new Error('a HEAD reply has no body to read')
    },
  }
}
