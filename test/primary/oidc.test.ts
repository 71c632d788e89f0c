/** Signing on with OpenID Connect: a real provider for what is right, one that says whatever it is told to for what is not (group D). */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { CookieJar, leadsTo } from '../support/cookie-jar.js'
import { type TestFleet, testFleet } from '../support/fleet.js'
import { type TestIssuer, testIssuer } from '../support/issuer.js'
import { CLIENT, type TestProvider, testProvider } from '../support/openid-provider.js'

const PROVIDERS = '/api/v1/identity-providers'
type Claims = Record<string, unknown>
const SCOPES = ['openid', 'profile', 'email', 'groups']

describe('signing on with OpenID Connect', { timeout: 120_000 }, () => {
  let fleet: TestFleet
  let corp: TestProvider
  let hostile: TestIssuer
  before(async () => {
    fleet = await testFleet({ primary: { upstreamAllow: ['127.0.0.1'] } })
    corp = await testProvider(fleet.primaryUrl)
    hostile = await testIssuer()
    const common = { client_id: CLIENT.id, client_secret: CLIENT.secret, allow_http: true }
    await fleet.api('POST', PROVIDERS, {
      key: 'corp',
      kind: 'oidc',
      title: 'Corp',
      settings: { ...common, issuer: corp.url, scopes: SCOPES },
    })
    await fleet.api('POST', PROVIDERS, { key: 'hostile', kind: 'oidc', settings: { ...common, issuer: hostile.url } })
  })
  after(async () => {
    await fleet.close()
    await corp.close()
    await hostile.close()
  })

  const login = async (subject: string, next = '/', jar = new CookieJar()) => {
    const start = `${fleet.primaryUrl}/admin/login/corp?${new URLSearchParams({ next })}`
    const page = await jar.follow(start)
    const submit = { method: 'POST', body: new URLSearchParams({ subject }) }
    const { url } = page.url.includes('/interaction/')
      ? await jar.follow(page.url, `${fleet.primaryUrl}/admin/login/corp/callback`, submit)
      : page
    return { jar, callback: url, reply: await jar.fetch(url) }
  }
  const user = (name: string) => fleet.api('GET', `/api/v1/users/${name}`) as Promise<Record<string, unknown>>
  const account = async (jar: CookieJar) => (await jar.fetch(`${fleet.primaryUrl}/admin/account`)).status

  it('makes the account with its groups, opens a session, and leads on to where one wanted to go', async () => {
    corp.people.set('s-ann', { preferred_username: 'Ann', email: 'ann@corp.test', groups: ['dev', 'ops'] })
    const { jar, reply } = await login('s-ann', '/admin/account?x=1')
    assert.deepEqual([reply.status, reply.headers.get('location')], [303, '/admin/account?x=1'])
    assert.equal(await account(jar), 200)
    const { username, email, groups, is_admin } = await user('ann')
    assert.deepEqual([username, email, groups, is_admin], ['ann', 'ann@corp.test', ['dev', 'ops'], false])
    const { items } = (await fleet.api('GET', '/api/v1/admin/audit?action=console.login')) as {
      items: { username: string }[]
    }
    assert.equal(items[0]?.username, 'ann')
  })

  it('takes groups away that the provider took away, and lets a disabled account in no more (D06, D07)', async () => {
    corp.people.set('s-bob', { preferred_username: 'bob', groups: ['dev', 'ops'] })
    await login('s-bob')
    corp.people.set('s-bob', { preferred_username: 'bob', groups: ['ops'] })
    const { jar } = await login('s-bob')
    assert.deepEqual((await user('bob')).groups, ['ops'])
    await fleet.api('PATCH', '/api/v1/users/bob', { is_disabled: true })
    assert.equal(await account(jar), 303)
    assert.equal((await login('s-bob')).reply.status, 403)
    assert.equal((await user('bob')).is_disabled, true)
  })

  it('takes a callback once, in the browser that began, with its own state (D01)', async () => {
    corp.people.set('s-cal', { preferred_username: 'cal' })
    const { jar, callback, reply } = await login('s-cal')
    assert.equal(reply.status, 303)
    assert.equal((await jar.fetch(callback)).status, 400, 'a second time')
    const begun = new CookieJar()
    await begun.fetch(`${fleet.primaryUrl}/admin/login/corp`)
    const base = `${fleet.primaryUrl}/admin/login/corp/callback`
    for (const [address, who] of [
      [callback, new CookieJar()],
      [`${base}?code=x`, begun],
      [`${base}?code=x&state=foreign`, begun],
      [`${base}?code=x&${new URL(callback).searchParams}&state=other`, begun],
    ] as const)
      assert.equal((await who.fetch(address)).status, 400, address)
    const other = await begun.fetch(callback.replace('/corp/', '/hostile/'))
    assert.equal(other.status, 400, 'at another provider')
    const twice = await returning({ sub: 'h-twice', preferred_username: 'twice' })
    assert.equal((await twice.jar.fetch(twice.callback)).status, 303)
    assert.equal((await twice.jar.fetch(twice.callback)).status, 400, 'also where the provider would take it again')
  })

  it('asks for exactly its own address, and leads to no other afterwards (D04)', async () => {
    const jar = new CookieJar()
    const asked = leadsTo(await jar.fetch(`${fleet.primaryUrl}/admin/login/corp`, { headers: { host: 'evil.test' } }))
    assert.equal(asked.searchParams.get('redirect_uri'), `${fleet.primaryUrl}/admin/login/corp/callback`)
    assert.equal(asked.searchParams.get('code_challenge_method'), 'S256')
    for (const uri of ['/../x', '.evil.test', '@evil.test', '0', '?a=b']) {
      const address = new URL(asked)
      address.searchParams.set('redirect_uri', `${fleet.primaryUrl}/admin/login/corp/callback${uri}`)
      assert.equal((await jar.fetch(address.href)).status, 400, uri)
    }
    corp.people.set('s-dan', { preferred_username: 'dan' })
    for (const next of [
      '//evil.test',
      '/\\evil.test',
      'https:evil.test',
      'https://evil.test',
      '/\t/evil.test',
      '/%0a//',
      '',
    ])
      assert.match((await login('s-dan', next)).reply.headers.get('location') ?? '', /^\/(?:%0a\/\/)?$/, next)
  })

  it('makes two accounts of one subject at two issuers, and joins none by name or unverified address (D05, D10)', async () => {
    await fleet.api('POST', '/api/v1/users', { username: 'eva', email: 'eva@corp.test' })
    corp.people.set('s-eva', { preferred_username: 'eva', email: 'eva@corp.test', email_verified: true })
    assert.equal((await login('s-eva')).reply.status, 403, 'the name is taken')
    corp.people.set('twin', { preferred_username: 'twin' })
    assert.equal((await login('twin')).reply.status, 303)
    assert.equal((await ending({ sub: 'twin', preferred_username: 'twin' })).status, 403)
    assert.equal((await ending({ sub: 'twin', preferred_username: 'twin2' })).status, 303)
    const common = { client_id: CLIENT.id, issuer: hostile.url, allow_http: true, link_by_email: true }
    await fleet.api('PATCH', `${PROVIDERS}/hostile`, { settings: common })
    const eva = { sub: 'h-eva', preferred_username: 'eva', email: 'eva@corp.test' }
    assert.equal((await ending({ ...eva, email_verified: false })).status, 403)
    assert.equal((await ending({ ...eva, email_verified: 'true' })).status, 403)
    assert.equal((await ending({ ...eva, email_verified: true })).status, 303)
  })

  /** A log-in that has come back from the hostile provider, which will tell these claims. */
  const returning = async (claims: Claims, header = {}, token?: string) => {
    const jar = new CookieJar()
    const asked = leadsTo(await jar.fetch(`${fleet.primaryUrl}/admin/login/hostile`)).searchParams
    const nonce = asked.get('nonce') ?? ''
    const said = { sub: 'h', aud: CLIENT.id, nonce, ...claims }
    const id_token = token ?? (await hostile.sign(said, header))
    hostile.answers.set('/token', { json: { access_token: 'a', token_type: 'Bearer', id_token } })
    const query = new URLSearchParams({ code: 'c', state: asked.get('state') ?? '' })
    return { jar, callback: `${fleet.primaryUrl}/admin/login/hostile/callback?${query}` }
  }
  const ending = async (...said: Parameters<typeof returning>) => {
    const { jar, callback } = await returning(...said)
    return jar.fetch(callback)
  }

  it('believes no ID token that is not right (D02, D05, C04 to C07, C11)', async () => {
    const now = Math.floor(Date.now() / 1000)
    const person = { preferred_username: 'gil', sub: 'h-gil' }
    const b64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const unsigned = `${b64({ alg: 'none' })}.${b64({ ...person, iss: hostile.url, aud: CLIENT.id, exp: now + 60, iat: now })}.`
    const rows: [string, Claims, object?, string?][] = [
      ['a foreign nonce', { nonce: 'foreign' }],
      ['no nonce', { nonce: undefined }],
      ['another audience', { aud: 'other' }],
      ['several audiences without azp', { aud: [CLIENT.id, 'other'] }],
      ['several audiences, another azp', { aud: [CLIENT.id, 'other'], azp: 'other' }],
      ['another azp', { azp: 'other' }],
      ['another issuer', { iss: 'https://elsewhere.test' }],
      ['an end long ago', { exp: now - 120 }],
      ['no end', { exp: undefined }],
      ['a begin to come', { nbf: now + 600 }],
      ['no subject', { sub: undefined }],
      ['a key that is not published', {}, { kid: 'other' }],
      ['a path as a key', {}, { kid: '../../dev/null' }],
      ['a key to fetch', {}, { kid: 'other', jku: `${hostile.url}/evil`, x5u: `${hostile.url}/evil` }],
      ['no signature', {}, {}, unsigned],
    ]
    for (const [what, claims, header, token] of rows)
      assert.equal((await ending({ ...person, ...claims }, header, token)).status, 400, what)
    assert.equal((await ending({ ...person })).status, 303, 'and believes the one that is')
    assert.equal(hostile.asked.includes('/evil'), false)
  })

  it('refuses a broken provider when it is saved, with the reason (D09)', async () => {
    const bad = await testIssuer()
    const draft = { key: 'bad', kind: 'oidc', settings: { issuer: bad.url, client_id: 'x', allow_http: true } }
    const save = (settings = {}) =>
      fetch(`${fleet.primaryUrl}${PROVIDERS}`, {
        method: 'POST',
        headers: { authorization: fleet.admin, 'content-type': 'application/json' },
        body: JSON.stringify({ ...draft, settings: { ...draft.settings, ...settings } }),
      })
    const discovery = '/.well-known/openid-configuration'
    const good = (await (await fetch(bad.url + discovery)).json()) as Record<string, unknown>
    const answers: [string, Parameters<TestIssuer['answers']['set']>[0], unknown][] = [
      ['a redirect', discovery, { status: 302, headers: { location: 'http://169.254.169.254/latest' } }],
      ['another issuer', discovery, { json: { ...good, issuer: 'https://elsewhere.test' } }],
      ['keys elsewhere', discovery, { json: { ...good, jwks_uri: 'http://169.254.169.254/jwks' } }],
      [
        'too many keys',
        '/jwks',
        { json: { keys: Array.from({ length: 1e5 }, (_, i) => ({ kty: 'oct', kid: `${i}` })) } },
      ],
      ['a secret key', '/jwks', { json: { keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'one' }] } }],
      ['no JSON', discovery, { status: 200 }],
    ]
    for (const [what, path, answer] of answers) {
      bad.answers.set(path, answer as never)
      const reply = await save()
      assert.ok(reply.status >= 400 && reply.status < 505, `${what}: ${reply.status}`)
      assert.match(((await reply.json()) as { detail: string }).detail, /127\.0\.0\.1|169\.254/, what)
      bad.answers.clear()
    }
    assert.equal((await save({ issuer: 'http://10.1.2.3:99', allow_http: true })).status, 502, 'a private address')
    assert.equal((await save({ allow_http: false })).status, 400, 'over http')
    assert.equal((await save({ issuer: 'file:///etc/passwd' })).status, 400)
    assert.equal((await save()).status, 201)
    await bad.close()
    const tested = (await fleet.api('POST', `${PROVIDERS}/bad/test`, {})) as { works: boolean; reason: string }
    assert.deepEqual([tested.works, /cannot be reached/.test(tested.reason)], [false, true])
    await fleet.api('DELETE', `${PROVIDERS}/bad`)
  })

  it('ends sessions when the provider says so, once for each logout token', async () => {
    corp.people.set('s-hal', { preferred_username: 'hal' })
    const { jar } = await login('s-hal')
    assert.equal(await account(jar), 200)
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
    const sub = 'h-ida'
    const person = { sub, preferred_username: 'ida' }
    assert.equal((await ending({ ...person, sid: 'their-session' })).status, 303)
    const send = async (claims: Claims, header = {}) =>
      fetch(`${fleet.primaryUrl}/admin/login/hostile/backchannel`, {
        method: 'POST',
        body: new URLSearchParams({
          logout_token: await hostile.sign({ aud: CLIENT.id, sub, events, ...claims }, header),
        }),
      })
    for (const [what, claims] of [
      ['an ID token', { events: undefined, nonce: 'n' }],
      ['with a nonce', { nonce: 'n' }],
      ['another audience', { aud: 'other' }],
      ['without an id', { jti: undefined }],
      ['an old one', { iat: Math.floor(Date.now() / 1000) - 3600 }],
      ['of nobody', { sub: undefined }],
    ] as const)
      assert.equal((await send(claims)).status, 400, what)
    assert.equal((await send({ jti: 'logout-1' })).status, 200)
    assert.equal((await send({ jti: 'logout-1' })).status, 400, 'replayed')
    assert.equal((await send({ sub: undefined, sid: 'their-session' })).status, 200)
    assert.equal(await account(jar), 200, "another provider's sessions go on")
    // The provider's own log-out, which tells all who it logged in to.
    const end = await jar.follow(`${corp.url}/session/end?client_id=${CLIENT.id}`)
    const form = await end.reply.text()
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(form)?.[1] ?? ''
    await jar.fetch(`${corp.url}/session/end/confirm`, {
      method: 'POST',
      body: new URLSearchParams({ xsrf, logout: 'yes' }),
    })
    assert.equal(await account(jar), 303)
  })

  it('leaves local accounts alone while the provider is down', async () => {
    await corp.stop()
    const reply = await fetch(`${fleet.primaryUrl}/api/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'admin', password: 'a password of the tests, 2026' }),
    })
    assert.equal(reply.status, 200)
    await corp.start()
    corp.people.set('s-jon', { preferred_username: 'jon' })
    assert.equal((await login('s-jon')).reply.status, 303)
  })
})
