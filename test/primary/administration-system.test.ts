/** The console's pages about the system at a primary that runs: repositories, nodes, leases, identity providers, the audit trail. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { AuditCheck } from '../../primary/accounts/audit-check.js'
import { BEGINNING } from '../../primary/accounts/chain.js'
import { type ConsoleSession, consoleSession } from '../support/console-session.js'
import { ADMIN_PASSWORD, type TestFleet, testFleet } from '../support/fleet.js'
import { CLIENT, testProvider } from '../support/openid-provider.js'

const PASSWORD = 'correct horse battery'
const EVIL = `"><script>alert(1)</script><img src=x>`

describe('the pages about the system', { timeout: 120_000 }, () => {
  let fleet: TestFleet
  let admin: ConsoleSession
  /** May see how everything is set up. */
  let ida: ConsoleSession
  let ann: ConsoleSession
  before(async () => {
    fleet = await testFleet({ nodes: 1, primary: { upstreamAllow: ['127.0.0.1'] } })
    for (const username of ['ann', 'ida']) await fleet.api('POST', '/api/v1/users', { username, password: PASSWORD })
    await fleet.api('POST', '/api/v1/grants', { user: 'ida', repository: '*', actions: ['audit'] })
    admin = await consoleSession(fleet.primaryUrl, 'admin', ADMIN_PASSWORD)
    ida = await consoleSession(fleet.primaryUrl, 'ida', PASSWORD)
    ann = await consoleSession(fleet.primaryUrl, 'ann', PASSWORD)
  })
  after(() => fleet.close())

  it('show an auditor everything that is set up, and no form that changes it', async () => {
    const own = ['projects', 'repositories', 'rights', 'users', 'groups', 'roles', 'grants', 'nodes', 'leases']
    for (const name of [...own, 'identity-providers', 'audit']) {
      const { status, text } = await ida.get(`/admin/${name}`)
      assert.equal(status, 200, name)
      assert.ok(!text.includes('name="do"'), name)
    }
    for (const name of ['nodes', 'leases', 'identity-providers', 'audit'])
      assert.equal((await ann.get(`/admin/${name}`)).status, 403, name)
  })

  it('make repositories of each type, change them, and keep what was typed of one that cannot be', async () => {
    const make = (fields: Record<string, string>) => admin.post('/admin/repositories', { do: 'create', ...fields })
    const bad = await make({ key: 'Not A Key', format: 'npm', repo_type: 'local', description: 'of mine' })
    assert.ok(bad.status === 400 && bad.text.includes('value="Not A Key"') && bad.text.includes('value="of mine"'))
    assert.match(bad.text, /<option value="npm" selected>/)
    const local = { key: 'lib', format: 'npm', repo_type: 'local', description: EVIL }
    assert.equal((await make(local)).location, '/admin/repositories/lib?said=made')
    const remote = { key: 'far', format: 'npm', repo_type: 'remote', upstream: 'http://127.0.0.1:9/' }
    assert.equal((await make(remote)).status, 303)
    assert.equal((await make({ key: 'all', format: 'npm', repo_type: 'virtual', members: 'lib' })).status, 303)
    assert.equal((await admin.post('/admin/repositories/all', { do: 'member', member: 'far' })).status, 303)
    assert.match((await admin.get('/admin/repositories/all')).text, /repositories\/far">far<[\s\S]*Take far out of all/)
    assert.equal((await admin.post('/admin/repositories/all', { do: 'leave', of: 'far' })).status, 303)
    const edit = { do: 'edit', name: 'Library', description: EVIL, public: 'yes', redeploys: 'yes' }
    assert.equal((await admin.post('/admin/repositories/lib', edit)).status, 303)
    assert.equal((await admin.post('/admin/repositories/lib', { do: 'system', quota: '5000' })).status, 303)
    const known = (await fleet.api('GET', '/api/v1/repositories/lib')) as Record<string, unknown>
    assert.deepEqual([known.name, known.is_public, known.quota_bytes], ['Library', true, 5000])
    const { text } = await admin.get('/admin/repositories')
    assert.ok(text.includes('&#60;script&#62;') && !/<script(?! src=)|<img/.test(text))
    assert.equal((await ann.get('/admin/repositories/far')).status, 404, 'what is hidden is not there')
    const seen = await ann.get('/admin/repositories/lib')
    assert.ok(seen.status === 200 && !seen.text.includes('name="do"'))
    assert.equal((await ann.post('/admin/repositories/lib', edit)).status, 403)
    assert.equal((await admin.post('/admin/repositories/far', { do: 'remove' })).status, 303)
  })

  it('show nodes with their state, change what they hold and fetch, and let one join', async () => {
    const list = (await admin.get('/admin/nodes')).text
    const path = /href="(\/admin\/nodes\/[^"]+)">node-1</.exec(list)?.[1] ?? assert.fail(list)
    assert.match(list, /class="state online"/)
    const policy = { do: 'policy', repository: 'lib*', mode: 'scheduled' }
    const refused = await admin.post(path, policy)
    assert.ok(refused.status === 400 && refused.text.includes('a scheduled policy needs a window'), refused.text)
    assert.equal((await admin.post(path, { ...policy, window: '01:00-03:00', include: '@acme/**' })).status, 303)
    assert.equal((await admin.post(path, { ...policy, mode: 'eager', pin: 'yes' })).status, 303)
    assert.match((await admin.get(path)).text, /<code>lib\*<\/code><\/th><td>at once<\/td>/)
    assert.equal((await admin.post(path, { do: 'sync' })).status, 303)
    assert.equal((await admin.post(path, { do: 'drop', of: 'lib*' })).status, 303)
    assert.equal((await admin.post(path, { do: 'edit', name: 'attic', repositories: 'lib* far' })).status, 303)
    assert.match((await admin.get('/admin/nodes')).text, /attic[\s\S]*lib\*, far/)
    const joined = await admin.post('/admin/nodes', { do: 'create', name: 'cellar', repositories: '*' })
    assert.match(joined.text, /class="once"[^>]*>cairn node --join \S+</)
  })

  it('make, renew and end leases', async () => {
    await fleet.api('POST', '/api/v1/repositories', { key: 'lib-shared', format: 'npm' })
    const draft = { do: 'create', repository: 'lib-shared', node: 'attic', names: '@acme/*', days: '5' }
    const wrong = await admin.post('/admin/leases', { ...draft, names: 'acme' })
    assert.ok(wrong.status === 400 && wrong.text.includes('value="acme"'), wrong.text)
    const made = await admin.post('/admin/leases', draft)
    assert.equal(made.status, 303, made.text)
    const { text } = await admin.get('/admin/leases')
    const of =
      /name="do" value="end"><input type="hidden" name="of" value="([^"]+)"/.exec(text)?.[1] ?? assert.fail(text)
    assert.equal((await admin.post('/admin/leases', { do: 'renew', of, days: '9' })).status, 303)
    assert.equal((await admin.post('/admin/leases', { do: 'void', of, names: '*', reason: '' })).status, 400)
    assert.equal((await admin.post('/admin/leases', { do: 'end', of })).status, 303)
    assert.ok(!(await admin.get('/admin/leases')).text.includes('class="state online"'))
  })

  it('test an identity provider and say what is wrong with it', async () => {
    const corp = await testProvider(fleet.primaryUrl)
    const settings = { issuer: corp.url, client_id: CLIENT.id, client_secret: CLIENT.secret, allow_http: true }
    await fleet.api('POST', '/api/v1/identity-providers', { key: 'corp', kind: 'oidc', title: EVIL, settings })
    const path = '/admin/identity-providers/corp'
    assert.match((await admin.post(path, { do: 'test' })).text, /role="status">It works/)
    await corp.stop()
    assert.match((await admin.post(path, { do: 'test' })).text, /role="alert">[^<]{10,}</)
    const shown = await admin.get(path)
    assert.ok(shown.text.includes(corp.url) && !shown.text.includes(CLIENT.secret))
    assert.ok(!/<script(?! src=)|<img/.test(shown.text + (await admin.get('/admin/identity-providers')).text))
    assert.equal((await admin.post(path, { do: 'sync' })).status, 400)
    assert.equal((await ida.post(path, { do: 'test' })).status, 403)
    assert.equal((await admin.post(path, { do: 'disable' })).status, 303)
    assert.match((await admin.get(path)).text, /class="state offline">off/)
    assert.equal((await admin.post(path, { do: 'remove' })).status, 303)
    await corp.close()
  })

  it('show the trail by user and action, a part at a time, and verify its chain', async () => {
    for (let i = 0; i < 60; i++) await fleet.api('POST', '/api/v1/groups', { name: `group-${i}` })
    const first = (await ida.get('/admin/audit?action=groups.create')).text
    const next = /<a href="([^"]+)">Next</.exec(first)?.[1]?.replaceAll('&#38;', '&') ?? assert.fail(first)
    const second = (await ida.get(next)).text
    const rows = (text: string) => text.match(/created: group-\d+/g)?.length ?? 0
    assert.equal(rows(first) + rows(second), 60, 'each group is named by the row that says it was made')
    assert.ok(!(await ida.get('/admin/audit?username=ann')).text.includes('groups.create'))
    const checked = await ida.get('/admin/audit?verify=yes')
    assert.match(checked.text, /role="status">The chain is whole: [\d,]+ rows/)
  })
})

describe('the check of the trail', () => {
  let fleet: TestFleet
  let lines: string[]
  before(async () => {
    fleet = await testFleet()
    for (const name of ['a', 'b', 'c']) await fleet.api('POST', '/api/v1/groups', { name })
    const reply = await fetch(`${fleet.primaryUrl}/api/v1/admin/audit/export`, {
      headers: { authorization: fleet.admin },
    })
    lines = (await reply.text()).trim().split('\n')
  })
  after(() => fleet.close())

  const broken = async (trail: string[], head: { id: number; hash: string }) => {
    const audit = {
      head: async () => head,
      export: async function* () {
        yield Buffer.from(`${trail.join('\n')}\n`)
      },
    }
    return (await new AuditCheck(audit).run()).broken
  }

  it('finds a row that was changed, one that is gone, and an end that was cut off', async () => {
    const last = JSON.parse(lines.at(-1) ?? '') as { id: number; hash: string }
    assert.equal(await broken(lines, last), undefined)
    assert.match(
      (await broken(lines.with(1, lines[1]?.replace('"ok"', '"no"').replace('begun', 'ok') ?? ''), last)) ?? '',
      /was changed/,
    )
    assert.match((await broken(lines.toSpliced(1, 1), last)) ?? '', /does not follow the one before/)
    assert.match((await broken(lines.slice(0, -1), last)) ?? '', /in which the audit trail ended, is gone/)
    assert.equal(await broken([], { id: 0, hash: BEGINNING }), undefined)
  })
})
