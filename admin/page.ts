/** The page of the primary: what runs, nodes, repositories, snippets. Pure: data in, HTML out. Works without scripts. */
import { type Content, type Html, html } from './html.js'
import type { NodeCard, RepositoryCard, View } from './view.js'
import { bytes, count, duration } from './words.js'

export interface Assets {
  /** Addresses that change with their content. */
  style: string
  script: string
}

const REFRESH = '3s'
/** No class-based indicator styles and no extensions: the page brings its own, and the policy forbids others. */
const HTMX = '{"includeIndicatorCSS":false}'

export function page(view: View, assets: Assets): string {
  return `<!doctype html>\n${
    html`<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="htmx-config" content="${HTMX}">
<title>Cairn</title>
<link rel="stylesheet" href="${assets.style}">
<script src="${assets.script}" defer></script>
</head>
<body>
<header>
${logo()}
<div><h1>Cairn</h1><p>Artifact registry at <code>${view.origin}</code></p></div>
<p class="viewer">${viewer(view)}</p>
</header>
<main>
<div id="live" hx-get="/admin/live" hx-trigger="every ${REFRESH}" hx-swap="innerMorph">${live(view)}</div>
${snippets(view)}
</main>
<footer><p>REST at <a href="/api/v1/openapi.json">/api/v1</a> · health at <a href="/health">/health</a> · metrics at <a href="/metrics">/metrics</a></p></footer>
</body>
</html>
`.text
  }`
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
  const { repositories, moreRepositories, viewer: who } = view
  if (repositories.length === 0)
    return html`<p class="empty">${who.anonymous ? 'No repository is public.' : 'There is no repository that you may see.'}</p>`
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

function viewer({ viewer: { name, anonymous, administrator } }: View): Content {
  if (anonymous) return 'You see what is public.'
  return html`Signed in as <strong>${name}</strong>${administrator && ', administrator'}`
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

function logo(): Html {
  return html`<svg viewBox="0 0 48 48" width="44" height="44" aria-hidden="true"><g fill="currentColor"><ellipse cx="24" cy="40" rx="20" ry="6"/><ellipse cx="24" cy="28" rx="14" ry="5"/><ellipse cx="25" cy="18" rx="9" ry="4"/><ellipse cx="24" cy="10" rx="5" ry="3"/></g></svg>`
}
