/** How old a reply is that an upstream is the authority of. */
import type { Freshness } from '../repository.js'

/** RFC 9111 section 5.5 has no warnings any more; clients that know them show them. */
export function ageHeaders({ stale, ageSeconds }: Freshness = { stale: false }): Record<string, string> {
  return {
    ...(ageSeconds === undefined ? {} : { age: String(ageSeconds) }),
    ...(stale ? { warning: '110 - "Response is Stale"' } : {}),
  }
}
