/** The Python package index, as its clients speak: uploads, simple index in both forms, JSON API, yanks, removals. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  FORM_TYPE,
  type FormOptions,
  type Project,
  sdist,
  type Upload,
  uploadForm,
  wheel,
} from '../support/python-package.js'
import type { Place, Script, SendOptions } from './script.js'

const JSON_FORM = 'application/vnd.pypi.simple.v1+json'
/** What pip sends. */
const PIP = `${JSON_FORM}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01`

const one: Project = { name: 'Matrix.Plain', version: '1.0', requiresPython: '>=3.8', summary: 'A matrix package' }
const two: Project = { ...one, version: '2.0rc1', requires: ['matrix-leaf>=1; python_version < "4"'] }
const gone: Project = { name: 'matrix-gone', version: '1.0' }
const partly: Project = { name: 'matrix-partly', version: '1.0' }

export const pypiScript: Script = {
  format: 'pypi',
  upstream: '/simple/',
  writes: [
    { name: 'a wheel is published', run: (place) => published(place, wheel(one)) },
    {
      name: 'its source archive is added, the file before the fields',
      run: (place) => published(place, sdist(one), { fileFirst: true }),
    },
    {
      name: 'the same bytes again succeed, others under the same name do not',
      run: async (place) => {
        assert.equal((await post(place, wheel(one))).status, 200)
        const reply = await post(place, sdist(one, { more: '# other' }))
        assert.equal(reply.status, 409)
        assert.match(await reply.text(), /already exists/i)
      },
    },
    {
      name: 'a prerelease is published to the address without a path, as some clients are configured',
      run: (place) => published(place, wheel(two), {}, '/'),
    },
    {
      name: 'two files of one new version at the same time are both there',
      run: async (place) => {
        const project = { name: 'matrix-both', version: '1.0' }
        const replies = await Promise.all([post(place, wheel(project)), post(place, sdist(project))])
        assert.deepEqual(
          replies.map(({ status }) => status),
          [201, 201],
        )
        assert.equal((await pageOf(place, 'matrix-both', 'writeTo')).files.length, 2)
      },
    },
    {
      name: 'attestations are kept with their file',
      run: (place) => {
        const upload = wheel({ name: 'matrix-attested', version: '1.0' })
        return published(place, upload, { fields: { attestations: JSON.stringify([attestation(upload)]) } })
      },
    },
    {
      name: 'what contradicts itself is refused in a sentence, and nothing is there',
      run: async (place) => {
        const bad: [FormOptions['fields'], RegExp][] = [
          [{ sha256_digest: '0'.repeat(64) }, /have the sha256/],
          [{ md5_digest: undefined, sha256_digest: undefined }, /at least one of/],
          [{ version: '9' }, /form's version/],
          [{ name: 'other' }, /form's name/],
          [{ ':action': 'submit' }, /not offered/],
        ]
        for (const [fields, sentence] of bad) {
          const reply = await post(place, wheel({ name: 'matrix-bad', version: '1.0' }), { ...(fields && { fields }) })
          assert.equal(reply.status, 400)
          assert.match(((await reply.json()) as { detail: string }).detail, sentence)
        }
        assert.equal((await read(place, '/simple/matrix-bad/', 'writeTo')).status, 404)
      },
    },
    {
      name: 'a version is yanked, with a reason, and back',
      run: async (place) => {
        const address = '/pypi/matrix-plain/1.0/yank'
        assert.equal((await write(place, address, { method: 'PUT', body: 'it is <broken>' })).status, 204)
        const yanked = (await pageOf(place, 'matrix-plain', 'writeTo')).files.filter((file) => file.yanked !== false)
        assert.deepEqual(
          yanked.map((file) => file.yanked),
          ['it is <broken>', 'it is <broken>'],
        )
        assert.equal((await write(place, address, { method: 'DELETE' })).status, 204)
        assert.equal((await write(place, '/pypi/matrix_plain/2.0-RC1/yank', { method: 'PUT' })).status, 204)
      },
    },
    {
      name: 'a version is removed, and its files never come back',
      run: async (place) => {
        await published(place, wheel(gone))
        assert.equal((await write(place, '/pypi/matrix-gone/1.0', { method: 'DELETE' })).status, 204)
        assert.equal((await read(place, '/simple/matrix-gone/', 'writeTo')).status, 404)
        assert.equal((await post(place, wheel(gone))).status, 409)
      },
    },
    {
      name: 'one file of several is removed, the others stay, and with the last one the version goes',
      run: async (place) => {
        await published(place, wheel(partly))
        await published(place, sdist(partly))
        const file = `/matrix-partly/1.0/${wheel(partly).file}`
        assert.equal((await write(place, file, { method: 'DELETE' })).status, 204)
        assert.equal((await read(place, file, 'writeTo')).status, 404)
        assert.equal((await read(place, `${file}.metadata`, 'writeTo')).status, 404)
        assert.equal((await write(place, file, { method: 'DELETE' })).status, 404)
        const { files } = await pageOf(place, 'matrix-partly', 'writeTo')
        assert.deepEqual(
          files.map(({ filename }) => filename),
          [sdist(partly).file],
        )
        assert.equal((await post(place, wheel(partly, { metadata: `${METADATA}Summary: other\n` }))).status, 409)
        const last = `/matrix-partly/1.0/${sdist(partly).file}`
        assert.equal((await write(place, last, { method: 'DELETE' })).status, 204)
        assert.equal((await read(place, '/simple/matrix-partly/', 'writeTo')).status, 404)
      },
    },
    {
      name: 'nobody publishes without credentials',
      run: async (place) => {
        const { authorization: _, ...anonymous } = place
        const reply = await post(
          { ...anonymous, authorization: '' },
          wheel({ name: 'matrix-anonymous', version: '1.0' }),
        )
        assert.equal(reply.status, 401)
        assert.match(reply.headers.get('www-authenticate') ?? '', /^Basic/)
      },
    },
  ],
  reads: [
    {
      name: 'the JSON page has every file, with digests, sizes, times and core metadata',
      run: async (place) => {
        const reply = await read(place, '/simple/matrix-plain/', 'readFrom', { accept: PIP })
        assert.equal(reply.headers.get('content-type'), JSON_FORM)
        assert.match(reply.headers.get('vary') ?? '', /accept/)
        const page = (await reply.json()) as Page
        assert.deepEqual(page.versions, ['1.0', '2.0rc1'])
        assert.deepEqual(
          page.files.map(({ filename }) => filename),
          [wheel(one).file, sdist(one).file, wheel(two).file],
        )
        for (const file of page.files) assert.equal(file['requires-python'], '>=3.8')
        assert.deepEqual(
          page.files.map(({ yanked }) => yanked),
          [false, false, true],
        )
        assert.equal(page.files[0]?.size, wheel(one).bytes.length)
        assert.match(page.files[0]?.['upload-time'] ?? '', /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
        assert.equal(page.files[1]?.['core-metadata'], false)
      },
    },
    {
      name: 'the HTML page says the same',
      run: async (place) => {
        const reply = await read(place, '/simple/matrix-plain/', 'readFrom', { accept: 'text/html' })
        assert.match(reply.headers.get('content-type') ?? '', /^text\/html/)
        const page = await reply.text()
        assert.equal(page.match(/<a /g)?.length, 3)
        assert.match(page, /data-requires-python="&gt;=3\.8"/)
        assert.match(page, /data-core-metadata="sha256=[0-9a-f]{64}"/)
        assert.match(page, /data-yanked=""/)
        assert.ok(page.includes(`#sha256=${sha256(sdist(one).bytes)}"`))
      },
    },
    {
      name: 'an unchanged page costs 304, and its forms have different tags',
      run: async (place) => {
        const tags = []
        for (const accept of [PIP, 'text/html']) {
          const etag = (await read(place, '/simple/matrix-plain/', 'readFrom', { accept })).headers.get('etag') ?? ''
          assert.equal(
            (await read(place, '/simple/matrix-plain/', 'readFrom', { accept, 'if-none-match': etag })).status,
            304,
          )
          tags.push(etag)
        }
        assert.notEqual(tags[0], tags[1])
      },
    },
    {
      name: 'files and their metadata are where the page says',
      run: async (place) => {
        for (const upload of [wheel(one), sdist(one)]) {
          const file = (await pageOf(place, 'matrix-plain')).files.find(({ filename }) => filename === upload.file)
          assert.ok(file?.url.startsWith(`${place.readFrom}/`), file?.url)
          const reply = await place.send(file?.url ?? '', { headers: { authorization: place.authorization } })
          const bytes = Buffer.from(await reply.arrayBuffer())
          assert.ok(bytes.equals(upload.bytes))
          assert.equal(file?.hashes.sha256, sha256(bytes))
          if (file?.['core-metadata'] === false) continue
          const metadata = await place.send(`${file?.url}.metadata`, {
            headers: { authorization: place.authorization },
          })
          const text = await metadata.text()
          assert.match(text, /^Metadata-Version: 2\.1\nName: Matrix\.Plain\n/)
          assert.deepEqual(file?.['core-metadata'], { sha256: sha256(Buffer.from(text)) })
        }
      },
    },
    {
      name: 'other spellings and a missing slash lead to the page',
      run: async (place) => {
        for (const path of ['/simple/Matrix.Plain/', '/simple/matrix_plain', '/simple/matrix-plain']) {
          const reply = await read(place, path, 'readFrom', {}, 'manual')
          assert.equal(reply.status, 301, path)
          assert.equal(reply.headers.get('location'), `${place.readFrom}/simple/matrix-plain/`)
        }
        const root = await read(place, '/simple', 'readFrom', {}, 'manual')
        assert.equal(root.headers.get('location'), `${place.readFrom}/simple/`)
      },
    },
    {
      name: 'the root index has every project that has files',
      hosted: true,
      run: async (place) => {
        const names = ['matrix-attested', 'matrix-both', 'matrix-plain']
        const json = await read(place, '/simple/', 'readFrom', { accept: JSON_FORM })
        const { projects } = (await json.json()) as { projects: { name: string }[] }
        assert.deepEqual(
          projects.map(({ name }) => name),
          names,
        )
        const html = await (await read(place, '/simple/')).text()
        assert.deepEqual(
          [...html.matchAll(/href="([^"]+)\/"/g)].map(([, name]) => name),
          names,
        )
      },
    },
    {
      name: 'the JSON API has what the metadata says, and the newest version that is no prerelease',
      run: async (place) => {
        const all = (await (await read(place, '/pypi/matrix-plain/json')).json()) as JsonApi
        assert.equal(all.info.version, '1.0')
        assert.equal(all.info.name, 'Matrix.Plain')
        assert.equal(all.info.summary, 'A matrix package')
        assert.match(all.info.description, /^# Matrix\.Plain/)
        assert.deepEqual(all.info.project_urls, { Home: 'https://example.test/home' })
        assert.deepEqual(Object.keys(all.releases ?? {}).sort(), ['1.0', '2.0rc1'])
        assert.deepEqual(
          all.urls.map(({ packagetype }) => packagetype),
          ['bdist_wheel', 'sdist'],
        )
        const version = (await (await read(place, '/pypi/matrix-plain/2.0rc1/json')).json()) as JsonApi
        assert.deepEqual(version.info.requires_dist, two.requires)
        assert.equal(version.info.yanked, true)
        assert.equal(version.releases, undefined)
        assert.equal((await read(place, '/pypi/matrix-plain/3.0/json')).status, 404)
      },
    },
    {
      name: 'the provenance is where the page says, with what was attested',
      run: async (place) => {
        const [file] = (await pageOf(place, 'matrix-attested')).files
        assert.ok(file?.provenance?.startsWith(`${place.readFrom}/integrity/matrix-attested/1.0/`))
        const reply = await place.send(file?.provenance ?? '', { headers: { authorization: place.authorization } })
        const { attestation_bundles: bundles } = (await reply.json()) as {
          attestation_bundles: { attestations: object[] }[]
        }
        assert.deepEqual(bundles[0]?.attestations, [attestation(wheel({ name: 'matrix-attested', version: '1.0' }))])
        assert.equal((await pageOf(place, 'matrix-plain')).files[0]?.provenance, null)
      },
    },
    {
      name: 'what is not there is 404',
      hosted: true,
      run: async (place) => {
        for (const path of [
          '/simple/matrix-nothing/',
          '/simple/matrix-gone/',
          '/pypi/matrix-nothing/json',
          '/matrix-gone/1.0/matrix_gone-1.0-py3-none-any.whl',
        ])
          assert.equal((await read(place, path)).status, 404, path)
      },
    },
  ],
  refusals: [
    {
      name: 'an upload is refused for now',
      run: async (place) => {
        const reply = await post(place, wheel({ name: 'matrix-later', version: '1.0' }))
        assert.equal(reply.status, 503)
        assert.ok(reply.headers.get('retry-after'))
        assert.equal((await read(place, '/simple/matrix-later/')).status, 404)
      },
    },
  ],
}

const METADATA = 'Metadata-Version: 2.1\nName: matrix-partly\nVersion: 1.0\n'

interface Page {
  versions: string[]
  files: {
    filename: string
    url: string
    hashes: { sha256: string }
    'requires-python'?: string
    'core-metadata': unknown
    'upload-time': string
    size: number
    yanked: boolean | string
    provenance: string | null
  }[]
}

interface JsonApi {
  info: Record<'name' | 'version' | 'summary' | 'description', string> &
    Record<'project_urls' | 'requires_dist' | 'yanked', unknown>
  releases?: Record<string, unknown[]>
  urls: { packagetype: string }[]
}

function attestation({ file, bytes }: Upload) {
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: file, digest: { sha256: sha256(bytes) } }],
  }
  return {
    version: 1,
    verification_material: { certificate: 'AA==', transparency_entries: [{}] },
    envelope: { statement: Buffer.from(JSON.stringify(statement)).toString('base64'), signature: 'AA==' },
  }
}

async function published(place: Place, upload: Upload, options: FormOptions = {}, path = '/legacy/'): Promise<void> {
  const reply = await post(place, upload, options, path)
  assert.equal(reply.status, 201, await reply.text())
  const page = await read(place, `/simple/${upload.project.name.replace(/\./g, '-').toLowerCase()}/`, 'writeTo')
  assert.ok((await page.text()).includes(upload.file), 'a client reads its own write where it wrote')
}

function post(place: Place, upload: Upload, options: FormOptions = {}, path = '/legacy/'): Promise<Response> {
  return write(place, path, {
    method: 'POST',
    body: uploadForm(upload, options),
    headers: { 'content-type': FORM_TYPE },
  })
}

function write(place: Place, path: string, { headers, ...init }: SendOptions): Promise<Response> {
  const { authorization } = place
  return place.send(place.writeTo + path, {
    ...init,
    headers: { ...headers, ...(authorization === '' ? {} : { authorization }) },
  })
}

function read(
  place: Place,
  path: string,
  from: 'readFrom' | 'writeTo' = 'readFrom',
  headers: Record<string, string> = {},
  redirect?: 'manual',
): Promise<Response> {
  return place.send(place[from] + path, {
    headers: { authorization: place.authorization, ...headers },
    ...(redirect ? { redirect } : {}),
  })
}

async function pageOf(place: Place, name: string, from: 'readFrom' | 'writeTo' = 'readFrom'): Promise<Page> {
  return (await (await read(place, `/simple/${name}/`, from, { accept: PIP })).json()) as Page
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
