/** Projects: what they hold at most, who is in them, and the accounts for programs that they own. */
import { z } from 'zod'
import { userShape } from '../../protocol/api/shapes.js'
import { RegistryError } from '../../protocol/errors.js'
import { filled } from '../form.js'
import { type Content, html } from '../html.js'
import { api, type Changing } from '../rest.js'
import { facts, moment, pager, row, table } from '../table.js'
import { bytes } from '../words.js'
import { type Asked, at, type Change, type Done, type Page } from './page.js'
import { roleNames } from './roles.js'
import { serviceAccountPage } from './service-accounts.js'

const project = z.object({
  key: z.string(),
  name: z.string(),
  description: z.string(),
  members: z.array(z.object({ user: z.string().nullable(), group: z.string().nullable(), role: z.string() })),
  quota_bytes: z.number().nullable(),
  used_bytes: z.number().nullable(),
  repositories: z.array(z.string()),
  created_at: z.string(),
})
type Project = z.output<typeof project>
const projectList = z.object({ items: z.array(project), next: z.string().nullable() })
const accounts = z.object({ items: z.array(userShape), next: z.string().nullable() })

const list: Page = {
  path: '/admin/projects',
  link: { text: 'Projects', for: 'user' },
  show: async ({ rest, query, path, forms, administers }) => {
    const after = query.get('after')
    const projects = await rest.get(api`/projects`, projectList, { after: after ?? undefined })
    const rows = projects.items.map(({ key, name, members, repositories, quota_bytes }) =>
      row(
        html`<a href="${at`/projects/${key}`}">${key}</a>${name !== key && html` <small>${name}</small>`}`,
        members.length,
        repositories.length,
        quota_bytes === null ? '—' : bytes(quota_bytes),
      ),
    )
    return {
      title: 'Projects',
      content: html`${table(['Project', 'Members', 'Repositories', 'Quota'], rows, 'There is no project that you may see.')}${pager(path, {}, projects, after)}
${administers && html`<section><h3>New project</h3>${forms.form('create', { button: 'Make the project' }, (fields) => [fields.text('key', 'Key', { required: true }), fields.text('name', 'Name'), fields.text('description', 'Description'), fields.text('quota', 'Quota in bytes', { type: 'number' })])}</section>`}`,
    }
  },
  does: {
    create: async ({ rest, form }) => {
      const key = form.get('key') ?? ''
      const [name, description] = [filled(form, 'name'), filled(form, 'description')]
      await rest.send('POST', api`/projects`, { key, name, description, quota_bytes: quotaOf(form) })
      return { go: at`/projects/${key}`, said: 'made' }
    },
  },
}

const one: Page = {
  path: '/admin/projects/{key}',
  show: async (asked) => {
    const { rest, params, query, manages } = asked
    const known = await rest.get(api`/projects/${params.key ?? ''}`, project)
    const after = query.get('after')
    const path = api`/projects/${known.key}/service-accounts`
    const owned = await rest.get(path, accounts, { after: after ?? undefined })
    return {
      title: `Project ${known.name}`,
      content: html`${known.description !== '' && html`<p>${known.description}</p>`}
${facts(['Key', known.key], ['Holds', html`${bytes(known.used_bytes ?? 0)}${known.quota_bytes !== null && html` of ${bytes(known.quota_bytes)}`}`], ['Repositories', known.repositories.join(', ') || '—'], ['Since', moment(known.created_at)])}
${await memberSection(known, asked)}
<section><h3>Service accounts</h3>${accountTable(known, owned.items)}${pager(asked.path, {}, owned, after)}
${manages(known.key) && asked.forms.form('account', { button: 'Make the account' }, (fields) => [fields.text('username', 'Name', { required: true }), fields.text('role', 'Role', { hint: 'Empty: no member' })])}</section>
${manages(known.key) && changes(known, asked)}`,
    }
  },
  does: {
    edit: async ({ rest, params, form }) => {
      const key = params.key ?? ''
      const quota = form.has('quota') ? { quota_bytes: quotaOf(form) } : {}
      const body = { name: filled(form, 'name'), description: form.get('description') ?? '', ...quota }
      await rest.send('PATCH', api`/projects/${key}`, body)
      return { go: at`/projects/${key}`, said: 'saved' }
    },
    member: async ({ rest, params, form }) => {
      const [key, name] = [params.key ?? '', form.get('name')?.trim() ?? '']
      await rest.send('PUT', memberPath(key, form.get('kind'), name), { role: form.get('role') ?? '' })
      return { go: at`/projects/${key}`, said: 'saved' }
    },
    user_leaves: ({ rest, params, of }) => left(rest, params.key ?? '', 'user', of),
    group_leaves: ({ rest, params, of }) => left(rest, params.key ?? '', 'group', of),
    account: async ({ rest, params, form }) => {
      const [key, username] = [params.key ?? '', form.get('username') ?? '']
      await rest.send('POST', api`/projects/${key}/service-accounts`, { username, role: filled(form, 'role') })
      return { go: at`/projects/${key}/service-accounts/${username}`, said: 'made' }
    },
    remove: async ({ rest, params }: Change) => {
      await rest.send('DELETE', api`/projects/${params.key ?? ''}`)
      return { go: at`/projects`, said: 'removed' }
    },
  },
}

export const projectPages: readonly Page[] = [list, one, serviceAccountPage]

function memberPath(key: string, kind: string | null, name: string): string {
  return kind === 'group' ? api`/projects/${key}/groups/${name}` : api`/projects/${key}/users/${name}`
}

async function left(rest: Changing, key: string, kind: 'user' | 'group', name: string): Promise<Done> {
  await rest.send('DELETE', memberPath(key, kind, name))
  return { go: at`/projects/${key}`, said: 'removed' }
}

/** Bytes; null takes it away. */
function quotaOf(form: URLSearchParams): number | null {
  const typed = filled(form, 'quota')
  if (typed === undefined) return null
  if (!/^\d{1,15}$/.test(typed)) throw new RegistryError('invalid', 'The quota must be a whole number of bytes')
  return Number(typed)
}

async function memberSection(known: Project, asked: Asked): Promise<Content> {
  const { forms, rest } = asked
  const manages = asked.manages(known.key)
  const rows = known.members.map(({ user, group, role }) => {
    const [kind, name] = user === null ? ['group', group ?? ''] : ['user', user]
    const who = asked.audits
      ? html`<a href="${kind === 'user' ? at`/users/${name}` : at`/groups/${name}`}">${name}</a>`
      : name
    return row(
      html`${kind === 'group' && 'group '}${who}`,
      role,
      manages && forms.form(`${kind}_leaves`, { button: 'Take out', of: name, label: `Take ${name} out` }),
    )
  })
  const roles = manages ? await roleNames(rest) : []
  return html`<section><h3>Members</h3>${table(['Member', 'Role', ''], rows, 'Nobody is in this project.')}
${manages && forms.form('member', { button: 'Give the role' }, (fields) => [fields.select('kind', 'For a', ['user', 'group']), fields.text('name', 'Name', { required: true }), fields.select('role', 'Role', roles, 'developer')])}</section>`
}

function accountTable({ key }: Project, items: z.output<typeof accounts>['items']): Content {
  const rows = items.map(({ username, created_at }) =>
    row(html`<a href="${at`/projects/${key}/service-accounts/${username}`}">${username}</a>`, moment(created_at)),
  )
  return table(['Service account', 'Made'], rows, 'This project has no service account.')
}

function changes(known: Project, { forms, administers }: Asked): Content {
  return html`<section><h3>Change</h3>${forms.form('edit', { button: 'Save' }, (fields) => [
    fields.text('name', 'Name', { value: known.name }),
    fields.text('description', 'Description', { value: known.description }),
    administers && fields.text('quota', 'Quota in bytes', { type: 'number', value: String(known.quota_bytes ?? '') }),
  ])}
${administers && forms.form('remove', { button: `Remove ${known.key}`, danger: 'Remove this project, which must have no repositories' })}</section>`
}
