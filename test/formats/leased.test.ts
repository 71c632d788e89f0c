/**
 * Every format's script, written at a node that is cut off and has all names on lease, read there, and, once it has brought them back,
 * at the primary: the same code publishes on both.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { World } from '../support/leased-node.js'
import { ORIGIN } from '../support/request.js'
import type { Place } from './script.js'
import { scripts } from './scripts.js'

/** Accounts are changed at the primary. */
const OF_ACCOUNTS = /log-in|tokens? |version check/

describe('on lease', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cairn-leased-'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  for (const script of scripts)
    describe(script.format, () => {
      const reads = script.reads.filter(({ name }) => !OF_ACCOUNTS.test(name))
      const writes = script.writes.filter(({ name }) => !OF_ACCOUNTS.test(name))
      let world: World
      before(async () => {
        world = await World.open(folder)
        await world.repository('hosted', script.format)
        await world.lease('hosted', ['*'])
        world.cutOff = true
      })
      after(() => world[Symbol.asyncDispose]())
      const place = (side: 'node' | 'primary'): Place => ({
        writeTo: `${ORIGIN}/repository/hosted`,
        readFrom: `${ORIGIN}/repository/hosted`,
        send: world.client(side),
        authorization: `Basic ${Buffer.from('ann:x').toString('base64')}`,
        user: { name: 'ann', password: 'x' },
      })
      for (const step of writes) it(`write at the node: ${step.name}`, () => step.run(place('node')))
      for (const step of reads) it(`read at the node: ${step.name}`, () => step.run(place('node')))
      it('comes back', async () => {
        world.cutOff = false
        await world.return()
        assert.equal(world.pending.entries.length, 0, [...world.bringing.refused.values()].join())
      })
      for (const side of ['primary', 'node'] as const)
        for (const step of reads) it(`read at the ${side}: ${step.name}`, () => step.run(place(side)))
    })
})
