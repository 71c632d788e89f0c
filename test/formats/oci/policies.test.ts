/** Tags that are set once, and blobs that go with the last manifest that names them, but never from under somebody who pushes. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { beforeEach, describe, it } from 'node:test'
import { MemoryFleet, type Send } from '../../support/memory-fleet.js'
import { ORIGIN } from '../../support/request.js'

const IMAGE = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const [CONFIG, BASE, TOP] = ['{}', 'the base layer', 'the top layer']

let fleet: MemoryFleet
let ann: Send

async function open(immutableTags: string[]): Promise<void> {
  fleet = await MemoryFleet.open()
  await fleet.repository('images', 'oci', { immutableTags })
  ann = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
}

const at = (path: string) => `${ORIGIN}/v2/images/${path}`
const digestOf = (bytes: string) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const descriptor = (bytes: string, mediaType: string) => ({ mediaType, digest: digestOf(bytes), size: bytes.length })

function imageOf(layers: string[], note = ''): string {
  const config = descriptor(CONFIG, 'application/vnd.oci.image.config.v1+json')
  const held = layers.map((layer) => descriptor(layer, 'application/vnd.oci.image.layer.v1.tar'))
  return JSON.stringify({ schemaVersion: 2, mediaType: IMAGE, config, layers: held, annotations: { note } })
}

async function upload(name: string, bytes: string): Promise<void> {
  const reply = await ann(at(`${name}/blobs/uploads/?digest=${digestOf(bytes)}`), { method: 'POST', body: bytes })
  assert.equal(reply.status, 201)
}

const put = (name: string, reference: string, body: string) =>
  ann(at(`${name}/manifests/${reference}`), { method: 'PUT', body })
const remove = (name: string, reference: string) => ann(at(`${name}/manifests/${reference}`), { method: 'DELETE' })
const statusOf = async (path: string) => (await ann(at(path), { method: 'HEAD' })).status

async function push(name: string, tag: string, layers: string[], note = ''): Promise<string> {
  for (const each of [CONFIG, ...layers]) await upload(name, each)
  const image = imageOf(layers, note)
  assert.equal((await put(name, tag, image)).status, 201)
  return digestOf(image)
}

describe('immutable tags', () => {
  beforeEach(() => open(['v*', 'release-*-final']))

  it('are set once; the same again is fine, another image is refused in the words of the specification', async () => {
    const first = await push('app', 'v1', [BASE])
    assert.equal((await put('app', 'v1', imageOf([BASE]))).status, 201)
    const other = await put('app', 'v1', imageOf([BASE], 'other'))
    assert.equal(other.status, 409)
    const { errors } = (await other.json()) as { errors: { code: string; message: string }[] }
    assert.equal(errors[0]?.code, 'DENIED')
    assert.match(errors[0]?.message ?? '', /v1.*immutable/)
    assert.equal((await ann(at('app/manifests/v1'))).headers.get('docker-content-digest'), first)
    await push('app', 'release-7-final', [BASE])
    assert.equal((await put('app', 'release-7-final', imageOf([BASE], 'other'))).status, 409)
  })

  it('nor can they be set beside others that may move', async () => {
    const first = await push('app', 'v1', [BASE])
    const other = imageOf([BASE], 'other')
    const reply = await put('app', `${digestOf(other)}?tag=latest&tag=v1`, other)
    assert.equal(reply.status, 409)
    assert.equal(await statusOf('app/manifests/latest'), 404, 'all or nothing')
    assert.equal((await ann(at('app/manifests/v1'))).headers.get('docker-content-digest'), first)
  })

  it('are not deleted, by their name or with their manifest', async () => {
    const first = await push('app', 'v1', [BASE])
    for (const reference of ['v1', first]) assert.equal((await remove('app', reference)).status, 409)
    assert.equal(await statusOf('app/manifests/v1'), 200)
    assert.equal(await statusOf(`app/blobs/${digestOf(BASE)}`), 200)
  })

  it('are the only ones: others move and go', async () => {
    await push('app', 'latest', [BASE])
    await push('app', 'latest', [TOP])
    assert.equal((await remove('app', 'latest')).status, 202)
  })

  it('of two who set one at the same time, one wins', async () => {
    for (const each of [CONFIG, BASE]) await upload('app', each)
    const images = Array.from({ length: 8 }, (_, i) => imageOf([BASE], String(i)))
    const replies = await Promise.all(images.map((image) => put('app', 'v2', image)))
    assert.deepEqual(replies.map(({ status }) => status).sort(), [201, ...Array(7).fill(409)])
  })
})

describe('blobs', () => {
  beforeEach(() => open([]))

  it('go with the last manifest that names them', async () => {
    const first = await push('app', 'a', [BASE, TOP])
    const second = await push('app', 'b', [BASE])
    assert.equal((await remove('app', first)).status, 202)
    assert.equal(await statusOf(`app/blobs/${digestOf(TOP)}`), 404)
    for (const each of [BASE, CONFIG]) assert.equal(await statusOf(`app/blobs/${digestOf(each)}`), 200)
    assert.equal(await statusOf('app/manifests/b'), 200)
    assert.equal((await remove('app', second)).status, 202)
    for (const each of [BASE, CONFIG]) assert.equal(await statusOf(`app/blobs/${digestOf(each)}`), 404)
    assert.equal(await fleet.ledger.usage('scope-of-images'), 0)
  })

  it('of other images stay, and those that no manifest names yet', async () => {
    const first = await push('app', 'a', [BASE])
    await push('other', 'a', [BASE])
    await upload('app', TOP)
    await remove('app', first)
    assert.equal(await statusOf(`other/blobs/${digestOf(BASE)}`), 200)
    assert.equal(await statusOf(`app/blobs/${digestOf(TOP)}`), 200)
  })

  it('of an image in an index go with the image, not with the index', async () => {
    const image = await push('app', 'a', [BASE])
    const manifests = [{ mediaType: IMAGE, digest: image, size: imageOf([BASE]).length }]
    const index = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests })
    assert.equal((await put('app', 'all', index)).status, 201)
    await remove('app', digestOf(index))
    assert.equal(await statusOf(`app/blobs/${digestOf(BASE)}`), 200)
  })

  it('that somebody was told are here are still here when the manifest comes, whatever was deleted between', async () => {
    const first = await push('app', 'a', [BASE])
    assert.equal(await statusOf(`app/blobs/${digestOf(BASE)}`), 200)
    await upload('app', TOP)
    await remove('app', first)
    assert.equal((await put('app', 'b', imageOf([BASE, TOP]))).status, 201)
    for (const each of [CONFIG, BASE, TOP]) assert.equal(await statusOf(`app/blobs/${digestOf(each)}`), 200)
    const got = await ann(at(`app/blobs/${digestOf(BASE)}`))
    assert.equal(await got.text(), BASE)
  })

  it('of manifests that are pushed and deleted at the same time are there for all that are left', async () => {
    for (let round = 0; round < 10; round++) {
      const first = await push('app', 'a', [BASE])
      const [, second] = await Promise.all([
        remove('app', first),
        put('app', 'b', imageOf([BASE], `round ${round}`)),
        put('app', 'c', imageOf([BASE], `other ${round}`)),
      ])
      assert.equal(second?.status, 201)
      for (const each of [CONFIG, BASE]) assert.equal(await statusOf(`app/blobs/${digestOf(each)}`), 200)
    }
  })

  it('that were never here are not made up', async () => {
    await upload('app', CONFIG)
    assert.equal((await put('app', 'a', imageOf([BASE]))).status, 404)
  })

  it('are kept by a later push of the same image', async () => {
    const first = await push('app', 'a', [BASE])
    await remove('app', first)
    assert.equal(await push('app', 'a', [BASE]), first)
    assert.equal(await statusOf(`app/blobs/${digestOf(BASE)}`), 200)
  })
})
