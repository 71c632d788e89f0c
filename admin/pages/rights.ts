/** Explains rights, from both ends: what somebody may do and by which grant; who may do something and why. */
import { z } from 'zod'
import { actions } from '../../protocol/api/shapes.js'
import { filled } from '../form.js'
import { type Content, html } from '../html.js'
import { api } from '../rest.js'
import { pager, row, table } from '../table.js'
import { type Asked, at, type Page } from './page.js'

const source = z.object({ effect: z.string(), actions: z.array(z.string()), reason: z.string() })
type Source = z.output<typeof source>
const what = z.object({
  items: z.array(
    z.object({
      repository: z.string(),
      actions: z.array(z.string()),
      partly: z.array(z.string()),
      sources: z.array(source),
    }),
  ),
  next: z.string().nullable(),
  is_admin: z.boolean(),
  is_disabled: z.boolean(),
})
const who = z.object({
  items: z.array(z.object({ username: z.string(), reason: z.string(), sources: z.array(source) })),
  next: z.string().nullable(),
})

const page: Page = {
  path: '/admin/rights',
  link: { text: 'Rights', for: 'user' },
  show: async (asked) => {
    const isWho = asked.query.get('action') !== null && filled(asked.query, 'repository') !== undefined
    return {
      title: 'Rights',
      content: html`<section><h3>Who may do this, and why</h3>
${asked.forms.ask('Who may', isWho ? asked.query : new URLSearchParams(), (fields) => [
  fields.text('repository', 'Repository', { required: true }),
  fields.select('action', 'Action', actions.options),
  fields.text('path', 'Path', { hint: 'Empty: the repository as a whole' }),
])}${isWho && (await whoMay(asked))}</section>
<section><h3>What somebody may do, and why</h3>${await whatMay(asked, isWho)}</section>`,
    }
  },
}

export const rightPages: readonly Page[] = [page]

async function whoMay({ rest, query, path, audits }: Asked): Promise<Content> {
  const [repository = '', action] = [filled(query, 'repository'), query.get('action') ?? '']
  const [below, after] = [filled(query, 'path'), query.get('after')]
  const may = await rest.get(api`/repositories/${repository}/access`, who, {
    ...{ action, path: below, after: after ?? undefined },
  })
  const rows = may.items.map(({ username, reason, sources }) =>
    row(
      username === 'anonymous'
        ? 'everybody'
        : audits
          ? html`<a href="${at`/users/${username}`}">${username}</a>`
          : username,
      reason,
      reasons(sources),
    ),
  )
  return html`<p>To <strong>${action}</strong> in <code>${repository}</code>${below !== undefined && html`, on <code>${below}</code>`}:</p>
${table(['User', 'Decided by', 'What is said'], rows, 'Nobody may.')}${pager(path, { repository, action, path: below }, may, after)}`
}

async function whatMay({ rest, query, path, forms, visitor, audits }: Asked, isWho: boolean): Promise<Content> {
  const name = visitor.principal.name
  const asked = isWho ? new URLSearchParams() : new URLSearchParams(query)
  const user = filled(asked, 'user') ?? name
  asked.set('user', user)
  const [repository, below, after] = [filled(asked, 'repository'), filled(asked, 'path'), asked.get('after')]
  const may = await rest.get(api`/users/${user}/access`, what, { repository, path: below, after: after ?? undefined })
  const rows = may.items.map((one) =>
    row(
      html`<code>${one.repository}</code>`,
      one.actions.join(', ') || 'nothing',
      one.partly.length === 0 ? '—' : one.partly.join(', '),
      reasons(one.sources),
    ),
  )
  const columns = ['Repository', below === undefined ? 'On all paths' : 'On this path', 'On some paths', 'What is said']
  return html`${audits && forms.ask('What may they do', asked, (fields) => [fields.text('user', 'User', { required: true, hint: 'anonymous is everybody' }), fields.text('repository', 'Repository', { hint: 'Empty: all' }), fields.text('path', 'Path')])}
<p><strong>${user === name ? 'You' : user}</strong>${may.is_disabled ? ' may nothing: the account is suspended.' : may.is_admin ? ', an administrator:' : ':'}</p>
${table(columns, rows, 'Nothing is said for or against it, so what is public may be read.')}${pager(path, { user, repository, path: below }, may, after)}`
}

function reasons(sources: readonly Source[]): Content {
  return html`<ul class="reasons">${sources.map(({ effect, reason }) => html`<li class="${effect === 'deny' ? 'deny' : 'allow'}">${reason}</li>`)}</ul>`
}
