/**
 * GET: a file; else what is made from records: metadata, the newest build of a snapshot, checksums of all of these; else, with a
 * slash at the end, what lies in a folder.
 */
import { RegistryError } from '../../protocol/errors.js'
import type { Call } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { FileRecord } from '../../protocol/records.js'
import { listing } from '../generic/listing.js'
import { checksumOfFile, checksumOfText } from './checksum.js'
import { artifactAt, checksumOf, isMoving, metadataFolder } from './layout.js'
import { metadataOf } from './metadata.js'
import { newestPath } from './snapshot.js'

type Getting = Call<{ path: string }>

/** Another build may be the newest one next time. */
const MOVING = { 'cache-control': 'no-cache' }

export async function get(call: Getting): Promise<Reply> {
  const { path } = call.params
  if (path === '' || path.endsWith('/')) return listing(call)
  const reply = await call.send(path)
  if (reply) return reply
  const folder = metadataFolder(path)
  if (folder !== undefined) return metadata(call, folder)
  const sum = checksumOf(path)
  const made = sum ? await checksum(call, sum) : await newestReply(call, path)
  if (!made) throw new RegistryError('missing', `There is no ${path} in ${call.repository.key}`)
  return made
}

function metadata(call: Getting, folder: string): Promise<Reply> {
  const { package: name, render } = metadataOf(folder)
  return call.index(name, `metadata ${folder}`, async () => {
    const rendered = await render(call.repository)
    if (!rendered) return undefined
    const sums = (['sha1', 'md5', 'sha256'] as const).map(
      (algorithm) => [`x-checksum-${algorithm}`, checksumOfText(rendered.body, algorithm)] as const,
    )
    return { ...rendered, headers: Object.fromEntries(sums) }
  })
}

async function checksum(
  call: Getting,
  { path, algorithm }: NonNullable<ReturnType<typeof checksumOf>>,
): Promise<Reply | undefined> {
  const file = await call.repository.file(path)
  if (file) return checksumOfFile(call, file, algorithm)
  const folder = metadataFolder(path)
  if (folder !== undefined) {
    const { package: name, render } = metadataOf(folder)
    return call.index(name, `${algorithm} of ${folder}`, async () => {
      const rendered = await render(call.repository)
      return rendered && { ...rendered, contentType: 'text/plain', body: checksumOfText(rendered.body, algorithm) }
    })
  }
  const moving = await newest(call, path)
  if (!moving) return undefined
  const { headers, ...reply } = await checksumOfFile(call, moving, algorithm)
  return { ...reply, headers: { ...headers, ...MOVING } }
}

async function newestReply(call: Getting, path: string): Promise<Reply | undefined> {
  const file = await newest(call, path)
  return file && call.file(file, MOVING)
}

/** Of a path of the form a-1.1-SNAPSHOT.jar, which ordinary files never have here. */
async function newest({ repository }: Getting, path: string): Promise<FileRecord | undefined> {
  const asked = isMoving(path) ? artifactAt(path) : undefined
  const found = asked && (await newestPath(repository, asked))
  return found === undefined ? undefined : repository.file(found)
}
