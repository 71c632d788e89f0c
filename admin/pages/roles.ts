/** Roles: names for sets of actions. The built-in ones stay as they are. */
import { z } from 'zod'
import { actions } from '../../protocol/api/shapes.js'
import { html } from '../html.js'
import { api, type Reading } from '../rest.js'
import { row, table } from '../table.js'
import { at, type Page } from './page.js'

const roleList = z.object({
  items: z.array(
    z.object({ name: z.string(), description: z.string(), actions: z.array(z.string()), is_built_in: z.boolean() }),
  ),
})

const list: Page = {
  path: '/admin/roles',
  link: { text: 'Roles', for: 'auditor' },
  show: async ({ rest, forms, administers }) => {
    const { items } = await rest.get(api`/roles`, roleList)
    const rows = items.map((role) =>
      row(
        role.name,
        role.description || '—',
        role.actions.join(', '),
        administers &&
          !role.is_built_in &&
          html`<details${forms.failedAt('change', role.name) && html` open`}><summary>Change</summary>${forms.form('change', { button: 'Save', of: role.name }, (fields) => [fields.text('description', 'Description', { value: role.description }), fields.checks('action', 'Actions', actions.options, role.actions)])}
${forms.form('remove', { button: 'Remove', of: role.name, label: `Remove the role ${role.name}` })}</details>`,
      ),
    )
    return {
      title: 'Roles',
      content: html`${table(['Role', 'Description', 'Actions', ''], rows, 'There is no role.')}
${administers && html`<section><h3>New role</h3>${forms.form('create', { button: 'Make the role' }, (fields) => [fields.text('name', 'Name', { required: true }), fields.text('description', 'Description'), fields.checks('action', 'Actions', actions.options)])}</section>`}`,
    }
  },
  does: {
    create: async ({ rest, form }) => {
      const draft = { name: form.get('name') ?? '', description: form.get('description') ?? '' }
      await rest.send('POST', api`/roles`, { ...draft, actions: form.getAll('action') })
      return { go: at`/roles`, said: 'made' }
    },
    change: async ({ rest, form, of }) => {
      const body = { description: form.get('description') ?? '', actions: form.getAll('action') }
      await rest.send('PATCH', api`/roles/${of}`, body)
      return { go: at`/roles`, said: 'saved' }
    },
    remove: async ({ rest, of }) => {
      await rest.send('DELETE', api`/roles/${of}`)
      return { go: at`/roles`, said: 'removed' }
    },
  },
}

export const rolePages: readonly Page[] = [list]

/** To choose from. */
export async function roleNames(rest: Reading): Promise<string[]> {
  return (await rest.get(api`/roles`, roleList)).items.map(({ name }) => name)
}
