/** A page about oneself: the second factor, and the sessions of the console that are open. */

import type { NewFactor, PasskeyCard, SessionCard, Visitor } from './console.js'
import { type Content, type Html, html } from './html.js'
import { proof } from './layout.js'
import { codeField, secret } from './login.js'
import { passkeys } from './passkeys.js'
import { duration } from './words.js'

export interface AccountView {
  visitor: Visitor
  sessions: SessionCard[]
  hasSecondFactor: boolean
  known: PasskeyCard[]
  nowMs: number
}

export function account(view: AccountView): Content {
  const own = !byProvider(view)
  return html`${own && secondFactor(view)}${own && passkeys(view.visitor, view.known, view.nowMs)}
<section><h2>Sessions</h2>
<div class="scroll"><table><thead><tr>${['Browser', 'Address', 'By', 'Logged in', 'Last used', ''].map((title) => html`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>${view.sessions.map((session) => row(view, session))}</tbody></table></div></section>`
}

/** A key for an authenticator, and the form that takes the first code. */
export function newFactor(visitor: Visitor, factor: NewFactor): Content {
  return html`<section class="entry"><h2>Second factor</h2>${secret(factor)}
<form method="post" action="/admin/account/second-factor/confirm">${proof(visitor)}${codeField()}<button>Turn on</button></form></section>`
}

/** Providers have second factors of their own. */
function byProvider({ visitor, sessions }: AccountView): boolean {
  const method = sessions.find(({ id }) => id === visitor.session?.id)?.method
  return method !== 'password' && method !== 'passkey'
}

function secondFactor({ visitor, hasSecondFactor }: AccountView): Html {
  const form = hasSecondFactor
    ? html`<p>On: logging in takes a code, and programs need an API token.</p>
<form method="post" action="/admin/account/second-factor/remove">${proof(visitor)}${codeField()}<button>Turn off</button></form>`
    : html`<form method="post" action="/admin/account/second-factor">${proof(visitor)}<button>Set up an authenticator</button></form>`
  return html`<section><h2>Second factor</h2>${form}</section>`
}

function row({ visitor, nowMs }: AccountView, { id, agent, remote, method, createdAt, seenAt }: SessionCard): Html {
  const own = visitor.session?.id === id
  return html`<tr>
<th scope="row">${shortly(agent)}${own && html` <small>this one</small>`}</th>
<td>${remote}</td>
<td>${method}</td>
<td>${duration(nowMs - Date.parse(createdAt))} ago</td>
<td>${duration(nowMs - Date.parse(seenAt))} ago</td>
<td><form method="post" action="/admin/account/sessions/end">${proof(visitor)}<input type="hidden" name="id" value="${id}"><button>End</button></form></td>
</tr>`
}

function shortly(agent: string): string {
  return agent.length > 60 ? `${agent.slice(0, 59)}…` : agent || 'unknown'
}
