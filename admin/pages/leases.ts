/** Leases on names: which node alone publishes what, also while it is cut off. */
import { z } from 'zod'
import { RegistryError } from '../../protocol/errors.js'
import { filled, listed } from '../form.js'
import { type Content, html } from '../html.js'
import { api } from '../rest.js'
import { moment, pager, row, table } from '../table.js'
import { type Asked, at, type Page } from './page.js'

const lease = z.object({
  id: z.string(),
  repository: z.string().nullable(),
  node: z.string(),
  node_name: z.string().nullable(),
  names: z.array(z.string()),
  status: z.string(),
  until: z.string(),
})
type Lease = z.output<typeof lease>
const leaseList = z.object({ items: z.array(lease), next: z.string().nullable() })
const STATES: Record<string, string> = { active: 'online', ended: 'pending' }

const list: Page = {
  path: '/admin/leases',
  link: { text: 'Leases', for: 'auditor' },
  show: async (asked) => {
    const { rest, query, path, forms, administers } = asked
    const after = query.get('after')
    const leases = await rest.get(api`/leases`, leaseList, { after: after ?? undefined })
    const rows = leases.items.map((one) =>
      row(
        html`<code>${one.names.join(' ')}</code>`,
        one.repository ?? 'deleted',
        html`<a href="${at`/nodes/${one.node}`}">${one.node_name ?? one.node}</a>`,
        html`<span class="state ${STATES[one.status] ?? ''}">${one.status}</span>`,
        moment(one.until),
        administers && one.status !== 'closed' && actions(one, asked),
      ),
    )
    return {
      title: 'Leases',
      content: html`<p class="note">A lease lets one node, and nobody else, publish what has certain names, also while it is cut off.</p>
${table(['Names', 'Repository', 'Node', 'State', 'Until', ''], rows, 'There is no lease.')}${pager(path, {}, leases, after)}
${administers && html`<section><h3>New lease</h3>${forms.form('create', { button: 'Make the lease' }, (fields) => [fields.text('repository', 'Repository', { required: true }), fields.text('node', 'Node', { required: true, hint: 'Name or id' }), fields.text('names', 'Names', { required: true, hint: 'Such as @acme/*, separated by spaces; * is all' }), fields.text('days', 'Days', { type: 'number', value: '30' })])}</section>`}`,
    }
  },
  does: {
    create: async ({ rest, form }) => {
      const [repository, node] = [filled(form, 'repository') ?? '', filled(form, 'node') ?? '']
      await rest.send('POST', api`/leases`, { repository, node, names: listed(form, 'names'), days: daysOf(form) })
      return { go: at`/leases`, said: 'made' }
    },
    renew: async ({ rest, form, of }) => {
      await rest.send('POST', api`/leases/${of}/renew`, { days: daysOf(form) })
      return { go: at`/leases`, said: 'saved' }
    },
    end: async ({ rest, of }) => {
      await rest.send('POST', api`/leases/${of}/end`)
      return { go: at`/leases`, said: 'done' }
    },
    void: async ({ rest, form, of }) => {
      const body = { names: filled(form, 'names') ?? '*', reason: form.get('reason') ?? '' }
      await rest.send('POST', api`/leases/${of}/void`, body)
      return { go: at`/leases`, said: 'done' }
    },
  },
}

export const leasePages: readonly Page[] = [list]

function daysOf(form: URLSearchParams): number {
  const typed = filled(form, 'days') ?? '30'
  if (!/^\d{1,4}$/.test(typed)) throw new RegistryError('invalid', 'Days must be a whole number')
  return Number(typed)
}

function actions({ id, names }: Lease, { forms }: Asked): Content {
  const open = ['renew', 'end', 'void'].some((name) => forms.failedAt(name, id))
  return html`<details${open && html` open`}><summary>Change</summary>
${forms.form('renew', { button: 'Renew from now', of: id }, (fields) => fields.text('days', 'Days', { type: 'number', value: '30' }))}
${forms.form('end', { button: 'End', of: id, label: `End the lease on ${names.join(' ')}` })}
${forms.form('void', { button: 'Give up', of: id }, (fields) => [fields.text('names', 'What waits at the node', { value: '*', hint: '* is all, and closes the lease' }), fields.text('reason', 'Reason', { required: true }), fields.check('sure', 'I am sure', { required: true })])}</details>`
}
