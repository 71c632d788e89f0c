/** What peers may have, remembered for as long as no record changes: a transfer asks hundreds of times. */
import { LRUCache } from 'lru-cache'
import type { Certificate } from '../../protocol/certificate.js'
import type { Stored } from '../../protocol/records.js'
import type { Entitled } from './serving.js'

const REMEMBERED = 4096

interface Decided {
  certificate: Certificate
  number: number
  stored: Stored
}

/** `number` grows with every change that a decision could follow from. */
export function remembering(entitled: Entitled, number: () => number): Entitled {
  const decided = new LRUCache<string, Decided>({ max: REMEMBERED })
  return async (certificate, scope, digest) => {
    const key = `${certificate.peer} ${digest} ${scope}`
    const known = decided.get(key)
    const now = number()
    if (known?.certificate === certificate && known.number === now) return known.stored
    const stored = await entitled(certificate, scope, digest)
    if (stored) decided.set(key, { certificate, number: now, stored })
    return stored
  }
}
