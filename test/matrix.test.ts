/**
 * Every format's script in every cell of {local, virtual, remote, virtual over a remote} × {primary, node, node cut off}, on a real
 * primary with Postgres and real nodes. The upstream of a remote repository is the local one.
 */
import { after, before, describe, it } from 'node:test'
import type { Place, Script } from './formats/script.js'
import { scripts } from './formats/scripts.js'
import { ADMIN_PASSWORD, type TestFleet, testFleet, until } from './support/fleet.js'

/** What is read from, by how its key goes on after the local one's. */
const TYPES = { local: '', virtual: '-all', remote: '-far', 'virtual over a remote': '-everything' }

const CELLS = scripts
  .flatMap((script) =>
    (['local', 'virtual', 'remote', 'virtual over a remote'] as const).flatMap((type) =>
      (['primary', 'node'] as const).map((side) => {
        const isRemote = type.endsWith('remote')
        return { script, type, side, isRemote, key: `${script.format}-${type.replaceAll(' ', '-')}-${side}` }
      }),
    ),
  )
  .filter(({ script, isRemote }) => !isRemote || script.upstream !== undefined)
type Cell = (typeof CELLS)[number]

describe('the format matrix', { timeout: 480_000 }, () => {
  let fleet: TestFleet
  before(async () => {
    fleet = await testFleet({ nodes: 1, primary: { upstreamAllow: ['127.0.0.1'] } })
    for (const cell of CELLS) await makeRepositories(fleet, cell)
    await caughtUp(fleet)
  })
  after(() => fleet.close())

  const placeOf = ({ type, side, key }: Cell): Place => {
    const base = `${side === 'primary' ? fleet.primaryUrl : fleet.nodeUrls[0]}/repository/`
    return {
      writeTo: base + key,
      readFrom: base + key + TYPES[type],
      send: (url, init = {}) => fetch(url, init as RequestInit),
      authorization: fleet.admin,
      user: { name: 'admin', password: ADMIN_PASSWORD },
    }
  }
  const steps = (kind: keyof Pick<Script, 'writes' | 'reads' | 'refusals'>, cells: Cell[]) => {
    for (const cell of cells)
      for (const step of cell.script[kind])
        if (!(cell.isRemote && step.hosted)) it(`${cell.key}: ${step.name}`, () => step.run(placeOf(cell)))
  }

  steps('writes', CELLS)
  steps('reads', CELLS)
  describe('cut off', () => {
    before(async () => {
      await caughtUp(fleet)
      await fleet.stopPrimary()
    })
    const cells = CELLS.filter(({ side }) => side === 'node')
    steps('reads', cells)
    steps(
      'refusals',
      cells.filter(({ isRemote }) => !isRemote),
    )
  })
})

async function makeRepositories({ api, primaryUrl }: TestFleet, { key, script, isRemote }: Cell): Promise<void> {
  const draft = { format: script.format, is_public: true }
  const make = (more: object) => api('POST', '/api/v1/repositories', { ...draft, ...more })
  await make({ key, repo_type: 'local' })
  await make({ key: `${key}-empty`, repo_type: 'local' })
  if (!isRemote) return void (await make({ key: `${key}-all`, repo_type: 'virtual', members: [`${key}-empty`, key] }))
  const upstream_url = `${primaryUrl}/repository/${key}${script.upstream}`
  await make({ key: `${key}-far`, repo_type: 'remote', upstream_url })
  await make({ key: `${key}-everything`, repo_type: 'virtual', members: [`${key}-far`, `${key}-empty`] })
}

/** The node has applied what the primary has. */
async function caughtUp(fleet: TestFleet): Promise<void> {
  const number = async (url: string | undefined) =>
    ((await (await fetch(`${url}/health`)).json()) as { number: number }).number
  await until(async () => (await number(fleet.nodeUrls[0])) === (await number(fleet.primaryUrl)))
}
