/** Pages of lists: ?n= entries after ?last=, and the Link to the next ones (RFC 8288). */
import { failure } from './failure.js'

export interface PageAsked {
  n: number
  last: string
}

const LARGEST = 1000

/** `most`: how many without ?n=. Throws SIZE_INVALID. */
export function pageAsked(query: URLSearchParams, most: number): PageAsked {
  const n = query.get('n')
  if (n !== null && !/^\d{1,9}$/.test(n)) throw failure('invalid', 'SIZE_INVALID', '?n= is a number of entries')
  return { n: Math.min(n === null ? most : Number(n), Math.max(most, LARGEST)), last: query.get('last') ?? '' }
}

/** Of `sorted`, in byte order. `next`: there are more. */
export function pageOf(sorted: readonly string[], { n, last }: PageAsked): { entries: string[]; next: boolean } {
  const from = last === '' ? 0 : sorted.findIndex((entry) => inOrder(last, entry) < 0)
  const rest = from < 0 ? [] : sorted.slice(from)
  return { entries: rest.slice(0, n), next: n > 0 && rest.length > n }
}

export function linkTo(path: string, { n }: PageAsked, last: string, more: Record<string, string> = {}): string {
  return `<${path}?${new URLSearchParams({ ...more, n: String(n), last })}>; rel="next"`
}

export function inOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
