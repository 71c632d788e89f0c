import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { Audit } from '../../primary/accounts/audit.js'
import { PasswordHashes } from '../../primary/accounts/password.js'
import { Turn } from '../../primary/accounts/turn.js'
import { PrimaryAccounts } from '../../primary/accounts.js'
import { primaryApi, primaryEndpoints } from '../../primary/api/endpoints.js'
import { Downloads } from '../../primary/downloads.js'
import { Leases } from '../../primary/leases.js'
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
import { LogTree } from '../../protocol/log/tree.js'
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

describe('rights', () => {
  const privately = (key: string, more: object = {}) =>
    world.ok('admin', 'POST', `${A}/repositories`, { key, format: 'files', ...more }, 201)
  const user = (username: string) => world.ok('admin', 'POST', `${A}/users`, { username, password: PASSWORD }, 201)
  const grant = (body: object) => world.ok('admin', 'POST', `${A}/grants`, body, 201)
  const put = (who: string, key: string, path: string, bytes = 'bytes') =>
    world.status(who, 'PUT', `${A}/repositories/${key}/artifacts/${path}`, bytes)

  it('of a group are its members’ for as long as both are there', async () => {
    await privately('g-files')
    await user('gina')
    await world.ok('admin', 'POST', `${A}/groups`, { name: 'readers', description: 'They read' }, 201)
    assert.equal(await world.status('admin', 'POST', `${A}/groups`, { name: 'readers' }), 409)
    await grant({ group: 'readers', repository: 'g-files', role: 'reader' })
    assert.equal(await world.status('gina', 'GET', `${A}/repositories/g-files`), 404)
    await world.ok('admin', 'PUT', `${A}/groups/readers/members/gina`, undefined, 204)
    const { members, description } = await world.ok('admin', 'GET', `${A}/groups/readers`)
    assert.deepEqual([members, description], [['gina'], 'They read'])
    assert.equal(await world.status('gina', 'GET', `${A}/repositories/g-files`), 200)
    assert.equal(await put('gina', 'g-files', 'a'), 403)
    await world.ok('admin', 'DELETE', `${A}/groups/readers`, undefined, 204)
    assert.equal(await world.status('gina', 'GET', `${A}/repositories/g-files`), 404)
    await world.ok('admin', 'POST', `${A}/groups`, { name: 'readers' }, 201)
    await world.ok('admin', 'PUT', `${A}/groups/readers/members/gina`, undefined, 204)
    assert.equal(
      await world.status('gina', 'GET', `${A}/repositories/g-files`),
      404,
      'the old grant went with the group',
    )
    assert.equal(await world.status('gina', 'GET', `${A}/groups`), 403)
    assert.equal(await world.status('admin', 'PUT', `${A}/groups/readers/members/nobody`), 404)
  })

  it('of a role are those of the role as it is', async () => {
    await privately('r-files')
    await user('rosa')
    await world.ok('admin', 'POST', `${A}/roles`, { name: 'uploader', actions: ['write'] }, 201)
    assert.equal(await world.status('admin', 'POST', `${A}/roles`, { name: 'reader', actions: ['write'] }), 409)
    assert.equal(await world.status('admin', 'PATCH', `${A}/roles/reader`, { actions: ['write'] }), 400)
    const made = await grant({ user: 'rosa', repository: 'r-*', role: 'uploader' })
    assert.deepEqual([made.role, made.actions, made.effect], ['uploader', ['write'], 'allow'])
    assert.equal(await put('rosa', 'r-files', 'a'), 201)
    assert.equal(await world.status('admin', 'DELETE', `${A}/roles/uploader`), 409)
    await world.ok('admin', 'PATCH', `${A}/roles/uploader`, { actions: ['read'] })
    assert.equal(await put('rosa', 'r-files', 'b'), 403)
    const changed = await world.ok('admin', 'PATCH', `${A}/grants/${made.id}`, { actions: ['write'] })
    assert.deepEqual([changed.role, changed.actions], [null, ['write']])
    await world.ok('admin', 'DELETE', `${A}/roles/uploader`, undefined, 204)
    for (const body of [
      { user: 'rosa', repository: 'r-files' },
      { user: 'rosa', repository: 'r-files', role: 'reader', actions: ['read'] },
      { user: 'rosa', repository: 'r-files', role: 'uploader' },
      { user: 'anonymous', repository: 'r-files', role: 'admin' },
      { token: 'x', repository: 'r-files', role: 'reader' },
    ])
      assert.equal(await world.status('admin', 'POST', `${A}/grants`, body), 400, JSON.stringify(body))
  })

  it('of everybody do not grow to administration with their role', async () => {
    const role = { name: 'visitor', actions: ['read'] }
    await world.ok('admin', 'POST', `${A}/roles`, role, 201)
    await privately('visited')
    await grant({ user: 'anonymous', repository: 'visited', role: 'visitor' })
    for (const action of ['admin', 'audit'])
      assert.equal(await world.status('admin', 'PATCH', `${A}/roles/visitor`, { actions: ['read', action] }), 409)
    assert.equal(await world.status('anonymous', 'PATCH', `${A}/repositories/visited`, { description: 'mine' }), 401)
    await world.ok('admin', 'PATCH', `${A}/roles/visitor`, { actions: ['read', 'write'] })
  })

  it('that are denied stay denied whatever else is granted, and those of everybody are everybody’s', async () => {
    await privately('d-files')
    await user('dirk')
    await grant({ user: 'dirk', repository: 'd-files', role: 'admin' })
    const deny = { user: 'dirk', repository: '*', path: 'sealed/', actions: ['read'], effect: 'deny' }
    const { id } = await grant(deny)
    const changed = await world.ok('admin', 'PATCH', `${A}/grants/${id}`, { actions: ['write'] })
    assert.deepEqual([changed.effect, changed.actions], ['deny', ['write']])
    assert.deepEqual(world.state.access('grant', id)?.actions, [], 'nothing for a replica that knows no denies')
    assert.equal(await put('dirk', 'd-files', 'open/a'), 201)
    assert.equal(await put('dirk', 'd-files', 'sealed/a'), 403)
    assert.equal(await put('admin', 'd-files', 'sealed/a'), 201)
    assert.equal(await put('anonymous', 'd-files', 'in/a'), 404)
    await grant({ user: 'anonymous', repository: 'd-files', path: 'in/', actions: ['write', 'read'] })
    assert.equal(await put('anonymous', 'd-files', 'in/a'), 201)
    assert.equal(await put('anonymous', 'd-files', 'a'), 401)
    const { items } = await world.ok('anonymous', 'GET', `${A}/repositories/d-files/artifacts`)
    assert.deepEqual(
      items.map(({ path }: { path: string }) => path),
      ['in/a'],
    )
  })

  it('in a project come from the role there, and its members are chosen by who administers it', async () => {
    await user('paul')
    await user('pia')
    await world.ok('admin', 'POST', `${A}/projects`, { key: 'shop', quota_bytes: 10 }, 201)
    await privately('shop-a', { project: 'shop' })
    await privately('shop-b', { project: 'shop' })
    assert.equal(
      await world.status('admin', 'POST', `${A}/repositories`, { key: 'x-y', format: 'files', project: 'no' }),
      400,
    )
    await world.ok('admin', 'PUT', `${A}/projects/shop/users/paul`, { role: 'admin' }, 204)
    assert.equal(await world.status('admin', 'PUT', `${A}/projects/shop/users/paul`, { role: 'none' }), 400)
    const [hidden, absent] = [
      await world.call('pia', 'GET', `${A}/projects/shop`),
      await world.call('pia', 'GET', `${A}/projects/nope`),
    ]
    assert.deepEqual([hidden.status, hidden.text.replace('shop', '')], [404, absent.text.replace('nope', '')])
    await world.ok('paul', 'PUT', `${A}/projects/shop/users/pia`, { role: 'developer' }, 204)
    assert.equal(await world.status('pia', 'PUT', `${A}/projects/shop/users/pia`, { role: 'admin' }), 403)
    assert.equal(await put('pia', 'shop-a', 'a', 'sixsix'), 201)
    assert.equal(await put('pia', 'shop-b', 'b', 'sixsix'), 507, 'the quota is over both')
    assert.equal(await put('pia', 'shop-b', 'b', 'four'), 201)
    const { used_bytes, repositories } = await world.ok('pia', 'GET', `${A}/projects/shop`)
    assert.deepEqual([used_bytes, repositories], [10, ['shop-a', 'shop-b']])
    assert.equal(await world.status('paul', 'PATCH', `${A}/projects/shop`, { quota_bytes: 1000 }), 403)
    assert.equal(await world.status('paul', 'PATCH', `${A}/repositories/shop-a`, { project: null }), 403)
    await world.ok('paul', 'PATCH', `${A}/repositories/shop-a`, { project: 'shop', description: 'sent back' })
    await world.ok('paul', 'DELETE', `${A}/projects/shop/users/pia`, undefined, 204)
    assert.equal(await world.status('pia', 'GET', `${A}/repositories/shop-a`), 404)
    await world.ok('paul', 'PUT', `${A}/projects/shop/users/pia`, { role: 'reader' }, 204)
    await world.ok('admin', 'DELETE', `${A}/users/pia`, undefined, 204)
    await user('pia')
    assert.equal(await world.status('pia', 'GET', `${A}/repositories/shop-a`), 404, 'who has the name now is no member')
  })

  it('of a service account come by tokens only, and end with its project', async () => {
    await user('sven')
    await world.ok('admin', 'POST', `${A}/projects`, { key: 'bots' }, 201)
    await privately('bots-a', { project: 'bots' })
    await world.ok('admin', 'PUT', `${A}/projects/bots/users/sven`, { role: 'admin' }, 204)
    const made = await world.ok(
      'sven',
      'POST',
      `${A}/projects/bots/service-accounts`,
      { username: 'ci-bot', role: 'developer' },
      201,
    )
    assert.equal(made.project, 'bots')
    const tokens = `${A}/projects/bots/service-accounts/ci-bot/tokens`
    const { value, id } = await world.ok('sven', 'POST', tokens, { name: 'ci', scopes: ['write:bots-a'] }, 201)
    assert.equal(await put(`Bearer ${value}`, 'bots-a', 'a'), 201)
    assert.equal(await world.status('ci-bot', 'GET', `${A}/auth/me`), 401)
    for (const [method, path, body] of [
      ['PUT', 'users/ci-bot/password', { password: PASSWORD }],
      ['PATCH', 'users/ci-bot', { is_admin: true }],
    ] as const)
      assert.equal(await world.status('admin', method, `${A}/${path}`, body), 400)
    assert.equal(await world.status('sven', 'GET', `${A}/projects/bots/service-accounts/sven/tokens`), 404)
    const next = await world.ok('sven', 'POST', `${tokens}/${id}/rotate`, {}, 201)
    assert.equal(await put(`Bearer ${next.value}`, 'bots-a', 'b'), 201)
    assert.equal(await world.status('admin', 'DELETE', `${A}/projects/bots`), 409)
    await world.ok('admin', 'DELETE', `${A}/repositories/bots-a`, undefined, 204)
    await world.ok('admin', 'DELETE', `${A}/projects/bots`, undefined, 204)
    assert.equal(await world.status(`Bearer ${next.value}`, 'GET', `${A}/auth/me`), 401)
    assert.equal(await world.status('admin', 'GET', `${A}/users/ci-bot`), 404)
  })

  it('of an auditor are to look at everything, and to change and download nothing', async () => {
    await user('audra')
    await grant({ user: 'audra', repository: '*', role: 'auditor' })
    assert.equal(await put('admin', 'd-files', 'audited'), 201)
    for (const path of ['admin/audit', 'users', 'grants', 'groups', 'edge-nodes', 'identity-providers', 'projects'])
      assert.equal(await world.status('audra', 'GET', `${A}/${path}`), 200, path)
    const { items } = await world.ok('audra', 'GET', `${A}/repositories/d-files/artifacts`)
    assert.ok(items.some(({ path }: { path: string }) => path === 'audited'))
    assert.equal(await world.status('audra', 'GET', `${A}/repositories/d-files/artifacts/audited`), 200)
    assert.equal(await world.status('audra', 'GET', `${A}/repositories/d-files/download/audited`), 403)
    assert.equal(await put('audra', 'd-files', 'more'), 403)
    for (const [method, path, body] of [
      ['POST', 'users', { username: 'other' }],
      ['POST', 'grants', { user: 'audra', repository: '*', actions: ['admin'] }],
      ['POST', 'groups', { name: 'other' }],
      ['PATCH', 'repositories/d-files', { description: 'mine' }],
    ] as const)
      assert.equal(await world.status('audra', method, `${A}/${path}`, body), 403, path)
  })
})

describe('API tokens', () => {
  const TOKENS = `${A}/auth/tokens`

  it('are rotated: the successor may the same, the old one works on for a while, what it is forbidden stays', async () => {
    await world.ok('admin', 'POST', `${A}/users`, { username: 'tom', password: PASSWORD }, 201)
    await world.ok('admin', 'POST', `${A}/repositories`, { key: 't-files', format: 'files' }, 201)
    await world.ok('admin', 'POST', `${A}/grants`, { user: 'tom', repository: 't-files', role: 'maintainer' }, 201)
    const old = await world.ok('tom', 'POST', TOKENS, { name: 'ci', scopes: ['*'], expires_in_days: 30 }, 201)
    await world.ok(
      'admin',
      'POST',
      `${A}/grants`,
      { token: old.id, repository: 't-*', actions: ['write'], effect: 'deny' },
      201,
    )
    const next = await world.ok('tom', 'POST', `${TOKENS}/${old.id}/rotate`, { overlap_minutes: 60 }, 201)
    assert.deepEqual([next.name, next.scopes], ['ci', ['*']])
    assert.notEqual(next.value, old.value)
    const days = (Date.parse(next.expires_at) - Date.now()) / 86_400_000
    assert.ok(days > 29.9 && days <= 30)
    const { items } = await world.ok('tom', 'GET', TOKENS)
    const before = items.find(({ id }: { id: string }) => id === old.id)
    assert.ok(Math.abs(Date.parse(before.expires_at) - Date.now() - 3_600_000) < 60_000)
    for (const { value } of [old, next]) {
      assert.equal(await world.status(`Bearer ${value}`, 'GET', `${A}/repositories/t-files`), 200)
      assert.equal(await world.status(`Bearer ${value}`, 'PUT', `${A}/repositories/t-files/artifacts/a`, 'x'), 403)
    }
    await world.ok('tom', 'POST', `${TOKENS}/${next.id}/rotate`, { overlap_minutes: 0 }, 201)
    assert.equal(await world.status(`Bearer ${next.value}`, 'GET', `${A}/auth/me`), 401)
    assert.equal(await world.status('eve', 'POST', `${TOKENS}/${old.id}/rotate`, {}), 404)
  })

  it('are not made longer or wider by rotating them with a narrower one', async () => {
    const wide = await world.ok('tom', 'POST', TOKENS, { name: 'wide', scopes: ['*'], expires_in_days: 90 }, 201)
    const narrow = await world.ok('tom', 'POST', TOKENS, { name: 'narrow', scopes: ['read'], expires_in_days: 2 }, 201)
    const by = `Bearer ${narrow.value}`
    assert.equal(await world.status(by, 'POST', `${TOKENS}/${wide.id}/rotate`, {}), 403)
    const next = await world.ok(by, 'POST', `${TOKENS}/${narrow.id}/rotate`, { expires_in_days: 300 }, 201)
    assert.equal(next.expires_at, narrow.expires_at)
  })

  it('pass on what they are forbidden to those that they make or rotate', async () => {
    const plain = await world.ok('tom', 'POST', TOKENS, { name: 'plain', scopes: ['*'] }, 201)
    const held = await world.ok('tom', 'POST', TOKENS, { name: 'held', scopes: ['*'] }, 201)
    const deny = { token: held.id, repository: 't-*', actions: ['write'], effect: 'deny' }
    await world.ok('admin', 'POST', `${A}/grants`, deny, 201)
    const by = `Bearer ${held.value}`
    const write = (value: string) =>
      world.status(`Bearer ${value}`, 'PUT', `${A}/repositories/t-files/artifacts/by-${value.slice(-6)}`, 'x')
    const made = await world.ok(by, 'POST', TOKENS, { name: 'made', scopes: ['*'] }, 201)
    const rotated = await world.ok(by, 'POST', `${TOKENS}/${plain.id}/rotate`, {}, 201)
    assert.deepEqual([await write(made.value), await write(rotated.value)], [403, 403])
    const further = await world.ok(`Bearer ${made.value}`, 'POST', TOKENS, { name: 'further', scopes: ['*'] }, 201)
    assert.equal(await write(further.value), 403)
  })

  it('that are narrowed end no other one, by rotating it either', async () => {
    const other = await world.ok('tom', 'POST', TOKENS, { name: 'other', scopes: ['read'] }, 201)
    const narrow = await world.ok('tom', 'POST', TOKENS, { name: 'narrow', scopes: ['read'] }, 201)
    const by = `Bearer ${narrow.value}`
    assert.equal(await world.status(by, 'DELETE', `${TOKENS}/${other.id}`), 403)
    assert.equal(await world.status(by, 'POST', `${TOKENS}/${other.id}/rotate`, { overlap_minutes: 0 }), 403)
    assert.equal(await world.status(`Bearer ${other.value}`, 'GET', `${A}/auth/me`), 200)
    await world.ok(by, 'POST', `${TOKENS}/${narrow.id}/rotate`, { overlap_minutes: 0 }, 201)
  })

  it('tell when and from where they were last used', async () => {
    const made = await world.ok('tom', 'POST', TOKENS, { name: 'used', scopes: ['read'] }, 201)
    await world.ok(`Bearer ${made.value}`, 'GET', `${A}/auth/me`)
    const { items } = await world.ok('tom', 'GET', TOKENS)
    const used = items.find(({ id }: { id: string }) => id === made.id)
    assert.equal(used.last_used_from, '192.0.2.7')
    assert.ok(Math.abs(Date.parse(used.last_used_at) - Date.now()) < 60_000)
    assert.equal(items.find(({ name }: { name: string }) => name === 'wide').last_used_at, undefined)
  })

  it('last 90 days where nobody says how long, 365 at most, and for ever only where the system lets them', async () => {
    const made = await world.ok('tom', 'POST', TOKENS, { name: 'default' }, 201)
    const days = (Date.parse(made.expires_at) - Date.now()) / 86_400_000
    assert.ok(days > 89.9 && days <= 90)
    assert.equal(await world.status('tom', 'POST', TOKENS, { name: 'x', expires_in_days: null }), 400)
    assert.equal(await world.status('tom', 'POST', TOKENS, { name: 'x', expires_in_days: 366 }), 400)
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
    tokens: { days: 90, mostDays: 365 },
  })
  await accounts.firstStart(PASSWORD)
  const identity = testIdentity(pool, accounts)
  const gate = new Gate(state, accounts, { uses: accounts.lastUses.noted })
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
    leases: new Leases({ metadata: state, ledger, grammar: () => undefined, turn: new Turn(), nowMs: Date.now }),
    repositories: new Repositories({ metadata: state, ledger, formats: ['files'], types: ['local', 'virtual'] }),
    providers: identity.providers,
    federation: identity.federation,
    trustRules: identity.trustRules,
    escrow: { refresh: async () => 0 },
    whereabouts: async () => ({ share: 1, silent: 0, places: [], repositories: [] }),
    logKey: Buffer.alloc(32),
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
      log: {
        newest: async () => undefined,
        entry: async () => undefined,
        tree: new LogTree(async () => Buffer.alloc(0)),
      },
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
      const principal = authorization ? await gate.authenticate(authorization, '192.0.2.7') : gate.anonymous
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
