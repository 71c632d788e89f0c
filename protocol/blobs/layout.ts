/**
 * Where bytes lie below a store's folder:
 *
 *   blobs/ab/ab12…           a blob, named by its SHA-256 (64 hex), below its first two digits
 *   blobs/ab/ab12….tree      its leaf hashes, 32 bytes each; only for blobs over 256 KiB, and made again when it is lost
 *   incoming/<32 hex>        bytes without a name yet, transfers that are not complete among them; emptied at start
 *   uploads/<1 to 64 hex>    an upload in several requests; survives a restart
 *
 * Names arrive by rename, so all three are in one file system, and one process at a time uses the folder.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { RegistryError } from '../errors.js'
import type { Digest } from '../records.js'

/** Smaller blobs are read whole to be checked: they need no list of leaf hashes on disk. */
export const TREE_ABOVE_BYTES = 256 * 1024

export class Layout {
  readonly blobs: string
  readonly incoming: string
  readonly uploads: string

  constructor(root: string) {
    this.blobs = join(root, 'blobs')
    this.incoming = join(root, 'incoming')
    this.uploads = join(root, 'uploads')
  }

  /** One of the 256 folders that blobs are spread over, made when it is first needed. */
  fan(digest: string): string {
    return `${this.blobs}/${digest.slice(0, 2)}`
  }

  /** Throws `invalid` for what is no digest: it may come from a client, and it must not name another file. */
  blob(digest: string): string {
    if (!isDigest(digest)) throw new RegistryError('invalid', 'A blob is named by 64 lowercase hexadecimal digits')
    return `${this.fan(digest)}/${digest}`
  }

  tree(digest: string): string {
    return `${this.blob(digest)}.tree`
  }

  upload(id: string): string {
    if (!isUploadId(id))
      throw new RegistryError('invalid', 'An upload is named by 1 to 64 lowercase hexadecimal digits')
    return `${this.uploads}/${id}`
  }

  temporary(): string {
    return `${this.incoming}/${randomBytes(16).toString('hex')}`
  }
}

export function isDigest(text: string): text is Digest {
  return /^[0-9a-f]{64}$/.test(text)
}

export function isFan(name: string): boolean {
  return /^[0-9a-f]{2}$/.test(name)
}

export function isUploadId(text: string): boolean {
  return /^[0-9a-f]{1,64}$/.test(text)
}
