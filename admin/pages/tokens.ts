/** API tokens: one's own. A value is shown once, on the page that answers the form. */
import { z } from 'zod'
import { tokenShape } from '../../protocol/api/shapes.js'
import { RegistryError } from '../../protocol/errors.js'
import { type Fields, filled, listed } from '../form.js'
import { type Content, html } from '../html.js'
import { api } from '../rest.js'
import { moment, pager, row, table } from '../table.js'
import { type Asked, at, type Done, type Page } from './page.js'

type Token = z.output<typeof tokenShape>
export const tokenList = z.object({ items: z.array(tokenShape), next: z.string().nullable() })
const newToken = tokenShape.extend({ value: z.string() })

const own: Page = {
  path: '/admin/tokens',
  link: { text: 'Tokens', for: 'user' },
  show: async (asked) => {
    const { rest, query, path, forms } = asked
    const after = query.get('after')
    const tokens = await rest.get(api`/auth/tokens`, tokenList, { after: after ?? undefined })
    return {
      title: 'Your tokens',
      content: html`<p class="note">Programs log in with a token instead of your password. It never may more than you.</p>
${tokenTable(tokens.items, { ...asked, administers: true }, true)}${pager(path, {}, tokens, after)}
<section><h3>New token</h3>${forms.form('create', { button: 'Make the token' }, draftFields)}</section>`,
    }
  },
  does: {
    create: async ({ rest, form }) => shownOnce(await rest.send('POST', api`/auth/tokens`, draftOf(form)), at`/tokens`),
    rotate: async ({ rest, of }) => shownOnce(await rest.send('POST', api`/auth/tokens/${of}/rotate`, {}), at`/tokens`),
    revoke: async ({ rest, of }) => {
      await rest.send('DELETE', api`/auth/tokens/${of}`)
      return { go: at`/tokens`, said: 'removed' }
    },
  },
  fresh: ['create', 'rotate'],
}

export const tokenPages: readonly Page[] = [own]

export function draftFields(fields: Fields): Content {
  return [
    fields.text('name', 'Name', { required: true, hint: 'What it is for' }),
    fields.text('scopes', 'Scopes', {
      value: '*',
      hint: 'Such as read:team-* or write:app/docs/, separated by spaces; * is all that its owner may',
    }),
    fields.text('days', 'Ends after days', { type: 'number', hint: 'Empty: as this system has it' }),
  ]
}

export function draftOf(form: URLSearchParams): object {
  const days = filled(form, 'days')
  if (days !== undefined && !/^\d{1,6}$/.test(days)) throw new RegistryError('invalid', 'Days must be a whole number')
  return {
    name: form.get('name') ?? '',
    scopes: listed(form, 'scopes'),
    ...(days === undefined ? {} : { expires_in_days: Number(days) }),
  }
}

/** `made`: the answer to whoever made it. */
export function shownOnce(made: unknown, back: string): Done {
  const { name, value, expires_at } = newToken.parse(made)
  return {
    title: 'New token',
    show: html`<section class="entry"><h2>Token ${name}</h2>
<p>This is its value. It is not shown again: copy it now.</p>
<pre class="once" tabindex="0">${value}</pre>
<p>It ends ${expires_at === null ? 'never' : moment(expires_at)}.</p>
<p><a class="way" href="${back}">I have it</a></p></section>`,
  }
}

/** With a form `revoke`, and where they can be rotated `rotate`, for each. */
export function tokenTable(
  items: readonly Token[],
  { forms, administers }: Pick<Asked, 'forms' | 'administers'>,
  rotates = false,
): Content {
  const rows = items.map(({ id, name, scopes, created_at, expires_at, last_used_at, last_used_from }) =>
    row(
      html`${name} <small>${id}</small>`,
      scopes.join(' '),
      moment(created_at),
      expires_at === null ? 'never' : moment(expires_at),
      last_used_at === undefined ? 'never' : html`${moment(last_used_at)} <small>${last_used_from}</small>`,
      administers &&
        html`<div class="actions">${rotates && forms.form('rotate', { button: 'Rotate', of: id, label: `Rotate ${name}` })}${forms.form('revoke', { button: 'Revoke', of: id, label: `Revoke ${name}` })}</div>`,
    ),
  )
  return table(['Token', 'Scopes', 'Made', 'Ends', 'Last used', ''], rows, 'There is no token.')
}
