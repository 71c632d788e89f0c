/**
 * The access matrix of the pages for administration: every page and every form × everybody who has a session. A page has no rights of
 * its own: whoever REST refuses what it shows first, or what its form does, is refused by the page. What that is stands here a second
 * time; a page or form that is not named here is an error.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { pages } from '../../admin/pages/index.js'
import { openSite, type SiteSource } from '../../admin/site.js'
import { formats } from '../../formats/index.js'
import { type PrimaryApiOptions, primaryEndpoints } from '../../primary/api/endpoints.js'
import { serveApi } from '../../protocol/api/serve.js'
import { RegistryError } from '../../protocol/errors.js'
import { json } from '../../protocol/http/reply.js'
import { MemoryFleet } from '../support/memory-fleet.js'
import { bodyOf, requestOf } from '../support/request.js'
import { PROJECT, type Visitor } from './askers.js'
import { ABSENT, type Garden, grow, REPOSITORIES } from './garden.js'
import { may as mayDo, type Standing, sees, stands } from './model.js'
import { over } from './over.js'

type Asks =
  | Standing
  | 'sees a project'
  | 'manages a project'
  | 'sees a repository'
  | 'administers a repository'
  | 'audits a repository'

/** What a page shows first, and what each of its forms does. */
const PAGES: Record<string, { shows: Asks; does: Record<string, Asks> }> = {
  '/admin/users': { shows: 'auditor', does: { create: 'administrator' } },
  '/admin/users/{name}': {
    // Oneself, or as an auditor: REST looks.
    shows: 'authenticated',
    // A token may be one's own: REST looks.
    does: {
      ...all('administrator', 'edit suspend activate sessions factor passkey remove'),
      ...all('authenticated', 'revoke password'),
    },
  },
  '/admin/groups': { shows: 'auditor', does: { create: 'administrator' } },
  '/admin/groups/{name}': { shows: 'auditor', does: all('administrator', 'add leave describe remove') },
  '/admin/roles': { shows: 'authenticated', does: all('administrator', 'create change remove') },
  '/admin/grants': { shows: 'auditor', does: all('administrator', 'create remove') },
  '/admin/rights': { shows: 'authenticated', does: {} },
  '/admin/projects': { shows: 'authenticated', does: { create: 'administrator' } },
  '/admin/projects/{key}': {
    shows: 'sees a project',
    does: { ...all('manages a project', 'edit member user_leaves group_leaves account'), remove: 'administrator' },
  },
  '/admin/projects/{key}/service-accounts/{name}': {
    shows: 'manages a project',
    does: all('manages a project', 'create rotate revoke remove'),
  },
  '/admin/repositories': { shows: 'authenticated', does: { create: 'administrator' } },
  '/admin/repositories/{repository}': {
    shows: 'sees a repository',
    does: { ...all('administers a repository', 'edit system member leave'), remove: 'administrator' },
  },
  '/admin/nodes': { shows: 'auditor', does: { create: 'administrator' } },
  '/admin/nodes/{name}': { shows: 'auditor', does: all('administrator', 'edit policy drop sync remove') },
  '/admin/leases': { shows: 'auditor', does: all('administrator', 'create renew end void') },
  '/admin/identity-providers': { shows: 'auditor', does: {} },
  '/admin/identity-providers/{name}': {
    shows: 'auditor',
    does: all('administrator', 'test sync enable disable remove'),
  },
  '/admin/audit': { shows: 'auditor', does: {} },
  '/admin/tokens': { shows: 'authenticated', does: all('authenticated', 'create rotate revoke') },
}

/** Forms that make tokens. */
const FRESH = [
  '/admin/nodes create',

  '/admin/projects/{key}/service-accounts/{name} create',
  '/admin/projects/{key}/service-accounts/{name} rotate',
  '/admin/tokens create',
  '/admin/tokens rotate',
]

/** Forms about a node's policies read them first. */
const NODE = {
  ...{ id: 'somebody', name: '', status: 'online', repositories: [], sync_policies: [], created_at: '', url: null },
  ...{ last_heartbeat: null, lag: null, cache_used_bytes: null, cache_limit_bytes: null, peers: null },
  ...{ version: null, alarm: null },
}

const PARAMETERS: Record<string, string> = { name: 'somebody', key: PROJECT, repository: 'mine' }
const FIELDS = new URLSearchParams({ csrf: 'proof', of: 'something', sure: 'yes' })
for (const name of ['name', 'username', 'user', 'group', 'key', 'member']) FIELDS.set(name, 'someone')
for (const name of ['password', 'description', 'scopes', 'reason']) FIELDS.set(name, 'words-of-it')

describe('who may do what on the pages for administration', () => {
  let fleet: MemoryFleet
  let garden: Garden
  /** Methods of the endpoints whose handlers were called. */
  const reached: string[] = []
  before(async () => {
    fleet = await MemoryFleet.open()
    garden = await grow(fleet, 'maven')
  })
  after(() => fleet.close())

  /** Everything that REST lets through is answered alike, and does nothing. */
  const siteOf = (demandFresh = async (): Promise<void> => undefined) => {
    const parts = over({ formats, metadata: fleet.ledger.state, gate: fleet.gate }) as PrimaryApiOptions
    const endpoints = primaryEndpoints(parts).map((endpoint) => ({
      ...endpoint,
      ...{ body: undefined, query: undefined, reply: 'raw' as const },
      handle: async () => {
        reached.push(endpoint.method)
        if (endpoint.name === 'edge_nodes.get') return json(NODE)
        throw new RegistryError('conflict', 'reached')
      },
    }))
    const rest = serveApi(endpoints, { metadata: fleet.ledger.state, gate: fleet.gate })
    const demandOwn = (_: unknown, visitor: { session?: unknown }, token: string) => {
      if (!visitor.session || token !== 'proof') throw new RegistryError('forbidden', 'Not your form', { code: 'csrf' })
    }
    const source = { metadata: fleet.ledger.state, gate: fleet.gate, formats, version: '1', fleet: 'f', startedAtMs: 0 }
    const console = over({ way: () => undefined, providers: () => [], demandOwn, demandFresh })
    return openSite(
      over({
        ...source,
        ...{ nowMs: () => 0, nodes: async () => [], usage: async () => 0 },
        open: false,
        secure: false,
        rest,
        console,
      }) as SiteSource,
    )
  }
  const visits = async (visitor: Visitor) => {
    const principal = visitor.authorization
      ? await fleet.gate.authenticate(visitor.authorization)
      : fleet.gate.anonymous
    return { principal, session: visitor.authorization === undefined ? undefined : { id: 's', csrf: 'proof' } }
  }

  it('each page and each form is named here, and nothing else', () => {
    const found = pages.map(({ path, does = {} }) => [path, Object.keys(does).toSorted()])
    const named = Object.entries(PAGES).map(([path, { does }]) => [path, Object.keys(does).toSorted()])
    assert.deepEqual(found.toSorted(), named.toSorted())
  })

  for (const { path, does = {} } of pages)
    it(path, async () => {
      const site = await siteOf()
      const url = path.replace(/\{(\w+)\}/g, (_, name: string) => PARAMETERS[name] ?? assert.fail(name))
      const type = { 'content-type': 'application/x-www-form-urlencoded' }
      const differences: string[] = []
      for (const visitor of garden.everybody.filter(({ is }) => is !== 'invalid')) {
        const who = await visits(visitor)
        const compare = async (name: string | undefined, asks: Asks | undefined) => {
          const fields = new URLSearchParams(FIELDS)
          if (name !== undefined) fields.set('do', name)
          const request = requestOf(name === undefined ? 'GET' : 'POST', url, {
            ...(name === undefined ? {} : { headers: type, body: fields.toString() }),
          })
          const reply = (await site(request, who)) ?? assert.fail(path)
          const isReached = reached.splice(0).some((method) => name === undefined || method !== 'GET')
          const should = answerFor(garden, visitor, asks ?? assert.fail(`${path} ${name}`), name !== undefined)
          const was = isReached ? 'answered' : reply.status === 303 ? 'log-in' : String(reply.status)
          if (was !== should) differences.push(`${visitor.name}: ${url} ${name ?? ''}: should be ${should}, was ${was}`)
        }
        await compare(undefined, PAGES[path]?.shows)
        for (const name of Object.keys(does)) await compare(name, PAGES[path]?.does[name])
      }
      assert.deepEqual(differences.slice(0, 12), [], `${differences.length} differences`)
    })

  it('what is hidden looks as if it were not there', async () => {
    const site = await siteOf()
    const differences: string[] = []
    const told = async (url: string, who: Awaited<ReturnType<typeof visits>>, name: string) => {
      const reply = (await site(requestOf('GET', url), who)) ?? assert.fail(url)
      reached.splice(0)
      return `${reply.status} ${(await bodyOf(reply)).toString().replaceAll(new RegExp(`\\b${name}\\b`, 'g'), 'NAME')}`
    }
    for (const visitor of garden.everybody.filter(({ is, authorization }) => is !== 'invalid' && authorization)) {
      const who = await visits(visitor)
      for (const { key } of REPOSITORIES.filter((one) => !sees(garden.world, visitor, one)))
        if (
          (await told(`/admin/repositories/${key}`, who, key)) !==
          (await told(`/admin/repositories/${ABSENT}`, who, ABSENT))
        )
          differences.push(`${visitor.name}: ${key}`)
      if (answerFor(garden, visitor, 'sees a project', false) !== '404') continue
      for (const rest of ['', '/service-accounts/robot'])
        if (
          (await told(`/admin/projects/${PROJECT}${rest}`, who, PROJECT)) !==
          (await told(`/admin/projects/${ABSENT}${rest}`, who, ABSENT))
        )
          differences.push(`${visitor.name}: ${PROJECT}${rest}`)
    }
    assert.deepEqual(differences, [])
  })

  it('what outlasts the session needs a fresh log-in', async () => {
    const old = () => Promise.reject(new RegistryError('forbidden', 'This session is old'))
    const [site, type] = [await siteOf(old), { 'content-type': 'application/x-www-form-urlencoded' }]
    const root = garden.everybody.find(({ name }) => name === 'administrator') ?? assert.fail()
    for (const { path, does = {} } of pages)
      for (const name of Object.keys(does)) {
        const url = path.replace(/\{(\w+)\}/g, (_, parameter: string) => PARAMETERS[parameter] ?? '')
        const body = `${FIELDS}&do=${name}`
        await site(requestOf('POST', url, { headers: type, body }), await visits(root))
        const isDone = reached.splice(0).some((method) => method !== 'GET')
        assert.equal(isDone, !FRESH.includes(`${path} ${name}`), `${path} ${name}`)
      }
  })

  it('the navigation leads to what the visitor may read', async () => {
    const site = await siteOf()
    const differences: string[] = []
    for (const visitor of garden.everybody.filter(({ is }) => is !== 'invalid')) {
      const text = (
        await bodyOf((await site(requestOf('GET', '/'), await visits(visitor))) ?? assert.fail())
      ).toString()
      for (const { path, link } of pages) {
        if (!link) continue
        const shown = text.includes(`<a href="${path}"`)
        const may = stands(garden.world, visitor, link.for === 'user' ? 'authenticated' : 'auditor') === 'answered'
        if (shown !== may) differences.push(`${visitor.name}: ${path}`)
      }
    }
    assert.deepEqual(differences, [])
  })
})

function answerFor(garden: Garden, visitor: Visitor, asks: Asks, isForm: boolean): string {
  if (visitor.authorization === undefined) return isForm ? '403' : 'log-in'
  const may = (yes: boolean, seen: boolean) => (yes ? 'answered' : seen ? '403' : '404')
  const { world } = garden
  const mine = REPOSITORIES.find(({ key }) => key === PARAMETERS.repository) ?? assert.fail()
  const isMember = ['member', 'gardener', 'head'].some((name) => visitor.as.includes(name))
  const administers = stands(world, visitor, 'administrator') === 'answered'
  const seesProject = isMember || stands(world, visitor, 'auditor') === 'answered'
  if (asks === 'sees a project') return may(seesProject, seesProject)
  if (asks === 'manages a project')
    return may(administers || (visitor.as.includes('head') && visitor.scopes === undefined), seesProject)
  if (asks === 'sees a repository') return may(sees(world, visitor, mine), false)
  if (asks === 'administers a repository' || asks === 'audits a repository')
    return may(
      mayDo(world, visitor, asks === 'audits a repository' ? 'audit' : 'admin', mine),
      sees(world, visitor, mine),
    )
  return may(stands(world, visitor, asks) === 'answered', true)
}

function all(asks: Asks, names: string): Record<string, Asks> {
  return Object.fromEntries(names.split(' ').map((name) => [name, asks]))
}
