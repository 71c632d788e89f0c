/**
 * Content types of what registries serve, by extension, and the headers that keep an uploaded page from running as a page
 * of this origin. Does not look at bytes.
 */
const TYPES: Readonly<Record<string, string>> = {
  asc: 'application/pgp-signature',
  bz2: 'application/x-bzip2',
  conda: 'application/octet-stream',
  crate: 'application/gzip',
  css: 'text/css; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  deb: 'application/vnd.debian.binary-package',
  gem: 'application/octet-stream',
  gif: 'image/gif',
  gz: 'application/gzip',
  htm: 'text/html; charset=utf-8',
  html: 'text/html; charset=utf-8',
  info: 'application/json',
  jar: 'application/java-archive',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  js: 'text/javascript; charset=utf-8',
  json: 'application/json',
  md: 'text/markdown; charset=utf-8',
  md5: 'text/plain; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  mod: 'text/plain; charset=utf-8',
  module: 'application/json',
  nupkg: 'application/octet-stream',
  nuspec: 'application/xml',
  pdf: 'application/pdf',
  png: 'image/png',
  pom: 'application/xml',
  prov: 'application/pgp-signature',
  rpm: 'application/x-rpm',
  sha1: 'text/plain; charset=utf-8',
  sha256: 'text/plain; charset=utf-8',
  sha512: 'text/plain; charset=utf-8',
  sig: 'application/pgp-signature',
  svg: 'image/svg+xml',
  tar: 'application/x-tar',
  tgz: 'application/gzip',
  txt: 'text/plain; charset=utf-8',
  war: 'application/java-archive',
  wasm: 'application/wasm',
  webp: 'image/webp',
  whl: 'application/zip',
  xht: 'application/xhtml+xml',
  xhtml: 'application/xhtml+xml',
  xml: 'application/xml',
  xsl: 'application/xml',
  xz: 'application/x-xz',
  yaml: 'application/yaml',
  yml: 'application/yaml',
  zip: 'application/zip',
  zst: 'application/zstd',
}

export function contentTypeOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const dot = name.lastIndexOf('.')
  const extension = dot < 0 ? '' : name.slice(dot + 1).toLowerCase()
  return Object.hasOwn(TYPES, extension) ? (TYPES[extension] ?? UNKNOWN) : UNKNOWN
}

/** What a browser could run as a page is downloaded instead, and sandboxed should it be shown all the same. */
export function downloadHeaders(path: string, contentType: string): Record<string, string> {
  if (!isActive(contentType)) return {}
  return {
    'content-disposition': attachment(path.slice(path.lastIndexOf('/') + 1)),
    'content-security-policy': "sandbox; default-src 'none'",
  }
}

const UNKNOWN = 'application/octet-stream'
const ACTIVE = /^(?:text\/html|text\/xml|application\/xml|application\/pdf|[\w.-]+\/[\w.-]+\+xml)\s*(?:;|$)/i

function isActive(contentType: string): boolean {
  return ACTIVE.test(contentType.trim())
}

/** RFC 6266: an ASCII name for all, and the real one in RFC 8187's encoding where they differ. */
function attachment(name: string): string {
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, '_')
  if (plain === name) return `attachment; filename="${plain}"`
  const encoded = encodeURIComponent(name.replace(/\p{Surrogate}/gu, '_')).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16)}`,
  )
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`
}
