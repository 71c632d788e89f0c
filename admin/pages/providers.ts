/** Identity providers: which there are, whether they work, whom they know. They are set up by command. */
import { z } from 'zod'
import { filled } from '../form.js'
import { type Content, html } from '../html.js'
import { api } from '../rest.js'
import { facts, moment, row, table } from '../table.js'
import { type Asked, at, type Done, type Page } from './page.js'

const provider = z.object({
  key: z.string(),
  kind: z.string(),
  title: z.string(),
  enabled: z.boolean(),
  settings: z.record(z.string(), z.unknown()),
})
type Provider = z.output<typeof provider>
const providerList = z.object({ items: z.array(provider) })
const linked = z.object({
  items: z.array(z.object({ subject: z.string(), username: z.string(), last_at: z.string() })),
})
const result = z.object({
  works: z.boolean(),
  reason: z.string().nullable(),
  identity: z
    .object({ subject: z.string(), name: z.string(), email: z.string(), groups: z.array(z.string()).nullable() })
    .nullable(),
})
const synced = z.object({
  accounts: z.number(),
  deactivated: z.array(z.string()),
  reactivated: z.array(z.string()),
  kept: z.array(z.string()),
})
const IDENTITIES_SHOWN = 200

const list: Page = {
  path: '/admin/identity-providers',
  link: { text: 'Sign-on', for: 'auditor' },
  show: async ({ rest }) => {
    const { items } = await rest.get(api`/identity-providers`, providerList)
    const rows = items.map((one) =>
      row(html`<a href="${at`/identity-providers/${one.key}`}">${one.title}</a>`, one.key, one.kind, state(one)),
    )
    return {
      title: 'Identity providers',
      content: html`${table(['Provider', 'Key', 'Kind', 'State'], rows, 'There is no identity provider: users log in with passwords.')}
<p class="note"><code>cairn provider add</code> sets one up. Passwords are tried at them in this order.</p>`,
    }
  },
}

const one: Page = {
  path: '/admin/identity-providers/{name}',
  show: async (asked) => {
    const { rest, params } = asked
    const known = await rest.get(api`/identity-providers/${params.name ?? ''}`, provider)
    const identities = await rest.get(api`/identity-providers/${known.key}/identities`, linked)
    const rows = identities.items
      .slice(0, IDENTITIES_SHOWN)
      .map(({ subject, username, last_at }) =>
        row(html`<a href="${at`/users/${username}`}">${username}</a>`, subject, moment(last_at)),
      )
    return {
      title: known.title,
      content: html`${facts(['Key', known.key], ['Kind', known.kind], ['State', state(known)])}
${asked.administers && actions(known, asked)}
<details><summary>Settings, without the secret ones</summary><pre tabindex="0">${JSON.stringify(known.settings, null, 2)}</pre></details>
<section><h3>Accounts that it knows</h3>${table(['User', 'Its subject', 'Last heard of'], rows, 'None yet.')}
${identities.items.length > rows.length && html`<p class="note">and ${identities.items.length - rows.length} more</p>`}</section>`,
    }
  },
  does: {
    test: async ({ rest, params, form }) => {
      const key = params.name ?? ''
      const body = { username: filled(form, 'username'), password: form.get('password') || undefined }
      return tested(key, result.parse(await rest.send('POST', api`/identity-providers/${key}/test`, body)))
    },
    sync: async ({ rest, params, form }) => {
      const key = params.name ?? ''
      const made = await rest.send('POST', api`/identity-providers/${key}/sync`, { force: form.has('force') })
      return told(key, synced.parse(made))
    },
    enable: async ({ rest, params }) => {
      await rest.send('PATCH', api`/identity-providers/${params.name ?? ''}`, { enabled: true })
      return { go: at`/identity-providers/${params.name ?? ''}`, said: 'done' }
    },
    disable: async ({ rest, params }) => {
      await rest.send('PATCH', api`/identity-providers/${params.name ?? ''}`, { enabled: false })
      return { go: at`/identity-providers/${params.name ?? ''}`, said: 'done' }
    },
    remove: async ({ rest, params }) => {
      await rest.send('DELETE', api`/identity-providers/${params.name ?? ''}`)
      return { go: at`/identity-providers`, said: 'removed' }
    },
  },
}

export const providerPages: readonly Page[] = [list, one]

function state({ enabled }: Provider): Content {
  return html`<span class="state ${enabled ? 'online' : 'offline'}">${enabled ? 'on' : 'off'}</span>`
}

function actions(known: Provider, { forms }: Asked): Content {
  return html`<section><h3>Test</h3>${forms.form('test', { button: 'Test' }, (fields) => [
    fields.text('username', 'User name there', { hint: 'Empty: only whether it answers' }),
    fields.text('password', 'Their password', { type: 'password', hint: 'Where it takes passwords' }),
  ])}</section>
<section><h3>Accounts</h3>${forms.form('sync', { button: 'Bring up to date' }, (fields) => fields.check('force', 'However many are to be suspended'))}
<div class="actions">${known.enabled ? forms.form('disable', { button: 'Turn off' }) : forms.form('enable', { button: 'Turn on' })}</div>
${forms.form('remove', { button: `Remove ${known.key}`, danger: 'Remove this provider; the accounts stay, without the groups that it gave them' })}</section>`
}

function tested(key: string, { works, reason, identity }: z.output<typeof result>): Done {
  return {
    title: 'Test',
    show: html`<h2 class="title">Test of ${key}</h2>
${works ? html`<p class="said" role="status">It works.</p>` : html`<p class="problem" role="alert">${reason ?? 'It does not work'}.</p>`}
${identity !== null && facts(['Subject', identity.subject], ['Name', identity.name], ['E-mail', identity.email || '—'], ['Groups there', identity.groups === null ? 'not told' : identity.groups.join(', ') || 'none'])}
<p><a class="way" href="${at`/identity-providers/${key}`}">Back</a></p>`,
  }
}

function told(key: string, { accounts, deactivated, reactivated, kept }: z.output<typeof synced>): Done {
  const names = (list: string[]) => list.join(', ') || 'nobody'
  return {
    title: 'Brought up to date',
    show: html`<h2 class="title">${key} was asked</h2>
${facts(['Accounts', accounts], ['Suspended', names(deactivated)], ['Active again', names(reactivated)], ['Gone, but kept as the last administrator', names(kept)])}
<p><a class="way" href="${at`/identity-providers/${key}`}">Back</a></p>`,
  }
}
