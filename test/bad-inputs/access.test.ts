/** Group C of the bad inputs: identities, tokens and decisions, at the assembled primary and node. */
import assert from 'node:assert/strict'
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose'
import { Agent, request } from 'undici'
import type { PrimarySettings } from '../../protocol/settings.js'
import { until } from '../support/fleet.js'
import { publishDocument } from '../support/npm-package.js'
import { type Watched, watched } from './watched.js'

const PASSWORD = 'correct horse battery staple 7'
const CONTENT = 'not for everybody'
const TOKEN_CANARY = 'cairn_'

interface Identity {
  node: string
  seed: string
  fleet: string
  certificate: string
}

describe('bad identities and rights', { timeout: 120_000 }, () => {
  let at: Watched
  const tokens: Record<string, string> = {}
  const ids: Record<string, string> = {}
  const rest = (url: string, method: string, path: string, who?: string, body?: unknown): Promise<Response> =>
    fetch(url + path, {
      method,
      headers: { 'content-type': 'application/json', ...(who === undefined ? {} : { authorization: who }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const signIn = async (username: string): Promise<{ access_token: string; refresh_token: string }> =>
    (await (
      await rest(at.primary, 'POST', '/api/v1/auth/login', undefined, { username, password: PASSWORD })
    ).json()) as { access_token: string; refresh_token: string }
  const token = async (name: string, username: string, scopes: string[]): Promise<void> => {
    const { access_token } = await signIn(username)
    const reply = await rest(at.primary, 'POST', '/api/v1/auth/tokens', `Bearer ${access_token}`, { name, scopes })
    const { value, id } = (await reply.json()) as { value: string; id: string }
    tokens[name] = `Bearer ${value}`
    ids[name] = id
  }

  before(async () => {
    at = await watched()
    const { api, admin } = at.fleet
    for (const username of ['writer', 'nobody', 'other', 'fired', 'reader'])
      await api('POST', '/api/v1/users', { username, password: PASSWORD, email: `${username}@example.test` })
    for (const [key, format, repo_type] of [
      ['secret', 'npm', 'local'],
      ['files', 'generic', 'local'],
      ['elsewhere', 'generic', 'local'],
      ['all', 'npm', 'virtual'],
    ])
      await api('POST', '/api/v1/repositories', { key, name: key, format, repo_type, is_public: false })
    await api('POST', '/api/v1/repositories/all/members', { member_key: 'secret' })
    const grant = (name: string, repository: string, actions: string[]): Promise<unknown> =>
      api('POST', '/api/v1/grants', { user: name, repository, actions })
    for (const repository of ['secret', 'files']) await grant('writer', repository, ['read', 'write'])
    for (const repository of ['secret', 'files', 'all']) await grant('reader', repository, ['read'])
    for (const repository of ['secret', 'files']) await grant('fired', repository, ['read', 'write', 'delete'])
    await grant('other', 'elsewhere', ['read', 'write', 'delete'])
    for (const name of ['writer', 'nobody', 'other', 'fired', 'reader']) await token(name, name, ['*'])
    await token('read-only', 'fired', ['read'])
    await token('revoked', 'writer', ['*'])
    const put = async (path: string, body: string): Promise<void> => {
      const reply = await fetch(at.primary + path, {
        method: 'PUT',
        body,
        headers: { authorization: admin, 'content-type': 'application/json' },
      })
      assert.equal(reply.status, 201, await reply.text())
    }
    await put('/repository/files/folder/kept.txt', CONTENT)
    await put('/repository/secret/hush', JSON.stringify(publishDocument({ name: 'hush', version: '1.0.0' })))
    await at.begin()
  })
  after(() => at.close())

  describe('C01 to C09: node identities on the fleet port', () => {
    const agent = new Agent({ connect: { rejectUnauthorized: false } })
    let own: Identity
    let key: KeyObject
    let calls = 0
    const attacker = createServer((socket) => {
      calls++
      socket.destroy()
    })
    before(async () => {
      own = JSON.parse(
        await readFile(join(at.fleet.nodes[0]?.settings.data ?? '', 'identity.json'), 'utf8'),
      ) as Identity
      const prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
      key = createPrivateKey({
        key: Buffer.concat([prefix, Buffer.from(own.seed, 'base64url')]),
        format: 'der',
        type: 'pkcs8',
      })
      await new Promise<void>((resolve) => attacker.listen(0, '127.0.0.1', resolve))
    })
    after(async () => {
      await agent.close()
      attacker.close()
    })

    const ask = async (headers: Record<string, string>, path = '/fleet/v1/log?after=0&limit=1'): Promise<number> => {
      const { fleetPort } = at.fleet.primary.settings as PrimarySettings
      const reply = await request(`https://127.0.0.1:${fleetPort}${path}`, { dispatcher: agent, headers })
      await reply.body.dump()
      return reply.statusCode
    }
    interface Draft {
      header?: Partial<JWTHeaderParameters>
      payload?: JWTPayload
      key?: KeyObject | Uint8Array
      ageS?: number
      lifeS?: number
    }
    const identity = async ({
      header = {},
      payload = {},
      key: signing = key,
      ageS = 0,
      lifeS = 300,
    }: Draft): Promise<string> => {
      const iat = Math.floor(Date.now() / 1000) - ageS
      return new SignJWT({ iss: own.node, aud: own.fleet, iat, exp: iat + lifeS, ...payload })
        .setProtectedHeader({ alg: 'EdDSA', typ: 'cairn-identity+jwt', ...header })
        .sign(signing)
    }

    it('the right one is let in, so that the others are refused for the right reason', async () => {
      assert.equal(await ask({ 'x-cairn-node': await identity({}) }), 200)
    })

    const stranger = generateKeyPairSync('ed25519')
    const rows: [id: string, make: () => Promise<string>][] = [
      ...['', ' ', 'secret', 'changeme', '\0'.repeat(64)].map((secret): [string, () => Promise<string>] => [
        `C01 HS256 with ${JSON.stringify(secret.slice(0, 10))}`,
        async () => hs256({ iss: own.node, aud: own.fleet }, Buffer.from(secret)),
      ]),
      [
        'C04 HS256 with our public key',
        async () =>
          hs256({ iss: own.node, aud: own.fleet }, createPublicKey(key).export({ type: 'spki', format: 'der' })),
      ],
      [
        'C04 HS256 with our public key as PEM',
        async () =>
          hs256(
            { iss: own.node, aud: own.fleet },
            Buffer.from(createPublicKey(key).export({ type: 'spki', format: 'pem' })),
          ),
      ],
      [
        'no algorithm',
        async () =>
          `${encode({ alg: 'none', typ: 'cairn-identity+jwt' })}.${encode({ iss: own.node, aud: own.fleet, iat: now(), exp: now() + 60 })}.`,
      ],
      ['C05 jku', () => identity({ key: stranger.privateKey, header: { jku: url(attacker.address()) } })],
      ['C05 x5u', () => identity({ key: stranger.privateKey, header: { x5u: url(attacker.address()) } })],
      [
        'C06 an embedded key',
        () =>
          identity({
            key: stranger.privateKey,
            header: { jwk: stranger.publicKey.export({ format: 'jwk' }), kid: own.node },
          }),
      ],
      ['C07 kid: a path', () => identity({ key: stranger.privateKey, header: { kid: '../../dev/null' } })],
      ['C07 kid: SQL', () => identity({ key: stranger.privateKey, header: { kid: "' OR 1=1--" } })],
      ['another key', () => identity({ key: stranger.privateKey })],
      ['an unknown node', () => identity({ payload: { iss: 'somebody' } })],
      ['a node named like a property', () => identity({ payload: { iss: '__proto__' } })],
      ['another fleet', () => identity({ payload: { aud: 'another' } })],
      ['no audience', () => identity({ payload: { aud: '' } })],
      ['C11 expired', () => identity({ ageS: 1000, lifeS: 100 })],
      ['C11 from the future', () => identity({ ageS: -1000 })],
      ['C11 valid for a year', () => identity({ ageS: 100_000, lifeS: 31_536_000 })],
      ['another type', () => identity({ header: { typ: 'JWT' } })],
      ['C09 its certificate', async () => own.certificate],
      ['C09 an API token', async () => tokens.writer?.slice(7) ?? ''],
      [
        'a critical extension',
        () =>
          identity({ header: { crit: ['x'], x: 1 } }).catch(
            async () => `${encode({ alg: 'EdDSA', typ: 'cairn-identity+jwt', crit: ['x'], x: 1 })}.e30.AA`,
          ),
      ],
      ['rubbish', async () => '...'],
      ['ten thousand characters', async () => `${'a'.repeat(5000)}.${'b'.repeat(5000)}.c`],
    ]
    for (const [id, make] of rows)
      it(`${id}: 401 for everything there`, async () => {
        const text = await make()
        for (const path of [
          '/fleet/v1/log?after=0&limit=1',
          '/fleet/v1/feed',
          `/fleet/v1/blobs/${createHash('sha256').update(CONTENT).digest('hex')}?scope=fleet`,
          '/repository/files/folder/kept.txt',
        ])
          assert.equal(await ask({ 'x-cairn-node': text }, path), 401, path)
      })

    it('and without any', async () => {
      for (const path of [
        '/fleet/v1/log?after=0&limit=1',
        '/fleet/v1/feed',
        '/repository/files/folder/kept.txt',
        '/api/v1/users',
      ])
        assert.equal(await ask({}, path), 401, path)
      assert.equal(await ask({ authorization: at.fleet.admin }, '/fleet/v1/log?after=0&limit=1'), 401)
    })

    it('C05 nobody was asked for a key', () => assert.equal(calls, 0))

    it('C09 a node is nobody at the REST interface, and a refresh token is no access token', async () => {
      const { refresh_token } = await signIn('writer')
      for (const side of [at.primary, at.node])
        for (const value of [await identity({}), own.certificate, refresh_token])
          for (const path of ['/api/v1/users', '/api/v1/auth/me', '/repository/files/folder/kept.txt'])
            assert.equal((await rest(side, 'GET', path, `Bearer ${value}`)).status, 401, path)
    })
  })

  it('C12 what a read-only token is exchanged for still only reads', async () => {
    const who = tokens['read-only']
    for (const side of [at.primary, at.node]) {
      const made = await rest(side, 'POST', '/api/v1/auth/tokens', who, { name: 'more', scopes: ['*'] })
      const npm = await rest(side, 'POST', '/repository/secret/-/npm/v1/tokens', who, {
        password: PASSWORD,
        readonly: false,
        cidr_whitelist: [],
      })
      for (const reply of [made, npm]) {
        const { value, token: other } = (await reply.json()) as { value?: string; token?: string }
        const gained = value ?? other
        if (gained === undefined) assert.ok([400, 401, 403].includes(reply.status), String(reply.status))
        else
          for (const url of [at.primary, at.node])
            assert.equal(
              (
                await fetch(`${url}/repository/files/gained`, {
                  method: 'PUT',
                  body: 'x',
                  headers: { authorization: `Bearer ${gained}` },
                })
              ).status,
              403,
            )
      }
      assert.equal(
        (
          await fetch(`${side}/repository/files/gained`, {
            method: 'PUT',
            body: 'x',
            headers: { authorization: who ?? '' },
          })
        ).status,
        403,
      )
      assert.equal((await rest(side, 'DELETE', '/repository/files/folder/kept.txt', who)).status, 403)
    }
  })

  it('C15 a revoked token is refused at once at the primary, and within seconds at a node', async () => {
    for (const side of [at.primary, at.node])
      assert.equal((await rest(side, 'GET', '/repository/files/folder/kept.txt', tokens.revoked)).status, 200)
    assert.equal((await rest(at.primary, 'DELETE', `/api/v1/auth/tokens/${ids.revoked}`, tokens.writer)).status, 204)
    assert.equal((await rest(at.primary, 'GET', '/repository/files/folder/kept.txt', tokens.revoked)).status, 401)
    await until(
      async () => (await rest(at.node, 'GET', '/repository/files/folder/kept.txt', tokens.revoked)).status === 401,
      3_000,
    )
  })

  it('C15 so is everything of a user who is disabled', async () => {
    for (const side of [at.primary, at.node])
      assert.equal((await rest(side, 'GET', '/repository/files/folder/kept.txt', tokens.fired)).status, 200)
    await at.fleet.api('PATCH', '/api/v1/users/fired', { is_disabled: true })
    for (const name of ['fired', 'read-only'])
      assert.equal((await rest(at.primary, 'GET', '/repository/files/folder/kept.txt', tokens[name])).status, 401)
    await until(
      async () => (await rest(at.node, 'GET', '/repository/files/folder/kept.txt', tokens.fired)).status === 401,
      3_000,
    )
    const basic = `Basic ${Buffer.from(`fired:${PASSWORD}`).toString('base64')}`
    for (const side of [at.primary, at.node])
      assert.equal((await rest(side, 'GET', '/repository/files/folder/kept.txt', basic)).status, 401)
  })

  it('C19 headers that name a user or an address are nobody’s credentials', async () => {
    for (const side of [at.primary, at.node])
      for (const headers of [
        { 'x-forwarded-for': '127.0.0.1' },
        { 'x-real-ip': '127.0.0.1' },
        { forwarded: 'for=127.0.0.1' },
        { 'x-webauth-user': 'admin' },
        { 'x-remote-user': 'admin' },
        { 'x-cairn-node': 'x' },
        { 'x-cairn-origin': 'http://evil.example' },
        { cookie: 'session=admin' },
      ])
        for (const path of ['/repository/files/folder/kept.txt', '/api/v1/users'])
          assert.equal(
            (await fetch(side + path, { headers: headers as Record<string, string> })).status,
            401,
            JSON.stringify(headers),
          )
  })

  it('C20 who may not read learns nothing by any route, in any way', async () => {
    const digest = createHash('sha256').update(CONTENT).digest('hex')
    const files = [
      '/folder/kept.txt',
      '/folder/',
      '/',
      '/?recursive',
      '/folder/kept.txt.sha256',
      '/folder/kept.txt.md5',
      '/-/uploads/folder/kept.txt',
    ]
    const npm = [
      '/hush',
      '/hush/1.0.0',
      '/hush/latest',
      '/hush/-/hush-1.0.0.tgz',
      '/-/package/hush/dist-tags',
      '/-/package/hush/visibility',
      '/-/package/hush/collaborators',
      '/-/npm/v1/attestations/hush@1.0.0',
      '/-/v1/search?text=hush',
    ]
    const rows = [
      '',
      '/artifacts',
      '/artifacts/folder/kept.txt',
      '/download/folder/kept.txt',
      '/members',
      '/statistics',
    ]
    const paths = [
      ...files.flatMap((path) =>
        ['/repository/files', '/generic/files', '/artifactory/files', '/artifactory/api/generic/files'].map(
          (base) => base + path,
        ),
      ),
      ...npm.flatMap((path) =>
        ['/repository/secret', '/npm/secret', '/artifactory/api/npm/secret', '/repository/all'].map(
          (base) => base + path,
        ),
      ),
      ...rows.map((path) => `/api/v1/repositories/files${path}`),
      '/api/v1/repositories/secret/artifacts/hush/-/hush-1.0.0.tgz',
      '/api/v1/repositories/secret/download/hush/-/hush-1.0.0.tgz',
      '/api/v1/users',
      '/api/v1/grants',
      '/api/v1/edge-nodes',
      '/api/v1/admin/audit',
    ]
    const ways: [method: string, headers: Record<string, string>][] = [
      ['GET', {}],
      ['HEAD', {}],
      ['GET', { range: 'bytes=0-3' }],
      ['GET', { accept: 'application/vnd.npm.install-v1+json' }],
      ['GET', { 'if-none-match': `"${digest}"` }],
    ]
    const allowed = [401, 403, 404]
    for (const [side, url] of at.sides)
      for (const who of [undefined, tokens.nobody, tokens.other, tokens.revoked, tokens.fired])
        for (const path of paths)
          for (const [method, headers] of ways) {
            const reply = await fetch(url() + path, {
              method,
              headers: { ...headers, ...(who === undefined ? {} : { authorization: who }) },
            })
            const body = await reply.text()
            assert.ok(allowed.includes(reply.status), `${side} ${method} ${path}: ${reply.status} ${body}`)
            assert.ok(!body.includes(CONTENT) && !body.includes(digest))
          }
  })

  it('C20 lists, searches, pages and metrics name nothing that may not be seen', async () => {
    for (const [side, url] of at.sides)
      for (const who of [undefined, tokens.nobody, tokens.other])
        for (const path of [
          '/api/v1/repositories',
          '/api/v1/search/artifacts?q=kept',
          '/api/v1/search/artifacts?name=hush',
          '/api/v1/snippets',
          '/metrics',
          '/',
          '/health',
          '/ready',
        ]) {
          const body = await (await rest(url(), 'GET', path, who)).text()
          for (const name of ['kept.txt', 'hush', '"secret"', '/secret'])
            assert.ok(!body.includes(name), `${side} ${path} names ${name}`)
        }
  })

  it('C21 what belongs to somebody else cannot be changed, and is not told from what does not exist', async () => {
    for (const side of [at.primary, at.node]) {
      for (const id of [ids.writer, ids.reader, '0'.repeat(32), '%00', '../x']) {
        const reply = await rest(side, 'DELETE', `/api/v1/auth/tokens/${id}`, tokens.nobody)
        assert.ok(
          reply.status === 404 || (reply.status === 400 && !/^[0-9a-f]{32}$/.test(id ?? '')),
          `${id}: ${reply.status}`,
        )
      }
      for (const [method, path] of [
        ['DELETE', '/api/v1/users/writer'],
        ['PATCH', '/api/v1/users/writer'],
        ['PUT', '/api/v1/users/writer/password'],
        ['DELETE', '/api/v1/edge-nodes/x'],
        ['POST', '/api/v1/edge-nodes'],
        ['POST', '/api/v1/users'],
        ['POST', '/api/v1/repositories'],
        ['DELETE', '/api/v1/repositories/secret'],
        ['PATCH', '/api/v1/repositories/secret'],
        ['POST', '/api/v1/repositories/all/members'],
        ['POST', '/api/v1/grants'],
      ] as const) {
        const reply = await rest(
          side,
          method,
          path,
          tokens.nobody,
          path.endsWith('/password') ? { password: PASSWORD } : {},
        )
        assert.ok([403, 404].includes(reply.status), `${method} ${path}: ${reply.status}`)
      }
    }
    assert.equal((await rest(at.primary, 'GET', '/repository/files/folder/kept.txt', tokens.writer)).status, 200)
  })

  it('C22 a wrong password and an unknown user get the same answer, in about the same time', async () => {
    const attempt = async (side: string, username: string): Promise<{ text: string; ms: number }> => {
      const begun = performance.now()
      const reply = await rest(side, 'POST', '/api/v1/auth/login', undefined, {
        username,
        password: 'a wrong password',
      })
      const body = (await reply.json()) as { request_id?: string }
      delete body.request_id
      return { text: `${reply.status} ${JSON.stringify(body)}`, ms: performance.now() - begun }
    }
    const [known, unknown]: { text: string; ms: number }[][] = [[], []]
    for (let i = 0; i < 5; i++) {
      known?.push(await attempt(at.primary, 'reader'))
      unknown?.push(await attempt(at.primary, 'no-such-user'))
    }
    assert.deepEqual(new Set(known?.map(({ text }) => text)), new Set(unknown?.map(({ text }) => text)))
    const [a = 0, b = 0] = [known, unknown].map((times = []) => times.map(({ ms }) => ms).sort((x, y) => x - y)[2] ?? 0)
    assert.ok(a / b < 3 && b / a < 3, `${a} ms and ${b} ms`)
  })

  it('C25 without the right to delete nothing is removed or overwritten by any route', async () => {
    const who = tokens.writer
    const document = (await (await rest(at.primary, 'GET', '/repository/secret/hush?write=true', who)).json()) as {
      _rev: string
      versions: object
    }
    for (const side of [at.primary, at.node]) {
      for (const [method, path, body] of [
        ['DELETE', '/repository/files/folder/kept.txt', undefined],
        ['DELETE', '/generic/files/folder/kept.txt', undefined],
        ['DELETE', '/artifactory/files/folder/kept.txt', undefined],
        ['DELETE', '/api/v1/repositories/files/artifacts/folder/kept.txt', undefined],
        ['DELETE', `/repository/secret/hush/-rev/${document._rev}`, undefined],
        ['DELETE', `/repository/secret/hush/-/hush-1.0.0.tgz/-rev/${document._rev}`, undefined],
        ['DELETE', '/api/v1/repositories/secret/artifacts/hush/-/hush-1.0.0.tgz', undefined],
        ['PUT', `/repository/secret/hush/-rev/${document._rev}`, { ...document, versions: {} }],
        ['DELETE', '/api/v1/repositories/files', undefined],
      ] as const) {
        const reply = await rest(side, method, path, who, body)
        assert.ok([403, 405].includes(reply.status), `${method} ${path}: ${reply.status} ${await reply.text()}`)
      }
      for (const path of [
        '/repository/files/folder/kept.txt',
        '/artifactory/files/folder/kept.txt',
        '/api/v1/repositories/files/artifacts/folder/kept.txt',
      ])
        assert.equal(
          (await fetch(side + path, { method: 'PUT', body: 'other', headers: { authorization: who ?? '' } })).status,
          409,
          path,
        )
      assert.equal(await (await rest(side, 'GET', '/repository/files/folder/kept.txt', who)).text(), CONTENT)
      assert.equal((await rest(side, 'GET', '/repository/secret/hush/1.0.0', who)).status, 200)
    }
  })

  it('O11 guessing is slowed down, and who has a token goes on working', async () => {
    const guess = (): Promise<Response> =>
      rest(at.primary, 'POST', '/api/v1/auth/login', undefined, { username: 'reader', password: 'a guess' })
    const statuses = new Set<number>()
    for (let i = 0; i < 30 && !statuses.has(429); i++) {
      const reply = await guess()
      statuses.add(reply.status)
      if (reply.status === 429) assert.ok(Number(reply.headers.get('retry-after')) > 0)
    }
    assert.deepEqual(statuses, new Set([401, 429]))
    for (const side of [at.primary, at.node])
      assert.equal((await rest(side, 'GET', '/repository/files/folder/kept.txt', tokens.reader)).status, 200)
  })

  it('P01 no log holds a token or a password', () => {
    for (const part of at.parts)
      for (const secret of [
        PASSWORD,
        ...Object.values(tokens).map((value) => value.slice(7)),
        at.fleet.admin.slice(7),
      ]) {
        assert.ok(secret.startsWith(TOKEN_CANARY) || secret === PASSWORD)
        assert.ok(!part.output.includes(secret), 'a secret is in a log')
        assert.equal(part.exit, undefined)
      }
  })
})

function now(): number {
  return Math.floor(Date.now() / 1000)
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** By hand: libraries refuse short secrets. */
function hs256(payload: object, secret: Buffer): string {
  const text = `${encode({ alg: 'HS256', typ: 'cairn-identity+jwt' })}.${encode({ iat: now(), exp: now() + 60, ...payload })}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

function url(address: unknown): string {
  return `http://127.0.0.1:${(address as { port: number }).port}/keys`
}
