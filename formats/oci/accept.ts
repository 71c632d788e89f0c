/** The end of every way for a blob to arrive: its digest is what was promised, it gets its name, and the client hears where it is. */
import type { Call } from '../../protocol/format.js'
import { empty, type Reply } from '../../protocol/http/reply.js'
import type { Stored } from '../../protocol/records.js'
import { checkStored } from './digest.js'
import { VERSION_HEADER } from './failure.js'
import { keepBlob } from './keep.js'
import { blobLocation } from './view.js'

/** Bytes. An operator's own limit (`CAIRN_MAX_UPLOAD_BYTES`) is lower. */
export const BLOB_LIMIT = 1024 ** 4

/** Throws DIGEST_INVALID. */
export async function acceptBlob(call: Call<unknown>, name: string, digest: string, received: Stored): Promise<Reply> {
  checkStored(received, digest)
  await keepBlob(call, call.target(), { name, digest, stored: received })
  return isHere(call, name, digest)
}

export function isHere(call: Call<unknown>, name: string, digest: string): Reply {
  return empty(201, { ...VERSION_HEADER, location: blobLocation(call, name, digest), 'docker-content-digest': digest })
}
