/** The first page of the primary. Pure: data in, HTML out. Works without scripts. */
import { type Html, html } from './html.js'
import type { NodeCard, RepositoryCard, View } from './view.js'
import { bytes, count, duration } from './words.js'

const REFRESH = '3s'

/** What runs, nodes, repositories, snippets. */
export function page(view: View): Html {
  return html`<div id="live" hx-get="/admin/live" hx-trigger="every ${REFRESH}" hx-swap="innerMorph">${live(view)}</div>
${snippets(view)}`
}

/** The part that refreshes itself. */
export function live(view: View): Html {
  return html`<section aria-label="What runs" class="figures">
${figure('Primary', 'running', `since ${duration(view.uptimeMs)}, version ${view.version}`)}
${figure('Log', count(view.changes, 'change'), `fleet ${view.fleet}`)}
${figure('Nodes', nodesInShort(view.nodes), 'in the fleet')}
${figure('Repositories', String(view.repositories.length + view.moreRepositories), 'that you may see')}
</section>
<section><h2>Nodes</h2>${nodeTable(view.nodes)}</section>
<section><h2>Repositories</h2>${repositoryTable(view)}</section>`
}

function figure(title: string, value: string, note: string): Html {
  return html`<div><h3>${title}</h3><p class="value">${value}</p><p class="note">${note}</p></div>`
}

function nodesInShort(nodes: NodeCard[] | undefined): string {
  if (!nodes) return '—'
  const joined = nodes.filter((node) => node.state !== 'pending')
  return `${joined.filter((node) => node.state === 'online').length} of ${joined.length} online`
}

function nodeTable(nodes: NodeCard[] | undefined): Html {
  if (!nodes) return html`<p class="empty">Nodes are shown to those who are signed in.</p>`
  if (nodes.length === 0)
    return html`<p class="empty">No node has joined. <code>cairn node create</code> makes a join token.</p>`
  return table(['Node', 'State', 'Behind', 'Cache', 'Heard'], nodes.map(nodeRow))
}

function nodeRow(node: NodeCard): Html {
  return html`<tr>
<th scope="row">${link(node.url, node.name || 'unnamed')}${node.version && html` <small>${node.version}</small>`}</th>
<td><span class="state ${node.state}">${node.state}</span></td>
<td>${node.lag === undefined ? '—' : node.lag === 0 ? 'up to date' : count(node.lag, 'change')}</td>
<td>${node.cache ? meter(node.cache.used, node.cache.limit) : '—'}</td>
<td>${node.heardAgo === undefined ? 'never' : `${duration(node.heardAgo)} ago`}</td>
</tr>`
}

function repositoryTable(view: View): Html {
  const { repositories, moreRepositories, anonymous } = view
  if (repositories.length === 0)
    return html`<p class="empty">${anonymous ? 'No repository is public.' : 'There is no repository that you may see.'}</p>`
  return html`${table(['Repository', 'Format', 'Type', 'Access', 'Holds'], repositories.map(repositoryRow))}
${moreRepositories > 0 && html`<p class="note">and ${count(moreRepositories, 'more repository').replace(/ys$/, 'ies')}, listed at <a href="/api/v1/repositories">/api/v1/repositories</a></p>`}`
}

function repositoryRow(repository: RepositoryCard): Html {
  const { key, description, format, type, url, usedBytes, quotaBytes } = repository
  return html`<tr>
<th scope="row">${link(url, key)}${description !== '' && html` <small>${description}</small>`}</th>
<td>${format}</td>
<td>${type}</td>
<td>${repository.public ? 'public' : 'private'}</td>
<td>${usedBytes === undefined ? '—' : quotaBytes === undefined ? bytes(usedBytes) : meter(usedBytes, quotaBytes)}</td>
</tr>`
}

function snippets({ repositories }: View): Html {
  const shown = repositories.filter((repository) => repository.snippet !== '')
  if (shown.length === 0) return html``
  return html`<section><h2>Use it</h2>
${shown.map(({ key, format, snippet }) => html`<details><summary><code>${key}</code> <small>${format}</small></summary><pre tabindex="0">${snippet}</pre></details>`)}
</section>`
}

function table(columns: string[], rows: Html[]): Html {
  return html`<div class="scroll"><table><thead><tr>${columns.map((column) => html`<th scope="col">${column}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>`
}

function meter(used: number, limit: number): Html {
  return html`<meter min="0" max="${Math.max(1, limit)}" value="${Math.min(used, limit)}"></meter> ${bytes(used)} of ${bytes(limit)}`
}

/** Nodes report their addresses themselves: anything but a web address stays text. */
function link(url: string | undefined, text: string): Html {
  if (url === undefined || !/^https?:\/\//i.test(url) || !URL.canParse(url)) return html`${text}`
  return html`<a href="${url}" rel="noopener noreferrer">${text}</a>`
}
