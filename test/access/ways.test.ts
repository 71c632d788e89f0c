/**
 * The access matrix of ways to one object. However it is spelled, by its digest, by a mount, a search, a catalogue: somebody gets it
 * who may read it where it lies, and nobody else.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { formats } from '../../formats/index.js'
import { searchArtifacts } from '../../protocol/api/search.js'
import type { Format } from '../../protocol/format.js'
import type { Registry } from '../../protocol/registry.js'
import { MemoryFleet } from '../support/memory-fleet.js'
import type { Visitor } from './askers.js'
import { digestOf, layerOf } from './flowers.js'
import { BUNCH, type Garden, grow, PLANTED, type Planted } from './garden.js'
import { may } from './model.js'
import { type Asked, below, requestsFor } from './routes.js'
import { asking, type Told, told } from './told.js'

const [MINE] = PLANTED as [Planted]
const SIDES = ['primary', 'node'] as const

for (const format of formats)
  describe(`ways past what is denied: ${format.name}`, () => {
    let fleet: MemoryFleet
    let garden: Garden
    before(async () => {
      fleet = await MemoryFleet.open()
      garden = await grow(fleet, format.name)
    })
    after(() => fleet.close())

    it('no spelling of a path leads to what may not be read', async () => {
      const got: string[] = []
      const found = new Set<string>()
      for (const asked of requestsFor(format).filter(({ method, writes }) => method === 'GET' && !writes))
        for (const path of spellings(asked.path(MINE.flower)))
          for (const visitor of garden.everybody) {
            const { status, text } = await ask(fleet.primary, visitor, 'GET', `/repository/mine${path}`)
            const allowed = may(garden.world, visitor, 'read', MINE, below(format.name, MINE.flower))
            if (status < 300 && allowed) found.add(path)
            if (status < 300 && !allowed && isOf(asked, format))
              got.push(`${visitor.name}: ${path}: ${text.slice(0, 300)}`)
          }
      assert.deepEqual(got.slice(0, 12), [], `${got.length}`)
      assert.ok(found.size > 0, 'something is found')
    })

    it('a search finds what one may read or audit, by name, path and checksum, on both sides', async () => {
      const [file] = await fleet.ledger.state.files('scope-of-mine', {
        limit: 1,
        prefix: below(format.name, MINE.flower),
      })
      assert.ok(file)
      const differences: string[] = []
      for (const side of SIDES) {
        const gate = side === 'primary' ? fleet.gate : fleet.nodeGate
        const over = {
          metadata: fleet.ledger.state,
          gate,
          open: fleet[side].repository.bind(fleet[side]),
          holders: fleet.holders.bind(fleet),
        }
        // What only cargo sends, a token alone, is nothing to REST.
        const callers = garden.everybody.filter(
          ({ is, authorization }) => is !== 'invalid' && (authorization?.includes(' ') ?? true),
        )
        for (const visitor of callers)
          for (const query of [
            { name: file.package },
            { path: file.path },
            { checksum: file.digest },
            { repository: 'mine', path: file.path },
          ]) {
            const principal =
              visitor.authorization === undefined ? gate.anonymous : await gate.authenticate(visitor.authorization)
            const { found } = await searchArtifacts(over, principal, { ...query, limit: 100 })
            const should = (['read', 'audit'] as const).some((action) =>
              may(garden.world, visitor, action, MINE, below(format.name, MINE.flower)),
            )
            if (found.some(({ key }) => key === 'mine') !== should)
              differences.push(`${side}, ${visitor.name}: ${JSON.stringify(query)}: should be ${should}`)
          }
      }
      assert.deepEqual(differences.slice(0, 12), [], `${differences.length} differences`)
    })
  })

describe('ways to a layer', () => {
  let fleet: MemoryFleet
  let garden: Garden
  const layer = digestOf(layerOf(MINE.flower))
  before(async () => {
    fleet = await MemoryFleet.open()
    garden = await grow(fleet, 'oci', [{ who: 'anonymous', does: ['read', 'write'], where: 'studio' }])
    await fleet.repository('studio', 'oci', { public: false })
  })
  after(() => fleet.close())

  it("its digest leads to it nowhere but in its own image's repository", async () => {
    const got: string[] = []
    for (const side of SIDES)
      for (const visitor of garden.everybody)
        for (const at of ['open/daisy', 'lent/poppy', 'theirs/orchid', 'studio/any', 'mine/other', 'bunch/orchid'])
          for (const method of ['GET', 'HEAD'])
            for (const what of [`blobs/${layer}`, `manifests/${layer}`]) {
              const { status } = await ask(fleet[side], visitor, method, `/v2/${at}/${what}`)
              if (status < 300) got.push(`${side}, ${visitor.name}: ${at} ${what}`)
            }
    assert.deepEqual(got, [])
  })

  it('a catalogue names what one may read', async () => {
    const differences: string[] = []
    for (const side of SIDES)
      for (const visitor of garden.everybody) {
        const { status, text } = await ask(fleet[side], visitor, 'GET', '/v2/_catalog')
        const named = status === 200 && text.includes('"mine/violet"')
        if (named !== reads(garden, visitor, MINE)) differences.push(`${side}, ${visitor.name}: ${text}`)
      }
    assert.deepEqual(differences, [])
  })

  // Last: what was mounted is there for everybody.
  it('it is mounted from where one may read it, with the name of that place and without', async () => {
    const differences: string[] = []
    let image = 0
    const mount = async (side: (typeof SIDES)[number], visitor: Visitor, from: string) => {
      const url = `/v2/studio/image-${image++}/blobs/uploads/?mount=${layer}${from}`
      return (await ask(fleet[side], visitor, 'POST', url)).status
    }
    const may = (visitor: Visitor) => visitor.is !== 'invalid' && reads(garden, visitor, MINE)
    for (const visitor of garden.everybody.toSorted((a, b) => Number(may(a)) - Number(may(b))))
      for (const side of SIDES) {
        const through = may(visitor) && readsThrough(garden, visitor)
        const statuses = [
          await mount(side, visitor, '&from=mine/violet'),
          await mount(side, visitor, '&from=bunch/violet'),
          await mount(side, visitor, ''),
        ]
        const refused = visitor.is === 'invalid' ? 401 : 202
        const should = may(visitor) ? [201, through ? 201 : 202, 201] : [refused, refused, refused]
        if (statuses.join() !== should.join()) differences.push(`${side}, ${visitor.name}: ${statuses}, not ${should}`)
      }
    assert.deepEqual(differences, [])
  })
})

function reads({ world }: Garden, visitor: Visitor, { flower, ...place }: Planted): boolean {
  return visitor.is !== 'invalid' && may(world, visitor, 'read', place, flower)
}

function readsThrough({ world }: Garden, visitor: Visitor): boolean {
  return may(world, visitor, 'read', BUNCH, MINE.flower) && may(world, visitor, 'read', MINE, undefined)
}

async function ask(registry: Registry, visitor: Visitor, method: string, url: string): Promise<Told> {
  const request = asking({ method, headers: {} }, url, visitor.authorization)
  return told(request, (await registry.handle(request)) ?? { status: 404, headers: {} }, '…')
}

/** Other texts for one path, as a server or a proxy might take them for it. */
function spellings(path: string): string[] {
  const { flower } = MINE
  const name = (text: string) => path.replaceAll(flower, text)
  return [
    path,
    name(`%${flower.charCodeAt(0).toString(16)}${flower.slice(1)}`),
    name(`%25${flower.charCodeAt(0).toString(16)}${flower.slice(1)}`),
    name(flower.toUpperCase()),
    name(`${flower[0]?.toUpperCase()}${flower.slice(1)}`),
    name(`./${flower}`),
    name(`/${flower}`),
    name(`other/../${flower}`),
    name(`other%2F..%2F${flower}`),
    name(`${flower};a=b`),
    name(`${flower}%00`),
    path.replaceAll(/(?<=.)\//g, '%2F'),
    path.replaceAll(/(?<=.)\//g, '\\'),
    `${path}/`,
    `${path}?${flower}`,
    `${path}.sha256`,
  ]
}

/** Is a route about the package, or about the whole repository. */
function isOf({ subject }: Asked, { name }: Format): boolean {
  return subject(MINE.flower) === below(name, MINE.flower)
}
