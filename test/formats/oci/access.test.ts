/** Who may do what with images: private repositories, mounts across them, uploads of others, tokens that are narrow, being cut off. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { before, describe, it } from 'node:test'
import { grant, MemoryFleet, PASSWORD, type Send } from '../../support/memory-fleet.js'
import { ORIGIN } from '../../support/request.js'

const blob = Buffer.from('a secret layer')
const digest = `sha256:${createHash('sha256').update(blob).digest('hex')}`

describe('access to images', () => {
  let fleet: MemoryFleet
  let ann: Send
  let bob: Send
  const at = (path: string) => `${ORIGIN}/v2/${path}`

  before(async () => {
    fleet = await MemoryFleet.open()
    await fleet.repository('open', 'oci')
    await fleet.repository('closed', 'oci', { public: false })
    await fleet.repository('files', 'generic')
    await fleet.configure([grant('bob', 'open', { path: 'bob/' }), grant('bob', 'closed', { path: 'bob/' })])
    ann = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
    bob = fleet.client('primary', `Bearer ${await fleet.token('bob')}`)
    const pushed = await ann(at(`closed/team/app/blobs/uploads/?digest=${digest}`), { method: 'POST', body: blob })
    assert.equal(pushed.status, 201)
  })

  it('a blob that one may not read is not mounted, neither by name nor by digest', async () => {
    for (const query of [`mount=${digest}&from=closed/team/app`, `mount=${digest}`])
      assert.equal((await bob(at(`open/bob/app/blobs/uploads/?${query}`), { method: 'POST' })).status, 202, query)
    const mounted = await ann(at(`open/bob/app/blobs/uploads/?mount=${digest}&from=closed/team/app`), {
      method: 'POST',
    })
    assert.equal(mounted.status, 201)
  })

  it('a grant for some images is one for those only', async () => {
    assert.equal((await bob(at('closed/team/app/blobs/uploads/'), { method: 'POST' })).status, 403)
    assert.equal((await bob(at('closed/bob/app/blobs/uploads/'), { method: 'POST' })).status, 202)
    assert.equal((await bob(at(`closed/team/app/blobs/${digest}`))).status, 403)
    // The hot path must not see the path where the gate saw the name.
    assert.equal((await bob(at(`closed/team/app/referrers/${digest}`))).status, 403)
    assert.equal((await ann(at(`closed/team/app/referrers/${digest}`))).status, 200)
    assert.equal((await bob(at(`closed/team/app/referrers/${digest}`))).status, 403)
  })

  it('an upload is its beginner’s, and its image’s', async () => {
    const begun = await ann(at('open/bob/app/blobs/uploads/'), { method: 'POST' })
    const path = begun.headers.get('location') ?? ''
    assert.equal((await bob(ORIGIN + path)).status, 404)
    assert.equal((await bob(ORIGIN + path, { method: 'PATCH', body: 'x' })).status, 404)
    assert.equal((await ann(ORIGIN + path.replace('bob/app', 'bob/other'))).status, 404)
    assert.equal((await ann(ORIGIN + path)).status, 204)
  })

  it('a token that only reads does not push, and hears so', async () => {
    const reader = fleet.client('primary', `Bearer ${await fleet.token('ann', ['read'])}`)
    const reply = await reader(at('open/team/app/blobs/uploads/'), { method: 'POST' })
    assert.equal(reply.status, 403)
    assert.equal(((await reply.json()) as Errors).errors[0]?.code, 'DENIED')
  })

  it('the token of nobody opens what is public, and asks for a better one elsewhere', async () => {
    const nobody = fleet.client('primary', 'Bearer anonymous')
    assert.equal((await nobody(at(''))).status, 200)
    assert.equal((await nobody(at(`open/bob/app/blobs/${digest}`))).status, 200)
    for (const [method, path] of [
      ['GET', `closed/team/app/blobs/${digest}`],
      ['POST', 'open/team/app/blobs/uploads/'],
    ] as const) {
      const reply = await nobody(at(path), { method })
      assert.equal(reply.status, 401)
      assert.match(reply.headers.get('www-authenticate') ?? '', /^Bearer realm=/)
    }
    assert.equal((await nobody(`${ORIGIN}/repository/files/x`, { method: 'PUT', body: 'x' })).status, 401)
  })

  it('the catalogue holds what one may read', async () => {
    const manifest = JSON.stringify({ schemaVersion: 2, manifests: [] })
    for (const name of ['closed/team/app', 'closed/bob/app', 'open/team/app']) {
      const put = await ann(at(`${name}/manifests/v1`), { method: 'PUT', body: manifest })
      assert.equal(put.status, 201)
    }
    const seen = async (send: Send) => ((await (await send(at('_catalog'))).json()) as Catalog).repositories
    assert.deepEqual(await seen(ann), ['closed/bob/app', 'closed/team/app', 'open/team/app'])
    assert.deepEqual(await seen(bob), ['closed/bob/app', 'open/team/app'])
    assert.deepEqual(await seen(fleet.client('primary', 'Bearer anonymous')), ['open/team/app'])
  })

  it('an unknown repository, an unknown path and an unknown method are told in the ecosystem’s words', async () => {
    for (const [method, path, status, code] of [
      ['GET', 'none/app/manifests/v1', 404, 'NAME_UNKNOWN'],
      ['GET', 'files/app/manifests/v1', 404, 'NAME_UNKNOWN'],
      ['GET', 'open/app/elsewhere', 404, 'NAME_UNKNOWN'],
      ['PUT', 'open/app/tags/list', 405, 'UNSUPPORTED'],
      ['DELETE', '_catalog', 405, 'UNSUPPORTED'],
      ['GET', '_none', 404, 'NAME_UNKNOWN'],
      ['GET', 'open/a//b/manifests/v1', 400, 'NAME_INVALID'],
      ['GET', 'open/a/..%2fb/manifests/v1', 400, 'NAME_INVALID'],
    ] as const) {
      const reply = await ann(at(path), { method })
      assert.equal(reply.status, status, path)
      assert.equal(((await reply.json()) as Errors).errors[0]?.code, code, path)
    }
  })

  it('cut off, a password logs nobody in, but does not stand in the way of what is public', async () => {
    const node = fleet.client('node', `Basic ${Buffer.from(`ann:${PASSWORD}`).toString('base64')}`)
    fleet.cutOff = true
    assert.equal((await node(at('_token?service=x'))).status, 503)
    const reply = await node(at('_token?service=x&scope=repository:open/team/app:pull'))
    assert.equal(((await reply.json()) as { token: string }).token, 'anonymous')
    fleet.cutOff = false
    const again = await node(at('_token?service=x&scope=repository:open/team/app:pull'))
    assert.match(((await again.json()) as { token: string }).token, /^cairn_/)
  })
})

interface Errors {
  errors: { code: string }[]
}

interface Catalog {
  repositories: string[]
}
