/** The console's pages for administration at a primary that runs: users, groups, tokens, and what no form gets past. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { pages } from '../../admin/pages/index.js'
import { type ConsoleSession, consoleSession } from '../support/console-session.js'
import { ADMIN_PASSWORD, type TestFleet, testFleet } from '../support/fleet.js'
import { keepSecrets } from '../support/heard.js'

const PASSWORD = 'correct horse battery'
const EVIL = `"><script>alert(1)</script><img src=x onerror='alert(2)'>&\``

describe('the pages for administration', () => {
  let fleet: TestFleet
  let admin: ConsoleSession
  let ann: ConsoleSession
  before(async () => {
    fleet = await testFleet()
    await fleet.api('POST', '/api/v1/users', { username: 'ann', password: PASSWORD })
    admin = await consoleSession(fleet.primaryUrl, 'admin', ADMIN_PASSWORD)
    ann = await consoleSession(fleet.primaryUrl, 'ann', PASSWORD)
  })
  after(() => fleet.close())

  const trail = async (action: string) =>
    ((await fleet.api('GET', `/api/v1/admin/audit?action=${action}&limit=5`)) as { items: Row[] }).items
  interface Row {
    username: string
    outcome: string
    subject: string
  }

  it('lead a stranger to the log-in, and back to the page that was asked for', async () => {
    for (const { path } of pages) {
      const url = path.replace(/\{\w+\}/g, 'x')
      const reply = await fetch(`${fleet.primaryUrl}${url}?after=b`, { redirect: 'manual' })
      assert.equal(reply.status, 303, url)
      const next = new URLSearchParams({ next: `${url}?after=b` })
      assert.equal(reply.headers.get('location'), `/admin/login?${next}`)
    }
  })

  it('do nothing for a form without the proof of the session, or from another origin', async () => {
    const fields = { do: 'create', username: 'mallory' }
    for (const csrf of ['', 'x', ann.csrf])
      assert.equal((await admin.post('/admin/users', { ...fields, csrf })).status, 403)
    const foreign: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ]
    for (const headers of foreign) assert.equal((await admin.post('/admin/users', fields, headers)).status, 403)
    await assert.rejects(fleet.api('GET', '/api/v1/users/mallory'), /404/)
    assert.equal((await fetch(`${fleet.primaryUrl}/api/v1/users`, { headers: { cookie: admin.cookie } })).status, 401)
  })

  it('refuse who has no right, in words, and the trail tells of it', async () => {
    const shown = await ann.get('/admin/users')
    assert.equal(shown.status, 403)
    assert.match(shown.text, /role="alert">Only an administrator or an auditor can do this/)
    assert.ok(!shown.text.includes('href="/admin/users"') && !shown.text.includes('name="username"'))
    const made = await ann.post('/admin/users', { do: 'create', username: 'mallory' })
    assert.equal(made.status, 403)
    assert.match(made.text, /Only an administrator can do this/)
    const [row] = await trail('users.create')
    assert.deepEqual([row?.username, row?.outcome], ['ann', 'forbidden'])
  })

  it('make a user, and say beside the form what was wrong with it, keeping what was typed but no password', async () => {
    const fields = { do: 'create', username: 'No Such Name', email: 'eve@example.test', password: 'a secret of eve' }
    const refused = await admin.post('/admin/users', fields)
    assert.equal(refused.status, 400)
    assert.match(refused.text, /<title>Not done: Users</)
    assert.match(refused.text, /<form[^>]*>\s*<p class="problem" role="alert">A user name is 1 to 63/)
    assert.ok(refused.text.includes('value="No Such Name"') && refused.text.includes('value="eve@example.test"'))
    assert.ok(!refused.text.includes('a secret of eve'))
    const made = await admin.post('/admin/users', { ...fields, username: 'eve' })
    assert.deepEqual([made.status, made.location], [303, '/admin/users/eve?said=made'])
    const page = await admin.get(made.location)
    assert.match(page.text, /role="status">Made\./)
    assert.ok(page.text.includes('eve@example.test'))
    const [row] = await trail('users.create')
    assert.deepEqual([row?.username, row?.outcome, row?.subject], ['admin', 'ok', '/api/v1/users'])
  })

  it('suspend a user, end its sessions, revoke its tokens, remove it', async () => {
    await fleet.api('POST', '/api/v1/users', { username: 'fay', password: `${PASSWORD} of fay` })
    const log = () => consoleSession(fleet.primaryUrl, 'fay', `${PASSWORD} of fay`)
    const lives = async (session: ConsoleSession) => (await session.get('/admin/account')).status === 200
    const form = async (fields: Record<string, string>) => {
      const reply = await admin.post('/admin/users/fay', fields)
      assert.equal(reply.status, 303, reply.text)
    }
    const one = await log()
    const made = await one.post('/admin/tokens', { do: 'create', name: 'of fay', scopes: 'read:*' })
    const value = /<pre class="once"[^>]*>([^<]+)</.exec(made.text)?.[1] ?? assert.fail(made.text)
    keepSecrets({ token: value })
    const asks = async () =>
      (await fetch(`${fleet.primaryUrl}/api/v1/auth/tokens`, { headers: { authorization: `Bearer ${value}` } })).status
    assert.equal(await asks(), 200)
    await form({ do: 'sessions' })
    assert.deepEqual([await lives(one), await asks()], [false, 200])
    const two = await log()
    await form({ do: 'suspend' })
    assert.deepEqual([await lives(two), await asks()], [false, 401])
    await form({ do: 'activate' })
    assert.equal(await asks(), 200)
    const page = (await admin.get('/admin/users/fay')).text
    const id = /name="do" value="revoke"><input type="hidden" name="of" value="([^"]+)"/.exec(page)?.[1] ?? ''
    assert.ok(!page.includes(value))
    await form({ do: 'revoke', of: id })
    assert.equal(await asks(), 401)
    const factor = await admin.post('/admin/users/fay', { do: 'factor' })
    assert.match(factor.text, /<details open>.*\s*.*fay has no second factor/)
    assert.equal((await admin.post('/admin/users/fay', { do: 'remove' })).location, '/admin/users?said=removed')
    assert.equal((await admin.get('/admin/users/fay')).status, 404)
  })

  it('show the value of a token once, and say what was wrong with one', async () => {
    const before = (await ann.post('/admin/tokens', { do: 'create', name: 'now', scopes: '*' })).text
    assert.match(before, /class="once"/)
    assert.ok(!(await ann.get('/admin/tokens')).text.includes('class="once"'), 'a value is shown once')
    const listed = (await ann.get('/admin/tokens')).text
    const id = /name="do" value="rotate"><input type="hidden" name="of" value="([^"]+)"/.exec(listed)?.[1] ?? ''
    assert.match((await ann.post('/admin/tokens', { do: 'rotate', of: id })).text, /class="once"/)
    const wrong = await ann.post('/admin/tokens', { do: 'create', name: 'x', scopes: 'fly:*', days: 'many' })
    assert.equal(wrong.status, 400)
    assert.ok(wrong.text.includes('value="fly:*"') && wrong.text.includes('Days must be a whole number'))
  })

  it('put users in groups and take them out', async () => {
    assert.equal((await admin.post('/admin/groups', { do: 'create', name: 'team a' })).status, 303)
    const path = '/admin/groups/team%20a'
    assert.equal((await admin.post(path, { do: 'add', username: 'ann' })).status, 303)
    const none = await admin.post(path, { do: 'add', username: 'nobody-here' })
    assert.ok(none.status === 404 && none.text.includes('value="nobody-here"'), none.text)
    assert.equal((await admin.post(path, { do: 'add', username: '../x' })).status, 400)
    assert.match((await admin.get(path)).text, /<a href="\/admin\/users\/ann">ann<\/a>/)
    assert.equal((await admin.post(path, { do: 'leave', of: 'ann' })).status, 303)
    assert.match((await admin.get(path)).text, /Nobody is in this group/)
    assert.equal((await admin.post(path, { do: 'remove' })).location, '/admin/groups?said=removed')
  })

  it("keep a project's members, and the tokens of its service accounts, for who administers it", async () => {
    await fleet.api('POST', '/api/v1/users', { username: 'gus', password: `${PASSWORD} of gus` })
    const gus = await consoleSession(fleet.primaryUrl, 'gus', `${PASSWORD} of gus`)
    const made = await admin.post('/admin/projects', { do: 'create', key: 'garden', quota: '1048576' })
    assert.equal(made.location, '/admin/projects/garden?said=made')
    assert.match(
      (await admin.post('/admin/projects', { do: 'create', key: 'p', quota: 'much' })).text,
      /whole number of bytes/,
    )
    const path = '/admin/projects/garden'
    assert.equal((await gus.get(path)).status, 404)
    const member = (role: string) => admin.post(path, { do: 'member', kind: 'user', name: 'gus', role })
    await member('developer')
    const seen = await gus.get(path)
    assert.ok(seen.status === 200 && !seen.text.includes('name="do" value="member"'))
    assert.equal((await gus.post(path, { do: 'member', kind: 'user', name: 'gus', role: 'admin' })).status, 403)
    await member('admin')
    assert.match((await gus.get(path)).text, /name="do" value="member"/)
    assert.equal((await gus.post(path, { do: 'edit', quota: '9' })).status, 403, 'a quota is the system’s')
    assert.equal((await gus.post(path, { do: 'account', username: 'robot', role: 'reader' })).status, 303)
    const robot = `${path}/service-accounts/robot`
    const token = await gus.post(robot, { do: 'create', name: 'ci', scopes: 'read:*', days: '7' })
    assert.match(token.text, /class="once"[^>]*>cairn/)
    assert.equal((await gus.post(path, { do: 'user_leaves', of: 'gus' })).status, 303)
    assert.equal((await gus.get(robot)).status, 404)
    assert.equal((await ann.get('/admin/projects')).text.includes('garden'), false)
  })

  it('grant, forbid, explain both ways, and take back', async () => {
    await fleet.api('POST', '/api/v1/repositories', { key: 'team-a', format: 'generic' })
    const grant = { do: 'create', kind: 'user', name: 'ann', repository: 'team-*', path: '' }
    const neither = await admin.post('/admin/grants', { ...grant, effect: 'allow', role: '' })
    assert.ok(neither.status === 400 && neither.text.includes('A grant names actions, or a role'), neither.text)
    assert.ok(neither.text.includes('value="team-*"'))
    assert.equal((await admin.post('/admin/grants', { ...grant, role: 'developer' })).status, 303)
    const deny = { ...grant, path: 'secret/', effect: 'deny', role: '', action: ['read', 'write'] }
    assert.equal((await admin.post('/admin/grants', deny)).status, 303)
    const listed = (await admin.get('/admin/grants?user=ann')).text
    assert.ok(listed.includes('developer: read, write') && listed.includes('secret/'))
    const who = (await admin.get('/admin/rights?repository=team-a&action=write&path=docs/x')).text
    assert.match(who, /<a href="\/admin\/users\/ann">ann<\/a>/)
    const not = (await admin.get('/admin/rights?repository=team-a&action=write&path=secret/x')).text
    assert.ok(!not.includes('/admin/users/ann"'))
    const what = (await admin.get('/admin/rights?user=ann')).text
    assert.ok(what.includes('team-a') && what.includes('class="deny"'), what)
    assert.ok((await ann.get('/admin/rights')).text.includes('team-a'), 'of oneself everybody may ask')
    assert.equal((await ann.get('/admin/rights?user=admin')).status, 404)
    assert.equal((await ann.get('/admin/rights?repository=team-a&action=write')).status, 403)
    for (const [, id = ''] of listed.matchAll(/name="of" value="([^"]+)"/g))
      assert.equal((await admin.post('/admin/grants', { do: 'remove', of: id })).status, 303)
    assert.match((await admin.get('/admin/grants?user=ann')).text, /There is no such grant/)
  })

  it('make, change and remove roles', async () => {
    assert.equal((await admin.post('/admin/roles', { do: 'create', name: 'pusher', action: 'write' })).status, 303)
    assert.equal((await admin.post('/admin/roles', { do: 'create', name: 'none' })).status, 400)
    const change = { do: 'change', of: 'pusher', description: 'Pushes & pulls', action: ['read', 'write'] }
    assert.equal((await admin.post('/admin/roles', change)).status, 303)
    assert.match((await admin.get('/admin/roles')).text, /Pushes &#38; pulls<\/td><td>read, write/)
    assert.notEqual((await admin.post('/admin/roles', { ...change, of: 'reader' })).status, 303)
    assert.equal((await admin.post('/admin/roles', { do: 'remove', of: 'pusher' })).status, 303)
  })

  it('show names that somebody else chose as text', async () => {
    const name = EVIL.replaceAll('/', '')
    await fleet.api('POST', '/api/v1/groups', { name, description: EVIL })
    await fleet.api('PUT', `/api/v1/groups/${encodeURIComponent(name)}/members/ann`)
    for (const path of [
      '/admin/groups',
      `/admin/groups/${encodeURIComponent(name)}`,
      '/admin/users',
      '/admin/users/ann',
    ]) {
      const { status, text } = await admin.get(path)
      assert.equal(status, 200)
      assert.ok(text.includes('&#60;script&#62;'), path)
      assert.ok(!/<script(?! src=)|<img/.test(text), path)
    }
    const typed = await admin.post('/admin/users', { do: 'create', username: EVIL })
    assert.ok(typed.text.includes('&#60;script&#62;') && !/<script(?! src=)|<img/.test(typed.text))
  })

  it('say nothing that an address puts there', async () => {
    const { text } = await admin.get('/admin/groups?said=%3Cb%3EYou+have+won')
    assert.ok(!text.includes('You have won') && !text.includes('role="status"'))
  })

  it('page through many users', async () => {
    await fleet.api('POST', '/api/v1/groups', { name: 'many' })
    for (let i = 0; i < 120; i++)
      await fleet.api('POST', '/api/v1/users', { username: `many-${String(i).padStart(3, '0')}` })
    const first = (await admin.get('/admin/users?prefix=many-')).text
    const next = /<a href="([^"]+)">Next</.exec(first)?.[1]?.replaceAll('&#38;', '&') ?? assert.fail(first)
    const second = (await admin.get(next)).text
    const names = (text: string) => [...text.matchAll(/href="\/admin\/users\/(many-\d+)"/g)].map(([, name]) => name)
    assert.deepEqual([names(first).length, names(second).length], [100, 20])
    assert.ok(!second.includes('>Next<') && second.includes('From the beginning'))
  })
})
