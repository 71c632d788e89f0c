/** Go modules, as the go command reads them and curl publishes them: zip files in, lists, versions and latest out. */
import assert from 'node:assert/strict'
import { type ModuleDraft, moduleUrl, moduleZip } from '../support/go-module.js'
import { type Place, read, type Script, type SendOptions } from './script.js'

const PLAIN = 'example.com/matrix/Plain'
const plain: ModuleDraft = {
  module: PLAIN,
  version: 'v1.0.0',
  files: { 'plain.go': 'package plain\n\nconst Name = "plain"\n' },
}
const better: ModuleDraft = {
  module: PLAIN,
  version: 'v1.10.0',
  files: { 'plain.go': 'package plain\n\nconst Name = "better"\n' },
  goMod: `module ${PLAIN}\n\nretract v1.10.0 // a mistake\n`,
}
const PSEUDO = 'v1.10.1-0.20260102150405-abcdef123456'
const NAKED = 'example.com/matrix/naked'

export const goScript: Script = {
  format: 'go',
  upstream: '/',
  writes: [
    {
      name: 'a module is published, and the reply has its checksums',
      run: async (place) => {
        const reply = await put(place, plain)
        assert.equal(reply.status, 201)
        const { sum, go_mod_sum } = (await reply.json()) as Record<string, string>
        assert.match(sum ?? '', /^h1:[A-Za-z0-9+/]{43}=$/)
        assert.match(go_mod_sum ?? '', /^h1:[A-Za-z0-9+/]{43}=$/)
      },
    },
    {
      name: 'the same bytes again are fine',
      run: async (place) => assert.equal((await put(place, plain)).status, 200),
    },
    {
      name: 'other bytes are refused, in plain text',
      run: async (place) => {
        const reply = await put(place, { ...plain, files: { 'plain.go': 'package other\n' } })
        assert.equal(reply.status, 409)
        assert.match(reply.headers.get('content-type') ?? '', /^text\/plain/)
        assert.match(await reply.text(), /v1\.0\.0 is published already/)
      },
    },
    {
      name: 'further versions: a higher one that retracts itself, a lower one, a prerelease, a pseudo-version, an escaped one',
      run: async (place) => {
        for (const version of ['v1.9.0', 'v1.2.0-RC.1', PSEUDO])
          assert.equal((await put(place, { ...plain, version })).status, 201, version)
        assert.equal((await put(place, better)).status, 201)
      },
    },
    {
      name: 'a module without a go.mod, with +incompatible versions',
      run: async (place) => {
        const naked = { module: NAKED, goMod: null, files: { 'naked.go': 'package naked\n' } }
        for (const version of ['v1.0.0', 'v2.1.0+incompatible'])
          assert.equal((await put(place, { ...naked, version })).status, 201, version)
      },
    },
    {
      name: 'what breaks the rules is refused in words, and nothing of it is there',
      run: async (place) => {
        const module = 'example.com/matrix/bad'
        const bad: [ModuleDraft, RegExp][] = [
          [{ module, version: 'v2.0.0' }, /its path must end in \/v2/],
          [{ module, version: 'v1.0' }, /not a version as Go writes it/],
          [{ module, version: 'v1.0.0', goMod: 'module example.com/other\n' }, /The go\.mod is of example\.com\/other/],
          [
            { module, version: 'v1.0.0', more: [{ name: 'elsewhere/x.go' }] },
            /not below example\.com\/matrix\/bad@v1\.0\.0\//,
          ],
          [{ module, version: 'v1.0.0', files: { 'a.go': '', 'A.go': '' } }, /differ only by case/],
        ]
        for (const [draft, sentence] of bad) {
          const reply = await put(place, draft)
          assert.equal(reply.status, 400)
          assert.match(await reply.text(), sentence)
        }
        const cut = moduleZip({ module, version: 'v1.0.0' }).subarray(0, -5)
        assert.equal((await send(place, moduleUrl(module, 'v1.0.0.zip'), { method: 'PUT', body: cut })).status, 400)
        assert.equal((await read(place, moduleUrl(module, 'list'), 'writeTo')).status, 404)
        assert.equal((await read(place, moduleUrl(module, 'v1.0.0.zip'), 'writeTo')).status, 404)
      },
    },
    {
      name: 'a version is removed and never comes back with other bytes',
      run: async (place) => {
        const gone = { ...plain, module: 'example.com/matrix/gone' }
        assert.equal((await put(place, gone)).status, 201)
        const url = moduleUrl(gone.module, 'v1.0.0.zip')
        assert.equal((await send(place, url, { method: 'DELETE' })).status, 204)
        assert.equal((await send(place, url, { method: 'DELETE' })).status, 404)
        for (const file of ['v1.0.0.zip', 'v1.0.0.mod', 'v1.0.0.info', 'list'])
          assert.equal((await read(place, moduleUrl(gone.module, file), 'writeTo')).status, 404, file)
        const again = await put(place, { ...gone, files: { 'x.go': 'package x\n' } })
        assert.equal(again.status, 409)
        assert.match(await again.text(), /removed/)
      },
    },
    {
      name: 'nobody publishes without credentials',
      run: async (place) => {
        const url = place.writeTo + moduleUrl(PLAIN, 'v1.11.0.zip')
        const body = moduleZip({ ...plain, version: 'v1.11.0' })
        const reply = await place.send(url, { method: 'PUT', body })
        assert.equal(reply.status, 401)
        assert.ok(reply.headers.get('www-authenticate'))
      },
    },
  ],
  reads: [
    {
      name: 'the list has the versions in order, without pseudo-versions',
      run: async (place) => {
        const reply = await read(place, moduleUrl(PLAIN, 'list'))
        assert.equal(reply.status, 200)
        assert.match(reply.headers.get('content-type') ?? '', /^text\/plain/)
        assert.equal(await reply.text(), 'v1.0.0\nv1.2.0-RC.1\nv1.9.0\nv1.10.0\n')
        const naked = await read(place, moduleUrl(NAKED, 'list'))
        assert.equal(await naked.text(), 'v1.0.0\nv2.1.0+incompatible\n')
      },
    },
    {
      name: 'an unchanged list costs 304',
      run: async (place) => {
        const etag = (await read(place, moduleUrl(PLAIN, 'list'))).headers.get('etag') ?? ''
        const again = await read(place, moduleUrl(PLAIN, 'list'), 'readFrom', { 'if-none-match': etag })
        assert.equal(again.status, 304)
      },
    },
    {
      name: 'latest is the highest release that is not retracted',
      run: async (place) => {
        const reply = await read(place, moduleUrl(PLAIN, 'x').replace('/@v/x', '/@latest'))
        assert.equal(((await reply.json()) as { Version: string }).Version, 'v1.9.0')
      },
    },
    {
      name: 'info has version and time, also by commit and for the version without +incompatible',
      run: async (place) => {
        const asked: [string, string, string][] = [
          [PLAIN, 'v1.0.0', 'v1.0.0'],
          [PLAIN, 'v1.2.0-RC.1', 'v1.2.0-RC.1'],
          [PLAIN, 'abcdef123456789', PSEUDO],
          [NAKED, 'v2.1.0', 'v2.1.0+incompatible'],
        ]
        for (const [module, version, answer] of asked) {
          const reply = await read(place, moduleUrl(module, `${version}.info`))
          assert.equal(reply.status, 200, version)
          assert.match(reply.headers.get('content-type') ?? '', /^application\/json/)
          const { Version, Time } = (await reply.json()) as Record<string, string>
          assert.equal(Version, answer)
          assert.ok(Date.parse(Time ?? '') > Date.parse('2025-01-01'))
        }
      },
    },
    {
      name: 'the go.mod is the one in the zip file, or made where there is none',
      run: async (place) => {
        assert.equal(await (await read(place, moduleUrl(PLAIN, 'v1.10.0.mod'))).text(), better.goMod)
        assert.equal(await (await read(place, moduleUrl(NAKED, 'v1.0.0.mod'))).text(), `module ${NAKED}\n`)
      },
    },
    {
      name: 'the zip file is served as it was sent, whole and in part',
      run: async (place) => {
        const bytes = moduleZip(plain)
        const reply = await read(place, moduleUrl(PLAIN, 'v1.0.0.zip'))
        assert.equal(reply.headers.get('content-type'), 'application/zip')
        assert.ok(Buffer.from(await reply.arrayBuffer()).equals(bytes))
        const part = await read(place, moduleUrl(PLAIN, 'v1.0.0.zip'), 'readFrom', { range: 'bytes=2-5' })
        assert.equal(part.status, 206)
        assert.ok(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(2, 6)))
      },
    },
    {
      name: 'what is not there is 404 with a reason in plain text',
      hosted: true,
      run: async (place) => {
        for (const path of [
          '/example.com/@v/list',
          '/example.com/matrix/@latest',
          moduleUrl(PLAIN, 'v9.9.9.info'),
          moduleUrl(PLAIN, 'v9.9.9.zip'),
          moduleUrl(PLAIN, 'main.info'),
          moduleUrl(PLAIN, 'abcdef0.info'),
          `/${PLAIN}/@v/list`,
          '/sumdb/sum.example.com/supported',
        ]) {
          const reply = await read(place, path)
          assert.equal(reply.status, 404, path)
          assert.match(reply.headers.get('content-type') ?? '', /^text\/plain/)
          assert.match(await reply.text(), /[Tt]here is no/)
        }
      },
    },
  ],
  refusals: [
    {
      name: 'publishing and removing have to wait',
      run: async (place) => {
        const later = { ...plain, version: 'v1.12.0' }
        for (const reply of [
          await put(place, later),
          await send(place, moduleUrl(PLAIN, 'v1.0.0.zip'), { method: 'DELETE' }),
        ]) {
          assert.equal(reply.status, 503)
          assert.ok(reply.headers.get('retry-after'))
          assert.match(await reply.text(), /cannot be reached/)
        }
        assert.equal((await read(place, moduleUrl(PLAIN, 'v1.0.0.zip'))).status, 200)
        assert.equal((await read(place, moduleUrl(PLAIN, 'v1.12.0.zip'))).status, 404)
      },
    },
  ],
}

function put(place: Place, draft: ModuleDraft): Promise<Response> {
  return send(place, moduleUrl(draft.module, `${draft.version}.zip`), { method: 'PUT', body: moduleZip(draft) })
}

function send(place: Place, path: string, options: SendOptions): Promise<Response> {
  const headers = { authorization: place.authorization, ...options.headers }
  return place.send(place.writeTo + path, { ...options, headers })
}
