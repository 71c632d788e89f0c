/** Groups and who is in them. */
import { z } from 'zod'
import { type Content, html } from '../html.js'
import { api } from '../rest.js'
import { moment, pager, row, table } from '../table.js'
import { type Asked, at, type Page } from './page.js'

const group = z.object({ name: z.string(), description: z.string(), created_at: z.string().nullable() })
const groupList = z.object({ items: z.array(group.extend({ members: z.number() })), next: z.string().nullable() })
const detail = group.extend({ members: z.array(z.string()) })
const MEMBERS_SHOWN = 100

const list: Page = {
  path: '/admin/groups',
  link: { text: 'Groups', for: 'auditor' },
  show: async ({ rest, query, path, forms, administers }) => {
    const after = query.get('after')
    const groups = await rest.get(api`/groups`, groupList, { after: after ?? undefined })
    const rows = groups.items.map(({ name, description, members, created_at }) =>
      row(
        html`<a href="${at`/groups/${name}`}">${name}</a>`,
        description || '—',
        members,
        created_at === null ? 'from a provider' : moment(created_at),
      ),
    )
    return {
      title: 'Groups',
      content: html`${table(['Group', 'Description', 'Members', 'Made'], rows, 'There is no group.')}
${pager(path, {}, groups, after)}
${administers && html`<section><h3>New group</h3>${forms.form('create', { button: 'Make the group' }, (fields) => [fields.text('name', 'Name', { required: true }), fields.text('description', 'Description')])}</section>`}`,
    }
  },
  does: {
    create: async ({ rest, form }) => {
      const name = form.get('name') ?? ''
      await rest.send('POST', api`/groups`, { name, description: form.get('description') ?? '' })
      return { go: at`/groups/${name}`, said: 'made' }
    },
  },
}

const one: Page = {
  path: '/admin/groups/{name}',
  show: async (asked) => {
    const { rest, params, forms, administers, audits } = asked
    const { name, description, members } = await rest.get(api`/groups/${params.name ?? ''}`, detail)
    return {
      title: `Group ${name}`,
      content: html`<p>${description}</p>
${audits && html`<p><a href="${at`/grants?group=${name}`}">Grants</a></p>`}
<section><h3>Members</h3>${memberTable(name, members, asked)}
${administers && forms.form('add', { button: 'Add' }, (fields) => fields.text('username', 'User name', { required: true }))}</section>
${
  administers &&
  html`<section><h3>Change</h3>${forms.form('describe', { button: 'Save' }, (fields) => fields.text('description', 'Description', { value: description }))}
${forms.form('remove', { button: `Remove ${name}`, danger: 'Remove this group with what was granted to it; its members stay' })}</section>`
}`,
    }
  },
  does: {
    add: async ({ rest, params, form }) => {
      const name = params.name ?? ''
      await rest.send('PUT', api`/groups/${name}/members/${form.get('username')?.trim() ?? ''}`)
      return { go: at`/groups/${name}`, said: 'saved' }
    },
    leave: async ({ rest, params, of }) => {
      await rest.send('DELETE', api`/groups/${params.name ?? ''}/members/${of}`)
      return { go: at`/groups/${params.name ?? ''}`, said: 'removed' }
    },
    describe: async ({ rest, params, form }) => {
      await rest.send('PATCH', api`/groups/${params.name ?? ''}`, { description: form.get('description') ?? '' })
      return { go: at`/groups/${params.name ?? ''}`, said: 'saved' }
    },
    remove: async ({ rest, params }) => {
      await rest.send('DELETE', api`/groups/${params.name ?? ''}`)
      return { go: at`/groups`, said: 'removed' }
    },
  },
}

export const groupPages: readonly Page[] = [list, one]

/** REST names all of them at once; the page shows a part. */
function memberTable(name: string, members: readonly string[], { forms, query, path, administers }: Asked): Content {
  const after = query.get('after')
  const rest = members.toSorted().filter((member) => after === null || member > after)
  const shown = rest.slice(0, MEMBERS_SHOWN)
  const next = rest.length > shown.length ? (shown.at(-1) ?? null) : null
  const rows = shown.map((member) =>
    row(
      html`<a href="${at`/users/${member}`}">${member}</a>`,
      administers && forms.form('leave', { button: 'Take out', of: member, label: `Take ${member} out of ${name}` }),
    ),
  )
  return html`${table(['User', ''], rows, 'Nobody is in this group.')}${pager(path, {}, { next }, after)}`
}
