/** A page about oneself: the sessions of the console that are open. */

import type { SessionCard, Visitor } from './console.js'
import { type Content, type Html, html } from './html.js'
import { proof } from './layout.js'
import { duration } from './words.js'

export interface AccountView {
  visitor: Visitor
  sessions: SessionCard[]
  nowMs: number
}

export function account(view: AccountView): Content {
  return html`<section><h2>Sessions</h2>
<div class="scroll"><table><thead><tr>${['Browser', 'Address', 'By', 'Logged in', 'Last used', ''].map((title) => html`<th scope="col">${title}</th>`)}</tr></thead>
<tbody>${view.sessions.map((session) => row(view, session))}</tbody></table></div></section>`
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
