/**
 * POST /{name}/blobs/uploads/: begins an upload, takes a whole blob at once (?digest=), or mounts one that is here already
 * (?mount=, with or without ?from=).
 */
import { randomBytes } from 'node:crypto'
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { Held } from '../../protocol/records.js'
import { acceptBlob, BLOB_LIMIT, isHere } from './accept.js'
import { blobName, checkDigest, hashesFor } from './digest.js'
import { keepBlob } from './keep.js'
import { blobPath, checkName, imageOf } from './name.js'
import { progressHeaders, uploadKey } from './progress.js'
import { viewOf } from './view.js'

type Uploading = Call<{ name: string }>

export async function beginUpload(call: Uploading): Promise<Reply> {
  const name = checkName(call.params.name)
  const target = call.target()
  const asked = new URLSearchParams(call.request.query)
  const [digest, mounted] = [asked.get('digest'), asked.get('mount')]
  if (digest !== null) return takeWhole(call, name, checkDigest(digest))
  if (mounted !== null) {
    const source = await mountable(call, checkDigest(mounted), asked.get('from') ?? undefined)
    if (source) {
      await keepBlob(call, target, { name, digest: mounted, stored: source })
      return isHere(call, name, mounted)
    }
  }
  await target.checkRoom(0)
  // What tells uploads apart must not be guessed or repeated, and says nothing about anything.
  const id = randomBytes(16).toString('hex')
  await target.begin(uploadKey(call, name, id))
  return empty(202, progressHeaders(call, { name, id, offset: 0 }))
}

async function takeWhole(call: Uploading, name: string, digest: string): Promise<Reply> {
  const { body, length, signal } = call.request
  const options = { hashes: hashesFor(digest), limit: BLOB_LIMIT, signal, ...(length === undefined ? {} : { length }) }
  return acceptBlob(call, name, digest, await call.target().receive(body, options))
}

/** A blob that the principal may read, where `from` says or anywhere. Undefined: it has to be sent. */
async function mountable(call: Uploading, digest: string, from: string | undefined): Promise<Held | undefined> {
  const here = await call.repository.file(blobPath(call.params.name, digest))
  if (here) return here
  if (from !== undefined) return mountedFrom(call, digest, from)
  const sha256 = blobName(digest)
  return sha256 === undefined ? inOtherImages(call, digest) : call.copyOf(sha256)
}

/** Bytes are found everywhere by their SHA-256 only; by another digest a few images of this repository are looked through. */
async function inOtherImages(call: Uploading, digest: string): Promise<Held | undefined> {
  const { repository } = call
  const names = (await repository.packages({ limit: LOOKED_THROUGH })).map(({ name }) => imageOf(name))
  for (const name of names) {
    const file =
      name !== undefined && call.may('read', name) ? await repository.file(blobPath(name, digest)) : undefined
    if (file) return file
  }
  return undefined
}

const LOOKED_THROUGH = 500

async function mountedFrom(call: Uploading, digest: string, from: string): Promise<Held | undefined> {
  const { before } = viewOf(call)
  const slash = from.indexOf('/')
  const [key, name] = before === '' ? [call.repository.key, from] : [from.slice(0, slash), from.slice(slash + 1)]
  return call.elsewhere(key, name)?.file(blobPath(name, digest))
}
