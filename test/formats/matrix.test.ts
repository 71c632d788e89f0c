/** Every format's script in every cell of {hosted, virtual} × {primary, node, node cut off}, in memory. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MemoryFleet, PASSWORD } from '../support/memory-fleet.js'
import { ORIGIN } from '../support/request.js'
import { genericScript } from './generic.script.js'
import { npmScript } from './npm.script.js'
import { ociScript } from './oci.script.js'
import type { Place, Script, Step } from './script.js'

const SIDES = ['primary', 'node', 'node cut off'] as const

for (const script of [npmScript, genericScript, ociScript]) {
  for (const type of ['local', 'virtual'] as const) {
    for (const side of SIDES) {
      describe(`${script.format}, ${type}, ${side}`, async () => {
        const fleet = await MemoryFleet.open()
        const place = await placeIn(fleet, script, type, side === 'primary' ? 'primary' : 'node')
        run('write', script.writes, place)
        it('the link to the primary is as it should be', () => {
          fleet.cutOff = side === 'node cut off'
        })
        run('read', script.reads, place)
        if (side === 'node cut off') run('refuse', script.refusals, place)
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

async function placeIn(
  fleet: MemoryFleet,
  { format }: Script,
  type: 'local' | 'virtual',
  side: 'primary' | 'node',
): Promise<Place> {
  await fleet.repository('hosted', format)
  await fleet.repository('other', format)
  await fleet.repository('all', format, { type: 'virtual', members: ['other', 'hosted'] })
  return {
    writeTo: `${ORIGIN}/repository/hosted`,
    readFrom: `${ORIGIN}/repository/${type === 'local' ? 'hosted' : 'all'}`,
    send: fleet.client(side),
    authorization: `Bearer ${await fleet.token('ann')}`,
    user: { name: 'ann', password: PASSWORD },
  }
}

function isCutOff(error: unknown): boolean {
  return error instanceof Error && error.message.includes('cannot be reached')
}
