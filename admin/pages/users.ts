/** Users: who there is, how they get in, and the ways to stop that. */
import { z } from 'zod'
import { userShape } from '../../protocol/api/shapes.js'
import { filled } from '../form.js'
import { type Content, html } from '../html.js'
import { api } from '../rest.js'
import { facts, listing, moment, pager, row, table } from '../table.js'
import { type Asked, at, type Page } from './page.js'
import { tokenList, tokenTable } from './tokens.js'

type User = z.output<typeof userShape>
const userList = z.object({ items: z.array(userShape), next: z.string().nullable() })
const passkeyList = z.object({
  items: z.array(
    z.object({ id: z.string(), name: z.string(), created_at: z.string(), last_used_at: z.string().nullable() }),
  ),
})

const list: Page = {
  path: '/admin/users',
  link: { text: 'Users', for: 'auditor' },
  show: async ({ rest, query, forms, path, administers }) => {
    const [prefix, after] = [query.get('prefix') ?? undefined, query.get('after')]
    const users = await rest.get(api`/users`, userList, { prefix, after: after ?? undefined })
    return {
      title: 'Users',
      content: html`${forms.filter('Find', query, (fields) => fields.text('prefix', 'User name begins with'))}
${listing(table(['User', 'E-mail', 'Kind', 'Groups', 'State'], users.items.map(userRow), 'There is no such user.'), pager(path, { prefix }, users, after))}
${administers && html`<section><h3>New user</h3>${forms.form('create', { button: 'Make the user' }, (fields) => [fields.text('username', 'User name', { required: true }), fields.text('email', 'E-mail', { type: 'email' }), fields.text('password', 'Password', { type: 'password', hint: 'Empty: only tokens and providers let it in' }), fields.check('admin', 'Administrator')])}</section>`}`,
    }
  },
  does: {
    create: async ({ rest, form }) => {
      const username = form.get('username') ?? ''
      // As typed: a password may begin with a space.
      const password = form.get('password') || undefined
      const more = { email: filled(form, 'email'), is_admin: form.has('admin'), password }
      await rest.send('POST', api`/users`, { username, ...more })
      return { go: at`/users/${username}`, said: 'made' }
    },
  },
}

const one: Page = {
  path: '/admin/users/{name}',
  show: async (asked) => {
    const { rest, params, query, path, audits } = asked
    const user = await rest.get(api`/users/${params.name ?? ''}`, userShape)
    const after = query.get('after')
    const tokens = await rest.find(api`/users/${user.username}/tokens`, tokenList, { after: after ?? undefined })
    const passkeys = await rest.find(api`/users/${user.username}/passkeys`, passkeyList)
    return {
      title: user.username,
      content: html`${known(user, audits)}
${audits && html`<p><a href="${at`/rights?user=${user.username}`}">What may ${user.username} do, and why</a> · <a href="${at`/grants?user=${user.username}`}">Grants</a> · <a href="${at`/audit?username=${user.username}`}">What ${user.username} did</a></p>`}
${asked.administers && changes(user, asked)}
${tokens && html`<section><h3>Tokens</h3>${tokenTable(tokens.items, asked)}${pager(path, {}, tokens, after)}</section>`}
${passkeys && passkeys.items.length > 0 && html`<section><h3>Passkeys</h3>${passkeyTable(passkeys.items, asked)}</section>`}
${asked.administers && endings(user, asked)}`,
    }
  },
  does: {
    edit: async ({ rest, params, form }) => {
      const body = { email: form.get('email') ?? '', is_admin: form.has('admin') }
      await rest.send('PATCH', api`/users/${params.name ?? ''}`, body)
      return { go: at`/users/${params.name ?? ''}`, said: 'saved' }
    },
    suspend: ({ rest, params }) => switched(rest, params.name ?? '', true),
    activate: ({ rest, params }) => switched(rest, params.name ?? '', false),
    password: async ({ rest, params, form }) => {
      const body = { password: form.get('password') ?? '' }
      await rest.send('PUT', api`/users/${params.name ?? ''}/password`, body)
      return { go: at`/users/${params.name ?? ''}`, said: 'saved' }
    },
    sessions: async ({ rest, params }) => {
      await rest.send('DELETE', api`/users/${params.name ?? ''}/sessions`)
      return { go: at`/users/${params.name ?? ''}`, said: 'done' }
    },
    factor: async ({ rest, params }) => {
      await rest.send('DELETE', api`/users/${params.name ?? ''}/second-factor`)
      return { go: at`/users/${params.name ?? ''}`, said: 'done' }
    },
    revoke: async ({ rest, params, of }) => {
      await rest.send('DELETE', api`/auth/tokens/${of}`)
      return { go: at`/users/${params.name ?? ''}`, said: 'removed' }
    },
    passkey: async ({ rest, params, of }) => {
      await rest.send('DELETE', api`/users/${params.name ?? ''}/passkeys/${of}`)
      return { go: at`/users/${params.name ?? ''}`, said: 'removed' }
    },
    remove: async ({ rest, params }) => {
      await rest.send('DELETE', api`/users/${params.name ?? ''}`)
      return { go: at`/users`, said: 'removed' }
    },
  },
}

export const userPages: readonly Page[] = [list, one]

async function switched(
  rest: { send: (m: 'PATCH', p: string, b: object) => Promise<unknown> },
  name: string,
  disabled: boolean,
) {
  await rest.send('PATCH', api`/users/${name}`, { is_disabled: disabled })
  return { go: at`/users/${name}`, said: 'done' } as const
}

function userRow(user: User) {
  return row(
    html`<a href="${at`/users/${user.username}`}">${user.username}</a>`,
    user.email || '—',
    kindOf(user),
    user.groups.length === 0 ? '—' : user.groups.slice(0, 4).join(', ') + (user.groups.length > 4 ? ' …' : ''),
    state(user),
  )
}

function known(user: User, audits: boolean): Content {
  const groups = user.groups.map((group, i) => [
    i > 0 && ', ',
    audits ? html`<a href="${at`/groups/${group}`}">${group}</a>` : group,
  ])
  return facts(
    ['State', state(user)],
    ['Kind', kindOf(user)],
    ['E-mail', user.email || '—'],
    ['Groups', groups.length === 0 ? '—' : groups],
    ['Since', moment(user.created_at)],
  )
}

function kindOf({ is_admin, project }: User): string {
  if (project !== undefined) return `service account of ${project}`
  return is_admin ? 'administrator' : 'user'
}

function state({ is_disabled }: User): Content {
  return html`<span class="state ${is_disabled ? 'offline' : 'online'}">${is_disabled ? 'suspended' : 'active'}</span>`
}

function changes(user: User, { forms }: Asked): Content {
  return html`<section><h3>Change</h3>${forms.form('edit', { button: 'Save' }, (fields) => [
    fields.text('email', 'E-mail', { type: 'email', value: user.email }),
    user.project === undefined && fields.check('admin', 'Administrator', { on: user.is_admin }),
  ])}</section>`
}

function endings(user: User, { forms }: Asked): Content {
  const { username, is_disabled, project } = user
  return html`<section><h3>Access</h3><div class="actions">
${is_disabled ? forms.form('activate', { button: 'Activate' }) : forms.form('suspend', { button: 'Suspend' })}
${forms.form('sessions', { button: 'End all sessions' })}</div>
${project === undefined && forms.form('factor', { button: 'Turn off', danger: 'Turn off a lost second factor' })}
${project === undefined && html`<details><summary>Set a new password</summary>${forms.form('password', { button: 'Set the password' }, (fields) => fields.text('password', 'New password', { type: 'password', required: true, hint: 'Ends all sessions' }))}</details>`}
${forms.form('remove', { button: `Remove ${username}`, danger: 'Remove this user with its tokens, grants and sessions' })}</section>`
}

function passkeyTable(items: z.output<typeof passkeyList>['items'], { forms, administers }: Asked): Content {
  const rows = items.map(({ id, name, created_at, last_used_at }) =>
    row(
      name,
      moment(created_at),
      moment(last_used_at),
      administers && forms.form('passkey', { button: 'Remove', of: id, label: `Remove the passkey ${name}` }),
    ),
  )
  return table(['Passkey', 'Made', 'Last used', ''], rows, '')
}
