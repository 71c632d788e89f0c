/** Gives received bytes their name, and says so. A file is a package of its own: its path is the name, its version is ''. */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import { json, type Reply } from '../../protocol/http/reply.js'
import type { FileRecord, Held, Stored } from '../../protocol/records.js'
import type { Writable } from '../../protocol/repository.js'
import { digestHeaders } from './digests.js'
import { isConditional, notMet } from './preconditions.js'

type Recording = Call<{ path: string }>

/** `present`: what the path had when the request's preconditions were checked. */
export async function record(
  call: Recording,
  target: Writable,
  stored: Stored,
  present: FileRecord | undefined,
): Promise<Reply> {
  const { path } = call.params
  if (present?.digest === stored.digest) return storedReply(call, present, 200)
  if (present && !target.record.redeploy) throw refuseOtherBytes(present)
  const file: Held = { path, ...stored }
  const before = present && (await call.repository.version(path, ''))
  const manifest = { package: path, version: '', files: [file], meta: before?.meta ?? '', publishedAt: target.now() }
  const lock = isConditional(call.request.headers) ? [{ package: path, last: await lastOf(call, present) }] : []
  try {
    await target.commit([{ kind: 'publish', manifest }], call.principal, ...lock)
  } catch (error) {
    return await afterConflict(error, call, stored)
  }
  return storedReply(call, file, present ? 200 : 201)
}

/** The reply to a file that is stored, now or since long. */
export function storedReply({ base, params }: Recording, stored: Stored, status: 200 | 201): Reply {
  const { digest, size, hashes } = stored
  return json({ path: params.path, size, sha256: digest, ...hashes }, status, {
    'cache-control': 'no-store',
    location: `${base}/${encodePath(params.path)}`,
    etag: `"${digest}"`,
    ...digestHeaders(stored),
  })
}

export function refuseOtherBytes({ path, digest }: FileRecord): RegistryError {
  return new RegistryError(
    'conflict',
    `${path} is there already with other bytes (sha256 ${digest}), and files here are never replaced`,
    {
      code: 'path_taken',
    },
  )
}

export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

/** The number that the package must still have. What was there when the conditions were checked must be there now. */
async function lastOf({ repository, params }: Recording, present: FileRecord | undefined): Promise<number> {
  const [entry, now] = [await repository.package(params.path), await repository.file(params.path)]
  if (now?.digest !== present?.digest) throw notMet('The file changed while it was sent')
  return entry?.last ?? 0
}

/** Two clients that send the same bytes at the same time have both succeeded. */
async function afterConflict(error: unknown, call: Recording, stored: Stored): Promise<Reply> {
  if (!(error instanceof RegistryError) || error.kind !== 'conflict') throw error
  if (isConditional(call.request.headers)) throw notMet('The file changed while it was sent')
  const now = await call.repository.file(call.params.path)
  if (now?.digest === stored.digest) return storedReply(call, now, 200)
  throw error
}
