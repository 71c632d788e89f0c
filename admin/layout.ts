/** What all pages have in common: the head, who looks, and the headers under which they are sent. */
import type { Reply } from '../protocol/http/reply.js'
import type { Visitor } from './console.js'
import { type Content, type Html, html } from './html.js'

export interface Assets {
  /** Addresses that change with their content. */
  style: string
  scripts: string[]
  icon: string
}

export interface Frame {
  assets: Assets
  title: string
  /** Below the name of the program. */
  subtitle: Content
  visitor: Visitor
  /** May the visitor administer. */
  administrator: boolean
  /** The pages that the visitor may read, and which of all pages this is. */
  links: readonly { text: string; path: string }[]
  path: string
}

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
  // With `no-referrer`, browsers would not say where a form comes from.
  'referrer-policy': 'same-origin',
  'x-frame-options': 'DENY',
}

/** No class-based indicator styles and no extensions: the page brings its own, and the policy forbids others. */
const HTMX = '{"includeIndicatorCSS":false}'

export function document(frame: Frame, content: Content): string {
  const { assets, title, subtitle, visitor, administrator, links } = frame
  return `<!doctype html>\n${
    html`<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="htmx-config" content="${HTMX}">
<title>${title}</title>
<link rel="icon" type="image/svg+xml" href="${assets.icon}">
<link rel="stylesheet" href="${assets.style}">
${assets.scripts.map((script) => html`<script src="${script}" defer></script>\n`)}
</head>
<body>
${links.length > 0 && html`<a class="skip" href="#content">Skip to the content</a>\n`}<header>
<a href="/" aria-label="Start">${logo()}</a>
<div><h1>Cairn</h1><p>${subtitle}</p></div>
<div class="viewer">${viewer(visitor, administrator)}</div>
</header>
${navigation(frame)}<main id="content">
${content}
</main>
<footer><p>REST at <a href="/api/v1/openapi.json">/api/v1</a> · health at <a href="/health">/health</a> · metrics at <a href="/metrics">/metrics</a></p></footer>
</body>
</html>
`.text
  }`
}

export function shown(body: string, status = 200, headers: Record<string, string> = {}): Reply {
  return { status, headers: { ...PAGE_HEADERS, ...headers }, body }
}

/** The field that proves that a form was made for this session. */
export function proof({ session }: Visitor): Html {
  return html`<input type="hidden" name="csrf" value="${session?.csrf ?? ''}">`
}

function navigation({ links, path }: Frame): Content {
  if (links.length === 0) return undefined
  const current = (link: string) => path === link || path.startsWith(`${link}/`)
  return html`<nav class="pages" aria-label="Administration"><ul>${links.map(({ text, path: link }) => html`<li><a href="${link}"${current(link) && html` aria-current="page"`}>${text}</a></li>`)}</ul></nav>\n`
}

function viewer(visitor: Visitor, administrator: boolean): Content {
  const { principal, session } = visitor
  if (!session) return html`<p>You see what is public.</p><p><a href="/admin/login">Log in</a></p>`
  return html`<p>Logged in as <strong>${principal.name}</strong>${administrator && ', administrator'}</p>
<p><a href="/admin/account">Account</a></p>
<form method="post" action="/admin/logout">${proof(visitor)}<button>Log out</button></form>`
}

/** The same in a tab, where no style sheet colours it. */
export function icon(): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><g fill="#2f6f5e">${STONES.text}</g></svg>`
}

function logo(): Html {
  return html`<svg viewBox="0 0 48 48" width="44" height="44" aria-hidden="true"><g fill="currentColor">${STONES}</g></svg>`
}

const STONES = html`<ellipse cx="24" cy="40" rx="20" ry="6"/><ellipse cx="24" cy="28" rx="14" ry="5"/><ellipse cx="25" cy="18" rx="9" ry="4"/><ellipse cx="24" cy="10" rx="5" ry="3"/>`
