/** Clients that push the same, or to the same tag, at the same moment; and uploads that say one thing and send another. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { before, describe, it } from 'node:test'
import { MemoryFleet, type Send } from '../../support/memory-fleet.js'
import { ORIGIN } from '../../support/request.js'

const AT_ONCE = 12

describe('images pushed together', () => {
  let ann: Send
  let fleet: MemoryFleet
  const at = (path: string) => `${ORIGIN}/v2/${path}`
  const digestOf = (bytes: string) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const begin = async () => {
    const reply = await ann(at('images/app/blobs/uploads/'), { method: 'POST' })
    return ORIGIN + (reply.headers.get('location') ?? '')
  }

  before(async () => {
    fleet = await MemoryFleet.open()
    await fleet.repository('images', 'oci', { quota: 2_000_000 })
    await fleet.repository('all', 'oci', { type: 'virtual', members: ['images'] })
    ann = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
  })

  it('all succeed with the same blob, and with the same manifest', async () => {
    const blob = 'one layer'
    const manifest = JSON.stringify({ schemaVersion: 2, manifests: [], annotations: { of: 'all' } })
    const blobs = Array.from({ length: AT_ONCE }, () =>
      ann(at(`images/app/blobs/uploads/?digest=${digestOf(blob)}`), { method: 'POST', body: blob }),
    )
    for (const reply of await Promise.all(blobs)) assert.equal(reply.status, 201)
    const manifests = Array.from({ length: AT_ONCE }, (_, i) =>
      ann(at(`images/app/manifests/v${i}`), { method: 'PUT', body: manifest }),
    )
    for (const reply of await Promise.all(manifests)) assert.equal(reply.status, 201)
    const { tags } = (await (await ann(at('images/app/tags/list'))).json()) as { tags: string[] }
    assert.equal(tags.length, AT_ONCE)
  })

  it('a tag that all move names one of theirs', async () => {
    const manifests = Array.from({ length: AT_ONCE }, (_, i) =>
      JSON.stringify({ schemaVersion: 2, manifests: [], annotations: { of: String(i) } }),
    )
    const puts = manifests.map((body) => ann(at('images/app/manifests/latest'), { method: 'PUT', body }))
    for (const reply of await Promise.all(puts)) assert.equal(reply.status, 201)
    const got = await (await ann(at('images/app/manifests/latest'))).text()
    assert.ok(manifests.includes(got))
  })

  it('a part that is not as long as it says is refused, and the upload says where it stands', async () => {
    const url = await begin()
    for (const [range, status] of [
      ['0-8', 400],
      ['0-2', 400],
      ['4-0', 400],
      ['nonsense', 400],
      ['5-9', 416],
    ] as const) {
      const reply = await ann(url, { method: 'PATCH', body: 'short', headers: { 'content-range': range } })
      assert.equal(reply.status, status, range)
    }
    const asked = await ann(url)
    assert.equal(asked.headers.get('range'), '0-0')
    const whole = await ann(url, { method: 'PATCH', body: 'short', headers: { 'content-range': '0-4' } })
    assert.equal(whole.status, 202)
    const end = `${url}?digest=${digestOf('short')}`
    assert.equal((await ann(end, { method: 'PUT' })).status, 201)
    assert.equal((await ann(end, { method: 'PUT' })).status, 201, 'who lost the reply asks again')
    assert.equal((await ann(url, { method: 'PUT' })).status, 400, 'no digest')
  })

  it('what the quota does not hold is refused, sent in one piece or without a length', async () => {
    const large = Buffer.alloc(3_000_000, 'x')
    const digest = `sha256:${createHash('sha256').update(large).digest('hex')}`
    const post = await ann(at(`images/app/blobs/uploads/?digest=${digest}`), { method: 'POST', body: large })
    assert.equal(post.status, 507)
    const url = await begin()
    const patched = await ann(url, { method: 'PATCH', body: pieces(large) })
    const put = patched.status === 202 ? await ann(`${url}?digest=${digest}`, { method: 'PUT' }) : patched
    assert.equal(put.status, 507)
    assert.equal((await ann(at(`images/app/blobs/${digest}`))).status, 404)
  })

  it('a manifest beyond the limit is too large', async () => {
    const body = JSON.stringify({ schemaVersion: 2, manifests: [], annotations: { a: 'x'.repeat(9 * 1024 * 1024) } })
    const reply = await ann(at('images/app/manifests/huge'), { method: 'PUT', body })
    assert.equal(reply.status, 413)
    assert.equal(((await reply.json()) as { errors: { code: string }[] }).errors[0]?.code, 'SIZE_INVALID')
  })

  it('a virtual repository is read, and says where to push instead', async () => {
    assert.equal((await ann(at('all/app/tags/list'))).status, 200)
    const reply = await ann(at('all/app/blobs/uploads/'), { method: 'POST' })
    assert.equal(reply.status, 405)
    assert.match(await reply.text(), /UNSUPPORTED.*publish to a local one/)
  })
})

async function* pieces(bytes: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}
