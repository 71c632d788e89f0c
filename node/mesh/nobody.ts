/** The sentence for a reader whose bytes are nowhere to be had. */
import { RegistryError } from '../../protocol/errors.js'
import type { Stored } from '../../protocol/records.js'

const RETRY_SECONDS = 10

/** `name`: what people call it, a path or the digest. */
export function nobodyHas(stored: Stored, name: string, primaryReachable: boolean, cause?: unknown): RegistryError {
  const why = primaryReachable ? 'the primary does not give it' : 'the primary cannot be reached'
  const what = name === stored.digest ? name : `${name} (${stored.digest})`
  return new RegistryError('unavailable', `No reachable node has ${what}, and ${why}`, {
    code: 'blob_unavailable',
    retryAfter: RETRY_SECONDS,
    cause,
  })
}
