/** Paths as grants and scopes name them: what begins with the text, in which `*` is any run of characters; '' is everything. */
import { matches } from '../glob.js'

/** The slash at the beginning of either does not count. */
export function beginsWith(path: string, pattern: string): boolean {
  if (pattern === '') return true
  const wanted = bare(pattern)
  return wanted.includes('*') ? matches(`${wanted}*`, bare(path)) : bare(path).startsWith(wanted)
}

/** What all paths that a pattern covers begin with, as text. */
export function literal(pattern: string): string {
  return bare(pattern).split('*', 1)[0] ?? ''
}

/** Both prefixes at once; undefined: no path has both. */
export function both(a: string, b: string): string | undefined {
  if (a.startsWith(b)) return a
  return b.startsWith(a) ? b : undefined
}

/** Sorted, without those that another one includes. */
export function disjoint(prefixes: readonly string[]): string[] {
  const kept: string[] = []
  for (const prefix of [...prefixes].sort(byBytes)) {
    const last = kept.at(-1)
    if (last === undefined || !prefix.startsWith(last)) kept.push(prefix)
  }
  return kept
}

/** Where to look for what begins with one of `reach` and with `prefix`, and comes after a cursor: prefixes, in order. */
export function sections(reach: readonly string[], prefix: string, after: string | undefined): string[] {
  return reach.flatMap((one) => {
    const within = both(one, prefix)
    const behind =
      within !== undefined && after !== undefined && !after.startsWith(within) && byBytes(after, within) > 0
    return within === undefined || behind ? [] : [within]
  })
}

function bare(path: string): string {
  return path.startsWith('/') ? path.slice(1) : path
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
