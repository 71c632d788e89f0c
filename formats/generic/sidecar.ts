/**
 * {path}.sha256, .sha512, .sha1 and .md5 of a file that is there: its digest as text, in the form that `sha256sum -c` reads.
 * What was not computed when the file was stored is computed when it is first asked for, and kept as long as it is asked for.
 */
import { createHash } from 'node:crypto'
import { deadline } from '../../protocol/deadline.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { FileRecord } from '../../protocol/records.js'
import type { Repository } from '../../protocol/repository.js'
import { type Algorithm, digestsOf } from './digests.js'

/** Bytes; reading more than this for one small reply would let anybody keep the disk busy. */
const HASHED_ON_DEMAND = 8 * 1024 ** 3
/** Milliseconds in which a file must have been read and hashed. */
const DEADLINE_MS = 300_000

/** undefined: the path is not that of a sidecar, or there is no file for it. */
export async function sidecar(call: Call<{ path: string }>): Promise<Reply | undefined> {
  const [, path, algorithm] = /^(.+)\.(sha256|sha512|sha1|md5)$/.exec(call.params.path) ?? []
  if (path === undefined || !isAlgorithm(algorithm)) return undefined
  const file = call.may('read', path) ? await call.repository.file(path) : undefined
  if (!file) return undefined
  return call.index(path, algorithm, async () => ({
    contentType: 'text/plain; charset=utf-8',
    body: `${digestsOf(file)[algorithm] ?? (await computeDigest(call.repository, file, algorithm))}  ${path.slice(path.lastIndexOf('/') + 1)}\n`,
    modified: file.publishedAt,
  }))
}

/** Others may wait for the same result, so it does not end with the client that asked first. */
export async function computeDigest(
  repository: Pick<Repository, 'open'>,
  file: FileRecord,
  algorithm: Algorithm,
): Promise<string> {
  if (file.size > HASHED_ON_DEMAND)
    throw new RegistryError('missing', `The ${algorithm} of so large a file is not known here; its sha256 is`)
  const hash = createHash(algorithm)
  const bytes = await repository.open(file)
  for await (const chunk of bytes.read(undefined, deadline(DEADLINE_MS))) hash.update(chunk)
  return hash.digest('hex')
}

function isAlgorithm(name: string | undefined): name is Algorithm {
  return name === 'sha256' || name === 'sha512' || name === 'sha1' || name === 'md5'
}
