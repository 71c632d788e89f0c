/** A node that is given other repositories serves what it may hold now, with its history, and nothing that it no longer may. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type TestFleet, testFleet, until } from '../support/fleet.js'

describe('a node whose repositories change', { timeout: 120_000 }, () => {
  let fleet: TestFleet
  let id: string
  const node = (key: string, path = 'file') => fetch(`${fleet.nodeUrls[0]}/repository/${key}/${path}`)
  const put = async (key: string, path: string, body: string) => {
    const url = `${fleet.primaryUrl}/repository/${key}/${path}`
    assert.equal((await fetch(url, { method: 'PUT', body, headers: { authorization: fleet.admin } })).status, 201)
  }
  const give = (repositories: string[]) => fleet.api('PATCH', `/api/v1/edge-nodes/${id}`, { repositories })

  before(async () => {
    fleet = await testFleet({ nodes: 1 })
    const list = (await fleet.api('GET', '/api/v1/edge-nodes')) as { items: { id: string }[] }
    id = list.items[0]?.id ?? ''
    await give(['left-*'])
    for (const key of ['left-files', 'right-files']) {
      await fleet.api('POST', '/api/v1/repositories', {
        key,
        name: key,
        format: 'generic',
        repo_type: 'local',
        is_public: true,
      })
      await put(key, 'file', key)
    }
    await until(async () => (await node('left-files')).status === 200)
  })
  after(() => fleet.close())

  it('does not know what is in those that it may not hold', async () => {
    assert.notEqual((await node('right-files')).status, 200)
  })

  it('serves what was published before it was given them', async () => {
    await give(['left-*', 'right-*'])
    await until(async () => (await node('right-files')).status === 200)
    assert.equal(await (await node('right-files')).text(), 'right-files')
    assert.equal(await (await node('left-files')).text(), 'left-files')
  })

  it('goes on from there, and is the same after a restart', async () => {
    await put('right-files', 'second', 'again')
    await until(async () => (await node('right-files', 'second')).status === 200)
    await fleet.stopNode(0)
    await fleet.startNode(0)
    await until(async () => (await node('right-files', 'second')).status === 200)
    assert.equal((await node('right-files')).status, 200)
  })

  it('forgets those that were taken from it', async () => {
    await give(['right-*'])
    await until(async () => (await node('left-files')).status !== 200)
    await put('left-files', 'third', 'unheard')
    await put('right-files', 'third', 'heard')
    await until(async () => (await node('right-files', 'third')).status === 200)
    assert.notEqual((await node('left-files', 'third')).status, 200)
  })
})
