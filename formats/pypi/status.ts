/** What is kept about a project as a whole: its status (PEP 792), where an upstream tells one. */
import { isObject, parseJson } from '../text/json.js'

export interface Status {
  status: string
  reason?: string
}

const KNOWN = new Set(['active', 'archived', 'quarantined', 'deprecated'])
const MAX_REASON = 2000

/** '' where there is nothing to keep. */
export function writeStatus(status: unknown, reason: unknown): string {
  if (typeof status !== 'string' || !KNOWN.has(status)) return ''
  return JSON.stringify({ status, ...(typeof reason === 'string' ? { reason: reason.slice(0, MAX_REASON) } : {}) })
}

export function readStatus(meta: string): Status | undefined {
  const kept = meta === '' ? undefined : parseJson(meta, 'A stored entry')
  if (!isObject(kept) || typeof kept.status !== 'string') return undefined
  return { status: kept.status, ...(typeof kept.reason === 'string' ? { reason: kept.reason } : {}) }
}
