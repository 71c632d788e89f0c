/** A service account of a project, and its tokens. */
import { html } from '../html.js'
import { api } from '../rest.js'
import { pager } from '../table.js'
import { at, type Page } from './page.js'
import { draftFields, draftOf, shownOnce, tokenList, tokenTable } from './tokens.js'

export const serviceAccountPage: Page = {
  path: '/admin/projects/{key}/service-accounts/{name}',
  show: async (asked) => {
    const { rest, params, query, path, forms } = asked
    const [key, name, after] = [params.key ?? '', params.name ?? '', query.get('after')]
    const tokens = await rest.get(api`/projects/${key}/service-accounts/${name}/tokens`, tokenList, {
      after: after ?? undefined,
    })
    return {
      title: `Service account ${name}`,
      content: html`<p>Of the project <a href="${at`/projects/${key}`}">${key}</a>. It has tokens and no password.</p>
<section><h3>Tokens</h3>${tokenTable(tokens.items, { forms, administers: true }, true)}${pager(path, {}, tokens, after)}</section>
<section><h3>New token</h3>${forms.form('create', { button: 'Make the token' }, draftFields)}</section>
${forms.form('remove', { button: `Remove ${name}`, danger: 'Remove this account with its tokens and grants' })}`,
    }
  },
  does: {
    create: async ({ rest, params, form }) =>
      shownOnce(await rest.send('POST', tokensOf(params), draftOf(form)), back(params)),
    rotate: async ({ rest, params, of }) =>
      shownOnce(await rest.send('POST', tokenOf(params, of, '/rotate'), {}), back(params)),
    revoke: async ({ rest, params, of }) => {
      await rest.send('DELETE', tokenOf(params, of))
      return { go: back(params), said: 'removed' }
    },
    remove: async ({ rest, params }) => {
      await rest.send('DELETE', api`/projects/${params.key ?? ''}/service-accounts/${params.name ?? ''}`)
      return { go: at`/projects/${params.key ?? ''}`, said: 'removed' }
    },
  },
  fresh: ['create', 'rotate'],
}

function tokensOf({ key = '', name = '' }: Record<string, string>): string {
  return api`/projects/${key}/service-accounts/${name}/tokens`
}

function tokenOf({ key = '', name = '' }: Record<string, string>, id: string, act = ''): string {
  return api`/projects/${key}/service-accounts/${name}/tokens/${id}` + act
}

function back({ key = '', name = '' }: Record<string, string>): string {
  return at`/projects/${key}/service-accounts/${name}`
}
