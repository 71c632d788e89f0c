/**
 * The chain of the audit trail: what was written cannot be changed, left out or put in unseen by whoever knows a later hash.
 *
 *     hash = SHA-256(hash of the row before | JSON of [at, who, action, subject, outcome, request id, remote, detail])
 *
 * The first row follows 32 zero bytes. Rows from before there was a chain have no hash and are in front of it.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { RegistryError } from '../../protocol/errors.js'
import type { AuditEntry } from './audit.js'

const hash = z.string().regex(/^[0-9a-f]{64}$/)

/** A line of an export. */
export const exportedShape = z.object({
  id: z.number(),
  at: z.string(),
  username: z.string(),
  action: z.string(),
  subject: z.string(),
  outcome: z.string(),
  request_id: z.string(),
  remote: z.string(),
  detail: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  previous: hash.nullable(),
  hash: hash.nullable(),
})

export type Exported = z.infer<typeof exportedShape>

export const BEGINNING = '0'.repeat(64)

/** The bytes of a row, as text. `at`: ISO 8601 with milliseconds. */
export function chainedText({
  at,
  who,
  action,
  subject,
  outcome,
  requestId,
  remote,
  detail,
}: AuditEntry & { at: string }): string {
  return JSON.stringify([at, who, action, subject, outcome, requestId, remote, detail])
}

/** Follows an export, line by line. Throws `corrupt` at the first that does not follow from the one before. */
export class ChainCheck {
  rows = 0
  /** In front of the chain. */
  unchained = 0
  /** Number of the first row of the chain that was seen, when it is not the chain's beginning. */
  from: number | undefined
  /** Of the newest row, or what the chain begins with. */
  hash = BEGINNING
  #last = 0

  push(row: Exported): void {
    if (row.id <= this.#last) throw broken(row.id, 'is out of order')
    this.#last = row.id
    if (row.hash === null) {
      if (this.rows > 0) throw broken(row.id, 'was written past the chain')
      this.unchained++
      return
    }
    if (this.rows === 0 && row.previous !== null && row.previous !== BEGINNING) this.from = row.id
    const before = this.rows === 0 ? (row.previous ?? BEGINNING) : this.hash
    if (row.previous !== before)
      throw broken(row.id, 'does not follow the one before: rows are missing, or were put in')
    const entry = { ...row, who: row.username, requestId: row.request_id }
    const expected = createHash('sha256').update(Buffer.from(before, 'hex')).update(chainedText(entry)).digest('hex')
    if (row.hash !== expected) throw broken(row.id, 'was changed')
    this.hash = row.hash
    this.rows++
  }
}

function broken(id: number, what: string): RegistryError {
  return new RegistryError('corrupt', `Row ${id} of the audit trail ${what}`, { code: 'audit_broken' })
}
