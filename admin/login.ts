/** The page on which people log in: works without scripts, and says the same whatever was wrong. */
import type { Provider } from './console.js'
import { type Content, html } from './html.js'

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
${providers.length > 0 && html`<ul class="ways">${providers.map((provider) => way(provider, next))}</ul>`}
</section>`
}

export function said(problem: string | undefined): Content {
  return problem !== undefined && html`<p class="problem" role="alert">${problem}</p>`
}

function way({ key, name }: Provider, next: string): Content {
  const query = next === '/' ? '' : `?${new URLSearchParams({ next })}`
  return html`<li><a class="way" href="/admin/login/${encodeURIComponent(key)}${query}">Log in with ${name}</a></li>`
}
