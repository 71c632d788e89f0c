import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { grant, MemoryFleet, type Send } from '../../support/memory-fleet.js'
import {
  FORM_TYPE,
  type FormOptions,
  form,
  metadataOf,
  type Project,
  part,
  sdist,
  type Upload,
  uploadForm,
  wheel,
} from '../../support/python-package.js'
import { ORIGIN } from '../../support/request.js'
import { tgz } from '../../support/tar-writer.js'
import { zip } from '../../support/zip-writer.js'

const BASE = `${ORIGIN}/repository/hosted`
const a1: Project = { name: 'a', version: '1.0' }

let fleet: MemoryFleet
let ann: Send

beforeEach(async () => {
  fleet = await MemoryFleet.open()
  await fleet.repository('hosted', 'pypi')
  ann = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
})

function post(body: Buffer, send = ann, base = BASE, type = FORM_TYPE): Promise<Response> {
  return send(`${base}/legacy/`, { method: 'POST', body, headers: { 'content-type': type } })
}

function upload(one: Upload, options: FormOptions = {}, send = ann): Promise<Response> {
  return post(uploadForm(one, options), send)
}

async function refused(reply: Response, status: number, sentence: RegExp): Promise<void> {
  const { detail } = (await reply.json()) as { detail: string }
  assert.match(detail, sentence)
  assert.equal(reply.status, status)
}

describe('an upload is refused, and nothing is published', () => {
  const wheelOf = (contents: { name: string; content: string }[]): Upload => ({ ...wheel(a1), bytes: zip(contents) })
  const sourceOf = (contents: { name: string; content: string }[]): Upload => ({ ...sdist(a1), bytes: tgz(contents) })
  const metadata = { name: 'a-1.0.dist-info/METADATA', content: metadataOf(a1) }
  const bad: [string, () => Upload, RegExp, FormOptions?][] = [
    ['that is no zip', () => ({ ...wheel(a1), bytes: Buffer.from('no zip') }), /no directory/],
    ['that is no gzip', () => ({ ...sdist(a1), bytes: Buffer.from('no gzip') }), /not whole gzip/],
    ['without METADATA', () => wheelOf([{ name: 'a.py', content: '' }]), /no \*\.dist-info\/METADATA/],
    [
      'with two METADATA',
      () => wheelOf([metadata, { ...metadata, name: 'b-1.0.dist-info/METADATA' }]),
      /more than one/,
    ],
    ['with the same METADATA twice', () => wheelOf([metadata, metadata]), /two entries of one name/],
    [
      'with the METADATA of another',
      () => wheelOf([{ ...metadata, name: 'b-1.0.dist-info/METADATA' }]),
      /something else/,
    ],
    [
      'whose METADATA names another project',
      () => wheel(a1, { metadata: metadataOf({ ...a1, name: 'b' }) }),
      /names the project/,
    ],
    [
      'whose METADATA names another version',
      () => wheel(a1, { metadata: metadataOf({ ...a1, version: '2' }) }),
      /names the version/,
    ],
    ['with an entry that climbs', () => wheelOf([metadata, { name: '../x', content: '' }]), /unpacked elsewhere/],
    ['without PKG-INFO', () => sourceOf([{ name: 'a-1.0/setup.py', content: '' }]), /no PKG-INFO/],
    [
      'whose PKG-INFO names another project',
      () => sdist(a1, { metadata: metadataOf({ ...a1, name: 'b' }) }),
      /names the project/,
    ],
    ['with a tar entry that climbs', () => sourceOf([{ name: '../x', content: '' }]), /unpacked elsewhere/],
    ['with a name that is none', () => ({ ...wheel(a1), file: 'a.exe' }), /neither a wheel/],
    ['of another file type', () => wheel(a1), /filetype/, { fields: { filetype: 'sdist' } }],
    ['with a wrong blake2', () => wheel(a1), /blake2_256/, { fields: { blake2_256_digest: '0'.repeat(64) } }],
    ['with a wrong md5', () => wheel(a1), /md5/, { fields: { md5_digest: '0'.repeat(32) } }],
    [
      'with a wrong sha256 behind the file',
      () => wheel(a1),
      /sha256/,
      { fields: { sha256_digest: '0'.repeat(64) }, fileFirst: true },
    ],
    [
      'with attestations of something else',
      () => wheel(a1),
      /Attestations|not JSON/,
      { fields: { attestations: '[{}]' } },
    ],
    ['with attestations that are none', () => wheel(a1), /not JSON/, { fields: { attestations: 'hello' } }],
    ['of another protocol', () => wheel(a1), /protocol_version/, { fields: { protocol_version: '2' } }],
  ]
  for (const [how, make, sentence, options] of bad)
    it(how, async () => {
      await refused(await upload(make(), options), 400, sentence)
      assert.equal((await ann(`${BASE}/simple/a/`)).status, 404)
      assert.deepEqual(fleet.failures, [])
    })

  it('that is no form, or holds no file or two', async () => {
    const file = part('form-data; name="content"; filename="a-1.0-py3-none-any.whl"', wheel(a1).bytes)
    await refused(await post(form([file]), ann, BASE, 'application/json'), 400, /must be a form/)
    await refused(await post(form([part('form-data; name="name"', Buffer.from('a'))])), 400, /no file/)
    await refused(await post(form([file, file])), 400, /exactly one file/)
    await refused(await post(form([file]).subarray(0, -20)), 400, /ends inside/)
  })

  it('by whoever may not publish, in a virtual repository, and of a project that a grant does not name', async () => {
    const bob = fleet.client('primary', `Bearer ${await fleet.token('bob')}`)
    await refused(await upload(wheel(a1), {}, bob), 403, /./)
    await fleet.repository('all', 'pypi', { type: 'virtual', members: ['hosted'] })
    await refused(await post(uploadForm(wheel(a1)), ann, `${ORIGIN}/repository/all`), 405, /virtual repository/)
  })
})

describe('an upload', () => {
  it('has its digests checked when it comes with nothing but BLAKE2b', async () => {
    const blake2 = { sha256_digest: undefined, md5_digest: undefined }
    await refused(await upload(wheel(a1), { fields: blake2 }), 400, /at least one/)
    const document = await upload(wheel(a1), { fields: { ...blake2, blake2_256_digest: '1'.repeat(64) } })
    const { detail } = (await document.json()) as { detail: string }
    const right = /blake2_256 ([0-9a-f]{64})/.exec(detail)?.[1] ?? ''
    assert.equal((await upload(wheel(a1), { fields: { ...blake2, blake2_256_digest: right } })).status, 201)
    const { urls } = (await (await ann(`${BASE}/pypi/a/json`)).json()) as {
      urls: { digests: Record<string, string> }[]
    }
    assert.equal(urls[0]?.digests.blake2b_256, right)
  })

  it('of the same bytes and of others at the same time: one wins, and repeating it succeeds', async () => {
    const [one, other] = [wheel(a1), wheel({ ...a1, summary: 'other' })]
    const replies = await Promise.all([one, one, other, other].map((each) => upload(each)))
    const statuses = replies.map(({ status }) => status).sort()
    assert.deepEqual(statuses, [200, 201, 409, 409])
  })

  it('of many wheels of one version at the same time keeps them all', async () => {
    const files = Array.from({ length: 8 }, (_, i) => wheel(a1, { file: `a-1.0-cp3${i}-none-any.whl` }))
    const replies = await Promise.all(files.map((file) => upload(file)))
    assert.ok(replies.every(({ status }) => status === 201))
    const page = await (await ann(`${BASE}/simple/a/`)).text()
    for (const { file } of files) assert.ok(page.includes(file))
  })

  it('may replace bytes where the repository allows it', async () => {
    await fleet.repository('open', 'pypi', { redeploy: true })
    const base = `${ORIGIN}/repository/open`
    for (const summary of ['one', 'two'])
      assert.equal((await post(uploadForm(wheel({ ...a1, summary })), ann, base)).status, 201)
    const { info } = (await (await ann(`${base}/pypi/a/json`)).json()) as { info: { summary: string } }
    assert.equal(info.summary, 'two')
  })

  it('with a zipped source archive is known by its PKG-INFO', async () => {
    const bytes = zip([{ name: 'a-1.0/PKG-INFO', content: metadataOf(a1) }])
    assert.equal((await upload({ file: 'a-1.0.zip', bytes, kind: 'sdist', project: a1 })).status, 201)
  })
})

it('a local version has an address that every client can build', async () => {
  const local = { ...a1, version: '1.0+cu.1' }
  assert.equal((await upload(wheel(local))).status, 201)
  const page = await (await ann(`${BASE}/simple/a/`)).text()
  const url = /href="([^"#]+)/.exec(page)?.[1] ?? ''
  assert.match(url, /%2B/)
  assert.equal((await ann(url)).status, 200)
})

it('a private project is seen by whom a grant lets, in the root index too', async () => {
  await fleet.repository('private', 'pypi', { public: false })
  const base = `${ORIGIN}/repository/private`
  for (const name of ['a', 'b']) assert.equal((await post(uploadForm(wheel({ ...a1, name })), ann, base)).status, 201)
  await fleet.configure([grant('bob', 'private', { path: 'a', actions: ['read'] })])
  const bob = fleet.client('primary', `Bearer ${await fleet.token('bob')}`)
  assert.equal((await bob(`${base}/simple/a/`)).status, 200)
  assert.equal((await bob(`${base}/a/1.0/${wheel(a1).file}`)).status, 200)
  assert.equal((await bob(`${base}/simple/b/`)).status, 403)
  assert.equal((await fleet.client('primary')(`${base}/simple/a/`)).status, 401)
})

it('the root index goes through its pages', async () => {
  const publishedAt = fleet.now()
  const steps = Array.from({ length: 2500 }, (_, i) => {
    const name = `p${String(i).padStart(4, '0')}`
    return { kind: 'publish' as const, manifest: { package: name, version: '1', files: [], meta: '', publishedAt } }
  })
  await fleet.ledger.commit({ scope: 'scope-of-hosted', steps, by: 'ann' })
  const reply = await ann(`${BASE}/simple/`, { headers: { accept: 'application/vnd.pypi.simple.latest+json' } })
  const { projects } = (await reply.json()) as { projects: { name: string }[] }
  assert.deepEqual([projects.length, projects[0]?.name, projects[2499]?.name], [2500, 'p0000', 'p2499'])
})

it('who may write only one project needs a grant for the address of uploads too, and publishes nothing else', async () => {
  const bob = fleet.client('primary', `Bearer ${await fleet.token('bob')}`)
  const allow = (path: string) => fleet.configure([grant('bob', 'hosted', { path, actions: ['read', 'write'] })])
  await allow('a')
  await refused(await upload(wheel(a1), {}, bob), 403, /./)
  await allow('legacy/')
  await refused(await upload(wheel({ ...a1, name: 'b' }), {}, bob), 403, /may not publish b/)
  assert.equal((await upload(wheel(a1), {}, bob)).status, 201)
})
