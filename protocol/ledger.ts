/** The only write: a proposal of steps for one scope, taken whole into the log or refused with a sentence. */
import type { Change, Position, Step, Taken, TokenRecord, VersionKey } from './records.js'

export interface Proposal {
  scope: string
  steps: Step[]
  /** Name of the principal. */
  by: string
  /** By which the principal was known. */
  token?: Pick<TokenRecord, 'id' | 'expiresAt'>
  /** Optimistic lock: refused with `conflict` unless the package's newest change still is `last`. */
  unchanged?: { package: string; last: number }
  /** Refused with `missing` unless these are there: what the steps rely on. */
  present?: readonly VersionKey[]
  /** Paths may be given other bytes although the repository does not allow it: those that an upstream itself changes. */
  redeploy?: boolean
  /** What a node took under its lease: `at` says when (ISO 8601). Refused with `conflict` and code `returned` when it is here already. */
  returned?: Taken & { at: string }
}

export interface Ledger {
  /** Durable when it returns. Returns the position of the last step. */
  commit(proposal: Proposal): Promise<Position>
  /** Bytes of the visible files of all the scopes together, for quotas. */
  usage(...scopes: string[]): Promise<number>
}

/** A step as the log has it; `now`: for what was not taken before. */
export function changeOf(step: Step, { scope, by, returned }: Proposal, now: string): Change {
  if (!returned) return { ...step, scope, at: now, by }
  const { id, number, at } = returned
  return { ...step, scope, at, by, lease: { id, number } }
}
