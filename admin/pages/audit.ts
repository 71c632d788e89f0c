/** The audit trail, newest first, and the check of its chain. */
import { z } from 'zod'
import { filled } from '../form.js'
import { type Content, html } from '../html.js'
import { api } from '../rest.js'
import { listing, moment, pager, row, table } from '../table.js'
import { count } from '../words.js'
import type { Asked, Page } from './page.js'

const entry = z.object({
  id: z.number(),
  at: z.string(),
  username: z.string(),
  action: z.string(),
  subject: z.string(),
  outcome: z.string(),
  remote: z.string(),
  detail: z.record(z.string(), z.unknown()),
})
const entryList = z.object({ items: z.array(entry), next: z.string().nullable() })
const checked = z.object({ rows: z.number(), hash: z.string(), broken: z.string().nullable() })

const STATES: Record<string, string> = { ok: 'online', begun: '' }

const trail: Page = {
  path: '/admin/audit',
  link: { text: 'Audit', for: 'auditor' },
  show: async (asked) => {
    const { rest, query, path, forms } = asked
    const wanted = { username: filled(query, 'username'), action: filled(query, 'action') }
    const after = query.get('after')
    const entries = await rest.get(api`/admin/audit`, entryList, { ...wanted, after: after ?? undefined })
    const rows = entries.items.map((one) =>
      row(
        moment(one.at, true),
        one.username,
        one.action,
        html`<span class="state ${STATES[one.outcome] ?? 'offline'}">${one.outcome}</span>`,
        html`<div class="subject"><code>${one.subject}</code>${details(one.detail)}</div>`,
        one.remote,
      ),
    )
    return {
      title: 'Audit trail',
      content: html`${await chain(asked)}
${forms.filter('Show', query, (fields) => [fields.text('username', 'User'), fields.text('action', 'Action', { hint: 'Such as users.create' })])}
${listing(table(['Time (UTC)', 'Who', 'Action', 'Outcome', 'On', 'From'], rows, 'The trail has no such row.'), pager(path, wanted, entries, after))}`,
    }
  },
}

export const auditPages: readonly Page[] = [trail]

async function chain({ rest, query, forms }: Asked): Promise<Content> {
  const button = forms.ask('Verify the chain', query, () => html`<input type="hidden" name="verify" value="yes">`)
  if (query.get('verify') === null) return button
  const { rows, hash, broken } = await rest.get(api`/admin/audit/verify`, checked)
  return broken === null
    ? html`<p class="said" role="status">The chain is whole: ${count(rows, 'row')}. It ends in <code>${hash}</code>.</p>`
    : html`<p class="problem" role="alert">${broken}.</p>`
}

function details(detail: Record<string, unknown>): Content {
  const words = Object.entries(detail).map(([name, value]) => `${name}: ${String(value)}`)
  return words.length > 0 && html` <small>${words.join(', ')}</small>`
}
