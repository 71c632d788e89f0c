/** Addresses in documents from outside. */

const MAX_LINK = 4096

/** Without its fragment; undefined: it leads nowhere that may be asked. Never from https to http, as with redirects. */
export function linkFrom(document: URL, link: unknown): URL | undefined {
  if (typeof link !== 'string' || link === '' || link.length > MAX_LINK) return undefined
  if (!URL.canParse(link, document.href)) return undefined
  const to = new URL(link, document)
  const isAsked = to.protocol === 'https:' || (to.protocol === 'http:' && document.protocol === 'http:')
  if (!isAsked || to.username !== '' || to.password !== '') return undefined
  to.hash = ''
  return to
}
