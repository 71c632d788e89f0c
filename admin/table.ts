/** Lists on the pages: tables with headers, and the way to the next part of a long one. */
import { type Content, type Html, html } from './html.js'
import { type Query, queryOf } from './rest.js'

/** The first column heads its row. `empty`: what is said where there is nothing. */
export function table(columns: readonly string[], rows: readonly Html[], empty: string): Html {
  if (rows.length === 0) return html`<p class="empty">${empty}</p>`
  return html`<div class="scroll dense" tabindex="0" role="region" aria-label="${columns[0] ?? ''}"><table><thead><tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead>
<tbody>${rows}</tbody></table></div>`
}

export function row(head: Content, ...cells: Content[]): Html {
  return html`<tr><th scope="row">${head}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>\n`
}

/** `query`: what the list was asked for, without where it begins. */
export function pager(path: string, query: Query, { next }: { next: string | null }, after: string | null): Content {
  if (next === null && after === null) return undefined
  const link = (more: Query, text: string) => html`<a href="${path}?${queryOf({ ...query, ...more })}">${text}</a>`
  return html`<nav class="pager" aria-label="Parts of the list">${after !== null && link({}, 'From the beginning')} ${next !== null && link({ after: next }, 'Next')}</nav>`
}

/** The list that a page's filter is about. */
export function listing(...parts: Content[]): Html {
  return html`<div id="list">${parts}</div>`
}

/** What is known of one thing. */
export function facts(...known: [name: string, value: Content][]): Html {
  return html`<dl class="facts">${known.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
}

/** '2026-11-26 11:50', UTC; `exactly`: with seconds. */
export function moment(iso: string | null | undefined, exactly = false): Content {
  return iso ? html`<time datetime="${iso}">${iso.slice(0, exactly ? 19 : 16).replace('T', ' ')}</time>` : '—'
}
