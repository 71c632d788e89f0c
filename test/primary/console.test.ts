/** Sessions of the console at a primary that runs: what a browser, a foreign page and a thief get. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import { cairn } from '../deploy/scripted.js'
import { ADMIN_PASSWORD, type TestFleet, testFleet } from '../support/fleet.js'

const PASSWORD = 'correct horse battery'

interface Session {
  cookie: string
  csrf: string
}

describe('the console', () => {
  let fleet: TestFleet
  before(async () => {
    fleet = await testFleet()
    await fleet.api('POST', '/api/v1/users', { username: 'ann', password: PASSWORD })
  })
  after(() => fleet.close())

  const post = (path: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
    fetch(fleet.primaryUrl + path, {
      method: 'POST',
      redirect: 'manual',
      headers: { origin: fleet.primaryUrl, 'sec-fetch-site': 'same-origin', ...headers },
      body: new URLSearchParams(fields),
    })
  const get = (path: string, cookie?: string) =>
    fetch(fleet.primaryUrl + path, { redirect: 'manual', headers: cookie === undefined ? {} : { cookie } })
  const enter = (username: string, password: string, headers: Record<string, string> = {}) =>
    post('/admin/login', { username, password }, headers)
  const logIn = async (
    username = 'ann',
    password = PASSWORD,
    headers: Record<string, string> = {},
  ): Promise<Session> => {
    const reply = await enter(username, password, headers)
    assert.equal(reply.status, 303)
    const cookie = cookieOf(reply)
    const text = await (await get('/admin/account', cookie)).text()
    return { cookie, csrf: /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? '' }
  }
  const lives = async ({ cookie }: Session) => (await get('/admin/account', cookie)).status === 200

  /** Of the user's sessions, the newest first. */
  const ids = async ({ cookie }: Session) => {
    const text = await (await get('/admin/account', cookie)).text()
    return [...text.matchAll(/name="id" value="([0-9a-f]{32})"/g)].map(([, id]) => id ?? '')
  }
  const endSession = ({ cookie, csrf }: Session, id: string) =>
    post('/admin/account/sessions/end', { csrf, id }, { cookie })

  it('opens a session by user name and password, in a cookie that scripts and other sites do not get', async () => {
    const reply = await enter('ann', PASSWORD)
    assert.match(reply.headers.get('set-cookie') ?? '', /^cairn=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/)
    assert.match(await (await get('/', cookieOf(reply))).text(), /Logged in as <strong>ann/)
  })

  it('answers a wrong password and an unknown user alike', async () => {
    const [wrong, unknown] = [await enter('ann', 'not it at all'), await enter('nobody', 'not it at all')]
    const same = async (reply: Response, name: string) => [reply.status, (await reply.text()).replaceAll(name, '')]
    assert.deepEqual(await same(wrong, 'ann'), await same(unknown, 'nobody'))
    assert.equal(wrong.status, 403)
    assert.equal(wrong.headers.get('set-cookie'), null)
  })

  it('takes no cookie over that was there before: the new one differs, the old one ends', async () => {
    const planted = `cairn=${'A'.repeat(43)}`
    const first = await logIn('ann', PASSWORD, { cookie: planted })
    assert.notEqual(first.cookie, planted)
    assert.equal((await get('/admin/account', planted)).status, 303)
    const second = await logIn('ann', PASSWORD, { cookie: first.cookie })
    assert.equal(await lives(first), false)
    assert.equal(await lives(second), true)
    assert.equal((await get('/admin/account', `${second.cookie}; ${planted}`)).status, 303, 'two are none')
  })

  it('leads on to a path of its own only', async () => {
    const rows = [
      ['/admin/account', '/admin/account'],
      ['/admin/account?a=b', '/admin/account?a=b'],
      ...[
        '//evil.example',
        '/\\evil.example',
        'https:evil.example',
        'https://evil.example/',
        '/\t/evil.example',
        '',
        'x',
      ].map((evil) => [evil, '/']),
    ]
    for (const [next = '', expected] of rows) {
      const reply = await post('/admin/login', { username: 'ann', password: PASSWORD, next })
      assert.equal(reply.headers.get('location'), expected, next)
    }
  })

  it('refuses what a foreign page, or a form without the token of the session, asks for', async () => {
    const session = await logIn()
    const foreign: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ]
    for (const headers of foreign) {
      assert.equal((await enter('ann', PASSWORD, headers)).status, 403)
      const reply = await post('/admin/logout', { csrf: session.csrf }, { cookie: session.cookie, ...headers })
      assert.equal(reply.status, 403)
    }
    const other = await logIn()
    for (const csrf of ['', 'x', other.csrf])
      assert.equal((await post('/admin/logout', { csrf }, { cookie: session.cookie })).status, 403)
    assert.equal(await lives(session), true)
  })

  it('is nothing that the REST interface goes by', async () => {
    const { cookie } = await logIn('admin', ADMIN_PASSWORD)
    assert.equal((await get('/api/v1/users', cookie)).status, 401)
  })

  it('ends by logging out, by being ended from another browser, by a new password and by disabling the user', async () => {
    const one = await logIn()
    const reply = await post('/admin/logout', { csrf: one.csrf }, { cookie: one.cookie })
    assert.equal(reply.status, 303)
    assert.match(reply.headers.get('set-cookie') ?? '', /^cairn=; Max-Age=0;/)
    assert.equal(await lives(one), false)

    const [two, three] = [await logIn(), await logIn()]
    const [newest = ''] = await ids(two)
    await endSession(two, newest)
    assert.deepEqual([await lives(two), await lives(three)], [true, false], 'the newest is the first of the list')

    await fleet.api('PUT', '/api/v1/users/ann/password', { password: `${PASSWORD} 2` })
    assert.equal(await lives(two), false)
    const four = await logIn('ann', `${PASSWORD} 2`)
    await fleet.api('PATCH', '/api/v1/users/ann', { is_disabled: true })
    assert.equal(await lives(four), false)
    assert.equal((await enter('ann', `${PASSWORD} 2`)).status, 403)
    await fleet.api('PATCH', '/api/v1/users/ann', { is_disabled: false })
    assert.equal(await lives(four), false, 'what ended stays ended')
    await fleet.api('PUT', '/api/v1/users/ann/password', { password: PASSWORD })
  })

  it("is not ended by somebody else's wish", async () => {
    const ann = await logIn()
    const admin = await logIn('admin', ADMIN_PASSWORD)
    const [id = ''] = await ids(ann)
    assert.equal((await endSession(admin, id)).status, 404)
    assert.equal(await lives(ann), true)
  })

  it('lists and ends the sessions of oneself by REST too', async () => {
    const admin = await logIn('admin', ADMIN_PASSWORD)
    const ann = await logIn()
    const { items } = (await fleet.api('GET', '/api/v1/auth/sessions')) as { items: { id: string; method: string }[] }
    assert.equal(items[0]?.method, 'password')
    assert.ok(!items.some(({ id }) => admin.cookie.includes(id)))
    await assert.rejects(fleet.api('DELETE', `/api/v1/auth/sessions/${(await ids(ann))[0]}`), /404/)
    await fleet.api('DELETE', `/api/v1/auth/sessions/${items[0]?.id}`)
    assert.deepEqual([await lives(admin), await lives(ann)], [false, true])
  })

  it('sets a second factor up, asks for it, and lets programs in by token only', async () => {
    const password = `${PASSWORD} of bob`
    await fleet.api('POST', '/api/v1/users', { username: 'bob', password })
    const bob = await logIn('bob', password)
    const form = (path: string, fields: Record<string, string> = {}) =>
      post(path, { csrf: bob.csrf, ...fields }, { cookie: bob.cookie })
    assert.equal((await post('/admin/account/second-factor', {}, { cookie: bob.cookie })).status, 403)
    const page = await (await form('/admin/account/second-factor')).text()
    const key = /<code class="secret">([A-Z2-7 ]+)</.exec(page)?.[1]?.replaceAll(' ', '') ?? ''
    assert.ok(page.includes('href="otpauth://totp/Cairn:bob?'), page)
    const code = (steps: number) =>
      TOTP.generate({ secret: Secret.fromBase32(key), timestamp: Date.now() + steps * 30_000 })
    const kept = await (await form('/admin/account/second-factor/confirm', { code: code(-1) })).text()
    const recovery = kept.match(/([a-z2-7]{4}-){3}[a-z2-7]{4}/g) ?? []
    assert.equal(recovery.length, 10)

    const asked = await enter('bob', password)
    assert.equal(asked.headers.get('set-cookie'), null)
    const ticket = /name="ticket" value="([\w-]+)"/.exec(await asked.text())?.[1] ?? ''
    const wrong = await post('/admin/second-factor', { ticket, code: '000000' })
    assert.deepEqual([wrong.status, wrong.headers.get('set-cookie')], [403, null])
    const right = await post('/admin/second-factor', { ticket, code: recovery[0] ?? '' })
    assert.equal(right.status, 303)
    assert.equal((await get('/admin/account', cookieOf(right))).status, 200)
    assert.equal((await post('/admin/second-factor', { ticket, code: recovery[1] ?? '' })).status, 403)

    const login = (more: object) =>
      fetch(`${fleet.primaryUrl}/api/v1/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ username: 'bob', password, ...more }),
      })
    const refused = await login({})
    assert.deepEqual([refused.status, ((await refused.json()) as { code: string }).code], [401, 'second_factor_needed'])
    assert.equal((await login({ code: recovery[2] })).status, 200)
    const scene = { folder: fleet.dir, environment: { CAIRN_URL: fleet.primaryUrl }, input: `${password}\n` }
    const command = ['login', '--username', 'bob', '--password-stdin', '--code', recovery[3] ?? '']
    assert.equal((await cairn(command, scene)).code, 0)
    assert.equal((await cairn(command, scene)).code, 4, 'each code is good once')
    const authorization = `Basic ${Buffer.from(`bob:${password}`).toString('base64')}`
    const basic = await fetch(`${fleet.primaryUrl}/api/v1/auth/me`, { headers: { authorization } })
    assert.equal(basic.status, 403)
    assert.match(await basic.text(), /use an API token/)
    await fleet.api('DELETE', '/api/v1/users/bob/second-factor')
    assert.equal((await login({})).status, 200)
  })

  it('has log-ins, log-outs and refusals in the audit trail, and no password', async () => {
    await enter('ann', 'a secret that was typed')
    const { items } = (await fleet.api('GET', '/api/v1/admin/audit?limit=200')) as { items: Record<string, unknown>[] }
    const told = items.map(({ action, username, outcome }) => `${action} ${username} ${outcome}`)
    for (const line of ['console.login ann ok', 'console.login ann login_failed', 'console.logout ann ok'])
      assert.ok(told.includes(line), line)
    assert.ok(!JSON.stringify(items).includes('a secret that was typed'))
  })

  it('has a trail that anybody can check, here and as a file', async () => {
    const environment = { CAIRN_URL: fleet.primaryUrl, CAIRN_TOKEN: fleet.admin.replace('Bearer ', '') }
    const run = (...args: string[]) => cairn(['audit', ...args], { folder: fleet.dir, environment })
    const { code, out, err } = await run('verify', '--json')
    assert.equal(code, 0, err)
    const { rows, hash } = JSON.parse(out) as { rows: number; hash: string }
    assert.ok(rows > 20)
    assert.equal((await run('export', 'trail.jsonl')).code, 0)
    assert.match((await run('verify', 'trail.jsonl', '--head', hash)).out, new RegExp(`^${rows} rows are as they were`))
    const path = join(fleet.dir, 'trail.jsonl')
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replace('"login_failed"', '"ok"'))
    const changed = await run('verify', 'trail.jsonl')
    assert.equal(changed.code, 7)
    assert.match(changed.err, /Row \d+ of the audit trail was changed/)
    await writeFile(path, `${text.split('\n').slice(0, 3).join('\n')}\n`)
    assert.equal((await run('verify', 'trail.jsonl')).code, 0)
    assert.equal((await run('verify', 'trail.jsonl', '--head', hash)).code, 7, 'its end was cut off')
  })
})

describe('the console behind https', () => {
  it('gives a cookie that belongs to this host only', async () => {
    const fleet = await testFleet({ primary: { publicUrls: ['https://cairn.example'] } })
    try {
      const reply = await fetch(`${fleet.primaryUrl}/admin/login`, {
        method: 'POST',
        redirect: 'manual',
        headers: { origin: 'https://cairn.example' },
        body: new URLSearchParams({ username: 'admin', password: ADMIN_PASSWORD }),
      })
      assert.match(
        reply.headers.get('set-cookie') ?? '',
        /^__Host-cairn=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; Secure$/,
      )
    } finally {
      await fleet.close()
    }
  })
})

function cookieOf(reply: Response): string {
  return reply.headers.get('set-cookie')?.split(';', 1)[0] ?? ''
}
