/** What REST says and does about images: immutable tags, and a manifest that is restored with what went with it. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, it } from 'node:test'
import { type TestFleet, testFleet } from './support/fleet.js'

const LAYER = 'a layer'
let fleet: TestFleet

const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`
const blob = (text: string, mediaType: string) => ({ mediaType, digest: digestOf(text), size: text.length })
const image = (note: string) =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: blob('{}', 'application/vnd.oci.image.config.v1+json'),
    layers: [blob(LAYER, 'application/vnd.oci.image.layer.v1.tar')],
    annotations: { note },
  })
const send = (path: string, method: string, body?: string) =>
  fetch(`${fleet.primaryUrl}/v2/images/app/${path}`, {
    method,
    headers: { authorization: fleet.admin, 'content-type': 'application/octet-stream' },
    ...(body === undefined ? {} : { body }),
  })

before(async () => {
  fleet = await testFleet()
  await fleet.api('POST', '/api/v1/repositories', { key: 'images', format: 'oci', immutable_tags: ['v*'] })
  for (const text of ['{}', LAYER])
    assert.equal((await send(`blobs/uploads/?digest=${digestOf(text)}`, 'POST', text)).status, 201)
})
after(() => fleet.close())

it('immutable tags are a setting of local repositories, shown and changed', async () => {
  const shown = (await fleet.api('GET', '/api/v1/repositories/images')) as { immutable_tags: string[] }
  assert.deepEqual(shown.immutable_tags, ['v*'])
  assert.equal((await send('manifests/v1', 'PUT', image('first'))).status, 201)
  assert.equal((await send('manifests/v1', 'PUT', image('second'))).status, 409)
  const path = `/api/v1/repositories/images/artifacts/app/manifests/${digestOf(image('first'))}`
  await assert.rejects(fleet.api('DELETE', path), /409.*immutable/)
  await fleet.api('PATCH', '/api/v1/repositories/images', { immutable_tags: [] })
  assert.equal((await send('manifests/v1', 'PUT', image('second'))).status, 201)
  const draft = { key: 'all', format: 'oci', repo_type: 'virtual', immutable_tags: ['*'] }
  await assert.rejects(fleet.api('POST', '/api/v1/repositories', draft), /400.*local/)
})

it('a manifest that is restored is whole again', async () => {
  for (const note of ['first', 'second'])
    assert.equal((await send(`manifests/${digestOf(image(note))}`, 'DELETE')).status, 202)
  assert.equal((await send(`blobs/${digestOf(LAYER)}`, 'GET')).status, 404)
  const path = `/api/v1/repositories/images/artifacts/app/manifests/${digestOf(image('first'))}/restore`
  await fleet.api('POST', path)
  assert.equal(await (await send(`manifests/${digestOf(image('first'))}`, 'GET')).text(), image('first'))
  for (const text of ['{}', LAYER]) assert.equal(await (await send(`blobs/${digestOf(text)}`, 'GET')).text(), text)
})
