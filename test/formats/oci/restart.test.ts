/** An upload goes on where it was after the primary was started again, through a node as at the primary. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { type TestFleet, testFleet, until } from '../../support/fleet.js'

const layer = Buffer.alloc(700_000, 'layer of moss ')
const digest = `sha256:${createHash('sha256').update(layer).digest('hex')}`
const half = 300_000

describe('uploads over a restart of the primary', { timeout: 120_000 }, () => {
  let fleet: TestFleet
  before(async () => {
    fleet = await testFleet({ nodes: 1 })
    await fleet.api('POST', '/api/v1/repositories', {
      key: 'images',
      name: 'images',
      format: 'oci',
      repo_type: 'local',
    })
  })
  after(() => fleet.close())

  it('what was acknowledged is there, and the rest completes the blob', async () => {
    const node = fleet.nodeUrls[0] ?? ''
    const headers = { authorization: fleet.admin }
    let begun = new Response()
    await until(async () => {
      begun = await fetch(`${node}/v2/images/app/blobs/uploads/`, { method: 'POST', headers })
      return begun.status === 202
    })
    const url = new URL(begun.headers.get('location') ?? '', node).href
    const first = await fetch(url, { method: 'PATCH', headers, body: layer.subarray(0, half) })
    assert.equal(first.status, 202)
    await fleet.stopPrimary()
    await fleet.startPrimary()
    await until(async () => (await fetch(url, { headers })).status === 204)
    assert.equal((await fetch(url, { headers })).headers.get('range'), `0-${half - 1}`)
    const range = { 'content-range': `${half}-${layer.length - 1}` }
    const put = await fetch(`${url}?digest=${digest}`, {
      method: 'PUT',
      headers: { ...headers, ...range },
      body: layer.subarray(half),
    })
    assert.equal(put.status, 201)
    const got = await fetch(`${node}/v2/images/app/blobs/${digest}`, { headers })
    assert.ok(layer.equals(Buffer.from(await got.arrayBuffer())))
  })
})
