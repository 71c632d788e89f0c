/** What an upload is known by, and how far it got, as replies say it. */
import { createHash } from 'node:crypto'
import type { Call } from '../../protocol/format.js'
import { VERSION_HEADER } from './failure.js'
import { uploadLocation } from './view.js'

export interface Progress {
  name: string
  id: string
  /** Bytes that are durable. */
  offset: number
}

/** Where the upload's bytes are kept: nobody else's request leads there, whatever id it names. */
export function uploadKey({ repository, principal }: Call<unknown>, name: string, id: string): string {
  const parts = [repository.record.scope, name, principal.name, id]
  return createHash('sha256').update(parts.join('\0')).digest('hex')
}

export function progressHeaders(call: Call<unknown>, { name, id, offset }: Progress): Record<string, string> {
  return {
    ...VERSION_HEADER,
    'cache-control': 'no-store',
    location: uploadLocation(call, name, id),
    // Clients read the last number; with nothing sent yet, this is how it has always been written.
    range: `0-${Math.max(0, offset - 1)}`,
    'docker-upload-uuid': id,
  }
}
