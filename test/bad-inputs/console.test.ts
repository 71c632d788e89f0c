/** Groups C, D, M and P of the bad inputs at the console of a primary that runs as a process: what the log and the trail then hold. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import { ADMIN_PASSWORD, until } from '../support/fleet.js'
import { type ProcessFleet, processFleet } from '../support/processes.js'

const PASSWORD = 'a canary among passwords 7'

describe('bad requests at the console', { timeout: 120_000 }, () => {
  let fleet: ProcessFleet
  let url: string
  /** All that nobody but its owner may see. */
  const secrets = [PASSWORD, ADMIN_PASSWORD]
  before(async () => {
    fleet = await processFleet({ nodes: 0, primary: { logLevel: 'debug', breakGlass: 'admin' } })
    url = fleet.primary.url
    secrets.push(fleet.admin.replace('Bearer ', ''))
    await fleet.api('POST', '/api/v1/users', { username: 'ann', password: PASSWORD })
  })
  after(() => fleet.close())

  const form = (path: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
    fetch(url + path, {
      method: 'POST',
      redirect: 'manual',
      headers: { origin: url, ...headers },
      body: new URLSearchParams(fields),
    })
  const logIn = async (username: string, password: string) => {
    const reply = await form('/admin/login', { username, password })
    const cookie = reply.headers.get('set-cookie')?.split(';', 1)[0] ?? ''
    const page = await (await fetch(`${url}/admin/account`, { headers: { cookie } })).text()
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)?.[1] ?? ''
    secrets.push(cookie.slice('cairn='.length), csrf)
    assert.ok(cookie !== '' && csrf !== '')
    return { cookie, csrf }
  }

  it('C17, C19 cookies and headers that claim somebody get the page of nobody', async () => {
    const { cookie } = await logIn('ann', PASSWORD)
    const last = cookie.endsWith('A') ? 'B' : 'A'
    const rows: Record<string, string>[] = [
      { cookie: cookie.slice(0, -1) + last },
      { cookie: cookie.replace('cairn=', '__Host-cairn=') },
      { cookie: 'cairn=' },
      { cookie: `cairn=${'A'.repeat(43)}` },
      { cookie: `cairn=${'x'.repeat(8000)}` },
      { cookie: 'user=admin' },
      { 'x-remote-user': 'admin' },
      { 'x-webauth-user': 'admin' },
      { 'x-forwarded-for': '127.0.0.1' },
      { authorization: fleet.admin },
    ]
    for (const headers of rows) {
      const reply = await fetch(`${url}/admin/account`, { headers, redirect: 'manual' })
      assert.equal(reply.status, 303, JSON.stringify(headers).slice(0, 60))
    }
  })

  it('M06 no page and no interface lets another origin read', async () => {
    for (const path of ['/', '/admin/login', '/api/v1/repositories', '/health'])
      for (const method of ['GET', 'OPTIONS']) {
        const reply = await fetch(url + path, { method, headers: { origin: 'https://evil.example' } })
        assert.equal(reply.headers.get('access-control-allow-origin'), null, path)
        assert.equal(reply.headers.get('x-content-type-options'), 'nosniff')
      }
  })

  it('a form that is none, or too large, is refused and changes nothing', async () => {
    const { cookie, csrf } = await logIn('ann', PASSWORD)
    const type = { 'content-type': 'application/json' }
    const asked = (headers: Record<string, string>, body: string) =>
      fetch(`${url}/admin/logout`, { method: 'POST', headers: { origin: url, cookie, ...headers }, body })
    assert.equal((await asked(type, JSON.stringify({ csrf }))).status, 400)
    const large = { 'content-type': 'application/x-www-form-urlencoded' }
    assert.equal((await asked(large, `csrf=${csrf}&x=${'x'.repeat(100_000)}`)).status, 413)
    assert.equal((await fetch(`${url}/admin/logout`, { headers: { cookie } })).status, 404, 'GET changes nothing')
    assert.equal((await fetch(`${url}/admin/account`, { headers: { cookie }, redirect: 'manual' })).status, 200)
  })

  it('the account for emergencies is heard when it is used', async () => {
    await logIn('admin', ADMIN_PASSWORD)
    await until(async () => /"alarm":true.*console\.login/.test(fleet.primary.output))
  })

  it('P01, P02 no log, trail, page or metric holds a password, a cookie, a form’s proof, an authenticator’s key or a code', async () => {
    const { cookie, csrf } = await logIn('ann', PASSWORD)
    const send = (path: string, fields = {}) => form(path, { csrf, ...fields }, { cookie })
    const page = await (await send('/admin/account/second-factor')).text()
    const key = /class="secret">([A-Z2-7 ]+)</.exec(page)?.[1]?.replaceAll(' ', '') ?? ''
    const code = TOTP.generate({ secret: Secret.fromBase32(key) })
    const kept = await (await send('/admin/account/second-factor/confirm', { code })).text()
    const codes = kept.match(/([a-z2-7]{4}-){3}[a-z2-7]{4}/g) ?? []
    assert.equal(codes.length, 10)
    const mistyped = 'a password as user name'
    await form('/admin/login', { username: mistyped, password: 'x' })
    await form(`/admin/login?next=/&password=${encodeURIComponent(PASSWORD)}`, { username: 'ann', password: 'wrong' })
    secrets.push(key, ...codes, mistyped)
    const headers = { authorization: fleet.admin }
    const texts = await Promise.all(
      ['/metrics', '/api/v1/admin/audit/export', '/api/v1/users', '/api/v1/auth/sessions', '/'].map(async (path) =>
        (await fetch(url + path, { headers })).text(),
      ),
    )
    await until(async () => fleet.primary.output.includes('/admin/account/second-factor/confirm'))
    for (const text of [fleet.primary.output, ...texts])
      for (const secret of secrets)
        assert.ok(
          !text.includes(secret) && !text.includes(encodeURIComponent(secret)),
          `secret ${secrets.indexOf(secret)}`,
        )
  })
})
