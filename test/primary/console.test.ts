/** Sessions of the console at a primary that runs: what a browser, a foreign page and a thief get. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
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

  it('has log-ins, log-outs and refusals in the audit trail, and no password', async () => {
    await enter('ann', 'a secret that was typed')
    const { items } = (await fleet.api('GET', '/api/v1/admin/audit?limit=200')) as { items: Record<string, unknown>[] }
    const told = items.map(({ action, username, outcome }) => `${action} ${username} ${outcome}`)
    for (const line of ['console.login ann ok', 'console.login ann login_failed', 'console.logout ann ok'])
      assert.ok(told.includes(line), line)
    assert.ok(!JSON.stringify(items).includes('a secret that was typed'))
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
