/** Projects of another Python index: one listing each, whatever form its page has, files that are what was promised. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { until } from '../../support/fleet.js'
import { MemoryFleet } from '../../support/memory-fleet.js'
import {
  FORM_TYPE,
  metadataOf,
  type Project,
  sdist,
  type Upload,
  uploadForm,
  wheel,
  wheelName,
} from '../../support/python-package.js'
import { ORIGIN } from '../../support/request.js'
import {
  type Answer,
  bytes,
  half,
  type ScriptedUpstream,
  scriptedUpstream,
  status,
  tagged,
} from '../../support/upstream.js'

const JSON_FORM = 'application/vnd.pypi.simple.v1+json'
const PAGE = '/simple/left-pad/'
const left: Project = { name: 'Left.Pad', version: '1.0', requiresPython: '>=3.8', summary: 'Pads' }
const newer: Project = { ...left, version: '1.1' }

interface Page {
  files: ({ url: string; filename: string; hashes: Record<string, string> } & Record<string, unknown>)[]
  versions: string[]
  'project-status'?: unknown
}

interface Asked {
  side?: 'primary' | 'node'
  key?: string
  accept?: string
}

describe('projects of an upstream', { timeout: 120_000 }, () => {
  let upstream: ScriptedUpstream
  let fleet: MemoryFleet
  const get = (path: string, { side = 'primary', key = 'remote', accept = JSON_FORM }: Asked = {}) =>
    fleet.client(side)(`${ORIGIN}/repository/${key}/${path}`, { headers: { accept } })
  const page = async (asked: Asked = {}, name = 'left-pad') =>
    (await (await get(`simple/${name}/`, asked)).json()) as Page
  const body = async (url: string, side: 'primary' | 'node' = 'primary') => {
    const reply = await fleet.client(side)(url)
    return { status: reply.status, bytes: Buffer.from(await reply.arrayBuffer()) }
  }
  /** Waits until a question behind a reader's back has had its effect. */
  const settled = () =>
    until(async () => {
      const record = fleet.ledger.state.repository('remote')
      const repository = record && fleet.primary.repository(record, fleet.gate.anonymous)
      return repository?.freshness?.('left-pad')?.ageSeconds === 0
    })

  beforeEach(async () => {
    upstream = await scriptedUpstream()
    fleet = await MemoryFleet.open({ firstByteMs: 300, idleMs: 300, budget: { backoffMs: 60_000, patienceMs: 0 } })
    await fleet.repository('remote', 'pypi', { type: 'remote', upstream: upstream.url, metadataTtlSeconds: 60 })
  })
  afterEach(async () => {
    assert.deepEqual(
      fleet.failures.filter((error) => !/upstream|Upstream/.test(String(error))),
      [],
    )
    await fleet.close()
    await upstream.close()
  })

  function publish(uploads: Upload[], { answer = tagged, more = {} }: { answer?: typeof tagged; more?: More } = {}) {
    for (const upload of uploads) {
      upstream.answer(`/files/${upload.file}`, bytes(upload.bytes))
      upstream.answer(`/files/${upload.file}.metadata`, bytes(Buffer.from(metadataOf(upload.project))))
    }
    upstream.answer(PAGE, answer(document(uploads, more), { 'content-type': JSON_FORM }))
  }

  it('are installed by either side: the page names us, in both forms, and the file is the upstream’s', async () => {
    publish([wheel(left), sdist(left), wheel(newer)])
    for (const side of ['node', 'primary'] as const) {
      const { files, versions } = await page({ side })
      assert.deepEqual(versions, ['1.0', '1.1'])
      const [file] = files
      assert.deepEqual(file, {
        filename: wheel(left).file,
        url: `${ORIGIN}/repository/remote/left-pad/1.0/${wheel(left).file}`,
        hashes: { sha256: sha256(wheel(left).bytes) },
        'requires-python': '>=3.8',
        'core-metadata': { sha256: sha256(Buffer.from(metadataOf(left))) },
        'data-dist-info-metadata': { sha256: sha256(Buffer.from(metadataOf(left))) },
        size: wheel(left).bytes.length,
        'upload-time': '2020-01-01T00:00:00.000Z',
        yanked: false,
        provenance: null,
      })
      for (const [i, upload] of [wheel(left), sdist(left), wheel(newer)].entries())
        assert.deepEqual((await body(files[i]?.url ?? '', side)).bytes, upload.bytes)
      assert.equal((await body(`${file?.url}.metadata`, side)).bytes.toString(), metadataOf(left))
      assert.equal((await body(`${files[1]?.url}.metadata`, side)).status, 404)
      const html = await (await get('simple/left-pad/', { side, accept: 'text/html' })).text()
      assert.ok(html.includes(`<a href="${file?.url}#sha256=${file?.hashes.sha256}" data-requires-python="&gt;=3.8"`))
    }
    assert.equal(upstream.count(PAGE), 1)
    assert.equal(upstream.count(`/files/${wheel(left).file}`), 1)
    assert.match(upstream.asked[0]?.headers.accept ?? '', /^application\/vnd\.pypi\.simple\.v1\+json/)
    assert.deepEqual(
      fleet.ledger.log.map(({ change }) => change.kind).filter((kind) => kind === 'listing'),
      ['listing'],
    )
  })

  it('are read from HTML with files at another host, and get the time when they were first seen', async () => {
    const other = await scriptedUpstream()
    fleet.credentials.set('scope-of-remote', 'Basic secret')
    const file = wheel(left)
    const link = `<a href="${other.url}x/${file.file}" data-requires-python="&gt;=3.8" data-yanked="&lt;bad&gt;">x</a>`
    upstream.answer(PAGE, bytes(Buffer.from(`<html>${link}</html>`), { 'content-type': 'text/html' }))
    other.answer(`/x/${file.file}`, bytes(file.bytes))
    const [found] = (await page()).files
    assert.match(String(found?.['upload-time']), /^2026-01-01T/)
    assert.deepEqual(
      [found?.hashes, found?.yanked, found?.size, found?.['core-metadata']],
      [{}, '<bad>', undefined, false],
    )
    assert.deepEqual((await body(found?.url ?? '', 'node')).bytes, file.bytes)
    assert.equal(upstream.asked[0]?.headers.authorization, 'Basic secret')
    assert.equal(other.asked[0]?.headers.authorization, undefined)
    await other.close()
  })

  it('are found below the address that a page moved to, with links that are relative to it', async () => {
    const file = wheel(left)
    upstream.answer(PAGE, status(301, { location: '/moved/here/' }))
    upstream.answer('/moved/here/', bytes(Buffer.from(`<a href="../${file.file}#sha256=${sha256(file.bytes)}">x</a>`)))
    upstream.answer(`/moved/${file.file}`, bytes(file.bytes))
    assert.deepEqual((await body((await page()).files[0]?.url ?? '')).bytes, file.bytes)
  })

  it('are asked for below the index that the upstream’s address is', async () => {
    await fleet.repository('below', 'pypi', { type: 'remote', upstream: `${upstream.url}root/+simple` })
    assert.equal((await get('simple/left-pad/', { key: 'below' })).status, 404)
    assert.deepEqual(
      upstream.asked.map(({ path }) => path),
      ['/root/+simple/left-pad/'],
    )
  })

  it('another spelling of the name leads to the one that is asked for', async () => {
    publish([wheel(left)])
    const reply = await get('simple/Left_Pad/')
    assert.equal(reply.status, 301)
    assert.equal(reply.headers.get('location'), `${ORIGIN}/repository/remote/simple/left-pad/`)
    assert.equal(upstream.asked.length, 0)
  })

  it('the JSON API tells what the core metadata beside the file says, without the file', async () => {
    publish([wheel(left), sdist(left)])
    const { info, releases, urls } = (await (await get('pypi/left-pad/json', { side: 'node' })).json()) as {
      info: Record<string, unknown>
      releases: Record<string, { size: number; digests: object }[]>
      urls: object[]
    }
    assert.deepEqual([info.name, info.summary, info.requires_python], ['Left.Pad', 'Pads', '>=3.8'])
    assert.equal(releases['1.0']?.[0]?.size, wheel(left).bytes.length)
    assert.deepEqual(releases['1.0']?.[0]?.digests, { sha256: sha256(wheel(left).bytes) })
    assert.equal(urls.length, 2)
    assert.deepEqual(
      upstream.asked.map(({ path }) => path),
      [PAGE, `/files/${wheel(left).file}.metadata`],
    )
  })

  it('the JSON API tells what the page says where there is no core metadata', async () => {
    publish([sdist(left)])
    const { info } = (await (await get('pypi/left-pad/1.0/json')).json()) as { info: Record<string, unknown> }
    assert.deepEqual([info.name, info.version, info.summary], ['left-pad', '1.0', null])
    assert.equal(upstream.asked.length, 1)
  })

  it('a provenance and a status are passed on', async () => {
    const provenance = { version: 1, attestation_bundles: [{ publisher: { kind: 'x' }, attestations: [{}] }] }
    upstream.answer('/provenance', bytes(Buffer.from(JSON.stringify(provenance))))
    const more = {
      file: { provenance: '/provenance' },
      page: { 'project-status': { status: 'archived', reason: '<' } },
    }
    publish([wheel(left)], { more })
    const found = await page({ side: 'node' })
    assert.deepEqual(found['project-status'], { status: 'archived', reason: '<' })
    const reply = await fleet.client('node')(String(found.files[0]?.provenance))
    assert.equal(reply.headers.get('content-type'), 'application/vnd.pypi.integrity.v1+json')
    assert.deepEqual(await reply.json(), provenance)
    const html = await (await get('simple/left-pad/', { accept: 'text/html' })).text()
    assert.ok(html.includes('<meta name="pypi:project-status-reason" content="&lt;">'))
  })

  it('after the time to live the upstream is asked with its own validator, and no change follows from a 304', async () => {
    publish([wheel(left)])
    await page()
    const before = fleet.ledger.state.head.number
    fleet.nowMs += 61_000
    await page()
    await upstream.askedFor(PAGE, 2)
    assert.ok(upstream.asked[1]?.headers['if-none-match'])
    await settled()
    assert.equal(fleet.ledger.state.head.number, before)
  })

  for (const [what, form] of [
    ['JSON', document([wheel(left)])],
    ['HTML, without times,', Buffer.from(`<a href="${wheel(left).file}">x</a>`)],
  ] as const)
    it(`${what} without validators is no change while it is the same`, async () => {
      upstream.answer(PAGE, bytes(form))
      const first = await page()
      const before = fleet.ledger.state.head.number
      fleet.nowMs += 61_000
      await page()
      await upstream.askedFor(PAGE, 2)
      await settled()
      assert.equal(fleet.ledger.state.head.number, before)
      assert.deepEqual(await page(), first)
    })

  it('what is yanked later is yanked here, also for who asks by time', async () => {
    publish([wheel(left), wheel(newer)])
    const first = await get('simple/left-pad/', { side: 'node' })
    const since = first.headers.get('last-modified') ?? ''
    publish([wheel(left), wheel(newer)], { more: { file: { yanked: 'broken' } } })
    fleet.nowMs += 61_000
    const changed = new Promise<void>((resolve) => void fleet.ledger.state.onChange(() => resolve()))
    await page({ side: 'node' })
    await changed
    assert.deepEqual(
      (await page({ side: 'node' })).files.map(({ yanked }) => yanked),
      ['broken', 'broken'],
    )
    const again = await get('simple/left-pad/', { side: 'node' })
    assert.ok(Date.parse(again.headers.get('last-modified') ?? '') >= Date.parse(since))
    assert.notEqual(again.headers.get('etag'), first.headers.get('etag'))
  })

  it('a file with other bytes than promised, or with fewer, reaches nobody and is not kept', async () => {
    const path = `left-pad/1.0/${wheel(left).file}`
    for (const answer of [bytes(wheel(newer).bytes), half(wheel(left).bytes)]) {
      publish([wheel(left)])
      upstream.answer(`/files/${wheel(left).file}`, answer)
      upstream.answer(`/files/${wheel(left).file}.metadata`, answer)
      for (const side of ['primary', 'node'] as const)
        for (const each of [path, `${path}.metadata`]) assert.equal((await get(each, { side })).status, 502)
    }
    assert.equal(await fleet.ledger.state.file('scope-of-remote', path), undefined)
  })

  it('a file that the page does not name is not asked for', async () => {
    publish([wheel(left)])
    for (const path of [`left-pad/1.1/${wheel(newer).file}`, `left-pad/1.1/${wheel(left).file}`, 'left-pad/1.0/x.zip'])
      assert.equal((await get(path)).status, 404)
    assert.deepEqual(new Set(upstream.asked.map(({ path }) => path)), new Set([PAGE]))
  })

  it('files of other projects on the page are not this project’s', async () => {
    publish([wheel(left), wheel({ name: 'right-pad', version: '1.0' })])
    assert.equal((await page()).files.length, 1)
    assert.equal((await get('right-pad/1.0/right_pad-1.0-py3-none-any.whl')).status, 404)
    assert.equal(upstream.asked.filter(({ path }) => path.startsWith('/files/')).length, 0)
  })

  it('a project with thousands of files is one small record', async () => {
    const many = Array.from({ length: 5000 }, (_, i): Upload => {
      const project = { ...left, version: `1.${i}` }
      return { project, file: wheelName(project), bytes: EMPTY, kind: 'bdist_wheel' }
    })
    upstream.answer(PAGE, bytes(document(many)))
    const { files } = await page({ side: 'node' })
    assert.equal(files.length, 5000)
    const change = fleet.ledger.log.at(-1)?.change
    assert.equal(change?.kind, 'listing')
    assert.ok(JSON.stringify(change).length < 1000)
  })

  for (const [what, answer] of [
    ['is about another project', bytes(document([wheel(left)], { page: { name: 'right' } }))],
    ['breaks off', bytes(document([wheel(left)]).subarray(0, 100))],
    ['is too long', bytes(Buffer.alloc(65 * 1024 * 1024, ' '))],
    ['is of another version', bytes(document([wheel(left)], { page: { meta: { 'api-version': '2.0' } } }))],
  ] satisfies [string, Answer][])
    it(`a page that ${what} is an error, and nothing is recorded`, async () => {
      upstream.answer(PAGE, answer)
      assert.equal((await get('simple/left-pad/')).status, 502)
      assert.equal(await fleet.ledger.state.listing('scope-of-remote', 'left-pad'), undefined)
    })

  it('a project without files is none', async () => {
    for (const answer of [bytes(document([])), bytes(Buffer.from('<html>Links</html>')), status(404)]) {
      upstream.answer(PAGE, answer)
      assert.equal((await get('simple/left-pad/')).status, 404)
      fleet.nowMs += 61_000
    }
    assert.equal(upstream.count(PAGE), 3)
  })

  it('a node that is cut off serves pages, files and metadata that are held', async () => {
    publish([wheel(left), wheel(newer)])
    const path = `left-pad/1.0/${wheel(left).file}`
    for (const each of [path, `${path}.metadata`, 'pypi/left-pad/1.1/json']) await get(each)
    fleet.cutOff = true
    for (const each of ['simple/left-pad/', path, `${path}.metadata`, 'pypi/left-pad/1.1/json'])
      assert.equal((await get(each, { side: 'node' })).status, 200, each)
    assert.equal((await get(`left-pad/1.1/${wheel(newer).file}`, { side: 'node' })).status, 503)
    assert.equal((await get('simple/right-pad/', { side: 'node' })).status, 503)
  })

  it('a project of a hosted member is never looked up upstream, under no spelling', async () => {
    await fleet.repository('own', 'pypi')
    await fleet.repository('all', 'pypi', { type: 'virtual', members: ['remote', 'own'] })
    const own = wheel(left)
    const reply = await fleet.client('primary', `Bearer ${await fleet.token('ann')}`)(
      `${ORIGIN}/repository/own/legacy/`,
      {
        method: 'POST',
        body: uploadForm(own),
        headers: { 'content-type': FORM_TYPE },
      },
    )
    assert.equal(reply.status, 201)
    publish([wheel({ ...left, version: '99.0' })])
    for (const side of ['primary', 'node'] as const) {
      assert.deepEqual((await page({ side, key: 'all' })).versions, ['1.0'])
      for (const path of [
        `left-pad/99.0/${wheel({ ...left, version: '99.0' }).file}`,
        `left-pad/1.0/${sdist(left).file}`,
        'pypi/left-pad/99.0/json',
        'Left.Pad/1.0/left_pad-1.0.zip',
      ])
        assert.equal((await get(path, { side, key: 'all' })).status, 404, path)
      assert.equal((await get(`left-pad/1.0/${own.file}`, { side, key: 'all' })).status, 200)
    }
    assert.equal(upstream.asked.length, 0)
  })

  it('nothing is published to it', async () => {
    const send = fleet.client('node', `Bearer ${await fleet.token('ann')}`)
    const headers = { 'content-type': FORM_TYPE }
    const reply = await send(`${ORIGIN}/repository/remote/legacy/`, {
      method: 'POST',
      body: uploadForm(wheel(left)),
      headers,
    })
    assert.equal(reply.status, 405)
    assert.match(await reply.text(), /remote repository: publish to a local one/)
  })
})

const EMPTY = Buffer.alloc(0)

interface More {
  /** Of each file. */
  file?: object
  page?: object
}

function document(uploads: Upload[], { file = {}, page: whole = {} }: More = {}): Buffer {
  const entry = ({ file: filename, bytes: content, kind, project }: Upload, i: number) => ({
    filename,
    url: `/files/${filename}`,
    hashes: { sha256: sha256(content) },
    'requires-python': project.requiresPython ?? null,
    size: content.length,
    'upload-time': `${2020 + (i % 50)}-01-01T00:00:00.000000Z`,
    'core-metadata': kind === 'sdist' ? false : { sha256: sha256(Buffer.from(metadataOf(project))) },
    yanked: false,
    ...file,
  })
  const meta = { 'api-version': '1.1' }
  return Buffer.from(JSON.stringify({ meta, name: 'Left.Pad', files: uploads.map(entry), ...whole }))
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}
