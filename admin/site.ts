/**
 * Answers `/` and what the page needs below `/admin/`: reads only, so there is nothing for a foreign page to trigger. The policy
 * forbids inline scripts and styles, framing and any other origin; the page is never kept by a cache.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Reply } from '../protocol/http/reply.js'
import type { HttpRequest } from '../protocol/http/request.js'
import type { Principal } from '../protocol/ports.js'
import { type Assets, live, page } from './page.js'
import { STYLE } from './style.js'
import { gather, type ViewSource } from './view.js'

/** undefined: not a path of the page. */
export type Site = (request: HttpRequest, principal: Principal) => Promise<Reply> | undefined

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': POLICY,
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
}

/** Reads the script once. */
export async function openSite(source: ViewSource): Promise<Site> {
  const script = await readFile(createRequire(import.meta.url).resolve('htmx.org/dist/htmx.min.js'))
  const style = Buffer.from(STYLE)
  const assets: Assets = { style: addressed('/admin/style.css', style), script: addressed('/admin/htmx.js', script) }
  return (request, principal) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return undefined
    switch (request.path) {
      case '/':
        return show(source, request, principal, (view) => page(view, assets))
      case '/admin/live':
        return show(source, request, principal, (view) => live(view).text)
      case '/admin/style.css':
        return asset(style, 'text/css; charset=utf-8', request, assets.style)
      case '/admin/htmx.js':
        return asset(script, 'text/javascript; charset=utf-8', request, assets.script)
      default:
        return undefined
    }
  }
}

async function show(
  source: ViewSource,
  request: HttpRequest,
  principal: Principal,
  draw: (view: Awaited<ReturnType<typeof gather>>) => string,
): Promise<Reply> {
  return { status: 200, headers: PAGE_HEADERS, body: draw(await gather(source, principal, request.origin)) }
}

async function asset(body: Uint8Array, type: string, { path, query }: HttpRequest, address: string): Promise<Reply> {
  // Only the address that names this very content may be kept for good.
  const current = `${path}?${query}` === address
  return {
    status: 200,
    headers: {
      'content-type': type,
      'cache-control': current ? 'public, max-age=31536000, immutable' : 'no-cache',
      etag: `"${digest(body)}"`,
    },
    body,
  }
}

function addressed(path: string, body: Uint8Array): string {
  return `${path}?v=${digest(body)}`
}

function digest(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex').slice(0, 16)
}
