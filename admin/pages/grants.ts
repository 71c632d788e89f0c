/** Grants: who may do what where, or may not. */
import { z } from 'zod'
import { actions } from '../../protocol/api/shapes.js'
import { filled } from '../form.js'
import { type Content, html } from '../html.js'
import { api } from '../rest.js'
import { listing, pager, row, table } from '../table.js'
import { type Asked, at, type Page } from './page.js'
import { roleNames } from './roles.js'

const grant = z.object({
  id: z.string(),
  user: z.string().nullable(),
  group: z.string().nullable(),
  token: z.string().nullable(),
  repository: z.string(),
  path: z.string(),
  effect: z.string(),
  role: z.string().nullable(),
  actions: z.array(z.string()),
})
type Grant = z.output<typeof grant>
const grantList = z.object({ items: z.array(grant), next: z.string().nullable() })

const list: Page = {
  path: '/admin/grants',
  link: { text: 'Grants', for: 'auditor' },
  show: async (asked) => {
    const { rest, query, path, forms, administers } = asked
    const wanted = Object.fromEntries(
      ['user', 'group', 'token', 'repository'].map((name) => [name, filled(query, name)] as const),
    )
    const after = query.get('after')
    const grants = await rest.get(api`/grants`, grantList, { ...wanted, after: after ?? undefined })
    const rows = grants.items.map((one) => grantRow(one, asked))
    return {
      title: 'Grants',
      content: html`${forms.filter('Show', query, (fields) => [fields.text('user', 'User'), fields.text('group', 'Group'), fields.text('repository', 'Repository or pattern, as granted')])}
${listing(table(['For', 'Effect', 'What', 'Repositories', 'Paths', ''], rows, 'There is no such grant.'), pager(path, wanted, grants, after))}
${administers && (await newGrant(asked))}`,
    }
  },
  does: {
    create: async ({ rest, form }) => {
      const role = filled(form, 'role')
      const named = form.getAll('action')
      await rest.send('POST', api`/grants`, {
        [subjectOf(form)]: form.get('name')?.trim() ?? '',
        repository: form.get('repository')?.trim() ?? '',
        path: form.get('path') ?? '',
        effect: form.get('effect') ?? 'allow',
        ...(role === undefined ? {} : { role }),
        ...(named.length === 0 ? {} : { actions: named }),
      })
      return { go: at`/grants`, said: 'made' }
    },
    remove: async ({ rest, of }) => {
      await rest.send('DELETE', api`/grants/${of}`)
      return { go: at`/grants`, said: 'removed' }
    },
  },
}

export const grantPages: readonly Page[] = [list]

function subjectOf(form: URLSearchParams): 'user' | 'group' | 'token' {
  const kind = form.get('kind')
  return kind === 'group' || kind === 'token' ? kind : 'user'
}

function grantRow({ id, user, group, token, ...one }: Grant, { forms, administers }: Asked) {
  const what = one.role === null ? one.actions.join(', ') : `${one.role}: ${one.actions.join(', ')}`
  return row(
    subject(user, group, token),
    html`<span class="state ${one.effect === 'deny' ? 'offline' : 'online'}">${one.effect}</span>`,
    what,
    html`<code>${one.repository}</code>`,
    one.path === '' ? 'all' : html`<code>${one.path}</code>`,
    administers && forms.form('remove', { button: 'Remove', of: id, label: `Remove the grant ${id}` }),
  )
}

function subject(user: string | null, group: string | null, token: string | null): Content {
  if (user === 'anonymous') return 'everybody'
  if (user !== null) return html`<a href="${at`/users/${user}`}">${user}</a>`
  if (group !== null) return html`group <a href="${at`/groups/${group}`}">${group}</a>`
  return html`token <code>${token ?? ''}</code>`
}

async function newGrant({ rest, forms, query }: Asked): Promise<Content> {
  const roles = await roleNames(rest)
  const kind = ['group', 'token'].find((one) => query.get(one)) ?? 'user'
  return html`<section><h3>New grant</h3>${forms.form('create', { button: 'Make the grant' }, (fields) => [
    fields.select('kind', 'For a', ['user', 'group', ['token', 'token, to forbid']], kind),
    fields.text('name', 'Name', {
      value: query.get(kind) ?? '',
      required: true,
      hint: 'The user anonymous is everybody; of a token its id',
    }),
    fields.select('effect', 'Effect', [
      ['allow', 'allow'],
      ['deny', 'deny, whatever allows it'],
    ]),
    fields.text('repository', 'Repository', {
      value: query.get('repository') ?? '',
      required: true,
      hint: 'Or a pattern: team-*',
    }),
    fields.text('path', 'Paths', { hint: 'Only those that begin so: docs/ is a folder. Empty: all' }),
    fields.select('role', 'Role', [['', 'none, but actions'], ...roles], ''),
    fields.checks('action', 'Actions, where there is no role', actions.options),
  ])}</section>`
}
