/**
 * Every format's script in every cell of {hosted, virtual, remote, virtual over a remote} × {primary, node, node cut off}, in memory.
 * The upstream of a remote repository is the hosted one, over HTTP.
 */
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { type Listening, serve } from '../../protocol/http/server.js'
import { MemoryFleet, PASSWORD } from '../support/memory-fleet.js'
import { ORIGIN } from '../support/request.js'
import type { Place, Script, Step } from './script.js'
import { scripts } from './scripts.js'

const SIDES = ['primary', 'node', 'node cut off'] as const
const READ_FROM = { local: 'hosted', virtual: 'all', remote: 'far', 'virtual over a remote': 'everything' }
type Type = keyof typeof READ_FROM

for (const script of scripts) {
  for (const type of ['local', 'virtual', 'remote', 'virtual over a remote'] as const) {
    const isRemote = type.endsWith('remote')
    if (isRemote && script.upstream === undefined) continue
    for (const side of SIDES) {
      describe(`${script.format}, ${type}, ${side}`, async () => {
        const fleet = await MemoryFleet.open()
        const upstream = isRemote ? await front(fleet) : undefined
        after(async () => {
          await upstream?.close({ graceMs: 0 })
          await fleet.close()
        })
        const place = await placeIn(fleet, script, type, { side: side === 'primary' ? side : 'node', upstream })
        const reads = script.reads.filter(({ hosted }) => !(isRemote && hosted))
        run('write', script.writes, place)
        // What was never asked for is not held.
        if (isRemote && side === 'node cut off') run('fetch', reads, place)
        it('the link to the primary is as it should be', () => {
          fleet.cutOff = side === 'node cut off'
        })
        run('read', reads, place)
        if (side === 'node cut off' && !isRemote) run('refuse', script.refusals, place)
        it("nothing failed that is not a client's fault", () =>
          assert.deepEqual(
            fleet.failures.filter((error) => !isCutOff(error)),
            [],
          ))
      })
    }
  }
}

function run(kind: string, steps: Step[], place: Place): void {
  for (const step of steps) it(`${kind}: ${step.name}`, () => step.run(place))
}

/** The primary, as an upstream of its own remote repositories. */
function front(fleet: MemoryFleet): Promise<Listening> {
  return serve({ host: '127.0.0.1', port: 0, publicUrls: [], trustedProxies: [] }, async (request) => {
    const reply = await fleet.primary.handle(request)
    return reply ?? { status: 404, headers: {} }
  })
}

async function placeIn(
  fleet: MemoryFleet,
  { format, upstream: below }: Script,
  type: Type,
  { side, upstream }: { side: 'primary' | 'node'; upstream: Listening | undefined },
): Promise<Place> {
  await fleet.repository('hosted', format)
  await fleet.repository('other', format)
  await fleet.repository('all', format, { type: 'virtual', members: ['other', 'hosted'] })
  if (upstream) {
    await fleet.repository('far', format, { type: 'remote', upstream: `${upstream.url}/repository/hosted${below}` })
    await fleet.repository('everything', format, { type: 'virtual', members: ['far', 'other'] })
  }
  return {
    writeTo: `${ORIGIN}/repository/hosted`,
    readFrom: `${ORIGIN}/repository/${READ_FROM[type]}`,
    send: fleet.client(side),
    authorization: `Bearer ${await fleet.token('ann')}`,
    user: { name: 'ann', password: PASSWORD },
  }
}

function isCutOff(error: unknown): boolean {
  return error instanceof Error && error.message.includes('cannot be reached')
}
