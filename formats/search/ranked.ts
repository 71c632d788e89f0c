/**
 * Searching a repository's packages, best match first. The work of one search is bounded: beyond so many packages it answers from
 * the ones it has seen.
 */
import { setImmediate } from 'node:timers/promises'
import type { Call } from '../../protocol/format.js'
import type { Package } from '../../protocol/records.js'
import { packagesWithin } from './packages.js'

export interface Ranked {
  entry: Package
  /** Lower is better. */
  rank: number
}

const PAGE = 500
const MAX_SCANNED = 50_000
export const MAX_MATCHES = 10_000

/** Those that `match` finds and the principal may read. Equal ranks come in the order of their names. */
export async function rankedPackages<M extends Ranked>(
  call: Call<unknown>,
  match: (entry: Package) => M | undefined,
): Promise<M[]> {
  const matches: M[] = []
  let scanned = 0
  for await (const page of packagesWithin(call.repository, call.reach(), { atOnce: PAGE })) {
    call.request.signal.throwIfAborted()
    for (const entry of page) {
      const found = match(entry)
      if (found && call.may('read', entry.name)) matches.push(found)
    }
    scanned += page.length
    if (scanned >= MAX_SCANNED || matches.length >= MAX_MATCHES) break
    await setImmediate()
  }
  return matches.sort((a, b) => a.rank - b.rank || (a.entry.name < b.entry.name ? -1 : 1))
}

/** A number that a client asked for, from `least` to `most`; what is no number, or less, is `otherwise`. */
export function countOf(asked: string | null, otherwise: number, least: 0 | 1, most: number): number {
  const count = asked !== null && /^\d{1,9}$/.test(asked) ? Number(asked) : -1
  return count < least ? otherwise : Math.min(count, most)
}
