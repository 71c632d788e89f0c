/** What replies of upstreams say by their status and headers, and what is said to ask for them again. */
import { RegistryError } from '../../protocol/errors.js'
import type { RepositoryRecord } from '../../protocol/records.js'
import type { UpstreamReply } from './client.js'
import { nonsense } from './document.js'
import type { UpstreamDocument } from './documents.js'

/** There is no such thing, or not any more. */
export const GONE: ReadonlySet<number> = new Set([404, 410])

export function conditions(before: UpstreamDocument | undefined): Record<string, string> {
  if (before?.etag !== undefined) return { 'if-none-match': before.etag }
  return before?.modified === undefined ? {} : { 'if-modified-since': before.modified }
}

export function validators(
  { upstream = '' }: RepositoryRecord,
  { url, headers }: UpstreamReply,
): Omit<UpstreamDocument, 'urls'> {
  // A first page says nothing about those that follow.
  if (nextOf({ url, headers })) return { upstream, etag: undefined, modified: undefined }
  return { upstream, etag: headers.get('etag'), modified: headers.get('last-modified') }
}

export function lengthOf({ headers }: UpstreamReply): number | undefined {
  const length = headers.get('content-length')
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined
}

export function refuseUnlessFound(reply: UpstreamReply): void {
  if (reply.status === 200) return
  reply.cancel()
  throw nonsense(
    reply.url,
    [401, 403, 407].includes(reply.status) ? `a refusal (${reply.status})` : `the status ${reply.status}`,
  )
}

/** Where a document goes on (RFC 8288): Link with rel="next". Throws `upstream` when that is at another host. */
export function nextOf({ url, headers }: Pick<UpstreamReply, 'url' | 'headers'>): URL | undefined {
  const [, target] = /<([^<>]*)>\s*;\s*rel="?next"?(?:\s*[,;]|\s*$)/i.exec(headers.get('link') ?? '') ?? []
  if (target === undefined) return undefined
  const next = URL.canParse(target, url.href) ? new URL(target, url) : undefined
  if (next?.origin !== url.origin) throw nonsense(url, 'a page that goes on somewhere else')
  return next
}

/** What is invalid in an upstream's answer is the upstream's fault, not the client's. */
export async function blaming<T>(url: URL, parse: () => T | Promise<T>): Promise<T> {
  try {
    return await parse()
  } catch (error) {
    if (error instanceof RegistryError && error.kind === 'invalid')
      throw nonsense(url, 'something else than was asked for', error)
    throw error
  }
}
