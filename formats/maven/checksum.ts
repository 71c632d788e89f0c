/**
 * Checksum files: {file}.md5, .sha1, .sha256, .sha512. None is stored. What is asked for is computed; what a client sends is
 * compared with what arrived, so that a transfer that went wrong is noticed.
 */
import { createHash } from 'node:crypto'
import { RegistryError } from '../../protocol/errors.js'
import type { Call, Rendered } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { FileRecord } from '../../protocol/records.js'
import { digestsOf } from '../generic/digests.js'
import { computeDigest } from '../generic/sidecar.js'
import { readBody } from '../text/body.js'
import { artifactAt, type Checksum, isMoving } from './layout.js'
import { newestPath } from './snapshot.js'

const BODY_LIMIT = 4096
const LENGTH: Readonly<Record<Checksum, number>> = { md5: 32, sha1: 40, sha256: 64, sha512: 128 }

/** The digest alone, as Maven writes it. */
export async function checksumOfFile(call: Call<unknown>, file: FileRecord, algorithm: Checksum): Promise<Reply> {
  const known = digestsOf(file)[algorithm]
  if (known === undefined)
    return call.index(file.package, `${algorithm} of ${file.path}`, async () => ({
      contentType: 'text/plain',
      body: await computeDigest(call.repository, file, algorithm),
      modified: file.publishedAt,
    }))
  const { public: isPublic, redeploy } = call.repository.record
  return {
    status: 200,
    headers: {
      'content-type': 'text/plain',
      etag: `"${algorithm}-${file.digest}"`,
      'last-modified': new Date(file.publishedAt).toUTCString(),
      'cache-control': `${isPublic ? 'public' : 'private'}, ${redeploy || isMoving(file.path) ? 'no-cache' : 'max-age=31536000, immutable'}`,
    },
    body: known,
  }
}

/** `body`: of metadata, which is always in memory. */
export function checksumOfText(body: Rendered['body'], algorithm: Checksum): string {
  if (typeof body !== 'string') throw new TypeError('Metadata is made as one text')
  return createHash(algorithm).update(body).digest('hex')
}

/** PUT of a checksum file. Throws `invalid` when it is not that of the file that is here. */
export async function putChecksum(call: Call<{ path: string }>, path: string, algorithm: Checksum): Promise<Reply> {
  const text = (await readBody(call.request, BODY_LIMIT)).toString('latin1')
  const sent = new RegExp(`(?<![0-9a-f])[0-9a-f]{${LENGTH[algorithm]}}(?![0-9a-f])`, 'i').exec(text)?.[0].toLowerCase()
  if (sent === undefined) throw invalid(`The body holds no ${algorithm}`)
  const file = await sentFile(call, path)
  if (!file)
    throw new RegistryError('conflict', `There is no ${path} here to compare this with: send the file first`, {
      code: 'file_missing',
    })
  const actual = digestsOf(file)[algorithm] ?? (await computeDigest(call.repository, file, algorithm))
  if (actual !== sent) throw invalid(`${path} has the ${algorithm} ${actual} here, not ${sent}`)
  return empty(201)
}

/** What a client sends as a-1.1-SNAPSHOT.jar was given a build (record.ts). */
async function sentFile({ repository }: Call<unknown>, path: string): Promise<FileRecord | undefined> {
  const file = await repository.file(path)
  const asked = file ? undefined : artifactAt(path)
  if (!asked || asked.version !== asked.base) return file
  const newest = await newestPath(repository, asked, { alsoHidden: true })
  return newest === undefined ? undefined : repository.file(newest)
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'digest_mismatch' })
}
