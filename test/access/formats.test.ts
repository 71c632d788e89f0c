/**
 * The access matrix of formats' routes: every route × everybody × every place × every repository × every address, compared with the
 * model. Who may not see a repository gets, header by header, what one gets who asks for a repository that was never there.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { formats } from '../../formats/index.js'
import type { Format } from '../../protocol/format.js'
import { MemoryFleet, type Send, type SendOptions } from '../support/memory-fleet.js'
import { type Visitor, visitors } from './askers.js'
import { plant } from './flowers.js'
import { type Answer, expected } from './model.js'
import { type Asked, requestsFor } from './routes.js'

const PLACES = ['primary', 'node', 'node cut off'] as const
/** Keys, with what is planted there. */
const REPOSITORIES = [
  { key: 'mine', flower: 'violet', public: false },
  { key: 'open', flower: 'daisy', public: true },
  { key: 'theirs', flower: 'orchid', public: false },
  { key: 'all', flower: 'violet', public: false },
]
const PLANTED = REPOSITORIES.slice(0, 3)
const ABSENT = 'gone'

for (const format of formats) {
  describe(`who may do what: ${format.name}`, () => {
    let fleet: MemoryFleet
    let everybody: Visitor[]
    before(async () => {
      fleet = await MemoryFleet.open()
      everybody = await visitors(fleet)
      const ann = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
      for (const { key, flower, public: isPublic } of PLANTED) {
        await fleet.repository(key, format.name, { public: isPublic })
        await plant(ann, `/repository/${key}`, format.name, flower)
      }
      await fleet.repository('all', format.name, { type: 'virtual', public: false, members: ['mine', 'theirs'] })
    })
    after(() => fleet.close())

    for (const asked of requestsFor(format))
      it(asked.name, async () => {
        const differences: string[] = []
        for (const place of PLACES) {
          fleet.cutOff = place === 'node cut off'
          for (const visitor of everybody) {
            const send = fleet.client(place === 'primary' ? 'primary' : 'node', visitor.authorization)
            for (const repository of REPOSITORIES)
              differences.push(...(await compare(send, { place, visitor, repository, asked, format })))
          }
        }
        fleet.cutOff = false
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
  place: (typeof PLACES)[number]
  visitor: Visitor
  repository: (typeof REPOSITORIES)[number]
  asked: Asked
  format: Format
}

async function compare(send: Send, { place, visitor, repository, asked, format }: Cell): Promise<string[]> {
  const { key, flower } = repository
  const should = expected(visitor, {
    need: asked.need,
    repository,
    unreachable: asked.writes && place === 'node cut off',
    challenges: true,
  })
  const differences: string[] = []
  const unseen = should === 'hidden' || (should === 'challenged' && !isSeen(visitor, repository))
  const path = asked.path(flower)
  // Every address and every way lead to one of them; the others are asked for plainly.
  const whole = key === 'mine'
  for (const [index, address] of addresses(format, path)
    .slice(0, whole ? undefined : 1)
    .entries())
    for (const options of ways(asked, flower, unseen).slice(0, whole && index === 0 ? undefined : 1)) {
      const reply = await told(await send(address(key), options), key)
      const absent = unseen ? await told(await send(address(ABSENT), options), ABSENT) : undefined
      const was = answerOf(reply, absent)
      const right = was === should && (should !== 'challenged' || reply.headers.includes('www-authenticate'))
      const same = !absent || absent.text === reply.text
      const fails = should === 'answered' && !asked.empty && asked.method === 'GET' && !asked.writes && reply.status >= 400
      const empty = repository.key === 'all' && !visitor.rights.mine?.includes('read')
      const leaks = PLANTED.filter(
        (other) => !path.includes(other.flower) && reply.text.includes(other.flower) && !reads(visitor, other),
      )
      if (right && same && !(fails && !empty) && leaks.length === 0) continue
      const where = `${place}, ${visitor.name}: ${options.method} ${address(key)} ${JSON.stringify(options.headers)}`
      const why = leaks.length > 0 ? `leaks ${leaks.map((one) => one.flower)}` : same ? '' : `, not as ${absent?.text}`
      differences.push(`${where}: should be ${should}, was ${was}: ${reply.text.slice(0, 300)} ${why}`)
    }
  return differences
}

function isSeen(visitor: Visitor, { key, public: isPublic }: { key: string; public: boolean }): boolean {
  return isPublic || visitor.is === 'administrator' || (visitor.rights[key]?.length ?? 0) > 0
}

function reads(visitor: Visitor, { key, public: isPublic }: { key: string; public: boolean }): boolean {
  return isPublic || visitor.is === 'administrator' || visitor.rights[key]?.includes('read') === true
}

/** The URL forms that lead to one object. */
function addresses({ name, root }: Format, path: string): ((key: string) => string)[] {
  const below = (form: string) => (key: string) => `${form}/${key}${path}`
  const forms = ['/repository', `/${name}`, '/artifactory', `/artifactory/api/${name}`].map(below)
  return root !== undefined && path.startsWith(`/${root}/`)
    ? [...forms, (key) => `/${root}/${key}${path.slice(root.length + 1)}`]
    : forms
}

/** Of what is not there, a body without sense is not read either. */
function ways({ method, body }: Asked, flower: string, unseen: boolean): SendOptions[] {
  const plain = { method, ...(body === undefined ? {} : { body: body(flower) }), headers: {} }
  if (method !== 'GET') return unseen ? [plain, { ...plain, body: 'no sense' }] : [plain]
  return [plain, { ...plain, method: 'HEAD' }, { ...plain, headers: { range: 'bytes=0-1' } }]
}

interface Told {
  status: number
  headers: string
  /** Everything, but for the key and the request's number. */
  text: string
}

async function told(reply: Response, key: string): Promise<Told> {
  const headers = JSON.stringify([...reply.headers].filter(([name]) => name !== 'date').sort())
  const body = Buffer.from(await reply.arrayBuffer()).toString('latin1')
  const text = `${reply.status} ${headers} ${body}`.replaceAll(key, 'KEY').replaceAll(/test-\d+/g, 'ID')
  return { status: reply.status, headers, text }
}

function answerOf({ status, text }: Told, absent: Told | undefined): Answer {
  if (status === 401) return 'challenged'
  if (status === 403) return 'forbidden'
  if (status === 503) return 'unavailable'
  return status === 404 && absent?.text === text ? 'hidden' : 'answered'
}
