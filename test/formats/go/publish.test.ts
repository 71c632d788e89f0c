import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { escaped, type ModuleDraft, moduleUrl, moduleZip } from '../../support/go-module.js'
import { grant, MemoryFleet, type Send } from '../../support/memory-fleet.js'
import { ORIGIN } from '../../support/request.js'
import { rules } from './rules.js'

const BASE = `${ORIGIN}/repository/hosted`
const m: ModuleDraft = { module: 'example.com/m', version: 'v1.0.0' }

let fleet: MemoryFleet
let ann: Send

beforeEach(async () => {
  fleet = await MemoryFleet.open()
  await fleet.repository('hosted', 'go')
  ann = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
})

function put(draft: ModuleDraft, { send = ann, base = BASE, query = '' } = {}): Promise<Response> {
  const url = base + moduleUrl(draft.module, `${draft.version}.zip`) + query
  return send(url, { method: 'PUT', body: moduleZip(draft) })
}

async function text(path: string, base = BASE): Promise<string> {
  return (await ann(base + path)).text()
}

async function refused(reply: Response, status: number, sentence: RegExp): Promise<void> {
  assert.match(await reply.text(), sentence)
  assert.equal(reply.status, status)
}

describe('by the rules of golang.org/x/mod/zip', () => {
  for (const { what, module, version, zip, accepted } of rules())
    it(`${accepted ? 'accepted' : 'refused'}: ${what}`, async () => {
      const url = `${BASE}/${encodeURI(escaped(module)).replace(/%2521/g, '%21')}/@v/${escaped(version)}.zip`
      const reply = await ann(url, { method: 'PUT', body: zip })
      const said = await reply.text()
      assert.equal(reply.status, accepted ? 201 : 400, said)
      assert.deepEqual(fleet.failures, [])
      const list = await ann(`${BASE}/${encodeURI(escaped(module)).replace(/%2521/g, '%21')}/@v/list`)
      assert.equal(list.status, accepted ? 200 : 404)
    })
})

describe('publishing', () => {
  it('two clients with the same bytes at once both succeed; with other bytes one does', async () => {
    const same = await Promise.all([put(m), put(m), put(m)])
    assert.deepEqual(same.map(({ status }) => status).sort(), [200, 200, 201])
    const other = await Promise.all(['a', 'b'].map((name) => put({ ...m, version: 'v1.1.0', files: { [name]: '' } })))
    assert.deepEqual(other.map(({ status }) => status).sort(), [201, 409])
  })

  it('a fork keeps the go.mod of its origin when the publisher says that it is a replacement', async () => {
    const fork = { ...m, goMod: 'module example.com/origin\n' }
    await refused(await put(fork), 400, /add \?replacement=true/)
    assert.equal((await put(fork, { query: '?replacement=true' })).status, 201)
    assert.equal(await text(moduleUrl(m.module, 'v1.0.0.mod')), fork.goMod)
  })

  it('a module file in every spelling that Go knows', async () => {
    const goMod = `// a comment\nmodule (\n\t"example.com/m" // here\n)\r\n\nretract (\n\tv1.0.0\n\t[v1.1.0, v1.2.0] // bad\n\tnonsense )\n)\nreplace a => ./b\n`
    await refused(await put({ ...m, goMod: goMod.replace(')\nreplace', '\nreplace') }), 400, /ends inside a block/)
    assert.equal((await put({ ...m, version: 'v1.3.0', goMod })).status, 201)
    for (const version of ['v1.0.0', 'v1.1.5', 'v1.2.0', 'v0.9.0'])
      assert.equal((await put({ ...m, version })).status, 201)
    const all = { ...m, version: 'v1.4.0', goMod: 'module example.com/m\nretract [v1.0.0, v1.4.0]\n' }
    assert.equal(JSON.parse(await text(`/${m.module}/@latest`)).Version, 'v1.3.0')
    assert.equal((await put(all)).status, 201)
    assert.equal(JSON.parse(await text(`/${m.module}/@latest`)).Version, 'v0.9.0')
  })

  it('latest of prereleases is the highest, of pseudo-versions the newest', async () => {
    for (const version of ['v0.1.0-0.20260102150405-abcdef123456', 'v0.0.0-20260202150405-bbcdef123456'])
      await put({ ...m, version })
    assert.equal(await text(moduleUrl(m.module, 'list')), '')
    assert.equal(JSON.parse(await text(`/${m.module}/@latest`)).Version, 'v0.0.0-20260202150405-bbcdef123456')
    for (const version of ['v0.1.0-rc.2', 'v0.1.0-rc.10']) await put({ ...m, version })
    assert.equal(JSON.parse(await text(`/${m.module}/@latest`)).Version, 'v0.1.0-rc.10')
  })

  it('a go.mod ends the time of +incompatible', async () => {
    for (const [version, goMod] of [
      ['v1.0.0', null],
      ['v2.0.0+incompatible', null],
    ] as const)
      await put({ ...m, version, goMod })
    assert.equal(await text(moduleUrl(m.module, 'list')), 'v1.0.0\nv2.0.0+incompatible\n')
    await put({ ...m, version: 'v1.1.0' })
    assert.equal(await text(moduleUrl(m.module, 'list')), 'v1.0.0\nv1.1.0\n')
    assert.equal(JSON.parse(await text(`/${m.module}/@latest`)).Version, 'v1.1.0')
  })

  it('what is not a zip file of a version is refused', async () => {
    const body = moduleZip(m)
    const send = (path: string, headers = {}) => ann(BASE + path, { method: 'PUT', body, headers })
    await refused(await send('/example.com/m/@v/v1.0.0.mod'), 400, /Only the \.zip/)
    await refused(await send('/example.com/m/@v/v1.0.0'), 400, /The path is not/)
    await refused(await send('/example.com/M/@v/v1.0.0.zip'), 400, /The path is not/)
    await refused(await send('/example.com/m/@v/v1.0.0.zip', { 'content-type': 'multipart/form-data' }), 400, /form/)
    await refused(await send('/example.com/m/@v/v1.0.0.zip', { 'content-encoding': 'gzip' }), 400, /Content-Encoding/)
    assert.equal((await send('/example.com/m/v1.0.0.zip')).status, 405)
    const long = `example.com/${'x/'.repeat(600)}m`
    await refused(await put({ module: long, version: 'v1.0.0' }), 400, /longer than 1024/)
  })

  it('a virtual repository lists all members, and a version is wholly the first one that has it', async () => {
    await fleet.repository('second', 'go')
    await fleet.repository('all', 'go', { type: 'virtual', members: ['hosted', 'second'] })
    const second = { base: `${ORIGIN}/repository/second` }
    await put(m)
    await put({ ...m, goMod: `module ${m.module}\n\ngo 1.99\n` }, second)
    await put({ ...m, version: 'v1.1.0' }, second)
    const all = `${ORIGIN}/repository/all`
    assert.equal(await text(moduleUrl(m.module, 'list'), all), 'v1.0.0\nv1.1.0\n')
    assert.match(await text(moduleUrl(m.module, 'v1.0.0.mod'), all), /go 1\.18/)
    const zip = await (await ann(all + moduleUrl(m.module, 'v1.0.0.zip'))).arrayBuffer()
    assert.ok(Buffer.from(zip).equals(moduleZip(m)))
    assert.equal((await put(m, { base: all })).status, 405)
  })

  it('in a private repository a stranger is asked for credentials, and another user is told that there is nothing', async () => {
    await fleet.repository('closed', 'go', { public: false })
    const closed = { base: `${ORIGIN}/repository/closed` }
    await put(m, closed)
    const list = `${closed.base}${moduleUrl(m.module, 'list')}`
    const stranger = await fleet.client('primary')(list)
    assert.equal(stranger.status, 401)
    assert.match(stranger.headers.get('www-authenticate') ?? '', /Basic/)
    const bob = fleet.client('primary', `Bearer ${await fleet.token('bob')}`)
    assert.equal((await bob(list)).status, 404)
    await fleet.configure([grant('bob', 'closed', { path: 'example.com/m/', actions: ['read'] })])
    assert.equal((await bob(list)).status, 200)
    assert.equal((await put(m, { ...closed, send: bob })).status, 403)
  })
})
