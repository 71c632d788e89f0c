/** npm, as its clients speak: publish, tags, deprecation, owners, unpublishing, log-in, tokens, and all reads. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type Document, type Manifest, type PublishOptions, packed, publishDocument } from '../support/npm-package.js'
import { type Place, read, type Script, type SendOptions } from './script.js'

const SHORT = 'application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*'

const plain: Manifest = {
  name: 'matrix-plain',
  version: '1.0.0',
  description: 'A matrix package',
  keywords: ['matrix'],
  license: 'MIT',
}
const scoped: Manifest = {
  name: '@matrix/scoped',
  version: '2.1.0',
  dependencies: { 'matrix-plain': '^1.0.0' },
  bin: { scoped: 'cli.js' },
  scripts: { postinstall: 'echo hello' },
}
const second: Manifest = { ...plain, version: '1.1.0', description: 'A better matrix package' }
const early: Manifest = { ...plain, version: '2.0.0-beta.1' }

export const npmScript: Script = {
  format: 'npm',
  upstream: '/',
  writes: [
    { name: 'a package is published', run: (place) => published(place, plain) },
    { name: 'a scoped package is published', run: (place) => published(place, scoped) },
    {
      name: "a published version cannot be published again, in npm's own words",
      run: async (place) => {
        const reply = await put(
          place,
          plain.name,
          publishDocument(plain, { tarball: packed(plain, [{ name: 'package/x', content: 'x' }]) }),
        )
        assert.equal(reply.status, 409)
        assert.match(
          (await object(reply)).error as string,
          /You cannot publish over the previously published versions: 1\.0\.0\./,
        )
      },
    },
    { name: 'a second version becomes latest', run: (place) => published(place, second) },
    {
      name: 'a prerelease under its own tag leaves latest alone',
      run: async (place) => {
        await published(place, early, { tag: 'beta' })
        assert.deepEqual(await object(await read(place, `/-/package/${plain.name}/dist-tags`, 'writeTo')), {
          latest: '1.1.0',
          beta: '2.0.0-beta.1',
        })
      },
    },
    {
      name: 'a tag is set, read, and removed',
      run: async (place) => {
        const tag = `/-/package/${plain.name}/dist-tags/old`
        assert.equal((await write(place, tag, { method: 'PUT', body: '"1.0.0"' })).status, 200)
        assert.equal((await object(await read(place, `/-/package/${plain.name}/dist-tags`, 'writeTo'))).old, '1.0.0')
        assert.equal((await write(place, tag, { method: 'DELETE' })).status, 200)
        assert.equal((await object(await read(place, `/-/package/${plain.name}/dist-tags`, 'writeTo'))).old, undefined)
        assert.equal((await write(place, tag, { method: 'PUT', body: '"9.9.9"' })).status, 404)
        assert.equal(
          (await write(place, `/-/package/${plain.name}/dist-tags/latest`, { method: 'DELETE' })).status,
          400,
        )
      },
    },
    {
      name: 'a version is deprecated with the document that was read for writing',
      run: async (place) => {
        const document = await forWriting(place, plain.name)
        Object.assign(document.versions['1.0.0'] ?? {}, { deprecated: 'use 1.1.0' })
        assert.equal((await put(place, plain.name, document)).status, 201)
        assert.equal((await forWriting(place, plain.name)).versions['1.0.0']?.deprecated, 'use 1.1.0')
      },
    },
    {
      name: 'what was read before somebody else wrote is refused',
      run: async (place) => {
        const stale = await forWriting(place, plain.name)
        const fresh = await forWriting(place, plain.name)
        Object.assign(fresh.versions['1.1.0'] ?? {}, { deprecated: 'a moment' })
        assert.equal((await put(place, plain.name, fresh)).status, 201)
        assert.equal((await put(place, plain.name, stale)).status, 409)
        const again = await forWriting(place, plain.name)
        Object.assign(again.versions['1.1.0'] ?? {}, { deprecated: '' })
        assert.equal((await put(place, plain.name, again)).status, 201)
      },
    },
    {
      name: 'maintainers are changed as npm owner does it',
      run: async (place) => {
        const user = await object(await read(place, '/-/user/org.couchdb.user:friend', 'writeTo'))
        const { _id, _rev, maintainers } = await object(await read(place, `/${plain.name}`, 'writeTo'))
        const owners = [...(maintainers as object[]), { name: user.name, email: user.email }]
        const body = JSON.stringify({ _id, _rev, maintainers: owners })
        assert.equal((await write(place, `/${plain.name}/-rev/${String(_rev)}`, { method: 'PUT', body })).status, 201)
      },
    },
    {
      name: 'one version is unpublished, latest moves, and the version never comes back',
      run: async (place) => {
        const name = 'matrix-gone'
        for (const version of ['1.0.0', '1.1.0']) await published(place, { name, version })
        const document = await forWriting(place, name)
        const tarball = tarballOf(document, '1.1.0')
        assert.ok(tarball.startsWith(place.writeTo))
        const { '1.1.0': _, ...versions } = document.versions
        const body = JSON.stringify({ ...document, versions, 'dist-tags': { latest: '1.0.0' } })
        assert.equal(
          (await write(place, `/${name}/-rev/${String(document._rev)}`, { method: 'PUT', body })).status,
          201,
        )
        const { _rev } = await forWriting(place, name)
        assert.equal(
          (await write(place, `${tarball.slice(place.writeTo.length)}/-rev/${String(_rev)}`, { method: 'DELETE' }))
            .status,
          200,
        )
        assert.deepEqual(await object(await read(place, `/-/package/${name}/dist-tags`, 'writeTo')), {
          latest: '1.0.0',
        })
        const again = await put(
          place,
          name,
          publishDocument(
            { name, version: '1.1.0' },
            { tarball: packed({ name, version: '1.1.0' }, [{ name: 'package/other', content: 'bytes' }]) },
          ),
        )
        assert.equal(again.status, 409)
        assert.match((await object(again)).error as string, /removed/)
      },
    },
    {
      name: 'a whole package is unpublished',
      run: async (place) => {
        const name = '@matrix/whole'
        await published(place, { name, version: '1.0.0' })
        const { _rev } = await forWriting(place, name)
        assert.equal((await write(place, `/${escaped(name)}/-rev/${String(_rev)}`, { method: 'DELETE' })).status, 200)
        assert.equal((await read(place, `/${escaped(name)}`, 'writeTo')).status, 404)
        assert.equal((await read(place, `/${name}/-/whole-1.0.0.tgz`, 'writeTo')).status, 404)
      },
    },
    {
      name: 'a log-in gives a token that works until log-out',
      run: async (place) => {
        const { name, password } = place.user
        const anonymous = { send: (url: string, init: SendOptions) => place.send(url, init) }
        const browser = await anonymous.send(`${place.writeTo}/-/v1/login`, { method: 'POST', body: '{}' })
        assert.ok(browser.status >= 400 && browser.status < 500)
        const id = `org.couchdb.user:${name}`
        const attempt = (secret: string) =>
          anonymous.send(`${place.writeTo}/-/user/${id}`, {
            method: 'PUT',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({
              _id: id,
              name,
              password: secret,
              type: 'user',
              roles: [],
              date: '2026-01-01T00:00:00.000Z',
            }),
          })
        assert.equal((await attempt('wrong')).status, 401)
        const { token } = await object(await attempt(password))
        const bearer = { authorization: `Bearer ${String(token)}` }
        const whoami = () => place.send(`${place.writeTo}/-/whoami`, { headers: bearer })
        assert.deepEqual(await object(await whoami()), { username: name })
        assert.equal(
          (await place.send(`${place.writeTo}/-/user/token/${String(token)}`, { method: 'DELETE', headers: bearer }))
            .status,
          200,
        )
        assert.equal((await whoami()).status, 401)
      },
    },
    {
      name: 'tokens are made, listed and revoked',
      run: async (place) => {
        const made = await write(place, '/-/npm/v1/tokens', {
          method: 'POST',
          body: JSON.stringify({ name: 'ci', password: place.user.password, readonly: true }),
        })
        assert.equal(made.status, 201)
        const { key, token, readonly } = await object(made)
        assert.match(String(token), /^cairn_/)
        assert.equal(readonly, true)
        const listed = (await object(await read(place, '/-/npm/v1/tokens', 'writeTo'))).objects as { key: string }[]
        assert.ok(listed.some((one) => one.key === key))
        const readOnly = { ...place, authorization: `Bearer ${String(token)}` }
        assert.equal(
          (await put(readOnly, 'matrix-refused', publishDocument({ name: 'matrix-refused', version: '1.0.0' }))).status,
          403,
        )
        assert.equal((await write(place, `/-/npm/v1/tokens/token/${String(key)}`, { method: 'DELETE' })).status, 204)
        assert.equal((await write(place, `/-/npm/v1/tokens/token/${String(key)}`, { method: 'DELETE' })).status, 404)
      },
    },
    {
      name: 'nobody publishes without credentials',
      run: async (place) => {
        const document = JSON.stringify(publishDocument({ name: 'matrix-anonymous', version: '1.0.0' }))
        const reply = await place.send(`${place.writeTo}/matrix-anonymous`, { method: 'PUT', body: document })
        assert.equal(reply.status, 401)
        assert.ok(reply.headers.get('www-authenticate'))
      },
    },
  ],
  reads: [
    {
      name: 'the packument has every version, tag, time and maintainer',
      run: async (place) => {
        const reply = await read(place, `/${plain.name}`)
        assert.equal(reply.status, 200)
        assert.match(reply.headers.get('content-type') ?? '', /^application\/json/)
        assert.match(reply.headers.get('vary') ?? '', /accept/)
        const document = (await reply.json()) as Document & {
          time: Record<string, string>
          maintainers: { name: string }[]
        }
        assert.deepEqual(Object.keys(document.versions), ['1.0.0', '1.1.0', '2.0.0-beta.1'])
        assert.deepEqual(document['dist-tags'], { latest: '1.1.0', beta: '2.0.0-beta.1' })
        assert.deepEqual(Object.keys(document.time).sort(), ['1.0.0', '1.1.0', '2.0.0-beta.1', 'created', 'modified'])
        assert.deepEqual(
          document.maintainers.map(({ name }) => name),
          [place.user.name, 'friend'],
        )
        assert.equal(document.description, 'A better matrix package')
        assert.equal(document.readme, '# matrix-plain\n')
        assert.equal(document.versions['1.0.0']?.deprecated, 'use 1.1.0')
        assert.equal(document.versions['1.1.0']?.deprecated, undefined)
        assert.ok(typeof document._rev === 'string')
      },
    },
    {
      name: 'the abbreviated packument has what installers need and no more',
      run: async (place) => {
        const reply = await read(place, `/${escaped(scoped.name)}`, 'readFrom', { accept: SHORT })
        assert.match(reply.headers.get('content-type') ?? '', /^application\/vnd\.npm\.install-v1\+json/)
        const document = await object(reply)
        assert.equal(document._rev, undefined)
        const entry = (document.versions as Document['versions'])['2.1.0'] ?? {}
        assert.deepEqual(entry.dependencies, scoped.dependencies)
        assert.deepEqual(entry.bin, scoped.bin)
        assert.equal(entry.hasInstallScript, true)
        assert.equal(entry.scripts, undefined)
        assert.equal(entry._id, undefined)
      },
    },
    {
      name: 'an unchanged packument costs 304',
      run: async (place) => {
        const first = await read(place, `/${plain.name}`)
        const etag = first.headers.get('etag') ?? ''
        assert.equal((await read(place, `/${plain.name}`, 'readFrom', { 'if-none-match': etag })).status, 304)
      },
    },
    {
      name: 'a tarball is at the address that the packument names, below the registry, with the digests it names',
      run: async (place) => {
        for (const manifest of [plain, scoped]) {
          const { versions } = (await (await read(place, `/${escaped(manifest.name)}`)).json()) as Document
          const dist = versions[manifest.version]?.dist as { tarball: string; shasum: string; integrity: string }
          assert.ok(dist.tarball.startsWith(`${place.readFrom}/${manifest.name}/-/`), dist.tarball)
          const reply = await place.send(dist.tarball, { headers: { authorization: place.authorization } })
          assert.equal(reply.status, 200)
          const bytes = Buffer.from(await reply.arrayBuffer())
          assert.ok(bytes.equals(packed(manifest)))
          assert.equal(createHash('sha1').update(bytes).digest('hex'), dist.shasum)
          assert.equal(`sha512-${createHash('sha512').update(bytes).digest('base64')}`, dist.integrity)
          const head = await place.send(dist.tarball, {
            method: 'HEAD',
            headers: { authorization: place.authorization },
          })
          assert.equal(head.status, 200)
          const part = await place.send(dist.tarball, {
            headers: { authorization: place.authorization, range: 'bytes=2-5' },
          })
          assert.equal(part.status, 206)
          assert.ok(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(2, 6)))
        }
      },
    },
    {
      name: 'a version is read by number and by tag, with the scope encoded or not',
      run: async (place) => {
        assert.equal((await object(await read(place, `/${plain.name}/1.0.0`))).version, '1.0.0')
        assert.equal((await object(await read(place, `/${plain.name}/beta`))).version, '2.0.0-beta.1')
        assert.equal((await object(await read(place, `/${scoped.name}/latest`))).version, '2.1.0')
        assert.equal((await object(await read(place, `/${escaped(scoped.name)}/2.1.0`))).version, '2.1.0')
        assert.equal((await read(place, `/${plain.name}/7.0.0`)).status, 404)
      },
    },
    {
      name: 'search finds packages by name and by description',
      hosted: true,
      run: async (place) => {
        for (const text of ['matrix-plain', 'better']) {
          const found = (await object(await read(place, `/-/v1/search?text=${text}&size=20`))).objects as {
            package: { name: string; version: string }
          }[]
          assert.deepEqual(
            found.map((one) => `${one.package.name}@${one.package.version}`),
            ['matrix-plain@1.1.0'],
          )
        }
        const all = await object(await read(place, '/-/v1/search?text=matrix&size=1&from=1'))
        assert.equal((all.objects as unknown[]).length, 1)
      },
    },
    {
      name: 'what an install asks besides is answered',
      hosted: true,
      run: async (place) => {
        assert.deepEqual(await object(await read(place, '/-/ping')), {})
        assert.deepEqual(await object(await read(place, '/-/npm/v1/keys')), { keys: [] })
        const body = JSON.stringify({ 'matrix-plain': ['1.0.0'] })
        const audit = await place.send(`${place.readFrom}/-/npm/v1/security/advisories/bulk`, { method: 'POST', body })
        assert.deepEqual(await object(audit), {})
        assert.equal((await object(await read(place, `/-/package/${plain.name}/visibility`))).public, true)
        assert.deepEqual(await object(await read(place, `/-/package/${plain.name}/collaborators`)), {
          [place.user.name]: 'write',
          friend: 'write',
        })
      },
    },
    {
      name: "what is not there is 404 in npm's own document",
      hosted: true,
      run: async (place) => {
        for (const path of [
          '/matrix-nothing',
          '/@matrix%2fnothing',
          `/${plain.name}/-/matrix-plain-9.9.9.tgz`,
          '/@matrix/whole',
          '/-/package/matrix-nothing/dist-tags',
        ]) {
          const reply = await read(place, path)
          assert.equal(reply.status, 404, path)
          assert.equal(typeof (await object(reply)).error, 'string')
        }
      },
    },
  ],
  refusals: [
    {
      name: 'a publish is refused for now',
      run: async (place) => {
        const reply = await put(place, 'matrix-later', publishDocument({ name: 'matrix-later', version: '1.0.0' }))
        assert.equal(reply.status, 503)
        assert.ok(reply.headers.get('retry-after'))
        assert.equal(typeof (await object(reply)).error, 'string')
        assert.equal((await read(place, '/matrix-later')).status, 404)
      },
    },
  ],
}

function escaped(name: string): string {
  return name.replace('/', '%2f')
}

async function published(place: Place, manifest: Manifest, options: PublishOptions = {}): Promise<void> {
  const reply = await put(place, manifest.name, publishDocument(manifest, options))
  assert.equal(reply.status, 201, await reply.text())
  assert.equal(
    (await read(place, `/${escaped(manifest.name)}/${manifest.version}`, 'writeTo')).status,
    200,
    'a client reads its own write where it wrote',
  )
}

function put(place: Place, name: string, document: object): Promise<Response> {
  return write(place, `/${escaped(name)}`, { method: 'PUT', body: JSON.stringify(document) })
}

function write(place: Place, path: string, init: SendOptions): Promise<Response> {
  return place.send(place.writeTo + path, {
    ...init,
    headers: { 'content-type': 'application/json', authorization: place.authorization },
  })
}

function tarballOf({ versions }: Document, version: string): string {
  const dist = versions[version]?.dist
  return dist instanceof Object && 'tarball' in dist ? String(dist.tarball) : ''
}

async function forWriting(place: Place, name: string): Promise<Document> {
  const reply = await read(place, `/${escaped(name)}?write=true`, 'writeTo')
  assert.equal(reply.status, 200)
  return (await reply.json()) as Document
}

async function object(reply: Response): Promise<Record<string, unknown>> {
  return (await reply.json()) as Record<string, unknown>
}
