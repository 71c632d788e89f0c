/**
 * What is answered without asking the gate first, each with the reason. Whatever else comes has to be written down here. What it
 * shows of repositories is what the asker may see.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { openSite, type SiteSource } from '../../admin/site.js'
import { formats } from '../../formats/index.js'
import { MemoryFleet } from '../support/memory-fleet.js'
import { bodyOf, requestOf } from '../support/request.js'
import type { Visitor } from './askers.js'
import { type Garden, grow, PLANTED, REPOSITORIES } from './garden.js'
import { may, sees } from './model.js'
import { over } from './over.js'
import { below } from './routes.js'
import { asking, told } from './told.js'

const OPEN: Record<string, string> = {
  'cargo PUT /api/v1/crates/new': 'the handler asks when the body has named the crate',
  'npm POST /-/npm/v1/oidc/token/exchange/package/:package*': 'makes a job known by its token',
  'npm POST /-/v1/login': 'makes somebody known; refers to the password',
  'npm PUT /-/user/:user': 'makes somebody known by a password',
  'npm PUT /-/user/:user/-rev/:rev': 'makes somebody known by a password',
  'oci GET /v2/': 'says that this is a registry, and asks for credentials',
  'oci GET /v2': 'says that this is a registry, and asks for credentials',
  'oci GET /v2/_catalog': 'names the images that the asker may read',
  'oci GET /v2/_token': 'makes somebody known by credentials',
  'oci POST /v2/_token': 'makes somebody known by credentials',
  'pypi GET /_/oidc/audience': "says what a job's token is to be made for",
  'pypi POST /_/oidc/mint-token': 'makes a job known by its token',
}

describe('what is answered without asking the gate', () => {
  it('is what is written down here', () => {
    const found = formats.flatMap(({ name, routes, rootRoutes = [], logins = [] }) =>
      [...routes.filter(({ open }) => open), ...rootRoutes, ...logins].map(
        ({ method, pattern }) => `${name} ${method} ${pattern}`,
      ),
    )
    assert.deepEqual(found.toSorted(), Object.keys(OPEN).toSorted())
  })
})

describe('what is shown without a repository', () => {
  let fleet: MemoryFleet
  let garden: Garden
  before(async () => {
    fleet = await MemoryFleet.open()
    garden = await grow(fleet, 'oci')
  })
  after(() => fleet.close())

  it('at the root of formats is what the asker may read', async () => {
    const leaks: string[] = []
    for (const side of ['primary', 'node'] as const)
      for (const { rootRoutes = [] } of formats)
        for (const { method, pattern } of rootRoutes)
          for (const visitor of garden.everybody) {
            const request = asking({ method, headers: {} }, pattern.replace(/:\w+\*?/, 'violet'), visitor.authorization)
            const reply = (await fleet[side].handle(request)) ?? assert.fail(pattern)
            const { text } = await told(request, reply, '…')
            leaks.push(...leaksOf(garden, visitor, text).map((leak) => `${side}, ${visitor.name}: ${pattern}: ${leak}`))
          }
    assert.deepEqual(leaks, [])
  })

  it("on the console's pages is what the visitor sees", async () => {
    const site = await openSite(
      over({
        ...{ metadata: fleet.ledger.state, gate: fleet.gate, formats, version: '1', fleet: 'a fleet', startedAtMs: 0 },
        ...{ nowMs: () => 0, open: false, secure: false, nodes: async () => [], usage: async () => 0 },
        rest: () => undefined,
        console: over({ way: () => undefined, providers: () => [] }),
      }) as SiteSource,
    )
    const differences: string[] = []
    for (const path of ['/', '/admin/live'])
      for (const visitor of garden.everybody.filter(({ is }) => is !== 'invalid')) {
        const principal = visitor.authorization
          ? await fleet.gate.authenticate(visitor.authorization)
          : fleet.gate.anonymous
        const reply = await site(requestOf('GET', path), { principal, session: undefined })
        const page = (await bodyOf(reply ?? assert.fail(path))).toString()
        for (const one of REPOSITORIES)
          if (page.includes(`/repository/${one.key}`) !== sees(garden.world, visitor, one))
            differences.push(`${visitor.name}: ${path}: ${one.key}`)
      }
    assert.deepEqual(differences, [])
  })
})

function leaksOf({ world }: Garden, visitor: Visitor, text: string): string[] {
  return PLANTED.filter(
    (one) => text.includes(one.flower) && !may(world, visitor, 'read', one, below('oci', one.flower)),
  ).map(({ flower }) => flower)
}
