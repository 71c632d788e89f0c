import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { beforeEach, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { grant, MemoryFleet, PASSWORD, type Send } from '../../support/memory-fleet.js'
import {
  type Document,
  type Manifest,
  type PublishOptions,
  packed,
  publishDocument,
} from '../../support/npm-package.js'
import { ORIGIN, requestOf } from '../../support/request.js'
import { pax, tgz } from '../../support/tar-writer.js'

const BASE = `${ORIGIN}/repository/hosted`
const a1: Manifest = { name: 'a', version: '1.0.0' }

let fleet: MemoryFleet
let ann: Send

beforeEach(async () => {
  fleet = await MemoryFleet.open()
  await fleet.repository('hosted', 'npm')
  ann = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
})

function publish(manifest: Manifest, options: PublishOptions = {}, send = ann, base = BASE): Promise<Response> {
  return put(manifest.name, JSON.stringify(publishDocument(manifest, options)), send, base)
}

function put(name: string, body: string, send = ann, base = BASE): Promise<Response> {
  return send(`${base}/${name.replace('/', '%2f')}`, {
    method: 'PUT',
    body,
    headers: { 'content-type': 'application/json' },
  })
}

async function json(path: string, send = ann, headers: Record<string, string> = {}): Promise<Document> {
  return (await (await send(`${BASE}${path}`, { headers })).json()) as Document
}

async function refused(reply: Response, status: number, sentence: RegExp): Promise<void> {
  const body = (await reply.json()) as { error: string }
  assert.match(body.error, sentence)
  assert.equal(reply.status, status)
}

describe('a publish is refused, and nothing is published', () => {
  const renamed = (document: Document, to: string) => {
    const [key = '', attachment] = Object.entries(document._attachments)[0] ?? []
    delete document._attachments[key]
    if (attachment) document._attachments[to] = attachment
  }
  const entry = (document: Document) => document.versions['1.0.0'] ?? {}
  const attachment = (document: Document) => document._attachments['a-1.0.0.tgz'] ?? {}
  const spoiled: { what: string; sentence: RegExp; edit?: (document: Document) => void; tarball?: Buffer }[] = [
    {
      what: 'whose attachment has the name of another package',
      sentence: /not named like a tarball of a/,
      edit: (d) => renamed(d, 'b-1.0.0.tgz'),
    },
    { what: 'whose attachment climbs', sentence: /not a semantic version/, edit: (d) => renamed(d, 'a-../../x.tgz') },
    {
      what: 'whose attachment is of another version',
      sentence: /tarball is of version 1\.0\.1/,
      edit: (d) => renamed(d, 'a-1.0.1.tgz'),
    },
    {
      what: 'with two tarballs',
      sentence: /exactly one tarball/,
      edit: (d) => {
        d._attachments['a-1.0.1.tgz'] = attachment(d)
      },
    },
    {
      what: 'with three versions',
      sentence: /exactly one version/,
      edit: (d) => Object.assign(d.versions, { '1.0.1': {}, '1.0.2': {} }),
    },
    {
      what: 'without a version',
      sentence: /exactly one version/,
      edit: (d) => {
        d.versions = {}
      },
    },
    {
      what: 'with another attachment',
      sentence: /does not belong/,
      edit: (d) => {
        d._attachments['x.txt'] = { data: 'x' }
      },
    },
    {
      what: 'with invalid base64',
      sentence: /not valid base64/,
      edit: (d) => {
        attachment(d).data = '!!!!'
      },
    },
    {
      what: 'with cut base64',
      sentence: /base64|gzip/,
      edit: (d) => {
        attachment(d).data = String(attachment(d).data).slice(0, -9)
      },
    },
    {
      what: 'with a wrong length',
      sentence: /should have 7 bytes/,
      edit: (d) => {
        attachment(d).length = 7
      },
    },
    {
      what: 'with a wrong integrity',
      sentence: /dist\.integrity/,
      edit: (d) => {
        entry(d).dist = { integrity: `sha512-${Buffer.alloc(64).toString('base64')}` }
      },
    },
    {
      what: 'with an integrity that is none',
      sentence: /dist\.integrity/,
      edit: (d) => {
        entry(d).dist = { integrity: 'nonsense' }
      },
    },
    {
      what: 'with a wrong shasum',
      sentence: /dist\.shasum/,
      edit: (d) => {
        entry(d).dist = { shasum: '0'.repeat(40) }
      },
    },
    {
      what: 'of another name than the path',
      sentence: /not about a/,
      edit: (d) => {
        d.name = 'b'
      },
    },
    {
      what: 'whose entry has another name',
      sentence: /calls itself b@1\.0\.0/,
      edit: (d) => {
        entry(d).name = 'b'
      },
    },
    {
      what: 'whose tag names another version',
      sentence: /tag latest names 0\.9\.0/,
      edit: (d) => {
        d['dist-tags'] = { latest: '0.9.0' }
      },
    },
    {
      what: 'whose tag is a range',
      sentence: /version range/,
      edit: (d) => {
        d['dist-tags'] = { 'v1.x': '1.0.0' }
      },
    },
    {
      what: 'with other dependencies than its tarball',
      sentence: /dependencies\.evil/,
      edit: (d) => {
        entry(d).dependencies = { evil: '1' }
      },
    },
    {
      what: 'with fewer dependencies than its tarball',
      sentence: /dependencies\.evil/,
      tarball: packed({ ...a1, dependencies: { evil: '1' } }),
    },
    {
      what: 'with other scripts than its tarball',
      sentence: /scripts\.postinstall/,
      tarball: packed({ ...a1, scripts: { postinstall: 'evil' } }),
    },
    { what: 'with other commands than its tarball', sentence: /bin\.a/, tarball: packed({ ...a1, bin: './evil.js' }) },
    { what: 'whose tarball has another name', sentence: /name is "b"/, tarball: packed({ ...a1, name: 'b' }) },
    {
      what: 'whose tarball has another version',
      sentence: /version is "2\.0\.0"/,
      tarball: packed({ ...a1, version: '2.0.0' }),
    },
    { what: 'whose tarball is not gzip', sentence: /gzip/, tarball: Buffer.from('no gzip at all') },
    { what: 'whose tarball is not tar', sentence: /archive/, tarball: gzipSync(Buffer.alloc(1024, 'x')) },
    { what: 'whose tarball is cut short', sentence: /gzip/, tarball: packed(a1).subarray(0, -10) },
    { what: 'whose tarball is empty', sentence: /gzip/, tarball: Buffer.alloc(0) },
    { what: 'whose tarball has no package.json', sentence: /no package\.json/, tarball: tgz([{ name: 'package/x' }]) },
    {
      what: 'whose package.json lies too deep',
      sentence: /no package\.json/,
      tarball: tgz([{ name: 'package/x/package.json', content: JSON.stringify(a1) }]),
    },
    {
      what: 'whose package.json is not JSON',
      sentence: /package\.json is not JSON/,
      tarball: tgz([{ name: 'package/package.json', content: '{' }]),
    },
    {
      what: 'with two package.json',
      sentence: /more than one/,
      tarball: packed(a1, [{ name: 'other/package.json', content: JSON.stringify({ ...a1, scripts: {} }) }]),
    },
    {
      what: 'with two package.json that differ by case',
      sentence: /more than one/,
      tarball: packed(a1, [{ name: 'package/Package.JSON' }]),
    },
    {
      what: 'with a link in the place of package.json',
      sentence: /more than one/,
      tarball: packed(a1, [{ name: 'package/package.json', type: '2', target: 'x' }]),
    },
    {
      what: 'with a second package.json by pax',
      sentence: /more than one/,
      tarball: packed(a1, [{ name: 'p', type: 'x', content: pax('path', 'z/package.json') }, { name: 'x' }]),
    },
    {
      what: 'with a path that climbs',
      sentence: /unpacked elsewhere/,
      tarball: packed(a1, [{ name: 'package/../../x' }]),
    },
    { what: 'that is a bomb', sentence: /unpacks to more/, tarball: gzipSync(Buffer.alloc(50 * 1024 * 1024)) },
    {
      what: 'that is a bomb behind its package.json',
      sentence: /unpacks to more/,
      tarball: packed(a1, [{ name: 'package/zeros', content: Buffer.alloc(50 * 1024 * 1024) }]),
    },
  ]
  for (const { what, sentence, edit, tarball } of spoiled)
    it(what, async () => {
      const before = fleet.ledger.log.length
      await refused(await publish(a1, { ...(tarball ? { tarball } : {}), ...(edit ? { edit } : {}) }), 400, sentence)
      assert.equal(fleet.ledger.log.length, before)
      assert.equal((await ann(`${BASE}/a`)).status, 404)
      assert.deepEqual(fleet.failures, [])
    })

  for (const version of [
    '1.0',
    '01.0.0',
    '1.0.0 ',
    ' 1.0.0',
    'v1.0.0',
    '1.0.0+build',
    `1.0.0-${'x'.repeat(300)}`,
    '1.0.0-../../x',
    'latest',
    '',
  ]) {
    it(`of version ${JSON.stringify(version.slice(0, 20))}`, async () => {
      assert.equal((await publish({ name: 'a', version })).status, 400)
      assert.equal((await ann(`${BASE}/a`)).status, 404)
    })
  }
  for (const name of [
    'Upper',
    '.dot',
    '_under',
    '-dash',
    'node_modules',
    'favicon.ico',
    'http',
    'fs',
    'a~b',
    "a'b",
    'a(b)',
    'x'.repeat(215),
    '@s/.dot',
    '@S/a',
    'a\u200db',
    'ünï',
    '@a@b/c',
    'a%20b',
  ]) {
    it(`of name ${JSON.stringify(name.slice(0, 20))}`, async () => {
      const reply = await put(encodeURIComponent(name), JSON.stringify(publishDocument({ name, version: '1.0.0' })))
      assert.ok([400, 405].includes(reply.status), String(reply.status))
    })
  }

  for (const body of [
    '',
    '{',
    '[]',
    'null',
    '"x"',
    '{}',
    '{"versions":{}}',
    '{"versions":7}',
    '{"_attachments":{"a-1.0.0.tgz":{"data":"',
  ])
    it(`whose body is ${JSON.stringify(body)}`, async () => {
      const { status } = await put('a', body)
      assert.ok(status === 400 || status === 404, String(status))
      assert.deepEqual(fleet.failures, [])
    })
})

describe('a publish is taken', () => {
  it('with its attachments in front of its versions', async () => {
    const { _attachments, ...rest } = publishDocument(a1)
    assert.equal((await put('a', JSON.stringify({ _attachments, ...rest }))).status, 201)
  })

  it('when its clients rewrote what they always rewrite', async () => {
    const inside: Manifest = {
      ...a1,
      version: 'v1.0.0',
      bin: './cli.js',
      dependencies: { git: 'user/repo', b: '^1.0.0' },
      optionalDependencies: { c: '2' },
      scripts: { test: './node_modules/.bin/mocha' },
    }
    const edit = (document: Document) =>
      Object.assign(document.versions['1.0.0'] ?? {}, {
        bin: { a: 'cli.js' },
        dependencies: { git: 'github:user/repo', b: '^1.0.0', c: '2' },
        optionalDependencies: { c: '2' },
        scripts: { test: 'mocha', install: 'node-gyp rebuild' },
        gypfile: true,
      })
    const reply = await publish(a1, { tarball: packed(inside, [{ name: 'package/binding.gyp', content: '{}' }]), edit })
    assert.equal(reply.status, 201, await reply.text())
    const short = await json('/a', ann, { accept: 'application/vnd.npm.install-v1+json' })
    assert.equal(short.versions['1.0.0']?.hasInstallScript, true)
  })

  it('with __proto__ in it, which is left out', async () => {
    const body = JSON.stringify(publishDocument(a1)).replace(
      '"versions":{"1.0.0":{',
      '"versions":{"1.0.0":{"__proto__":{"polluted":1},"x":{"__proto__":{"polluted":1}},',
    )
    assert.equal((await put('a', body)).status, 201)
    assert.equal(({} as { polluted?: number }).polluted, undefined)
    assert.doesNotMatch(await (await ann(`${BASE}/a`)).text(), /polluted/)
  })

  it('with a numeric field in its entry, which every form survives', async () => {
    assert.equal(
      (
        await publish(a1, {
          edit: (document) => Object.assign(document.versions['1.0.0'] ?? {}, { 0: 'zero', x: '_id' }),
        })
      ).status,
      201,
    )
    for (const accept of ['application/json', 'application/vnd.npm.install-v1+json']) {
      const entry = (await json('/a', ann, { accept })).versions['1.0.0'] ?? {}
      assert.equal((entry.dist as { tarball: string }).tarball, `${BASE}/a/-/a-1.0.0.tgz`)
    }
    assert.equal((await json('/a')).versions['1.0.0']?.[0], 'zero')
  })

  it('with any text in its entry, and the abbreviated form is still cut in the right place', async () => {
    const odd = {
      dependencies: { b: '1', _id: 'a@1.0.0' },
      description: '","_id":"a@1.0.0"',
      funding: { url: '{"dist":{"tarball":"' },
    }
    const tarball = packed({ ...a1, ...odd })
    assert.equal((await publish({ ...a1, ...odd }, { tarball })).status, 201)
    const entry = (await json('/a', ann, { accept: 'application/vnd.npm.install-v1+json' })).versions['1.0.0'] ?? {}
    assert.deepEqual(entry.dependencies, odd.dependencies)
    assert.deepEqual(entry.funding, odd.funding)
  })

  it('first under a tag of its own, and is latest all the same', async () => {
    await publish(a1, { tag: 'beta' })
    assert.deepEqual((await json('/a'))['dist-tags'], { latest: '1.0.0', beta: '1.0.0' })
  })

  it("once of many at the same time with other bytes; the others hear npm's sentence", async () => {
    const replies = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        publish(a1, { tarball: packed(a1, [{ name: 'package/x', content: String(i) }]) }),
      ),
    )
    assert.deepEqual(replies.map(({ status }) => status).sort(), [201, 409, 409, 409, 409, 409, 409, 409])
    for (const reply of replies)
      if (reply.status === 409)
        await refused(reply, 409, /cannot publish over the previously published versions: 1\.0\.0\./)
  })

  it('by many at the same time as different versions of one package, none of which is lost', async () => {
    const versions = Array.from({ length: 9 }, (_, i) => `1.${i}.0`)
    const replies = await Promise.all(versions.map((version) => publish({ name: 'a', version, description: version })))
    assert.deepEqual(
      replies.map(({ status }) => status),
      versions.map(() => 201),
    )
    assert.deepEqual(Object.keys((await json('/a')).versions).sort(), versions)
  })

  it('again with other bytes only where the repository allows it', async () => {
    await fleet.repository('loose', 'npm', { redeploy: true })
    const base = `${ORIGIN}/repository/loose`
    await publish(a1, {}, ann, base)
    const other = packed(a1, [{ name: 'package/x', content: 'other' }])
    assert.equal((await publish(a1, { tarball: other }, ann, base)).status, 201)
    const got = Buffer.from(await (await ann(`${base}/a/-/a-1.0.0.tgz`)).arrayBuffer())
    assert.ok(got.equals(other))
  })

  it('up to the quota', async () => {
    await fleet.repository('small', 'npm', { quota: 2000 })
    const base = `${ORIGIN}/repository/small`
    assert.equal((await publish(a1, {}, ann, base)).status, 201)
    const b: Manifest = { name: 'b', version: '1.0.0' }
    const noise = Buffer.concat(Array.from({ length: 100 }, (_, i) => createHash('sha512').update(String(i)).digest()))
    const big = packed(b, [{ name: 'package/x', content: noise }])
    await refused(await publish(b, { tarball: big }, ann, base), 507, /quota/)
  })
})

describe('provenance', () => {
  const bundleOf = (sha512: string, name = 'pkg:npm/%40s/a@1.0.0') => {
    const statement = {
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name, digest: { sha512 } }],
      predicateType: 'https://slsa.dev/provenance/v1',
      predicate: {},
    }
    return JSON.stringify({
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      dsseEnvelope: { payload: Buffer.from(JSON.stringify(statement)).toString('base64'), signatures: [] },
    })
  }
  const manifest: Manifest = { name: '@s/a', version: '1.0.0' }
  const tarball = packed(manifest)
  const sha512 = createHash('sha512').update(tarball).digest('hex')
  const attach = (bundle: string) => (document: Document) =>
    void Object.assign(document._attachments, {
      '@s/a-1.0.0.sigstore': { content_type: 'x', data: bundle, length: bundle.length },
    })

  it('is stored with the version and given back', async () => {
    assert.equal((await publish(manifest, { tarball, edit: attach(bundleOf(sha512)) })).status, 201)
    for (const accept of ['application/json', 'application/vnd.npm.install-v1+json']) {
      const { dist } = (await json('/@s%2fa', ann, { accept })).versions['1.0.0'] as {
        dist: { tarball: string; attestations: { url: string; provenance: unknown } }
      }
      assert.equal(dist.tarball, `${BASE}/@s/a/-/a-1.0.0.tgz`)
      assert.deepEqual(dist.attestations, {
        url: `${BASE}/-/npm/v1/attestations/@s/a@1.0.0`,
        provenance: { predicateType: 'https://slsa.dev/provenance/v1' },
      })
      const { attestations } = (await (await ann(dist.attestations.url)).json()) as {
        attestations: { predicateType: string; bundle: unknown }[]
      }
      assert.deepEqual(attestations, [
        { predicateType: 'https://slsa.dev/provenance/v1', bundle: JSON.parse(bundleOf(sha512)) },
      ])
    }
  })

  it('of another tarball, of another package, or that cannot be read, is refused', async () => {
    for (const bundle of [bundleOf('0'.repeat(128)), bundleOf(sha512, 'pkg:npm/other@1.0.0'), '{}', 'nonsense'])
      await refused(await publish(manifest, { tarball, edit: attach(bundle) }), 400, /Sigstore bundle/)
    assert.equal((await ann(`${BASE}/@s%2fa`)).status, 404)
  })

  it('that a client only claims is not believed', async () => {
    const edit = (document: Document) =>
      Object.assign(document.versions['1.0.0']?.dist ?? {}, {
        attestations: { url: 'http://evil.test/' },
        signatures: [{ sig: 'x' }],
      })
    await publish(manifest, { tarball, edit })
    assert.doesNotMatch(await (await ann(`${BASE}/@s%2fa`)).text(), /evil|signatures/)
    assert.equal((await ann(`${BASE}/-/npm/v1/attestations/@s%2fa@1.0.0`)).status, 404)
  })
})

describe('rights', () => {
  it('to read do not include to publish, to tag, to deprecate or to unpublish', async () => {
    await publish(a1)
    const { _rev } = await json('/a?write=true')
    const bob = fleet.client('primary', `Bearer ${await fleet.token('bob')}`)
    const attempts: [string, string, string?][] = [
      ['PUT', '/b', JSON.stringify(publishDocument({ name: 'b', version: '1.0.0' }))],
      ['PUT', '/-/package/a/dist-tags/x', '"1.0.0"'],
      ['DELETE', '/-/package/a/dist-tags/x'],
      ['PUT', '/a', '{"versions":{"1.0.0":{"deprecated":"x"}}}'],
      ['PUT', `/a/-rev/${String(_rev)}`, '{"versions":{}}'],
      ['DELETE', `/a/-rev/${String(_rev)}`],
      ['DELETE', `/a/-/a-1.0.0.tgz/-rev/${String(_rev)}`],
    ]
    for (const [method, path, body] of attempts)
      assert.equal(
        (await bob(BASE + path, { method, ...(body === undefined ? {} : { body }) })).status,
        403,
        `${method} ${path}`,
      )
    assert.equal((await json('/a')).versions['1.0.0']?.deprecated, undefined)
  })

  it('to write do not include to unpublish, by whatever route', async () => {
    await publish(a1)
    await publish({ ...a1, version: '1.1.0' })
    await fleet.configure([grant('bob', 'hosted', { actions: ['read', 'write'] })])
    const bob = fleet.client('primary', `Bearer ${await fleet.token('bob')}`)
    const document = await json('/a?write=true')
    const { '1.1.0': _, ...versions } = document.versions
    const body = JSON.stringify({ ...document, versions })
    assert.equal((await bob(`${BASE}/a/-rev/${String(document._rev)}`, { method: 'PUT', body })).status, 403)
    assert.equal((await bob(`${BASE}/a/-rev/${String(document._rev)}`, { method: 'DELETE' })).status, 403)
    assert.equal((await bob(`${BASE}/a/-/a-1.1.0.tgz/-rev/${String(document._rev)}`, { method: 'DELETE' })).status, 403)
    assert.deepEqual(Object.keys((await json('/a')).versions), ['1.0.0', '1.1.0'])
  })

  it('for one package hold on every route that names it, and on no other', async () => {
    await fleet.repository('closed', 'npm', { public: false })
    const base = `${ORIGIN}/repository/closed`
    await fleet.configure([grant('bob', 'closed', { path: '@bob/' })])
    const bob = fleet.client('primary', `Bearer ${await fleet.token('bob')}`)
    const own: Manifest = { name: '@bob/x', version: '1.0.0' }
    const other: Manifest = { name: 'secret', version: '1.0.0' }
    assert.equal((await publish(own, {}, bob, base)).status, 201)
    assert.equal((await publish(other, {}, ann, base)).status, 201)
    assert.equal((await publish({ ...other, version: '2.0.0' }, {}, bob, base)).status, 403)
    for (const path of [
      '/@bob%2fx',
      '/-/package/@bob%2fx/dist-tags',
      '/-/package/@bob%2fx/visibility',
      '/@bob/x/-/x-1.0.0.tgz',
      '/@bob%2fx/1.0.0',
    ])
      assert.equal((await bob(base + path)).status, 200, path)
    for (const path of [
      '/secret',
      '/-/package/secret/dist-tags',
      '/-/package/secret/visibility',
      '/-/package/secret/collaborators',
      '/secret/-/secret-1.0.0.tgz',
      '/secret/1.0.0',
      '/-/npm/v1/attestations/secret@1.0.0',
    ])
      assert.equal((await bob(base + path)).status, 403, path)
  })

  it('are not needed to log in, and a private repository tells strangers nothing else', async () => {
    await fleet.repository('closed', 'npm', { public: false })
    const base = `${ORIGIN}/repository/closed`
    await publish(a1, {}, ann, base)
    const nobody = fleet.client('primary')
    for (const path of [
      '/a',
      '/-/v1/search?text=a',
      '/-/ping',
      '/a/-/a-1.0.0.tgz',
      '/-/package/a/dist-tags',
      '/-/npm/v1/attestations/a@1.0.0',
    ])
      assert.equal((await nobody(base + path)).status, 401, path)
    const body = JSON.stringify({ name: 'ann', password: PASSWORD })
    const login = await nobody(`${base}/-/user/org.couchdb.user:ann`, { method: 'PUT', body })
    assert.equal(login.status, 201)
    const { token } = (await login.json()) as { token: string }
    assert.equal((await fleet.client('primary', `Bearer ${token}`)(`${base}/a`)).status, 200)
  })

  it('seen in search are only those that one has', async () => {
    await fleet.repository('closed', 'npm', { public: false })
    await fleet.configure([grant('bob', 'closed', { path: 'visible' }), grant('bob', 'closed', { path: '-/' })])
    for (const name of ['visible-one', 'hidden-one'])
      await publish({ name, version: '1.0.0' }, {}, ann, `${ORIGIN}/repository/closed`)
    const bob = fleet.client('primary', `Bearer ${await fleet.token('bob')}`)
    const found = (await (await bob(`${ORIGIN}/repository/closed/-/v1/search?text=one`)).json()) as {
      total: number
      objects: { package: { name: string } }[]
    }
    assert.deepEqual(
      found.objects.map((one) => one.package.name),
      ['visible-one'],
    )
    assert.equal(found.total, 1)
  })
})

describe("other packages' paths", () => {
  for (const path of [
    '/@scope%2f..%2f..%2fx',
    '/a/-/../../b/-/b-1.0.0.tgz',
    '/a/-/..%2f..%2fb%2f-%2fb-1.0.0.tgz',
    '/a%00',
    '/a%5C..%5Cb',
  ])
    it(`are not reached by ${path}`, async () => {
      await publish({ name: 'b', version: '1.0.0' })
      const reply = await fleet.primary.handle(requestOf('GET', `/repository/hosted${path}`))
      assert.ok(reply && (reply.status === 400 || reply.status === 404))
    })
})

describe('a package with many versions', () => {
  it('of 3,000 is joined from text, and deprecated as a whole', async () => {
    await publish({ ...a1, version: '0.0.1', dependencies: { b: '1' } })
    const first = await fleet.ledger.state.version('scope-of-hosted', 'a', '0.0.1')
    assert.ok(first)
    const versions = Array.from({ length: 3000 }, (_, i) => `1.0.${i}`)
    const steps = versions.map((version) => ({
      kind: 'publish' as const,
      manifest: {
        package: 'a',
        version,
        files: [],
        meta: first.meta.replaceAll('0.0.1', version),
        publishedAt: '2026-01-01T00:00:00.000Z',
      },
    }))
    await fleet.ledger.commit({ scope: 'scope-of-hosted', steps, by: 'test' })
    const full = await json('/a')
    assert.equal(Object.keys(full.versions).length, 3001)
    assert.match(JSON.stringify(full.versions['1.0.2999']?.dist), /hosted\/a\/-\/a-1\.0\.2999\.tgz"/)
    const document = await json('/a?write=true')
    for (const entry of Object.values(document.versions)) entry.deprecated = 'all of it'
    assert.equal((await put('a', JSON.stringify(document))).status, 201)
    const short = await json('/a', ann, { accept: 'application/vnd.npm.install-v1+json' })
    assert.ok(Object.values(short.versions).every((entry) => entry.deprecated === 'all of it'))
  })
})

describe('unpublishing', () => {
  it('with an old revision is refused on every route, and nothing is removed', async () => {
    for (const version of ['1.0.0', '1.1.0']) await publish({ name: 'a', version })
    const { _rev, versions } = await json('/a?write=true')
    await publish({ name: 'a', version: '1.2.0' })
    const { '1.1.0': _, ...left } = versions
    const attempts: [string, string, string?][] = [
      ['PUT', `/a/-rev/${String(_rev)}`, JSON.stringify({ versions: left })],
      ['DELETE', `/a/-rev/${String(_rev)}`],
      ['DELETE', `/a/-/a-1.1.0.tgz/-rev/${String(_rev)}`],
      ['DELETE', '/a/-rev/undefined'],
    ]
    for (const [method, path, body] of attempts) {
      const reply = await ann(BASE + path, { method, ...(body === undefined ? {} : { body }) })
      await refused(reply, 409, /changed meanwhile/)
    }
    assert.deepEqual(Object.keys((await json('/a')).versions), ['1.0.0', '1.1.0', '1.2.0'])
  })

  it('moves the recorded tags in the same step', async () => {
    for (const version of ['1.0.0', '1.1.0']) await publish({ name: 'a', version })
    await publish({ name: 'a', version: '1.2.0' }, { tag: 'next' })
    await ann(`${BASE}/-/package/a/dist-tags/old`, { method: 'PUT', body: '"1.1.0"' })
    const { _rev } = await json('/a?write=true')
    assert.equal((await ann(`${BASE}/a/-/a-1.1.0.tgz/-rev/${String(_rev)}`, { method: 'DELETE' })).status, 200)
    assert.deepEqual(await fleet.ledger.state.tags('scope-of-hosted', 'a'), { latest: '1.2.0', next: '1.2.0' })
  })
})

describe('latest', () => {
  it('resolves whatever is removed, also by the REST interface', async () => {
    for (const version of ['1.0.0', '1.5.0', '2.0.0-rc.1']) await publish({ name: 'a', version })
    await fleet.ledger.commit({
      scope: 'scope-of-hosted',
      steps: [{ kind: 'remove', package: 'a', version: '2.0.0-rc.1' }],
      by: 'test',
    })
    assert.deepEqual((await json('/a'))['dist-tags'], { latest: '1.5.0' })
    assert.deepEqual(await json('/-/package/a/dist-tags'), { latest: '1.5.0' })
    assert.equal((await json('/a/latest')).version, '1.5.0')
    assert.equal((await ann(`${BASE}/a/-/a-2.0.0-rc.1.tgz`)).status, 404)
  })
})
