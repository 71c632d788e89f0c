import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { Audit } from '../../primary/accounts/audit.js'
import { PasswordHashes } from '../../primary/accounts/password.js'
import { PrimaryAccounts } from '../../primary/accounts.js'
import { primaryApi, primaryEndpoints } from '../../primary/api/endpoints.js'
import { Downloads } from '../../primary/downloads.js'
import { Nodes } from '../../primary/nodes.js'
import { PostgresLedger } from '../../primary/postgres/ledger.js'
import { PostgresRows } from '../../primary/postgres/rows.js'
import { Repositories } from '../../primary/repositories.js'
import { Gate } from '../../protocol/access/gate.js'
import { openApi } from '../../protocol/api/openapi.js'
import { MemoryBlobs } from '../../protocol/blobs/memory.js'
import { RegistryError } from '../../protocol/errors.js'
import { type Format, write } from '../../protocol/format.js'
import { json } from '../../protocol/http/reply.js'
import { statusOf } from '../../protocol/http/status.js'
import { Hosted } from '../../protocol/kinds/hosted.js'
import { Prover } from '../../protocol/log/prover.js'
import { State } from '../../protocol/metadata/state.js'
import { Registry } from '../../protocol/registry.js'
import { testIdentity } from '../support/identity.js'
import { type TestDatabase, testDatabase } from '../support/postgres.js'
import { bodyOf, requestOf, type Sent } from '../support/request.js'

const PASSWORD = 'correct horse'
const A = '/api/v1'
let database: TestDatabase
let world: Awaited<ReturnType<typeof build>>
before(async () => {
  database = await testDatabase()
  world = await build(database)
})
after(() => database.close())

describe('the REST interface', () => {
  it('logs in, tells who one is, refreshes and logs out', async () => {
    const session = await world.ok('anonymous', 'POST', `${A}/auth/login`, { username: 'admin', password: PASSWORD })
    assert.deepEqual([session.token_type, session.expires_in], ['Bearer', 3600])
    const me = await world.ok(`Bearer ${session.access_token}`, 'GET', `${A}/auth/me`)
    assert.deepEqual([me.username, me.is_admin, me.token], ['admin', true, null])
    const next = await world.ok('anonymous', 'POST', `${A}/auth/refresh`, { refresh_token: session.refresh_token })
    assert.equal(await world.status(`Bearer ${session.access_token}`, 'GET', `${A}/auth/me`), 401)
    await world.ok(`Bearer ${next.access_token}`, 'POST', `${A}/auth/logout`, {})
    assert.equal(await world.status(`Bearer ${next.access_token}`, 'GET', `${A}/auth/me`), 401)
    assert.equal(
      await world.status('anonymous', 'POST', `${A}/auth/refresh`, { refresh_token: next.refresh_token }),
      401,
    )
    assert.equal(
      await world.status('anonymous', 'POST', `${A}/auth/login`, { username: 'admin', password: 'wrong' }),
      401,
    )
    assert.equal(await world.status('anonymous', 'POST', `${A}/auth/login`, { username: 'admin', password: '' }), 400)
  })

  it('makes users, who see themselves and nobody else', async () => {
    const made = await world.ok(
      'admin',
      'POST',
      `${A}/users`,
      { username: 'ann', password: PASSWORD, email: 'ann@example.org', groups: ['devs'] },
      201,
    )
    assert.deepEqual(
      { ...made, created_at: '' },
      {
        username: 'ann',
        email: 'ann@example.org',
        is_admin: false,
        is_disabled: false,
        groups: ['devs'],
        created_at: '',
      },
    )
    assert.equal(await world.status('admin', 'POST', `${A}/users`, { username: 'ann' }), 409)
    assert.equal(await world.status('admin', 'POST', `${A}/users`, { username: 'weak', password: 'pw' }), 400)
    assert.equal(await world.status('ann', 'GET', `${A}/users`), 403)
    assert.equal(await world.status('anonymous', 'GET', `${A}/users`), 401)
    assert.equal((await world.ok('ann', 'GET', `${A}/users/ann`)).email, 'ann@example.org')
    assert.equal(await world.status('ann', 'GET', `${A}/users/admin`), 404)
    assert.equal((await world.ok('admin', 'PATCH', `${A}/users/ann`, { groups: ['devs', 'ops'] })).groups.length, 2)
    assert.deepEqual((await world.ok('admin', 'GET', `${A}/users?limit=1`)).next, 'admin')
  })

  it('changes passwords: the own one with the current one, others as an administrator', async () => {
    await world.ok('admin', 'POST', `${A}/users`, { username: 'pat', password: PASSWORD }, 201)
    const path = `${A}/users/pat/password`
    assert.equal(await world.status('pat', 'PUT', path, { password: 'new password' }), 400)
    assert.equal(await world.status('pat', 'PUT', path, { password: 'new password', current_password: 'wrong' }), 403)
    assert.equal(await world.status('ann', 'PUT', path, { password: 'new password' }), 403)
    await world.ok('pat', 'PUT', path, { password: 'new password', current_password: PASSWORD }, 204)
    assert.equal(await world.status('pat', 'GET', `${A}/auth/me`), 401)
    await world.ok('admin', 'PUT', path, { password: PASSWORD }, 204)
    assert.equal(await world.status('pat', 'GET', `${A}/auth/me`), 200)
    await world.ok('admin', 'DELETE', `${A}/users/pat`, undefined, 204)
    assert.equal(await world.status('pat', 'GET', `${A}/auth/me`), 401)
  })

  it('makes tokens whose value is shown once, and revokes only what one owns', async () => {
    const made = await world.ok(
      'ann',
      'POST',
      `${A}/auth/tokens`,
      { name: 'ci', scopes: ['read'], expires_in_days: 7 },
      201,
    )
    assert.match(made.value, /^cairn_/)
    assert.ok(made.expires_at > made.created_at)
    const { items } = await world.ok('ann', 'GET', `${A}/auth/tokens`)
    assert.deepEqual([items.length, items[0].id, 'value' in items[0]], [1, made.id, false])
    assert.equal((await world.ok(`Bearer ${made.value}`, 'GET', `${A}/auth/me`)).token.name, 'ci')
    assert.equal(await world.status(`Bearer ${made.value}`, 'POST', `${A}/auth/tokens`, { name: 'more' }), 403)
    await world.ok('admin', 'POST', `${A}/users`, { username: 'eve', password: PASSWORD }, 201)
    assert.equal(await world.status('eve', 'DELETE', `${A}/auth/tokens/${made.id}`), 404)
    await world.ok('ann', 'DELETE', `${A}/auth/tokens/${made.id}`, undefined, 204)
    assert.equal(await world.status(`Bearer ${made.value}`, 'GET', `${A}/auth/me`), 401)
  })

  it('makes, changes and removes repositories', async () => {
    const made = await world.ok(
      'admin',
      'POST',
      `${A}/repositories`,
      { key: 'lib', format: 'files', is_public: false, quota_bytes: 1000 },
      201,
    )
    assert.deepEqual([made.repo_type, made.name, made.quota_bytes, made.used_bytes], ['local', 'lib', 1000, 0])
    assert.equal(await world.status('admin', 'POST', `${A}/repositories`, { key: 'lib', format: 'files' }), 409)
    for (const body of [
      { key: 'Lib', format: 'files' },
      { key: 'x', format: 'cobol' },
      { key: 'x' },
      { key: 'x', format: 'files', quota_bytes: -1 },
      { key: 'x', format: 'files', extra: 1 },
    ])
      assert.equal(await world.status('admin', 'POST', `${A}/repositories`, body), 400, JSON.stringify(body))
    assert.equal(await world.status('ann', 'POST', `${A}/repositories`, { key: 'y', format: 'files' }), 403)
    const changed = await world.ok('admin', 'PATCH', `${A}/repositories/lib`, {
      description: 'd',
      quota_bytes: null,
      repo_type: 'local',
    })
    assert.deepEqual([changed.description, changed.quota_bytes], ['d', null])
    assert.equal(await world.status('admin', 'PATCH', `${A}/repositories/lib`, { repo_type: 'virtual' }), 400)
    assert.equal(await world.status('ann', 'PATCH', `${A}/repositories/lib`, { description: 'x' }), 404)
    await world.ok('admin', 'POST', `${A}/repositories`, { key: 'all', format: 'files', repo_type: 'virtual' }, 201)
    const { items } = await world.ok(
      'admin',
      'POST',
      `${A}/repositories/all/members`,
      { member_key: 'lib', priority: 3 },
      201,
    )
    assert.deepEqual(items, [{ member_key: 'lib', priority: 3 }])
    assert.equal(await world.status('admin', 'DELETE', `${A}/repositories/lib`), 409)
    await world.ok('admin', 'DELETE', `${A}/repositories/all/members/lib`, undefined, 204)
    await world.ok('admin', 'DELETE', `${A}/repositories/all`, undefined, 204)
    assert.equal(await world.status('admin', 'GET', `${A}/repositories/all`), 404)
  })

  it('gives and takes grants, which decide at once', async () => {
    assert.equal(await world.status('ann', 'GET', `${A}/repositories/lib`), 404)
    const made = await world.ok(
      'admin',
      'POST',
      `${A}/grants`,
      { group: 'devs', repository: 'li*', actions: ['read', 'write'] },
      201,
    )
    assert.equal(await world.status('ann', 'GET', `${A}/repositories/lib`), 200)
    assert.equal(await world.status('ann', 'DELETE', `${A}/repositories/lib`), 403)
    assert.equal((await world.ok('admin', 'GET', `${A}/grants?group=devs`)).items.length, 1)
    assert.deepEqual((await world.ok('admin', 'PATCH', `${A}/grants/${made.id}`, { actions: ['read'] })).actions, [
      'read',
    ])
    assert.equal(await world.status('ann', 'PUT', `${A}/repositories/lib/artifacts/x`, 'x'), 403)
    await world.ok('admin', 'DELETE', `${A}/grants/${made.id}`, undefined, 204)
    assert.equal(await world.status('ann', 'GET', `${A}/repositories/lib`), 404)
    for (const body of [
      { repository: 'lib', actions: ['read'] },
      { user: 'ann', group: 'devs', repository: 'lib', actions: ['read'] },
      { user: 'nobody', repository: 'lib', actions: ['read'] },
      { user: 'ann', actions: ['read'] },
      { user: 'ann', repository: 'lib', actions: [] },
      { user: 'ann', repository: 'lib', actions: ['fly'] },
      { user: 'ann', repository: 'L*', actions: ['read'] },
    ])
      assert.equal(await world.status('admin', 'POST', `${A}/grants`, body), 400, JSON.stringify(body))
  })

  it('stores files by the rules of the format, and counts, searches, removes and restores them', async () => {
    const artifacts = `${A}/repositories/lib/artifacts`
    const made = await world.ok('admin', 'PUT', `${artifacts}/docs/a%20b.txt`, 'hello', 201)
    assert.deepEqual([made.path, made.size, made.package], ['docs/a b.txt', 5, 'docs/a b.txt'])
    assert.equal(await world.status('admin', 'PUT', `${artifacts}/docs/a%20b.txt`, 'other'), 409)
    assert.equal(await world.status('anonymous', 'PUT', `${artifacts}/z`, 'z'), 404)
    const reply = await world.call('admin', 'GET', `${A}/repositories/lib/download/docs/a%20b.txt`)
    assert.equal(reply.text, 'hello')
    world.downloads.count((await world.state.repository('lib'))?.scope ?? '', 'docs/a b.txt', 4)
    const detail = await world.ok('admin', 'GET', `${artifacts}/docs/a%20b.txt`)
    assert.deepEqual([detail.download_count, detail.properties, detail.digest], [4, {}, made.digest])
    assert.equal((await world.ok('admin', 'GET', `${A}/repositories/lib/statistics?days=1`)).total, 4)
    assert.equal((await world.ok('admin', 'GET', `${A}/repositories/lib`)).used_bytes, 5)
    for (const query of [`checksum=${made.digest}`, 'name=a%20b', 'path=docs/'])
      assert.deepEqual(
        (await world.ok('admin', 'GET', `${A}/search/artifacts?${query}`)).items.map(
          (item: { path: string }) => item.path,
        ),
        ['docs/a b.txt'],
        query,
      )
    await world.ok('admin', 'DELETE', `${artifacts}/docs/a%20b.txt`, undefined, 204)
    assert.equal(await world.status('admin', 'GET', `${artifacts}/docs/a%20b.txt`), 404)
    assert.equal((await world.ok('admin', 'GET', `${A}/search/artifacts?checksum=${made.digest}`)).items.length, 0)
    assert.equal(
      await world.status('admin', 'PUT', `${artifacts}/docs/a%20b.txt`, 'other'),
      409,
      'its path stays burned',
    )
    assert.equal((await world.ok('admin', 'POST', `${artifacts}/docs/a%20b.txt/restore`)).digest, made.digest)
    assert.equal(await world.status('admin', 'POST', `${artifacts}/docs/a%20b.txt/restore`), 404)
    await world.ok('admin', 'DELETE', `${artifacts}/docs/a%20b.txt`, undefined, 204)
    world.clock.ahead = 31 * 86_400_000
    assert.equal(await world.status('admin', 'POST', `${artifacts}/docs/a%20b.txt/restore`), 409)
    world.clock.ahead = 0
  })

  it('keeps properties beside what the format recorded, also when two change them at once', async () => {
    const path = `${A}/repositories/lib/artifacts/props`
    await world.ok('admin', 'PUT', path, 'p', 201)
    await Promise.all(['a', 'b', 'c'].map((name) => world.ok('admin', 'PATCH', path, { properties: { [name]: name } })))
    assert.deepEqual(
      (await world.ok('admin', 'PATCH', path, { properties: { a: null, 'build.id': '7' } })).properties,
      { b: 'b', c: 'c', 'build.id': '7' },
    )
    assert.deepEqual((await world.ok('admin', 'GET', path)).properties, { b: 'b', c: 'c', 'build.id': '7' })
    const scope = (await world.state.repository('lib'))?.scope ?? ''
    assert.equal(JSON.parse((await world.state.version(scope, 'props', ''))?.meta ?? '').kind, 'file')
    for (const properties of [{ 'a b': 'x' }, { x: 1 }, { x: { y: 1 } }, { x: 'y'.repeat(5000) }])
      assert.equal(await world.status('admin', 'PATCH', path, { properties }), 400)
    const polluted = await world.ok('admin', 'PATCH', path, '{"properties":{"__proto__":"x"}}')
    assert.deepEqual(Object.keys(polluted.properties).sort(), ['b', 'build.id', 'c'])
    assert.equal(
      await world.status('admin', 'PATCH', `${A}/repositories/lib/artifacts/absent`, { properties: {} }),
      404,
    )
  })

  it('makes join tokens, lists nodes, takes policies, and revokes', async () => {
    const made = await world.ok('admin', 'POST', `${A}/edge-nodes`, { name: 'Oslo' }, 201)
    assert.match(made.join_token, /^cairn_join_/)
    const { items } = await world.ok('admin', 'GET', `${A}/edge-nodes`)
    assert.deepEqual([items[0].id, items[0].name, items[0].status, items[0].lag], [made.id, 'Oslo', 'pending', null])
    assert.ok(!JSON.stringify(items).includes(made.join_token))
    const policy = { repository: 'lib', mode: 'scheduled', window: '22:00-06:00' }
    const changed = await world.ok('admin', 'PATCH', `${A}/edge-nodes/${made.id}`, { sync_policies: [policy] })
    assert.deepEqual(changed.sync_policies, [{ ...policy, include: [], exclude: [] }])
    for (const sync_policies of [
      [{ repository: 'lib', mode: 'scheduled' }],
      [{ repository: 'lib', mode: 'now' }],
      [{ ...policy, window: '25:00-26:00' }],
    ])
      assert.equal(await world.status('admin', 'PATCH', `${A}/edge-nodes/${made.id}`, { sync_policies }), 400)
    assert.equal(await world.status('admin', 'POST', `${A}/edge-nodes/${made.id}/sync`), 404, 'it never joined')
    assert.equal(await world.status('ann', 'POST', `${A}/edge-nodes`, {}), 403)
    await world.ok('admin', 'DELETE', `${A}/edge-nodes/${made.id}`, undefined, 204)
    assert.equal((await world.ok('admin', 'GET', `${A}/edge-nodes/${made.id}`)).status, 'revoked')
    assert.equal(await world.status('admin', 'DELETE', `${A}/edge-nodes/absent`), 404)
  })

  it('does nothing for administrators that cannot be written down', async () => {
    await database.pool.query('alter table audit_head rename to audit_head_away')
    try {
      const made = { username: 'unseen', password: 'never to be made' }
      assert.equal(await world.status('admin', 'POST', `${A}/users`, made), 503)
    } finally {
      await database.pool.query('alter table audit_head_away rename to audit_head')
    }
    assert.equal(await world.status('admin', 'GET', `${A}/users/unseen`), 404)
  })

  it('shows administrators who did what, and holds no secret there', async () => {
    const { items } = await world.ok('admin', 'GET', `${A}/admin/audit?limit=1000`)
    const actions = new Set(items.map((item: { action: string }) => item.action))
    for (const action of [
      'auth.login',
      'users.create',
      'tokens.create',
      'repositories.create',
      'grants.delete',
      'artifacts.put',
      'edge_nodes.revoke',
    ])
      assert.ok(actions.has(action), action)
    assert.ok(
      items.some(
        (item: { action: string; outcome: string; username: string }) =>
          item.action === 'auth.login' && item.outcome === 'login_failed' && item.username === 'admin',
      ),
    )
    const text = JSON.stringify(items)
    assert.ok(!text.includes(PASSWORD) && !text.includes('cairn_'))
    assert.equal(await world.status('ann', 'GET', `${A}/admin/audit`), 403)
    const page = await world.ok('admin', 'GET', `${A}/admin/audit?limit=2&action=users.create`)
    assert.equal(page.items.length, 2)
    const rest = await world.ok('admin', 'GET', `${A}/admin/audit?limit=1000&action=users.create&after=${page.next}`)
    assert.ok(rest.items.every((item: { id: number }) => item.id < page.items[1].id))
  })

  it('lets nobody but administrators and users into any endpoint that is not for everybody', async () => {
    for (const endpoint of world.endpoints) {
      if (endpoint.access === 'anyone') continue
      const path = endpoint.path.replace('{key}', 'lib').replace(/\{\w+\*?\}/, 'x')
      const status = await world.status(
        'anonymous',
        endpoint.method,
        path,
        endpoint.method === 'GET' || endpoint.method === 'DELETE' ? undefined : {},
      )
      assert.ok(status === 401 || status === 404, `${endpoint.name} answered ${status}`)
      if (endpoint.access === 'administrator')
        assert.equal(await world.status('ann', endpoint.method, path), 403, endpoint.name)
    }
  })

  it('is described as a whole', () => {
    const text = JSON.stringify(openApi({ version: '1', endpoints: world.endpoints }))
    assert.equal(new Set(world.endpoints.map((one) => one.name)).size, world.endpoints.length)
    assert.ok(text.includes('"/api/v1/edge-nodes/{id}/sync"'))
    assert.ok(!text.includes('$defs'))
  })
})

async function build({ pool }: TestDatabase) {
  const { rows } = await pool.query('select epoch, number from head')
  const state = await State.open(new PostgresRows(pool), {
    epoch: Number(rows[0].epoch),
    number: Number(rows[0].number),
  })
  const ledger = new PostgresLedger(pool, state, () => new Date().toISOString())
  const clock = { ahead: 0 }
  const accounts = new PrimaryAccounts({
    pool,
    ledger,
    metadata: state,
    key: randomBytes(32),
    hashes: new PasswordHashes(1024),
  })
  await accounts.firstStart(PASSWORD)
  const identity = testIdentity(pool, accounts)
  const gate = new Gate(state, accounts)
  const blobs = new MemoryBlobs()
  const downloads = new Downloads(pool)
  const registry = new Registry({
    metadata: state,
    access: gate,
    accounts: (remote) => accounts.at(remote),
    formats: [files],
    open: (record) =>
      new Hosted(record, state, {
        blobs,
        ledger,
        now: () => new Date().toISOString(),
        maxUploadBytes: 1e6,
        restoreMs: 1e9,
      }),
    onError: (error) => assert.fail(String(error)),
    cacheBytes: 1e6,
  })
  const options = {
    metadata: state,
    gate,
    pool,
    ledger,
    accounts,
    audit: new Audit(pool),
    downloads,
    nodes: new Nodes({
      pool,
      ledger,
      metadata: state,
      downloads,
      primary: { url: 'https://primary.test', logKey: 'k'.repeat(43), tlsPin: 't'.repeat(43) },
    }),
    repositories: new Repositories({ metadata: state, ledger, formats: ['files'], types: ['local', 'virtual'] }),
    providers: identity.providers,
    federation: identity.federation,
    trustRules: identity.trustRules,
    exchange: identity.exchange,
    formats: [files],
    open: registry.repository.bind(registry),
    members: registry.members.bind(registry),
    merges: registry.merges.bind(registry),
    blobs,
    file: async (repository, file) => ({ status: 200, headers: {}, body: await repository.open(file) }),
    formatRoute: (request) => registry.handle(request),
    restoreDays: 30,
    prover: new Prover({
      log: { newest: async () => undefined, entry: async () => undefined, leaves: async () => Buffer.alloc(0) },
      metadata: state,
      fleet: 'test',
      publicKey: Buffer.alloc(32),
    }),
    version: '0.1.0',
    nowMs: () => Date.now() + clock.ahead,
  } satisfies Parameters<typeof primaryApi>[0]
  const api = primaryApi(options)
  const call = async (who: string, method: string, target: string, body?: unknown) => {
    const authorization =
      who === 'anonymous'
        ? undefined
        : who.startsWith('Bearer ')
          ? who
          : `Basic ${Buffer.from(`${who}:${PASSWORD}`).toString('base64')}`
    const sent: Sent = {
      ...(authorization ? { headers: { authorization } } : {}),
      ...(body === undefined ? {} : { body }),
    }
    try {
      const principal = authorization ? await gate.authenticate(authorization) : gate.anonymous
      const reply = (await api(requestOf(method, target, sent), principal)) ?? assert.fail(`${target} is no endpoint`)
      return { status: reply.status, text: (await bodyOf(reply)).toString() }
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      return { status: statusOf(error), text: error.message }
    }
  }
  return {
    state,
    clock,
    downloads,
    endpoints: primaryEndpoints(options),
    call,
    status: async (...given: Parameters<typeof call>) => (await call(...given)).status,
    ok: async (who: string, method: string, target: string, body?: unknown, expected?: number) => {
      const { status, text } = await call(who, method, target, body)
      assert.ok(expected === undefined ? status < 300 : status === expected, `${method} ${target}: ${status} ${text}`)
      return text === '' ? undefined : JSON.parse(text)
    },
  }
}

/** The least that a format can be: files by path. */
const files: Format = {
  name: 'files',
  hashes: [],
  snippet: ({ base }) => base,
  routes: [
    write('PUT', '/:path*', async (call) => {
      const { params, request, principal } = call
      const writable = call.target()
      const stored = await writable.receive(request.body, { limit: 1000 })
      const manifest = {
        package: params.path,
        version: '',
        files: [{ ...stored, path: params.path }],
        meta: '{"kind":"file"}',
        publishedAt: writable.now(),
      }
      await writable.commit([{ kind: 'publish', manifest }], principal)
      return json({}, 201)
    }),
  ],
}
