/**
 * The access matrix of the REST interface: every endpoint × everybody × every place × every repository. What an endpoint asks for is
 * told here a second time, by the words of its path, and where it differs by its name.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { formats } from '../../formats/index.js'
import { type PrimaryApiOptions, primaryEndpoints } from '../../primary/api/endpoints.js'
import type { Gate } from '../../protocol/access/gate.js'
import type { Endpoint } from '../../protocol/api/endpoint.js'
import { proofEndpoints } from '../../protocol/api/proofs.js'
import { type Reads, readEndpoints } from '../../protocol/api/reads.js'
import { serveApi } from '../../protocol/api/serve.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Reply } from '../../protocol/http/reply.js'
import type { HttpRequest } from '../../protocol/http/request.js'
import { problem } from '../../protocol/http/status.js'
import type { Principal } from '../../protocol/ports.js'
import type { Registry } from '../../protocol/registry.js'
import { MemoryFleet } from '../support/memory-fleet.js'
import { NODE, PROJECT, type Visitor } from './askers.js'
import { ABSENT, AGED, type Garden, grow, PLANTED, type Planted, REPOSITORIES } from './garden.js'
import { type Answer, expected, may, type Need, type Standing, sees, stands } from './model.js'
import { below } from './routes.js'
import { asking, type Told, told } from './told.js'

const FORMAT = 'maven'
const PLACES = ['primary', 'node', 'node cut off'] as const
type Where = (typeof PLACES)[number]

type Asks = Standing | { repository: Need } | { project: 'see' | 'manage' }

/** What is not as its path says. */
const ASKS: Record<string, Asks> = {
  'artifacts.list': { repository: 'see' },
  'artifacts.get': { repository: 'look' },
  'artifacts.download': { repository: 'read' },
  'artifacts.put': { repository: 'write' },
  'artifacts.delete': { repository: 'delete' },
  'artifacts.restore': { repository: 'write' },
  'artifacts.update': { repository: 'write' },
  'statistics.get': { repository: 'look' },
  'proofs.get': { repository: 'read' },
  'locks.ready': { repository: 'read' },
  'locks.prefetch': { repository: 'read' },
  'access.who': { repository: 'audit' },
  'repositories.delete': 'administrator',
  'projects.delete': 'administrator',
  'projects.list': 'authenticated',
  'service_tokens.list': { project: 'manage' },
  // Their own, or as an administrator: the handlers look.
  'access.what': 'authenticated',
  'users.get': 'authenticated',
  'users.set_password': 'authenticated',
  'sessions.list': 'authenticated',
  'sessions.end': 'authenticated',
  'tokens.create': 'authenticated',
  'tokens.list': 'authenticated',
  'tokens.rotate': 'authenticated',
  'tokens.revoke': 'authenticated',
  // Names of roles are no secret to those who are given them.
  'roles.list': 'authenticated',
  // They show what the asker may see.
  'repositories.list': 'anyone',
  'search.artifacts': 'anyone',
  'snippets.list': 'anyone',
  'auth.me': 'anyone',
  // They make somebody known, or end that.
  'auth.login': 'anyone',
  'auth.refresh': 'anyone',
  'auth.logout': 'anyone',
  'auth.exchange': 'anyone',
  'auth.token_exchange': 'anyone',
  // Hashes over salted changes, and the words of the interface.
  'log.get': 'anyone',
  'log.consistency': 'anyone',
  'openapi.get': 'anyone',
}

const PARAMETERS = { username: 'banned', name: 'somebody', id: 'some-id', member_key: 'theirs', subject: 'a/subject' }
const QUERIES: Record<string, string> = {
  'repositories.explain': 'package=com.example:violet',
  'log.consistency': 'from=1',
  'search.artifacts': 'name=*',
}

describe('who may do what by REST', () => {
  let fleet: MemoryFleet
  let garden: Garden
  let parts: Record<'primary' | 'node', { gate: Gate; reads: Endpoint[]; all: Endpoint[] }>
  before(async () => {
    fleet = await MemoryFleet.open()
    garden = await grow(fleet, FORMAT)
    const record = { id: 'node-1', name: NODE, peer: '', publicKey: '', repositories: ['mine'], revoked: false }
    await fleet.configure([
      { kind: 'access', subject: 'node', id: 'node-1', record: { ...record, createdAt: fleet.now() } },
    ])
    garden.everybody.push({ name: NODE, is: 'node', as: [NODE], authorization: undefined })
    parts = { primary: partsOf(fleet, fleet.gate, fleet.primary), node: partsOf(fleet, fleet.nodeGate, fleet.node) }
  })
  after(() => fleet.close())

  for (const listed of endpointsOf())
    it(`${listed.method} ${listed.path}`, async () => {
      const differences: string[] = []
      for (const place of PLACES) {
        const { gate, reads, all } = place === 'primary' ? parts.primary : parts.node
        const found = (place === 'primary' ? all : reads).find(({ name }) => name === listed.name)
        if (!found) continue
        if (place === 'node cut off') fleet.stale.add(AGED)
        const answer = answerer(fleet, gate, {
          ...found,
          body: undefined,
          query: undefined,
          reply: 'raw',
          handle: done,
        })
        for (const visitor of garden.everybody)
          differences.push(...(await differencesOf(garden, { place, visitor, endpoint: found, answer })))
      }
      fleet.stale.clear()
      assert.deepEqual(differences.slice(0, 12), [], `${differences.length} differences`)
    })

  for (const listed of readsOf().filter(({ method }) => method === 'GET'))
    it(`${listed.path} tells nobody what they may not know`, async () => {
      const leaks: string[] = []
      for (const place of ['primary', 'node'] as const) {
        const { gate, reads } = parts[place]
        const endpoint = reads.find(({ name }) => name === listed.name)
        if (!endpoint) continue
        const answer = answerer(fleet, gate, endpoint)
        for (const visitor of garden.everybody.filter(({ is }) => is !== 'invalid'))
          for (const repository of REPOSITORIES) {
            const url = urlOf(endpoint, repository, repository.key)
            for (const headers of [{}, { range: 'bytes=0-0' }]) {
              const reply = await answer(visitor, 'GET', url, repository.key, headers)
              const leaked = leaksOf(garden, visitor, repository, url, reply)
              if (leaked.length > 0) leaks.push(`${place}, ${visitor.name}: ${url} leaks ${leaked}: ${reply.text}`)
              if (visitor.name === 'administrator' && reply.status >= 400)
                leaks.push(`${place}: ${url} gives an administrator nothing: ${reply.text}`)
            }
          }
      }
      assert.deepEqual(leaks.slice(0, 12), [], `${leaks.length} leaks`)
    })
})

interface Asked {
  place: Where
  visitor: Visitor
  endpoint: Endpoint
  answer: (visitor: Visitor, method: string, url: string, key: string) => Promise<Told>
}

async function differencesOf(garden: Garden, { place, visitor, endpoint, answer }: Asked): Promise<string[]> {
  const { world } = garden
  const asks = asksOf(endpoint)
  const differences: string[] = []
  const compare = async (url: string, should: Answer, hidden?: { url: string; key: string }, key = '…') => {
    for (const method of endpoint.method === 'GET' ? ['GET', 'HEAD'] : [endpoint.method]) {
      const reply = await answer(visitor, method, url, key)
      const absent = hidden && (await answer(visitor, method, hidden.url, hidden.key))
      const was = answerOf(reply, absent)
      if (was !== should)
        differences.push(`${place}, ${visitor.name}: ${method} ${url}: should be ${should}, was ${was}: ${reply.text}`)
    }
  }
  if (typeof asks === 'string') await compare(urlOf(endpoint, REPOSITORIES[0]), stands(world, visitor, asks))
  else if ('project' in asks) {
    const url = (key: string) => urlOf(endpoint, REPOSITORIES[0], key)
    const hidden = { url: url(ABSENT), key: ABSENT }
    await compare(url(PROJECT), projectAnswer(garden, visitor, asks.project), hidden, PROJECT)
  } else
    for (const repository of REPOSITORIES) {
      const { key, flower } = repository
      const path = endpoint.path.includes('{path*}') ? below(FORMAT, flower) : undefined
      const stale = place === 'node cut off' && key === AGED
      const should = expected(world, visitor, { need: asks.repository, place: { ...repository, stale }, path })
      const hidden = { url: urlOf(endpoint, repository, ABSENT), key: ABSENT }
      await compare(urlOf(endpoint, repository, key), should, hidden, key)
    }
  return differences
}

/** By a role in it; what gives or takes roles also by a token only that administers. */
function projectAnswer({ world }: Garden, visitor: Visitor, need: 'see' | 'manage'): Answer {
  if (visitor.is === 'invalid') return 'challenged'
  const isMember = ['member', 'gardener', 'head'].some((name) => visitor.as.includes(name))
  if (!isMember && stands(world, visitor, 'auditor') !== 'answered') return 'hidden'
  const manages = visitor.as.includes('head') && visitor.scopes === undefined
  if (need === 'see' || manages || stands(world, visitor, 'administrator') === 'answered') return 'answered'
  return 'forbidden'
}

function asksOf({ name, path, method }: Endpoint): Asks {
  const [reads, said] = [method === 'GET', ASKS[name]]
  if (said !== undefined) return said
  if (path.startsWith('/api/v1/repositories/{key}')) return { repository: reads ? 'see' : 'admin' }
  if (path.startsWith('/api/v1/projects/{key}')) return { project: reads ? 'see' : 'manage' }
  return reads ? 'auditor' : 'administrator'
}

function urlOf({ name, path }: Endpoint, repository: Planted | undefined, key = 'somebody'): string {
  const { flower = '' } = repository ?? {}
  const values: Record<string, string> = {
    ...PARAMETERS,
    key,
    path: `${below(FORMAT, flower)}/1.0.0/${flower}-1.0.0.jar`,
  }
  const query = QUERIES[name] === undefined ? '' : `?${QUERIES[name]}`
  return (
    path.replace(/\{([a-z_]+)\*?\}/g, (_, parameter: string) => values[parameter] ?? assert.fail(parameter)) + query
  )
}

/** As both sides answer `/api/v1`: who it is first. */
function answerer(fleet: MemoryFleet, gate: Gate, endpoint: Endpoint) {
  const api = serveApi([endpoint], { metadata: fleet.ledger.state, gate })
  return async (visitor: Visitor, method: string, url: string, key: string, headers = {}): Promise<Told> => {
    const request = asking({ method, headers }, url, visitor.authorization)
    const reply = async () => (await api(request, await principalOf(gate, visitor, request))) ?? assert.fail(url)
    return told(request, await reply().catch((error: unknown) => refused(error, request)), key)
  }
}

function principalOf(
  gate: Gate,
  { is, authorization }: Visitor,
  { remote }: HttpRequest,
): Principal | Promise<Principal> {
  if (is === 'node') return gate.node('node-1')
  return authorization === undefined ? gate.anonymous : gate.authenticate(authorization, remote)
}

function refused(error: unknown, request: HttpRequest): Reply {
  if (error instanceof RegistryError) return problem(error, request)
  throw error
}

async function done(): Promise<Reply> {
  return { status: 200, headers: {}, body: 'done' }
}

/** What somebody is told of that they may neither read nor audit, and the repositories that they do not see. */
function leaksOf({ world }: Garden, visitor: Visitor, asked: Planted, url: string, { text }: Told): string[] {
  const looks = (one: Planted) =>
    (['read', 'audit'] as const).some((action) => may(world, visitor, action, one, below(FORMAT, one.flower)))
  const flowers = PLANTED.filter((one) => !url.includes(one.flower) && text.includes(one.flower) && !looks(one))
  const hidden = REPOSITORIES.filter((one) => text.includes(`"${one.key}"`) && !sees(world, visitor, one))
  if (text.includes('"found":true') && !may(world, visitor, 'read', asked, below(FORMAT, 'violet')))
    return ['that it is there']
  return [...flowers.map(({ flower }) => flower), ...hidden.map(({ key }) => key)]
}

function answerOf({ status, text }: Told, absent: Told | undefined): Answer {
  if (status === 401) return 'challenged'
  if (status === 403) return 'forbidden'
  if (status === 503) return 'unavailable'
  return status === 404 && absent?.text === text ? 'hidden' : 'answered'
}

/** All there are, for their names: none of them is called. */
function endpointsOf(): Endpoint[] {
  return primaryEndpoints(over({ formats }) as PrimaryApiOptions)
}

function readsOf(): Endpoint[] {
  return readEndpoints(over({ formats }) as Reads)
}

function partsOf(fleet: MemoryFleet, gate: Gate, registry: Registry) {
  const real: Reads = {
    metadata: fleet.ledger.state,
    gate,
    formats,
    open: (record, principal) => registry.repository(record, principal),
    members: (record) => registry.members(record),
    merges: (record, name) => registry.merges(record, name),
    file: (repository, file, request) => registry.file(repository, file, request),
    blobs: fleet.blobs,
    holders: (digest) => fleet.holders(digest),
  }
  const reads = [...readEndpoints(real), ...proofEndpoints(over(real) as PrimaryApiOptions)]
  return { gate, reads, all: primaryEndpoints(over(real) as PrimaryApiOptions) }
}

/** Some real parts; the others are only passed on. */
function over(real: object): object {
  const unused: object = new Proxy(() => unused, { get: (_, name) => (name === Symbol.iterator ? undefined : unused) })
  return new Proxy(real, { get: (target, name) => Reflect.get(target, name) ?? unused })
}
