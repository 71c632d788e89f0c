import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { beforeEach, describe, it } from 'node:test'
import { grant, MemoryFleet, type Send, type SendOptions } from '../../support/memory-fleet.js'
import { ORIGIN } from '../../support/request.js'

const BASE = `${ORIGIN}/repository/hosted`

let fleet: MemoryFleet
let ann: Send

beforeEach(async () => {
  fleet = await MemoryFleet.open()
  await fleet.repository('hosted', 'generic')
  ann = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
})

function put(
  path: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
  send = ann,
  base = BASE,
): Promise<Response> {
  return send(base + path, { method: 'PUT', body, headers })
}

async function text(path: string, send = ann, base = BASE): Promise<string> {
  return (await send(base + path)).text()
}

async function list(
  path: string,
  send = ann,
  base = BASE,
): Promise<{ folders: string[]; files: string[]; next: string | null }> {
  const page = (await (await send(base + path, { headers: { accept: 'application/json' } })).json()) as {
    folders: string[]
    files: { name: string }[]
    next: string | null
  }
  return { ...page, files: page.files.map(({ name }) => name) }
}

const sha256 = (body: string): string => createHash('sha256').update(body).digest('hex')

describe('a repository that allows to replace files', () => {
  const base = `${ORIGIN}/repository/loose`
  beforeEach(() => fleet.repository('loose', 'generic', { redeploy: true }))

  it('replaces them, and says that they may change', async () => {
    assert.equal((await put('/f', 'one', {}, ann, base)).status, 201)
    assert.equal((await put('/f', 'two', {}, ann, base)).status, 200)
    const reply = await ann(`${base}/f`)
    assert.equal(await reply.text(), 'two')
    assert.match(reply.headers.get('cache-control') ?? '', /no-cache/)
  })

  it('replaces only what If-Match names', async () => {
    await put('/f', 'one', {}, ann, base)
    assert.equal((await put('/f', 'two', { 'if-match': `"${sha256('zero')}"` }, ann, base)).status, 412)
    assert.equal(
      (await put('/f', 'two', { 'if-match': `"${sha256('zero')}", "${sha256('one')}"` }, ann, base)).status,
      200,
    )
    assert.equal((await put('/f', 'three', { 'if-none-match': `"${sha256('two')}"` }, ann, base)).status, 412)
    assert.equal(
      (await ann(`${base}/f`, { method: 'DELETE', headers: { 'if-match': `"${sha256('one')}"` } })).status,
      412,
    )
    assert.equal(
      (await ann(`${base}/f`, { method: 'DELETE', headers: { 'if-match': `"${sha256('two')}"` } })).status,
      204,
    )
  })

  it('lets one of many conditional writers win', async () => {
    await put('/f', 'start', {}, ann, base)
    const writers = Array.from({ length: 6 }, (_, i) =>
      put('/f', `writer ${i}`, { 'if-match': `"${sha256('start')}"` }, ann, base),
    )
    const statuses = (await Promise.all(writers)).map(({ status }) => status)
    assert.deepEqual(statuses.sort(), [200, 412, 412, 412, 412, 412])
  })

  it('gives out the digests of what is there now', async () => {
    await put('/f', 'one', {}, ann, base)
    assert.match(await text('/f.sha1', ann, base), new RegExp(createHash('sha1').update('one').digest('hex')))
    await put('/f', 'two', {}, ann, base)
    assert.match(await text('/f.sha1', ann, base), new RegExp(createHash('sha1').update('two').digest('hex')))
  })
})

describe('a file', () => {
  it('is created by one of many at the same time; the same bytes succeed for all', async () => {
    const others = await Promise.all(Array.from({ length: 5 }, (_, i) => put('/different', `body ${i}`)))
    assert.deepEqual(others.map(({ status }) => status).sort(), [201, 409, 409, 409, 409])
    const same = await Promise.all(Array.from({ length: 5 }, () => put('/same', 'body')))
    assert.deepEqual(same.map(({ status }) => status).sort(), [200, 200, 200, 200, 201])
  })

  it('may be sent by POST, but neither as a form nor compressed', async () => {
    assert.equal((await ann(`${BASE}/posted`, { method: 'POST', body: 'x' })).status, 201)
    assert.equal((await put('/form', 'x', { 'content-type': 'multipart/form-data; boundary=b' })).status, 400)
    assert.equal((await put('/coded', 'x', { 'content-encoding': 'gzip' })).status, 400)
  })

  it('beside a folder of the same name is another thing', async () => {
    assert.equal((await put('/a', 'file')).status, 201)
    assert.equal((await put('/a/b', 'below')).status, 201)
    assert.equal(await text('/a'), 'file')
    assert.deepEqual((await list('/a/')).files, ['b'])
    const { folders, files } = await list('/')
    assert.deepEqual([folders, files], [['a/'], ['a']])
  })

  it('that differs by case only is another file', async () => {
    await put('/Name', 'upper')
    await put('/name', 'lower')
    assert.deepEqual([await text('/Name'), await text('/name')], ['upper', 'lower'])
  })

  it('named like a digest is a file if it was stored as one', async () => {
    await put('/f', 'body')
    await put('/f.sha256', 'what somebody wrote')
    assert.equal(await text('/f.sha256'), 'what somebody wrote')
    assert.match(await text('/f.sha512'), /^[0-9a-f]{128} {2}f\n$/)
  })

  it('that a browser could run is given out as a download', async () => {
    for (const name of ['/x.html', '/x.svg', '/x.xml', '/x.pdf', '/x.xhtml']) {
      await put(name, '<script>alert(1)</script>', { 'content-type': 'text/plain' })
      const { headers } = await ann(BASE + name)
      assert.match(headers.get('content-disposition') ?? '', /^attachment/, name)
      assert.match(headers.get('content-security-policy') ?? '', /sandbox/, name)
    }
  })

  it('beyond the quota is refused and takes no room', async () => {
    await fleet.repository('small', 'generic', { quota: 10 })
    const base = `${ORIGIN}/repository/small`
    const chunked: SendOptions['body'] = (async function* () {
      for (let i = 0; i < 5; i++) yield Buffer.from('12345')
    })()
    assert.equal((await put('/a', '12345678901', {}, ann, base)).status, 507)
    assert.equal((await ann(`${base}/b`, { method: 'PUT', body: chunked })).status, 507)
    assert.equal((await put('/c', 'x', { 'content-range': 'bytes 0-0/11' }, ann, base)).status, 507)
    assert.equal((await put('/d', '1234567890', {}, ann, base)).status, 201)
    assert.equal((await put('/d', '1234567890', {}, ann, base)).status, 200)
    assert.equal((await put('/e', 'x', {}, ann, base)).status, 507)
  })
})

describe('an upload in parts', () => {
  const part = (first: number, body: string, total: number, more: Record<string, string> = {}, send = ann) =>
    put('/u', body, { 'content-range': `bytes ${first}-${first + body.length - 1}/${total}`, ...more }, send)

  it('starts over when its first part comes again', async () => {
    await part(0, 'abc', 6)
    assert.equal((await part(0, 'xyz', 6)).headers.get('upload-offset'), '3')
    assert.equal((await part(3, 'uvw', 6)).status, 201)
    assert.equal(await text('/u'), 'xyzuvw')
  })

  it('is checked as a whole, and in its parts', async () => {
    const right = { 'x-checksum-sha256': sha256('abcdef') }
    await part(0, 'abc', 6, right)
    assert.equal((await part(3, 'xyz', 6, right)).status, 400)
    assert.equal((await ann(`${BASE}/u`)).status, 404)
    const digest = (body: string) => ({
      'content-digest': `sha-256=:${createHash('sha256').update(body).digest('base64')}:`,
    })
    assert.equal((await part(0, 'abc', 6, digest('other'))).status, 400)
    assert.equal((await part(3, 'def', 6)).status, 416)
    assert.equal((await part(0, 'abc', 6, digest('abc'))).status, 202)
    assert.equal(
      (await part(3, 'def', 6, { ...right, ...digest('def') })).status,
      416,
      'an upload with a checksum is another one',
    )
    assert.equal((await part(3, 'def', 6, digest('def'))).status, 201)
  })

  it('belongs to who began it', async () => {
    await fleet.configure([grant('bob', 'hosted')])
    const bob = fleet.client('primary', `Bearer ${await fleet.token('bob')}`)
    await part(0, 'abc', 6)
    assert.equal((await part(3, 'def', 6, {}, bob)).status, 416)
    assert.equal((await bob(`${BASE}/-/uploads/u?total=6`)).status, 404)
  })

  it('keeps what came of a part that broke off', async () => {
    const broken: SendOptions['body'] = (async function* () {
      yield Buffer.from('ab')
      throw new Error('the client is gone')
    })()
    await ann(`${BASE}/u`, { method: 'PUT', body: broken, headers: { 'content-range': 'bytes 0-5/6' } })
    const { headers } = await ann(`${BASE}/-/uploads/u?total=6`)
    assert.equal(headers.get('upload-offset'), '2')
    assert.equal((await part(2, 'cdef', 6)).status, 201)
    assert.equal(await text('/u'), 'abcdef')
  })

  it('of what is there already ends like a PUT of it', async () => {
    await put('/u', 'abcdef')
    await part(0, 'abc', 6)
    assert.equal((await part(3, 'def', 6)).status, 200)
    assert.equal((await part(0, 'abc', 7)).status, 409)
    await part(0, 'abc', 6)
    assert.equal((await part(3, 'xyz', 6)).status, 409)
  })

  for (const range of [
    'bytes 0-2/2',
    'bytes 3-2/6',
    'bytes 0-2/*',
    'bytes 0-2',
    '0-2/6',
    'bytes 0-2/0',
    'bytes -1-2/6',
    'bytes 0-99999999999999999999/999999999999999999999',
    'bytes 0-4/6',
  ])
    it(`with the range ${range} is refused`, async () => {
      assert.equal((await put('/u', 'abc', { 'content-range': range })).status, 400)
    })
})

describe('a listing', () => {
  it('passes folders as a whole, however much is in them', async () => {
    const steps = Array.from({ length: 2500 }, (_, i) => {
      const path = `${i % 2 === 0 ? 'big' : 'also-big'}/${i}`
      const file = { path, digest: sha256(path), size: 1, root: '', hashes: {} }
      return {
        kind: 'publish',
        manifest: { package: path, version: '', files: [file], meta: '', publishedAt: '2026-01-01T00:00:00.000Z' },
      } as never
    })
    await fleet.ledger.commit({ scope: 'scope-of-hosted', steps, by: 'test' })
    await put('/last', 'x')
    assert.deepEqual(await list('/'), {
      path: '',
      folders: ['also-big/', 'big/'],
      files: ['last'],
      next: null,
    } as never)
    const first = await list('/big/?limit=1000')
    assert.equal(first.files.length, 1000)
    assert.equal((await list(`/big/?after=${first.next}`)).files.length, 250)
  })

  it('shows nobody what they may not read', async () => {
    await fleet.repository('closed', 'generic', { public: false })
    const base = `${ORIGIN}/repository/closed`
    for (const path of ['/team/a', '/team/b/c', '/other/d', '/top']) await put(path, 'x', {}, ann, base)
    await fleet.configure([grant('bob', 'closed', { path: 'team/', actions: ['read'] })])
    const bob = fleet.client('primary', `Bearer ${await fleet.token('bob')}`)
    assert.deepEqual((await list('/team/', bob, base)).files, ['a'])
    for (const path of ['/', '/other/', '/other/d', '/top', '/top.sha256', '/other'])
      assert.equal((await bob(base + path)).status, 403, path)
  })

  it('is escaped', async () => {
    await put('/%3Cb%3E&%22x', 'x')
    const page = await text('/')
    assert.doesNotMatch(page, /<b>/)
    assert.match(page, /&lt;b&gt;&amp;&quot;x/)
    assert.match(page, /href="\.\/%3Cb%3E%26%22x"/)
  })

  it('of an empty repository is empty, and of an empty folder is not there', async () => {
    assert.equal((await ann(`${BASE}/`)).status, 200)
    assert.equal((await ann(`${BASE}/nothing/`)).status, 404)
  })
})

describe('removing', () => {
  it('needs its own right, by every route', async () => {
    await put('/f', 'x')
    await fleet.configure([grant('bob', 'hosted', { actions: ['read', 'write'] })])
    const bob = fleet.client('primary', `Bearer ${await fleet.token('bob')}`)
    assert.equal((await bob(`${BASE}/f`, { method: 'DELETE' })).status, 403)
    assert.equal(await text('/f'), 'x')
  })

  it('takes no folders', async () => {
    await put('/a/b', 'x')
    for (const path of ['/a', '/a/', '/'])
      assert.equal((await ann(BASE + path, { method: 'DELETE' })).status, 404, path)
  })
})

it('nothing is written to a virtual repository', async () => {
  await fleet.repository('all', 'generic', { type: 'virtual', members: ['hosted'] })
  await fleet.configure([grant('ann', 'all')])
  assert.equal((await put('/f', 'x', {}, ann, `${ORIGIN}/repository/all`)).status, 405)
})
