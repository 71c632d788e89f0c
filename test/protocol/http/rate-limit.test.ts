import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type RateLimits, rateLimited } from '../../../protocol/http/rate-limit.js'
import { json } from '../../../protocol/http/reply.js'
import { requestOf, type Sent } from '../../support/request.js'

const START = Date.parse('2026-01-01T00:00:00Z')

function world(limits: Partial<RateLimits>) {
  const clock = { ms: START }
  const reply = Object.freeze(json({ ok: true }))
  const handle = rateLimited(() => reply, {
    limits: { logins: 0, api: 0, downloads: 0, ...limits },
    userOf: (authorization) => (authorization.startsWith('Bearer right') ? authorization.slice(13) : undefined),
    nowMs: () => clock.ms,
  })
  const ask = async (method: string, path: string, sent?: Sent) => handle(requestOf(method, path, sent))
  return { clock, reply, ask }
}

describe('rate limits', () => {
  it('refuse what is more than the class allows, and say when it goes on', async () => {
    const { clock, ask } = world({ api: 2 })
    const first = await ask('GET', '/api/v1/x')
    assert.deepEqual([first.headers.ratelimit, first.headers['ratelimit-policy']], ['"api";r=1;t=60', '"api";q=2;w=60'])
    clock.ms += 10_000
    assert.equal((await ask('GET', '/api/v1/y')).headers.ratelimit, '"api";r=0;t=50')
    const refused = await ask('GET', '/api/v1/x')
    assert.deepEqual(
      [refused.status, refused.headers['retry-after'], refused.headers.ratelimit],
      [429, '50', '"api";r=0;t=50'],
    )
    clock.ms += 50_000
    assert.equal((await ask('GET', '/api/v1/x')).status, 200)
  })

  it('keep addresses and users apart, and wrong credentials with their address', async () => {
    const { ask } = world({ api: 1 })
    const at = (remote: string, authorization?: string) =>
      ask('GET', '/api/v1/x', { remote, headers: authorization === undefined ? {} : { authorization } })
    const rows: [remote: string, authorization: string | undefined, status: number][] = [
      ['a', undefined, 200],
      ['a', undefined, 429],
      ['b', undefined, 200],
      ['a', 'Bearer right ann', 200],
      ['b', 'Bearer right ann', 429],
      ['a', 'Bearer right bob', 200],
      ['a', 'Bearer wrong 1', 429],
      ['a', 'Bearer wrong 2', 429],
    ]
    for (const [remote, authorization, status] of rows)
      assert.equal((await at(remote, authorization)).status, status, `${remote} ${authorization}`)
  })

  it('count log-ins by address whoever logs in, by whichever door', async () => {
    const { ask } = world({ logins: 3, api: 100 })
    const headers = { authorization: 'Bearer right ann' }
    for (const path of ['/api/v1/auth/login', '/admin/login', '/admin/second-factor'])
      assert.equal((await ask('POST', path, { headers })).status, 200)
    assert.equal((await ask('POST', '/api/v1/auth/login')).status, 429)
    for (const path of ['/admin/passkey', '/admin/passkey/options']) assert.equal((await ask('POST', path)).status, 429)
    assert.equal((await ask('POST', '/admin/login/sso')).status, 429)
    assert.equal((await ask('GET', '/admin/login')).status, 200)
    assert.equal((await ask('POST', '/admin/login/sso/backchannel')).status, 200, 'a provider that ends sessions')
  })

  it('leave downloads as they are until one too many, and never touch health and metrics', async () => {
    const { ask, reply } = world({ api: 1, downloads: 1 })
    assert.equal(await ask('GET', '/repository/x/y'), reply)
    const refused = await ask('GET', '/repository/x/y')
    assert.deepEqual([refused.status, refused.headers['ratelimit-policy']], [429, '"downloads";q=1;w=60'])
    for (const path of ['/health', '/ready', '/metrics', '/health']) assert.equal(await ask('GET', path), reply)
    const none = world({})
    for (let i = 0; i < 5; i++) assert.equal(await none.ask('GET', '/api/v1/x'), none.reply)
  })
})
