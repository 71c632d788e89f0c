/** Every format's script in every cell of {local, virtual} × {primary, node, node cut off}, on a real primary with Postgres and real nodes. */
import { after, before, describe, it } from 'node:test'
import { genericScript } from './formats/generic.script.js'
import { npmScript } from './formats/npm.script.js'
import { ociScript } from './formats/oci.script.js'
import type { Place, Script } from './formats/script.js'
import { ADMIN_PASSWORD, type TestFleet, testFleet, until } from './support/fleet.js'

const CELLS = [npmScript, genericScript, ociScript].flatMap((script) =>
  (['local', 'virtual'] as const).flatMap((type) =>
    (['primary', 'node'] as const).map((side) => ({ script, type, side, key: `${script.format}-${type}-${side}` })),
  ),
)

describe('the format matrix', { timeout: 240_000 }, () => {
  let fleet: TestFleet
  before(async () => {
    fleet = await testFleet({ nodes: 1 })
    for (const { key, script } of CELLS) {
      const draft = { name: key, format: script.format, is_public: true }
      await fleet.api('POST', '/api/v1/repositories', { ...draft, key, repo_type: 'local' })
      await fleet.api('POST', '/api/v1/repositories', { ...draft, key: `${key}-empty`, repo_type: 'local' })
      await fleet.api('POST', '/api/v1/repositories', { ...draft, key: `${key}-all`, repo_type: 'virtual' })
      for (const member_key of [`${key}-empty`, key])
        await fleet.api('POST', `/api/v1/repositories/${key}-all/members`, { member_key })
    }
    await caughtUp(fleet)
  })
  after(() => fleet.close())

  const placeOf = ({ type, side, key }: { type: string; side: string; key: string }): Place => {
    const base = `${side === 'primary' ? fleet.primaryUrl : fleet.nodeUrls[0]}/repository/`
    return {
      writeTo: base + key,
      readFrom: base + (type === 'local' ? key : `${key}-all`),
      send: (url, init = {}) => fetch(url, init as RequestInit),
      authorization: fleet.admin,
      user: { name: 'admin', password: ADMIN_PASSWORD },
    }
  }
  const steps = (kind: keyof Pick<Script, 'writes' | 'reads' | 'refusals'>, cells: typeof CELLS) => {
    for (const cell of cells)
      for (const step of cell.script[kind]) it(`${cell.key}: ${step.name}`, () => step.run(placeOf(cell)))
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
    steps('refusals', cells)
  })
})

/** The node has applied what the primary has. */
async function caughtUp(fleet: TestFleet): Promise<void> {
  const number = async (url: string | undefined) =>
    ((await (await fetch(`${url}/health`)).json()) as { number: number }).number
  await until(async () => (await number(fleet.nodeUrls[0])) === (await number(fleet.primaryUrl)))
}
