/** Repositories: local ones, remote ones and virtual ones. Who administers one may describe and open it; the rest is the system's. */
import { z } from 'zod'
import { memberShape, repositoryShape } from '../../protocol/api/shapes.js'
import { RegistryError } from '../../protocol/errors.js'
import { filled, listed } from '../form.js'
import { type Content, html } from '../html.js'
import { api } from '../rest.js'
import { facts, listing, moment, pager, row, table } from '../table.js'
import { bytes } from '../words.js'
import { type Asked, at, type Page } from './page.js'

type Repository = z.output<typeof repositoryShape>
const repositoryList = z.object({ items: z.array(repositoryShape), next: z.string().nullable() })
const memberList = z.object({ items: z.array(memberShape) })
const TYPES: [string, string][] = [
  ['local', 'local: published to'],
  ['remote', 'remote: another registry’s'],
  ['virtual', 'virtual: several as one'],
]

const list: Page = {
  path: '/admin/repositories',
  link: { text: 'Repositories', for: 'user' },
  show: async ({ rest, query, path, forms, formats, administers }) => {
    const wanted = { format: filled(query, 'format'), repo_type: filled(query, 'repo_type') }
    const after = query.get('after')
    const all = await rest.get(api`/repositories`, repositoryList, { ...wanted, after: after ?? undefined })
    const rows = all.items.map((one) =>
      row(
        html`<a href="${at`/repositories/${one.key}`}">${one.key}</a>${one.description !== '' && html` <small>${one.description}</small>`}`,
        one.format,
        one.repo_type,
        one.is_public ? 'public' : 'private',
        one.project ?? '—',
      ),
    )
    return {
      title: 'Repositories',
      content: html`${forms.filter('Show', query, (fields) => [fields.select('format', 'Format', [['', 'all'], ...formats]), fields.select('repo_type', 'Type', [['', 'all'], 'local', 'remote', 'virtual'])])}
${listing(table(['Repository', 'Format', 'Type', 'Access', 'Project'], rows, 'There is no repository that you may see.'), pager(path, wanted, all, after))}
${administers && html`<section><h3>New repository</h3>${forms.form('create', { button: 'Make the repository' }, (fields) => [fields.text('key', 'Key', { required: true }), fields.select('format', 'Format', formats), fields.select('repo_type', 'Type', TYPES), fields.text('description', 'Description'), fields.text('project', 'Project'), fields.text('upstream', 'Upstream', { hint: 'Of a remote one: the address of the registry' }), fields.text('members', 'Members', { hint: 'Of a virtual one: keys, first wins' }), fields.check('public', 'Everybody may read it')])}</section>`}`,
    }
  },
  does: {
    create: async ({ rest, form }) => {
      const [key, type, members] = [form.get('key') ?? '', form.get('repo_type') ?? 'local', listed(form, 'members')]
      await rest.send('POST', api`/repositories`, {
        ...{ key, repo_type: type, format: form.get('format') ?? '', is_public: form.has('public') },
        description: form.get('description') ?? '',
        project: filled(form, 'project'),
        upstream_url: filled(form, 'upstream'),
        ...(members.length > 0 || type === 'virtual' ? { members } : {}),
      })
      return { go: at`/repositories/${key}`, said: 'made' }
    },
  },
}

const one: Page = {
  path: '/admin/repositories/{repository}',
  show: async (asked) => {
    const { rest, params, configures } = asked
    const known = await rest.get(api`/repositories/${params.repository ?? ''}`, repositoryShape)
    return {
      title: known.name,
      content: html`${known.description !== '' && html`<p>${known.description}</p>`}
${facts(['Key', known.key], ['Format', known.format], ['Type', known.repo_type], ['Access', known.is_public ? 'public' : 'private'], ['Project', known.project ?? '—'], ['Holds', holds(known)], ...upstreamFacts(known), ['Address', html`<code>${known.url}</code>`], ['Since', moment(known.created_at)])}
${configures(known.key) && html`<p><a href="${at`/rights?repository=${known.key}`}&action=read">Who may read it, and why</a></p>`}
${known.repo_type === 'virtual' && (await memberSection(known, asked))}
${configures(known.key) && changes(known, asked)}`,
    }
  },
  does: {
    edit: async ({ rest, params, form }) => {
      const body = { name: filled(form, 'name'), description: form.get('description') ?? '' }
      const flags = {
        is_public: form.has('public'),
        ...(form.has('redeploys') ? { allow_redeploy: form.has('redeploy') } : {}),
      }
      await rest.send('PATCH', api`/repositories/${params.repository ?? ''}`, { ...body, ...flags })
      return { go: at`/repositories/${params.repository ?? ''}`, said: 'saved' }
    },
    system: async ({ rest, params, form }) => {
      const body = { project: filled(form, 'project') ?? null, quota_bytes: quotaOf(form) }
      const upstream = form.has('upstream') ? { upstream_url: form.get('upstream')?.trim() ?? '' } : {}
      await rest.send('PATCH', api`/repositories/${params.repository ?? ''}`, { ...body, ...upstream })
      return { go: at`/repositories/${params.repository ?? ''}`, said: 'saved' }
    },
    member: async ({ rest, params, form }) => {
      const priority = filled(form, 'priority')
      const body = {
        member_key: filled(form, 'member') ?? '',
        ...(priority === undefined ? {} : { priority: Number(priority) }),
      }
      await rest.send('POST', api`/repositories/${params.repository ?? ''}/members`, body)
      return { go: at`/repositories/${params.repository ?? ''}`, said: 'saved' }
    },
    leave: async ({ rest, params, of }) => {
      await rest.send('DELETE', api`/repositories/${params.repository ?? ''}/members/${of}`)
      return { go: at`/repositories/${params.repository ?? ''}`, said: 'removed' }
    },
    remove: async ({ rest, params }) => {
      await rest.send('DELETE', api`/repositories/${params.repository ?? ''}`)
      return { go: at`/repositories`, said: 'removed' }
    },
  },
}

export const repositoryPages: readonly Page[] = [list, one]

function holds({ used_bytes, quota_bytes }: Repository): string {
  const used = used_bytes === null ? '—' : bytes(used_bytes)
  return quota_bytes === null ? used : `${used} of ${bytes(quota_bytes)}`
}

function upstreamFacts({ upstream_url }: Repository): [string, Content][] {
  return upstream_url === null ? [] : [['Upstream', html`<code>${upstream_url}</code>`]]
}

/** Bytes; null takes it away. */
function quotaOf(form: URLSearchParams): number | null {
  const typed = filled(form, 'quota')
  if (typed === undefined) return null
  if (!/^\d{1,15}$/.test(typed)) throw new RegistryError('invalid', 'The quota must be a whole number of bytes')
  return Number(typed)
}

async function memberSection({ key }: Repository, { rest, forms, configures }: Asked): Promise<Content> {
  const { items } = await rest.get(api`/repositories/${key}/members`, memberList)
  const may = configures(key)
  const rows = items.map(({ member_key, priority }) =>
    row(
      html`<a href="${at`/repositories/${member_key}`}">${member_key}</a>`,
      priority,
      may && forms.form('leave', { button: 'Take out', of: member_key, label: `Take ${member_key} out of ${key}` }),
    ),
  )
  return html`<section><h3>Members, first wins</h3>${table(['Repository', 'Priority', ''], rows, 'It has no member that you may see.')}
${may && forms.form('member', { button: 'Add or move' }, (fields) => [fields.text('member', 'Repository', { required: true }), fields.text('priority', 'Priority', { type: 'number', hint: 'Lower ones win' })])}</section>`
}

function changes(known: Repository, { forms, administers }: Asked): Content {
  return html`<section><h3>Change</h3>${forms.form('edit', { button: 'Save' }, (fields) => [
    fields.text('name', 'Name', { value: known.name, required: true }),
    fields.text('description', 'Description', { value: known.description }),
    fields.check('public', 'Everybody may read it', { on: known.is_public }),
    known.repo_type === 'local' &&
      html`<input type="hidden" name="redeploys" value="yes">${fields.check('redeploy', 'A path may be given other bytes', { on: known.allow_redeploy })}`,
  ])}</section>
${
  administers &&
  html`<section><h3>Of the system</h3>${forms.form('system', { button: 'Save' }, (fields) => [
    fields.text('project', 'Project', { value: known.project }),
    fields.text('quota', 'Quota in bytes', { type: 'number', value: String(known.quota_bytes ?? '') }),
    known.repo_type === 'remote' &&
      fields.text('upstream', 'Upstream', { value: known.upstream_url ?? '', required: true }),
  ])}
${forms.form('remove', { button: `Remove ${known.key}`, danger: 'Remove this repository with everything in it' })}</section>`
}`
}
