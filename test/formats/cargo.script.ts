/** Cargo, as it speaks: publish, yank, owners, search, and the sparse index with its downloads. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type CrateDraft, crateOf, publishBody } from '../support/crate.js'
import { type Place, read, type Script, type SendOptions } from './script.js'

const plain: CrateDraft = {
  name: 'Matrix_Plain',
  vers: '1.0.0',
  description: 'A matrix crate',
  keywords: ['matrix'],
  license: 'MIT',
}
const second: CrateDraft = { ...plain, vers: '1.1.0+build.5', description: 'A better matrix crate' }
const user: CrateDraft = {
  name: 'matrix-user',
  vers: '0.1.0-rc.1',
  rust_version: '1.70',
  links: 'zed',
  features: { default: ['std'], std: [], extra: ['dep:helper', 'plain?/std'] },
  deps: [
    dependency({ name: 'Matrix_Plain', explicit_name_in_toml: 'plain', version_req: '^1', optional: true }),
    dependency({
      name: 'helper',
      version_req: '>=1.2, <3',
      registry: 'sparse+https://elsewhere.test/',
      optional: true,
    }),
    dependency({
      name: 'tool',
      version_req: '*',
      kind: 'dev',
      target: 'cfg(unix)',
      default_features: false,
      features: ['a'],
    }),
  ],
}

export const cargoScript: Script = {
  format: 'cargo',
  upstream: '/',
  writes: [
    { name: 'a crate is published', run: (place) => published(place, plain) },
    { name: 'a version with build metadata is published', run: (place) => published(place, second) },
    { name: 'a crate with dependencies and features is published', run: (place) => published(place, user) },
    {
      name: 'the same bytes again succeed, other bytes and other build metadata do not',
      run: async (place) => {
        assert.equal((await publish(place, plain)).status, 200)
        const other = crateOf(plain, [{ name: 'Matrix_Plain-1.0.0/x', content: 'x' }])
        await refused(await publish(place, plain, other), 409, /Matrix_Plain 1\.0\.0 is already uploaded/)
        await refused(await publish(place, { ...second, vers: '1.1.0+other' }), 409, /only in build metadata/)
      },
    },
    {
      name: 'a name that differs by case or by - and _ is the same crate',
      run: async (place) => {
        for (const name of ['matrix_plain', 'Matrix-Plain'])
          await refused(await publish(place, { ...plain, name, vers: '3.0.0' }), 409, /called Matrix_Plain here/)
      },
    },
    {
      name: 'a version is yanked, and unyanked under another spelling',
      run: async (place) => {
        const yank = '/api/v1/crates/Matrix_Plain/1.0.0/yank'
        assert.deepEqual(await object(await write(place, yank, { method: 'DELETE' })), { ok: true })
        assert.deepEqual(await yanked(place), [true, false])
        const unyank = '/api/v1/crates/matrix-plain/1.0.0/unyank'
        assert.deepEqual(await object(await write(place, unyank, { method: 'PUT' })), { ok: true })
        assert.deepEqual(await yanked(place), [false, false])
        const later = '/api/v1/crates/Matrix_Plain/1.1.0%2Bbuild.5/yank'
        assert.equal((await write(place, later, { method: 'DELETE' })).status, 200)
        assert.equal((await write(place, later, { method: 'DELETE' })).status, 200)
        assert.deepEqual(await yanked(place), [false, true])
        await refused(
          await write(place, '/api/v1/crates/Matrix_Plain/9.0.0/yank', { method: 'DELETE' }),
          404,
          /no version/,
        )
        await refused(await write(place, '/api/v1/crates/nothing/1.0.0/yank', { method: 'DELETE' }), 404, /no version/)
      },
    },
    {
      name: 'owners are added and removed, and one always stays',
      run: async (place) => {
        const path = '/api/v1/crates/Matrix_Plain/owners'
        const users = (names: string[]) => ({ body: JSON.stringify({ users: names }) })
        const added = await object(await write(place, path, { method: 'PUT', ...users(['friend', 'other']) }))
        assert.equal(added.ok, true)
        assert.match(String(added.msg), /friend, other .*grants of the repository/)
        assert.equal((await write(place, path, { method: 'DELETE', ...users(['other']) })).status, 200)
        await refused(await write(place, path, { method: 'DELETE', ...users(['other']) }), 404, /not an owner/)
        await refused(
          await write(place, path, { method: 'DELETE', ...users([place.user.name, 'friend']) }),
          400,
          /must keep an owner/,
        )
      },
    },
    {
      name: 'a token is taken as cargo sends it, alone',
      run: async (place) => {
        const authorization = place.authorization.replace('Bearer ', '')
        const me = await place.send(`${place.writeTo}/api/v1/me`, { headers: { authorization } })
        assert.equal(((await object(me)).user as { login: string }).login, place.user.name)
        const wrong = { authorization: `${authorization}x` }
        assert.equal((await place.send(`${place.writeTo}/api/v1/me`, { headers: wrong })).status, 401)
      },
    },
    {
      name: 'nobody publishes without credentials',
      run: async (place) => {
        const body = publishBody({ name: 'matrix-anonymous', vers: '1.0.0' })
        const reply = await place.send(`${place.writeTo}/api/v1/crates/new`, { method: 'PUT', body })
        assert.match(reply.headers.get('www-authenticate') ?? '', /^Cargo login_url="[^"]+\/me"/)
        await refused(reply, 401, /credentials/)
      },
    },
  ],
  reads: [
    {
      name: 'config.json names addresses below the repository that was asked',
      hosted: true,
      run: async (place) => {
        const reply = await read(place, '/config.json')
        assert.match(reply.headers.get('content-type') ?? '', /^application\/json/)
        assert.deepEqual(await object(reply), { dl: `${place.readFrom}/api/v1/crates`, api: place.readFrom })
        const etag = reply.headers.get('etag') ?? ''
        assert.equal((await read(place, '/config.json', 'readFrom', { 'if-none-match': etag })).status, 304)
      },
    },
    {
      name: 'the index has one line per version, in the order of publishing',
      run: async (place) => {
        const reply = await read(place, '/ma/tr/matrix_plain')
        assert.equal(reply.status, 200)
        assert.match(reply.headers.get('content-type') ?? '', /^text\/plain/)
        const lines = await linesOf(reply)
        assert.deepEqual(
          lines.map(({ pubtime, ...line }) => {
            assert.match(String(pubtime), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
            return line
          }),
          [plain, second].map((draft, i) => ({
            name: draft.name,
            vers: draft.vers,
            deps: [],
            cksum: sha256(crateOf(draft)),
            features: {},
            yanked: i === 1,
          })),
        )
      },
    },
    {
      name: 'dependencies and features are said as the index says them',
      run: async (place) => {
        const [line] = await linesOf(await read(place, '/ma/tr/matrix-user'))
        const rest = { features: [], default_features: true, target: null, kind: 'normal', registry: null }
        assert.deepEqual(line?.deps, [
          { ...rest, name: 'plain', package: 'Matrix_Plain', req: '^1', optional: true },
          { ...rest, name: 'helper', req: '>=1.2, <3', optional: true, registry: 'sparse+https://elsewhere.test/' },
          {
            ...rest,
            name: 'tool',
            req: '*',
            optional: false,
            features: ['a'],
            default_features: false,
            target: 'cfg(unix)',
            kind: 'dev',
          },
        ])
        assert.deepEqual(line?.features, { default: ['std'], std: [] })
        assert.deepEqual(line?.features2, { extra: ['dep:helper', 'plain?/std'] })
        assert.equal(line?.v, 2)
        assert.equal(line?.rust_version, '1.70')
        assert.equal(line?.links, 'zed')
      },
    },
    {
      name: 'an unchanged index costs 304, by ETag and by time',
      run: async (place) => {
        const first = await read(place, '/ma/tr/matrix_plain')
        const etag = first.headers.get('etag') ?? ''
        const since = first.headers.get('last-modified') ?? ''
        for (const header of [{ 'if-none-match': etag }, { 'if-modified-since': since }])
          assert.equal((await read(place, '/ma/tr/matrix_plain', 'readFrom', header)).status, 304)
      },
    },
    {
      name: 'a crate is downloaded without a redirect, whole and in parts, and is a plain file too',
      run: async (place) => {
        for (const draft of [plain, second, user]) {
          const bytes = crateOf(draft)
          const path = `/api/v1/crates/${draft.name}/${draft.vers}/download`
          const reply = await read(place, path)
          assert.equal(reply.status, 200)
          assert.ok(Buffer.from(await reply.arrayBuffer()).equals(bytes))
          const part = await read(place, path, 'readFrom', { range: 'bytes=2-5' })
          assert.equal(part.status, 206)
          assert.ok(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(2, 6)))
          const id = draft.name.toLowerCase().replace('_', '-')
          const file = await read(place, `/${id}/${draft.name}-${draft.vers}.crate`)
          assert.ok(Buffer.from(await file.arrayBuffer()).equals(bytes))
        }
      },
    },
    {
      name: 'search finds crates by name and by description, and names the newest that is not yanked',
      hosted: true,
      run: async (place) => {
        for (const query of ['matrix_plain', 'Matrix-Pl', 'better']) {
          const found = await object(await read(place, `/api/v1/crates?q=${query}&per_page=5`))
          const [crate, ...others] = found.crates as { name: string; max_version: string; description: string }[]
          assert.deepEqual(others, [])
          assert.equal(crate?.name, 'Matrix_Plain')
          assert.equal(crate?.max_version, '1.0.0')
          assert.equal(crate?.description, 'A better matrix crate')
        }
        const page = await object(await read(place, '/api/v1/crates?q=matrix&per_page=1&page=2'))
        assert.equal((page.crates as unknown[]).length, 1)
        assert.deepEqual(page.meta, { total: 2 })
      },
    },
    {
      name: 'a crate is described with its versions and owners',
      hosted: true,
      run: async (place) => {
        const { crate, versions } = await object(await read(place, '/api/v1/crates/matrix-plain'))
        assert.equal((crate as { name: string }).name, 'Matrix_Plain')
        assert.deepEqual(
          (versions as { num: string; yanked: boolean }[]).map(({ num, yanked }) => [num, yanked]),
          [
            ['1.1.0+build.5', true],
            ['1.0.0', false],
          ],
        )
        const { users } = await object(await read(place, '/api/v1/crates/Matrix_Plain/owners'))
        assert.deepEqual(
          (users as { login: string; id: number }[]).map(({ id, login }) => [id, login]),
          [
            [1, place.user.name],
            [2, 'friend'],
          ],
        )
        assert.match(await (await read(place, '/me')).text(), /cargo login --registry/)
      },
    },
    {
      name: "what is not there is 404 in cargo's own document",
      hosted: true,
      run: async (place) => {
        for (const path of [
          '/no/th/nothing',
          '/ma/tr/matrix-plain',
          '/ma/xx/matrix_plain',
          '/3/m/matrix_plain',
          '/1/a',
          '/3/a/abc',
          '/api/v1/crates/nothing',
          '/api/v1/crates/Matrix_Plain/1.1.0/download',
          '/api/v1/crates/Matrix_Plain/9.9.9/download',
          '/matrix-plain/Matrix_Plain-9.9.9.crate',
        ])
          await refused(await read(place, path), 404, /./)
      },
    },
  ],
  refusals: [
    {
      name: 'a publish and a yank are refused for now',
      run: async (place) => {
        const replies = [
          await publish(place, { name: 'matrix-later', vers: '1.0.0' }),
          await write(place, '/api/v1/crates/Matrix_Plain/1.0.0/yank', { method: 'DELETE' }),
        ]
        for (const reply of replies) {
          assert.ok(reply.headers.get('retry-after'))
          await refused(reply, 503, /primary/)
        }
        assert.equal((await read(place, '/ma/tr/matrix-later')).status, 404)
      },
    },
  ],
}

function dependency(more: Record<string, unknown>): object {
  return {
    optional: false,
    default_features: true,
    features: [],
    target: null,
    kind: 'normal',
    registry: null,
    explicit_name_in_toml: null,
    ...more,
  }
}

async function published(place: Place, draft: CrateDraft): Promise<void> {
  const reply = await publish(place, draft)
  assert.equal(reply.status, 200, await reply.clone().text())
  assert.deepEqual(await object(reply), { warnings: { invalid_categories: [], invalid_badges: [], other: [] } })
  const lower = draft.name.toLowerCase()
  const lines = await linesOf(await read(place, `/ma/tr/${lower}`, 'writeTo'))
  assert.equal(lines.at(-1)?.vers, draft.vers, 'a client reads its own write where it wrote')
}

function publish(place: Place, draft: CrateDraft, crate?: Buffer): Promise<Response> {
  return write(place, '/api/v1/crates/new', { method: 'PUT', body: publishBody(draft, crate) })
}

function write(place: Place, path: string, init: SendOptions): Promise<Response> {
  return place.send(place.writeTo + path, { ...init, headers: { authorization: place.authorization } })
}

async function yanked(place: Place): Promise<unknown[]> {
  return (await linesOf(await read(place, '/ma/tr/matrix_plain', 'writeTo'))).map((line) => line.yanked)
}

async function refused(reply: Response, status: number, sentence: RegExp): Promise<void> {
  const body = await reply.text()
  assert.equal(reply.status, status, body)
  const { errors } = JSON.parse(body) as { errors: { detail: string }[] }
  assert.match(errors[0]?.detail ?? '', sentence)
}

async function linesOf(reply: Response): Promise<Record<string, unknown>[]> {
  const text = await reply.text()
  assert.equal(reply.status, 200, text)
  assert.ok(text.endsWith('\n'))
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

async function object(reply: Response): Promise<Record<string, unknown>> {
  return (await reply.json()) as Record<string, unknown>
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
