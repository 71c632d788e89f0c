/** Edge nodes: how they are, what they hold and fetch beforehand, and who may join. */
import { z } from 'zod'
import { filled, listed } from '../form.js'
import { type Content, html } from '../html.js'
import { api, type Changing } from '../rest.js'
import { facts, moment, pager, row, table } from '../table.js'
import { bytes, count, duration } from '../words.js'
import { type Asked, at, type Page } from './page.js'

const policy = z.object({
  repository: z.string(),
  mode: z.string(),
  include: z.array(z.string()),
  exclude: z.array(z.string()),
  pin: z.boolean().optional(),
  window: z.string().optional(),
})
type Policy = z.output<typeof policy>
const node = z.object({
  id: z.string(),
  name: z.string(),
  status: z.string(),
  repositories: z.array(z.string()),
  sync_policies: z.array(policy),
  created_at: z.string(),
  last_heartbeat: z.string().nullable(),
  lag: z.number().nullable(),
  cache_used_bytes: z.number().nullable(),
  cache_limit_bytes: z.number().nullable(),
  peers: z.number().nullable(),
  url: z.string().nullable(),
  version: z.string().nullable(),
  alarm: z.string().nullable(),
})
type Node = z.output<typeof node>
const nodeList = z.object({ items: z.array(node), next: z.string().nullable() })
const joining = z.object({ join_token: z.string(), expires_at: z.string() })
const MODES = [
  ['on_demand', 'on demand'],
  ['scheduled', 'scheduled, in a window'],
  ['eager', 'at once'],
] as const

const list: Page = {
  path: '/admin/nodes',
  link: { text: 'Nodes', for: 'auditor' },
  show: async ({ rest, query, path, forms, administers, nowMs }) => {
    const after = query.get('after')
    const nodes = await rest.get(api`/edge-nodes`, nodeList, { after: after ?? undefined })
    const rows = nodes.items.map((one) =>
      row(
        html`<a href="${at`/nodes/${one.id}`}">${one.name || one.id}</a>${one.version !== null && html` <small>${one.version}</small>`}`,
        state(one),
        behind(one),
        one.last_heartbeat === null ? 'never' : `${duration(nowMs - Date.parse(one.last_heartbeat))} ago`,
        cache(one),
        one.repositories.join(', '),
      ),
    )
    return {
      title: 'Nodes',
      content: html`${table(['Node', 'State', 'Behind', 'Heard', 'Cache', 'May hold'], rows, 'No node has joined.')}${pager(path, {}, nodes, after)}
${administers && html`<section><h3>New node</h3>${forms.form('create', { button: 'Make a join token' }, (fields) => [fields.text('name', 'Name'), fields.text('repositories', 'May hold', { value: '*', hint: 'Repositories or patterns, separated by spaces' })])}</section>`}`,
    }
  },
  does: {
    create: async ({ rest, form }) => {
      const draft = { name: filled(form, 'name'), repositories: listed(form, 'repositories') }
      const { join_token, expires_at } = joining.parse(await rest.send('POST', api`/edge-nodes`, draft))
      return {
        title: 'Join token',
        show: html`<section class="entry"><h2>Join token</h2><p>With this one node joins, until ${moment(expires_at)}. It is not shown again: copy it now.</p>
<pre class="once" tabindex="0">cairn node --join ${join_token}</pre>
<p><a class="way" href="/admin/nodes">I have it</a></p></section>`,
      }
    },
  },
  fresh: ['create'],
}

const one: Page = {
  path: '/admin/nodes/{name}',
  show: async (asked) => {
    const { rest, params, nowMs } = asked
    const known = await rest.get(api`/edge-nodes/${params.name ?? ''}`, node)
    const heard = known.last_heartbeat === null ? 'never' : `${duration(nowMs - Date.parse(known.last_heartbeat))} ago`
    return {
      title: `Node ${known.name || known.id}`,
      content: html`${known.alarm !== null && html`<p class="problem" role="alert">${known.alarm}</p>`}
${facts(['State', state(known)], ['Behind', behind(known)], ['Heard', heard], ['Cache', cache(known)], ['Peers', known.peers ?? '—'], ['Version', known.version ?? '—'], ['Address', known.url ?? '—'], ['Since', moment(known.created_at)])}
<section><h3>Fetches beforehand</h3>${policyTable(known, asked)}${asked.administers && newPolicy(asked)}</section>
${asked.administers && changes(known, asked)}`,
    }
  },
  does: {
    edit: async ({ rest, params, form }) => {
      const body = { name: filled(form, 'name'), repositories: listed(form, 'repositories') }
      await rest.send('PATCH', api`/edge-nodes/${params.name ?? ''}`, body)
      return { go: at`/nodes/${params.name ?? ''}`, said: 'saved' }
    },
    policy: async ({ rest, params, form }) => {
      const made = policyOf(form)
      await policies(rest, params.name ?? '', (before) => [
        ...before.filter(({ repository }) => repository !== made.repository),
        made,
      ])
      return { go: at`/nodes/${params.name ?? ''}`, said: 'saved' }
    },
    drop: async ({ rest, params, of }) => {
      await policies(rest, params.name ?? '', (before) => before.filter(({ repository }) => repository !== of))
      return { go: at`/nodes/${params.name ?? ''}`, said: 'removed' }
    },
    sync: async ({ rest, params }) => {
      await rest.send('POST', api`/edge-nodes/${params.name ?? ''}/sync`)
      return { go: at`/nodes/${params.name ?? ''}`, said: 'done' }
    },
    remove: async ({ rest, params }) => {
      await rest.send('DELETE', api`/edge-nodes/${params.name ?? ''}`)
      return { go: at`/nodes`, said: 'removed' }
    },
  },
}

export const nodePages: readonly Page[] = [list, one]

/** All of a node's are replaced together. */
async function policies(rest: Changing, id: string, change: (before: Policy[]) => Policy[]): Promise<void> {
  const { sync_policies } = await rest.get(api`/edge-nodes/${id}`, node)
  await rest.send('PATCH', api`/edge-nodes/${id}`, { sync_policies: change(sync_policies) })
}

function policyOf(form: URLSearchParams): Policy {
  const window = filled(form, 'window')
  return {
    repository: filled(form, 'repository') ?? '',
    mode: form.get('mode') ?? '',
    include: listed(form, 'include'),
    exclude: listed(form, 'exclude'),
    ...(form.has('pin') ? { pin: true } : {}),
    ...(window === undefined ? {} : { window }),
  }
}

function state({ status }: Node): Content {
  return html`<span class="state ${status}">${status === 'key' ? 'join key' : status}</span>`
}

function behind({ lag }: Node): string {
  return lag === null ? '—' : lag === 0 ? 'up to date' : count(lag, 'change')
}

function cache({ cache_used_bytes: used, cache_limit_bytes: limit }: Node): string {
  return used === null || limit === null ? '—' : `${bytes(used)} of ${bytes(limit)}`
}

function policyTable({ sync_policies }: Node, { forms, administers }: Asked): Content {
  const rows = sync_policies.map((one) =>
    row(
      html`<code>${one.repository}</code>`,
      MODES.find(([mode]) => mode === one.mode)?.[1] ?? one.mode,
      one.window ?? '—',
      one.include.join(', ') || 'all',
      one.exclude.join(', ') || 'none',
      one.pin ? 'yes' : 'no',
      administers &&
        forms.form('drop', { button: 'Remove', of: one.repository, label: `Remove the policy for ${one.repository}` }),
    ),
  )
  return table(
    ['Repositories', 'When', 'Window (UTC)', 'Paths', 'Without', 'Pinned', ''],
    rows,
    'Nothing: bytes come when asked for.',
  )
}

function newPolicy({ forms }: Asked): Content {
  return forms.form('policy', { button: 'Set the policy' }, (fields) => [
    fields.text('repository', 'Repository', { required: true, hint: 'Or a pattern; replaces the policy for it' }),
    fields.select(
      'mode',
      'When',
      MODES.map(([mode, text]): [string, string] => [mode, text]),
      'eager',
    ),
    fields.text('window', 'Window', { hint: 'HH:MM-HH:MM, UTC; of scheduled ones' }),
    fields.text('include', 'Paths', { hint: 'Globs; empty: all' }),
    fields.text('exclude', 'Without', { hint: 'Globs' }),
    fields.check('pin', 'Pinned in the cache'),
  ])
}

function changes(known: Node, { forms }: Asked): Content {
  return html`<section><h3>Change</h3>${forms.form('edit', { button: 'Save' }, (fields) => [
    fields.text('name', 'Name', { value: known.name }),
    fields.text('repositories', 'May hold', { value: known.repositories.join(' '), required: true }),
  ])}
<div class="actions">${forms.form('sync', { button: 'Fetch now what the policies say' })}</div>
${forms.form('remove', { button: 'Remove the node', danger: 'Remove this node: its certificate and join token end' })}</section>`
}
