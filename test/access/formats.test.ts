/**
 * The access matrix of formats' routes: every route × everybody × every place × every repository × every address, compared with the
 * model. Who may not see a repository gets, header by header, what one gets who asks for a repository that was never there.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { formats } from '../../formats/index.js'
import type { Format } from '../../protocol/format.js'
import { MemoryFleet } from '../support/memory-fleet.js'
import type { Visitor } from './askers.js'
import { ABSENT, AGED, BUNCH, type Garden, grow, PLANTED, type Planted, REPOSITORIES } from './garden.js'
import { type Answer, expected, may, sees, type World } from './model.js'
import { type Asked, below, requestsFor } from './routes.js'
import { asking, type Told, told, type Way } from './told.js'

const PLACES = ['primary', 'node', 'node cut off'] as const

for (const format of formats) {
  describe(`who may do what: ${format.name}`, () => {
    let fleet: MemoryFleet
    let garden: Garden
    before(async () => {
      fleet = await MemoryFleet.open()
      garden = await grow(fleet, format.name)
    })
    after(() => fleet.close())

    for (const asked of requestsFor(format))
      it(asked.name, async () => {
        const differences: string[] = []
        for (const place of PLACES) {
          fleet.cutOff = place === 'node cut off'
          if (fleet.cutOff) fleet.stale.add(AGED)
          for (const visitor of garden.everybody)
            for (const repository of REPOSITORIES) {
              const stale = fleet.cutOff && repository.key === AGED
              differences.push(
                ...(await compare({
                  fleet,
                  world: garden.world,
                  place,
                  visitor,
                  repository: { ...repository, stale },
                  asked,
                  format,
                })),
              )
            }
        }
        fleet.cutOff = false
        fleet.stale.clear()
        assert.deepEqual(differences.slice(0, 12), [], `${differences.length} differences`)
      })

    it("nothing failed that is not a client's fault", () =>
      assert.deepEqual(
        fleet.failures.filter((error) => !String(error).includes('cannot be reached')),
        [],
      ))
  })
}

interface Cell {
  fleet: MemoryFleet
  world: World
  place: (typeof PLACES)[number]
  visitor: Visitor
  repository: Planted
  asked: Asked
  format: Format
}

async function compare(cell: Cell): Promise<string[]> {
  const { fleet, world, place, visitor, repository, asked, format } = cell
  const { key, flower } = repository
  const unreachable = asked.writes && place === 'node cut off'
  const should = expected(world, visitor, {
    need: asked.need,
    place: repository,
    path: asked.subject(flower),
    unreachable,
    challenges: true,
  })
  const unseen = should === 'hidden' || (should === 'challenged' && !sees(world, visitor, repository))
  const side = place === 'primary' ? fleet.primary : fleet.node
  const send = async (of: string, way: Way, address: (key: string) => string): Promise<Told> => {
    const request = asking(way, address(of), visitor.authorization)
    return told(request, (await side.handle(request)) ?? { status: 0, headers: {} }, of)
  }
  const differences: string[] = []
  // Every address and every way lead to one of them; the others are asked for plainly, and so is what no link makes a difference to.
  const isWhole = key === 'mine' && place !== 'node cut off'
  for (const [index, address] of addresses(format, asked.path(flower))
    .slice(0, isWhole ? undefined : 1)
    .entries())
    for (const way of ways(asked, flower, unseen).slice(0, isWhole && index === 0 ? undefined : 1)) {
      const reply = await send(key, way, address)
      const absent = unseen ? await send(ABSENT, way, address) : undefined
      const fault =
        faultOf(reply, absent, should) ?? (should === 'answered' ? contentFault(cell, reply, way) : undefined)
      if (fault === undefined) continue
      const where = `${place}, ${visitor.name}: ${way.method} ${address(key)} ${JSON.stringify(way.headers)}`
      differences.push(`${where}: should be ${should}, ${fault}: ${reply.text.slice(0, 300)}`)
    }
  return differences
}

function faultOf(reply: Told, absent: Told | undefined, should: Answer): string | undefined {
  const was = answerOf(reply, absent)
  if (was !== should) return `was ${was}`
  if (was === 'challenged' && !reply.challenged) return 'has no challenge'
  return absent && absent.text !== reply.text ? `is not as ${absent.text}` : undefined
}

/** Of what was answered: is it given to whom it should be, and nothing else beside it. */
function contentFault({ world, visitor, repository, asked, place }: Cell, reply: Told, { method }: Way) {
  const { key, flower } = repository
  const reads = (one: Planted) => may(world, visitor, 'read', one, below(asked.name.split(' ')[0] ?? '', one.flower))
  const [mine] = PLANTED
  const gets = key !== BUNCH.key || (mine !== undefined && may(world, visitor, 'read', mine, undefined))
  if (asked.method === 'GET' && !asked.writes && asked.need === 'read' && !asked.empty) {
    if (gets && reply.status >= 400) return `at ${place} got nothing`
    if (!gets && reply.status < 300 && asked.path('…').includes('…')) return 'got what a hidden member holds'
  }
  if (method === 'HEAD') return undefined
  const leaked = PLANTED.filter(
    (one) => !asked.path(flower).includes(one.flower) && reply.text.includes(one.flower) && !reads(one),
  )
  return leaked.length > 0 ? `leaks ${leaked.map((one) => one.flower)}` : undefined
}

/** The URL forms that lead to one object. */
function addresses({ name, root }: Format, path: string): ((key: string) => string)[] {
  const forms = ['/repository', `/${name}`, '/artifactory', `/artifactory/api/${name}`].map(
    (form) => (key: string) => `${form}/${key}${path}`,
  )
  return root !== undefined && path.startsWith(`/${root}/`)
    ? [...forms, (key) => `/${root}/${key}${path.slice(root.length + 1)}`]
    : forms
}

/** Of what is not there, a body without sense is not read either. */
function ways({ method, body }: Asked, flower: string, unseen: boolean): Way[] {
  const plain: Way = { method, headers: {}, body: body?.(flower) }
  if (method !== 'GET') return unseen ? [plain, { ...plain, body: 'no sense' }] : [plain]
  return [plain, { ...plain, method: 'HEAD' }, { ...plain, headers: { range: 'bytes=0-1' } }]
}

function answerOf({ status, text }: Told, absent: Told | undefined): Answer {
  if (status === 401) return 'challenged'
  if (status === 403) return 'forbidden'
  if (status === 503) return 'unavailable'
  return status === 404 && absent?.text === text ? 'hidden' : 'answered'
}
