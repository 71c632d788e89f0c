/** The page on which people log in: works without scripts, and says the same whatever was wrong. */
import type { NewFactor, Provider } from './console.js'
import { type Content, html } from './html.js'
import { passkeyEntry } from './passkeys.js'

export interface LoginForm {
  providers: Provider[]
  /** A path of this origin to go to afterwards. */
  next: string
  /** As typed, after an attempt that failed. */
  username: string
  /** What was wrong, if anything was. */
  problem: string | undefined
}

export function loginForm({ providers, next, username, problem }: LoginForm): Content {
  return html`<section class="entry"><h2>Log in</h2>
${said(problem)}
<form method="post" action="/admin/login">
<input type="hidden" name="next" value="${next}">
<label>User name <input name="username" value="${username}" autocomplete="username" autocapitalize="none" required maxlength="256"></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required maxlength="1024"></label>
<button>Log in</button>
</form>
${passkeyEntry(next)}
${providers.length > 0 && html`<ul class="ways">${providers.map((provider) => way(provider, next))}</ul>`}
</section>`
}

export interface CodeForm {
  ticket: string
  enrol?: NewFactor | undefined
  next?: string
  problem?: string | undefined
}

/** The step after the password. */
export function codeForm({ ticket, enrol, next = '/', problem }: CodeForm): Content {
  return html`<section class="entry"><h2>Second factor</h2>
${said(problem)}
${enrol && html`<p>Your account needs a second factor.</p>${secret(enrol)}`}
<form method="post" action="/admin/second-factor">
<input type="hidden" name="ticket" value="${ticket}">
${codeField()}
<button>Go on</button>
</form>
${!enrol && passkeyEntry(next)}</section>`
}

/** For an authenticator to take. */
export function secret({ secret: text, uri }: NewFactor): Content {
  return html`<p>Add this key to your authenticator, by <a href="${uri}">this link</a> or by hand, and type the code that it shows:</p>
<p><code class="secret">${text.replace(/(.{4})(?!$)/g, '$1 ')}</code></p>`
}

export function codeField(): Content {
  return html`<label>Code <input name="code" autocomplete="one-time-code" autocapitalize="none" required maxlength="64" autofocus></label>`
}

/** Shown this once. */
export function recoveryCodes(codes: readonly string[], next: string): Content {
  return html`<section class="entry"><h2>Recovery codes</h2>
<p>Each of these logs you in once, with your password, when your authenticator or passkey is lost. They are not shown again: keep them apart from your password.</p>
<pre tabindex="0">${codes.join('\n')}</pre>
<p><a class="way" href="${next}">I have kept them</a></p></section>`
}

export function said(problem: string | undefined): Content {
  return problem !== undefined && html`<p class="problem" role="alert">${problem}</p>`
}

function way({ key, name }: Provider, next: string): Content {
  const query = next === '/' ? '' : `?${new URLSearchParams({ next })}`
  return html`<li><a class="way" href="/admin/login/${encodeURIComponent(key)}${query}">Log in with ${name}</a></li>`
}
