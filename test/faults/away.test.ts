/** A node that was away while things were published comes back when the primary is gone: a peer tells it the log. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { until } from '../support/fleet.js'
import { type ProcessFleet, processFleet } from '../support/processes.js'

describe('a node that was away', { timeout: 180_000 }, () => {
  let fleet: ProcessFleet

  before(async () => {
    fleet = await processFleet({ nodes: 2 })
    await fleet.api('POST', '/api/v1/repositories', { key: 'open', format: 'generic', is_public: true })
  })
  after(() => fleet.close())

  const numberAt = async (url: string | undefined): Promise<number> =>
    ((await (await fetch(`${url}/health`)).json()) as { number: number }).number

  it('catches up from a peer while the primary is dead', async () => {
    const [there, away] = fleet.nodes
    assert.ok(there && away)
    await until(async () => (await fetch(`${away.url}/ready`)).status === 200)
    await until(async () => ((await (await fetch(`${away.url}/health`)).json()) as { peers: number }).peers > 0)
    await away.kill()
    for (let i = 0; i < 30; i++) {
      const reply = await fetch(`${fleet.primary.url}/repository/open/${i}.txt`, {
        method: 'PUT',
        headers: { authorization: fleet.admin },
        body: `body ${i}`,
      })
      assert.equal(reply.status, 201)
    }
    await until(async () => (await fetch(`${there.url}/repository/open/29.txt`)).status === 200)
    const number = await numberAt(there.url)
    await fleet.primary.kill()
    await away.start()
    await until(async () => (await numberAt(away.url)) === number, 60_000)
    const reply = await fetch(`${away.url}/repository/open/29.txt`)
    assert.equal(await reply.text(), 'body 29')
  })
})
