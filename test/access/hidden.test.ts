/**
 * What may not be seen takes as long as what was never there: the same look-ups are made for both, and the same passwords checked.
 * (That the replies are the same is in the matrix.)
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formats } from '../../formats/index.js'
import { MemoryFleet } from '../support/memory-fleet.js'
import { ABSENT, grow } from './garden.js'
import { pathOfFile, requestsFor } from './routes.js'
import { asking } from './told.js'

for (const format of formats)
  describe(`a repository that somebody does not see: ${format.name}`, () => {
    it('costs what one costs that never was', async () => {
      const fleet = await MemoryFleet.open()
      const { everybody } = await grow(fleet, format.name)
      const work = counted(fleet)
      const wrong = `Basic ${Buffer.from('reader:not the password').toString('base64')}`
      const strangers = everybody.filter(({ name }) => ['anonymous', 'nobody', 'shopper', 'banned'].includes(name))
      const differences: string[] = []
      for (const asked of requestsFor(format))
        for (const { name, authorization } of [...strangers, { name: 'wrong password', authorization: wrong }])
          for (const side of ['primary', 'node'] as const) {
            const took = async (key: string) => {
              const before = { ...work }
              const way = { method: asked.method, headers: {}, body: 'no sense' }
              const url = `/repository/${key}${asked.path('violet')}`
              await fleet[side].handle(asking(way, url, authorization))
              return `${work.rows - before.rows} rows, ${work.passwords - before.passwords} passwords`
            }
            const [hidden, absent] = [await took('mine'), await took(ABSENT)]
            if (hidden !== absent) differences.push(`${side}, ${name}: ${asked.name}: ${hidden}, not ${absent}`)
          }
      const administrator = everybody.find(({ is }) => is === 'administrator')
      const url = `/repository/mine${pathOfFile(format, 'violet')}`
      await fleet.primary.handle(asking({ method: 'GET', headers: {} }, url, administrator?.authorization))
      await fleet.close()
      assert.deepEqual(differences, [])
      assert.ok(work.rows > 0 && work.passwords > 0, 'work is counted')
    })
  })

/** Of rows that are read, and passwords that are checked, from now on. */
function counted(fleet: MemoryFleet): { rows: number; passwords: number } {
  const work = { rows: 0, passwords: 0 }
  const { state } = fleet.ledger
  for (const read of ['file', 'files', 'version', 'package', 'packages', 'tag', 'tags'] as const) {
    const real = state[read].bind(state) as (...asked: unknown[]) => unknown
    Object.defineProperty(state, read, {
      value: (...asked: unknown[]) => {
        work.rows++
        return real(...asked)
      },
    })
  }
  const { verify } = fleet.passwords
  fleet.passwords.verify = (...asked) => {
    work.passwords++
    return verify(...asked)
  }
  return work
}
