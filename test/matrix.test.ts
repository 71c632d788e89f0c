/**
 * Every format's script in every cell of {local, virtual, remote, remote through virtual} × {primary, node, node cut off}, on a real
 * primary with Postgres and real nodes. The upstream of a remote repository is the local one, as other clients see it.
 */
import { after, before, describe, it } from 'node:test'
import { formats } from '../formats/index.js'
import type { Place, Script } from './formats/script.js'
import { scripts } from './formats/scripts.js'
import { ADMIN_PASSWORD, type TestFleet, testFleet, until } from './support/fleet.js'

/** What is behind the local repository's key, where it is read. */
const BEHIND = { local: '', virtual: '-all', remote: '-remote', 'remote-virtual': '-through' }
const TYPES = ['local', 'virtual', 'remote', 'remote-virtual'] as const
const CELLS = scripts.flatMap((script) =>
  TYPES.filter((type) => !type.startsWith('remote') || hasRemote(script)).flatMap((type) =>
    (['primary', 'node'] as const).map((side) => ({ script, type, side, key: `${script.format}-${type}-${side}` })),
  ),
)

describe('the format matrix', { timeout: 240_000 }, () => {
  let fleet: TestFleet
  before(async () => {
    fleet = await testFleet({ nodes: 1, primary: { upstreamAllow: ['127.0.0.1'] } })
    for (const { key, script, type } of CELLS) {
      const draft = { name: key, format: script.format, is_public: true }
      await fleet.api('POST', '/api/v1/repositories', { ...draft, key, repo_type: 'local' })
      await fleet.api('POST', '/api/v1/repositories', { ...draft, key: `${key}-empty`, repo_type: 'local' })
      await fleet.api('POST', '/api/v1/repositories', { ...draft, key: `${key}-all`, repo_type: 'virtual' })
      for (const member_key of [`${key}-empty`, key])
        await fleet.api('POST', `/api/v1/repositories/${key}-all/members`, { member_key })
      if (!type.startsWith('remote')) continue
      const upstream_url = `${fleet.primaryUrl}/repository/${key}/`
      await fleet.api('POST', '/api/v1/repositories', {
        ...draft,
        key: `${key}-remote`,
        repo_type: 'remote',
        upstream_url,
      })
      const through = {
        ...draft,
        key: `${key}-through`,
        repo_type: 'virtual',
        members: [`${key}-empty`, `${key}-remote`],
      }
      await fleet.api('POST', '/api/v1/repositories', through)
    }
    await caughtUp(fleet)
  })
  after(() => fleet.close())

  const placeOf = ({ type, side, key }: (typeof CELLS)[number]): Place => {
    const base = `${side === 'primary' ? fleet.primaryUrl : fleet.nodeUrls[0]}/repository/`
    return {
      writeTo: base + key,
      readFrom: base + key + BEHIND[type],
      send: (url, init = {}) => fetch(url, init as RequestInit),
      authorization: fleet.admin,
      user: { name: 'admin', password: ADMIN_PASSWORD },
    }
  }
  const isRemote = ({ type }: (typeof CELLS)[number]) => type.startsWith('remote')
  const steps = (kind: keyof Pick<Script, 'writes' | 'reads' | 'refusals'>, cells: typeof CELLS, cutOff = false) => {
    for (const cell of cells)
      for (const step of cell.script[kind])
        if (!isRemote(cell) || !(step.own || (cutOff && step.absences)))
          it(`${cell.key}: ${step.name}`, () => step.run(placeOf(cell)))
  }

  steps('writes', CELLS)
  steps('reads', CELLS)
  describe('cut off', () => {
    before(async () => {
      await caughtUp(fleet)
      await fleet.stopPrimary()
    })
    const cells = CELLS.filter(({ side }) => side === 'node')
    steps('reads', cells, true)
    // What is written goes to the local repository, whatever is read.
    steps(
      'refusals',
      cells.filter((cell) => !isRemote(cell)),
    )
  })
})

function hasRemote({ format }: Script): boolean {
  return formats.some(({ name, upstream }) => name === format && upstream !== undefined)
}

/** The node has applied what the primary has. */
async function caughtUp(fleet: TestFleet): Promise<void> {
  const number = async (url: string | undefined) =>
    ((await (await fetch(`${url}/health`)).json()) as { number: number }).number
  await until(async () => (await number(fleet.nodeUrls[0])) === (await number(fleet.primaryUrl)))
}
