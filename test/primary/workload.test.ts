/** Keyless CI: what an issuer signs for a job, exchanged for a short token, at a primary and through a node. */
import assert from 'node:assert/strict'
import { createHmac, createPublicKey } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { type TestIssuer, testIssuer } from '../support/issuer.js'

const RULES = '/api/v1/trust-rules'
const EXCHANGE = '/api/v1/auth/oidc/exchange'
/** As GitHub's are. */
const JOB = {
  sub: 'repo:acme/tool:ref:refs/heads/main',
  repository: 'acme/tool',
  repository_owner: 'acme',
  repository_owner_id: '4711',
  workflow_ref: 'acme/tool/.github/workflows/release.yml@refs/heads/main',
  event_name: 'push',
}

describe('keyless CI', { timeout: 120_000 }, () => {
  let fleet: TestFleet
  let issuer: TestIssuer
  let evil: TestIssuer
  before(async () => {
    fleet = await testFleet({ nodes: 1, primary: { upstreamAllow: ['127.0.0.1'] } })
    issuer = await testIssuer()
    evil = await testIssuer()
    await fleet.api('POST', '/api/v1/repositories', {
      key: 'files',
      name: 'files',
      format: 'generic',
      repo_type: 'local',
    })
    await fleet.api('POST', '/api/v1/users', { username: 'ci' })
    await fleet.api('POST', '/api/v1/grants', { user: 'ci', repository: '*', actions: ['read', 'write', 'delete'] })
    await fleet.api('PUT', `${RULES}/release`, {
      issuer: issuer.url,
      allow_http: true,
      claims: {
        repository: 'acme/*',
        repository_owner_id: '4711',
        workflow_ref: '*/.github/workflows/release.yml@refs/heads/main',
      },
      account: 'ci',
      scopes: ['write:files', 'read'],
    })
  })
  after(async () => {
    await fleet.close()
    await issuer.close()
    await evil.close()
  })

  const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
  const exchange = (token: string, more: object = {}, base = fleet.primaryUrl) =>
    post(base + EXCHANGE, { token, ...more })
  const job = (claims: Record<string, unknown> = {}, header = {}) =>
    issuer.sign({ ...JOB, aud: fleet.primaryUrl, ...claims }, header)
  const put = (token: string, path: string, base = fleet.primaryUrl) =>
    fetch(`${base}/repository/${path}`, { method: 'PUT', body: 'x', headers: { authorization: `Bearer ${token}` } })
  const putStatus = async (token: string, path: string) => (await put(token, path)).status

  it('gives a job a short token that may do what the rule says and no more', async () => {
    const reply = await exchange(await job())
    assert.equal(reply.status, 200)
    const { access_token, expires_in, username, scopes } = (await reply.json()) as Record<string, string>
    assert.deepEqual([expires_in, username, scopes], [900, 'ci', ['write:files', 'read']])
    assert.equal(await putStatus(access_token ?? '', 'files/a.txt'), 201)
    const remove = { method: 'DELETE', headers: { authorization: `Bearer ${access_token}` } }
    assert.equal((await fetch(`${fleet.primaryUrl}/repository/files/a.txt`, remove)).status, 403)
    const made = await post(
      `${fleet.primaryUrl}/api/v1/auth/tokens`,
      { name: 'lasting', scopes: ['read'], expires_in_days: 30 },
      { authorization: `Bearer ${access_token}` },
    )
    const { expires_at } = (await made.json()) as { expires_at: string }
    assert.ok(Date.parse(expires_at) < Date.now() + 16 * 60_000, 'what it makes ends with it')
    const narrow = await exchange(await job(), { scopes: ['read:files'] })
    assert.equal(await putStatus(((await narrow.json()) as { access_token: string }).access_token, 'files/b.txt'), 403)
    assert.equal((await exchange(await job(), { scopes: ['delete'] })).status, 403)
  })

  it('takes the same through a node', async () => {
    const [node = ''] = fleet.nodeUrls
    const reply = await exchange(await job({ aud: node }), {}, node)
    assert.equal(reply.status, 200)
    const { access_token } = (await reply.json()) as { access_token: string }
    await until(async () => (await put(access_token, 'files/node.txt', node)).status === 201)
  })

  it('gives what the token flow of images takes, no wider than it is (C12)', async () => {
    await fleet.api('POST', '/api/v1/repositories', {
      key: 'images',
      name: 'images',
      format: 'oci',
      repo_type: 'local',
    })
    await fleet.api('PUT', `${RULES}/images`, {
      issuer: issuer.url,
      allow_http: true,
      claims: { sub: 'images:*' },
      account: 'ci',
      scopes: ['write:images', 'read'],
    })
    const begin = async (scopes?: string[]) => {
      const reply = await exchange(await job({ sub: 'images:push' }), { rule: 'images', ...(scopes && { scopes }) })
      const { access_token } = (await reply.json()) as { access_token: string }
      const basic = `Basic ${Buffer.from(`ci:${access_token}`).toString('base64')}`
      const flow = await fetch(
        `${fleet.primaryUrl}/v2/_token?service=x&scope=repository:images/a:pull,push&offline_token=true`,
        {
          headers: { authorization: basic },
        },
      )
      const { token, refresh_token } = (await flow.json()) as Record<string, string>
      assert.equal(refresh_token, undefined, 'nothing to keep')
      const upload = { method: 'POST', headers: { authorization: `Bearer ${token}` } }
      return (await fetch(`${fleet.primaryUrl}/v2/images/a/blobs/uploads/`, upload)).status
    }
    assert.equal(await begin(), 202)
    assert.equal(await begin(['read']), 403)
  })

  it('answers as RFC 8693 has it', async () => {
    const ask = (fields: Record<string, string>) =>
      fetch(`${fleet.primaryUrl}/api/v1/auth/oidc/token`, { method: 'POST', body: new URLSearchParams(fields) })
    const asked = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
      subject_token: await job(),
      scope: 'read',
    }
    const reply = (await (await ask(asked)).json()) as Record<string, unknown>
    assert.deepEqual(
      [reply.issued_token_type, reply.token_type, reply.scope],
      ['urn:ietf:params:oauth:token-type:access_token', 'Bearer', 'read'],
    )
    const again = await ask(asked)
    assert.deepEqual([again.status, ((await again.json()) as { error: string }).error], [400, 'invalid_grant'])
    assert.equal((await ask({ ...asked, grant_type: 'password' })).status, 400)
  })

  it('refuses whom no rule admits: other owner id, workflow, event, or a token that was used (D11)', async () => {
    const token = await job()
    assert.equal((await exchange(token)).status, 200)
    assert.equal((await exchange(token)).status, 403, 'used')
    const nameless = await job({ jti: undefined })
    assert.equal((await exchange(nameless)).status, 200)
    assert.equal((await exchange(nameless)).status, 403, 'used, though it has no id')
    for (const [what, claims] of [
      ['a name that is somebody else’s now', { repository_owner_id: '4712' }],
      ['without the id', { repository_owner_id: undefined }],
      ['another repository', { repository: 'acme-evil/tool' }],
      ['another workflow', { workflow_ref: 'acme/tool/.github/workflows/evil.yml@refs/heads/main' }],
      ['a pull request', { event_name: 'pull_request' }],
      ['a pull request that runs with rights', { event_name: 'pull_request_target' }],
      ['a merge request', { pipeline_source: 'merge_request_event' }],
      ['by its subject', { sub: 'repo:acme/tool:pull_request' }],
      ['a list', { repository: ['acme/tool'] }],
    ] as const)
      assert.equal((await exchange(await job(claims))).status, 403, what)
    const { items } = (await fleet.api('GET', '/api/v1/admin/audit?action=workload.exchange')) as {
      items: { outcome: string; username: string }[]
    }
    assert.deepEqual([items[0]?.outcome, items[0]?.username], ['not_trusted', 'ci'])
    assert.equal(JSON.stringify(items).includes(token), false)
  })

  it('takes at one time of twenty with one token exactly one', async () => {
    const token = await job()
    const tried = await Promise.all(Array.from({ length: 20 }, () => exchange(token)))
    assert.deepEqual(tried.map(({ status }) => status).sort(), [200, ...Array(19).fill(403)])
  })

  it('believes no token that is not right, and asks nobody else for keys (C01, C02, C04 to C07, C09, C11)', async () => {
    const now = Math.floor(Date.now() / 1000)
    const jwk = { ...issuer.jwks.keys[0] }
    const pem = createPublicKey({ key: jwk as never, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
    const claims = { ...JOB, iss: issuer.url, aud: fleet.primaryUrl, iat: now, exp: now + 60, jti: 'j' }
    const b64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const mac = (secret: string | Buffer, alg = 'HS256') => {
      const signed = `${b64({ alg, kid: 'one' })}.${b64(claims)}`
      return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
    }
    const good = await job()
    const embedded = { jwk: evil.jwks.keys[0] as never }
    const rows: [string, string | Promise<string>][] = [
      ['an empty secret', mac('')],
      ['a short secret', mac('secret')],
      ['zeros', mac(Buffer.alloc(64))],
      ['our key as a secret', mac(pem as string)],
      ['our key as JSON', mac(JSON.stringify(jwk))],
      ['a MAC called RS256', mac(pem as string, 'RS256')],
      ['no algorithm', `${b64({ alg: 'none' })}.${b64(claims)}.`],
      ['an extension that nobody knows', `${b64({ alg: 'RS256', kid: 'one', crit: ['x'], x: 1 })}.${b64(claims)}.AAAA`],
      ['a key to fetch', evil.sign({ ...claims }, { jku: `${evil.url}/evil`, x5u: `${evil.url}/evil` })],
      ['a key in it', evil.sign({ ...claims }, embedded)],
      ['a path as a key', job({}, { kid: '../../dev/null' })],
      ['a quote as a key', job({}, { kid: "' OR 1=1--" })],
      ['an issuer that nobody named', evil.sign({ ...JOB, aud: fleet.primaryUrl })],
      ['another audience', job({ aud: 'https://elsewhere.test' })],
      ['no audience', job({ aud: undefined })],
      ['no end', job({ exp: undefined })],
      ['no age', job({ iat: undefined })],
      ['an end beyond the leeway', job({ exp: now - 32 })],
      ['a begin beyond the leeway', job({ nbf: now + 40 })],
      ['made far in the future', job({ iat: now + 86_400, exp: now + 90_000 })],
      ['made long ago', job({ iat: now - 7200, exp: now + 60 })],
      ['a changed one', good.replace(/\.[^.]+\./, `.${b64({ ...claims, repository_owner_id: '4711' })}.`)],
      ['no token', 'a.b.c'],
      ['a long one', `${'a'.repeat(16_000)}.b.c`],
    ]
    for (const [what, token] of rows) assert.equal((await exchange(await token)).status, 401, what)
    assert.deepEqual(evil.asked, [])
    assert.equal((await exchange(await job({ exp: now - 5 }))).status, 200, 'within the leeway')
    assert.equal((await exchange(await job({ nbf: now + 20 }))).status, 200, 'within the leeway')
    const me = { headers: { authorization: `Bearer ${await job()}` } }
    assert.equal((await fetch(`${fleet.primaryUrl}/api/v1/auth/me`, me)).status, 401, 'it is no access token')
  })

  it('refuses rules that would let anybody in, or into too much', async () => {
    const rule = { issuer: issuer.url, account: 'ci', scopes: ['read'], claims: { sub: 'x' } }
    for (const [what, wrong] of [
      ['no owner', { claims: { ref: 'refs/heads/main' } }],
      ['anything', { claims: { sub: '*' } }],
      ['anything among others', { claims: { sub: ['x', '**'] } }],
      ['an administrator', { account: 'admin' }],
      ['nobody', { account: 'nobody' }],
      ['no scope', { scopes: ['everything'] }],
      ['too long', { lifetime_minutes: 61 }],
      ['a file', { issuer: 'file:///etc/passwd' }],
    ] as const)
      await assert.rejects(fleet.api('PUT', `${RULES}/wrong`, { ...rule, ...wrong }), /400/, what)
  })

  it('lets what lies in a file come again where the rule says so, with keys that the rule holds', async () => {
    const cluster = await testIssuer()
    await fleet.api('PUT', `${RULES}/pods`, {
      issuer: cluster.url,
      claims: { sub: 'system:serviceaccount:build:*' },
      account: 'ci',
      scopes: ['read'],
      reusable: true,
      jwks: cluster.jwks,
    })
    const sub = 'system:serviceaccount:build:runner'
    const token = await cluster.sign({ sub, aud: [fleet.primaryUrl], jti: undefined })
    const [one, two] = [await exchange(token), await exchange(token)]
    const given = [(await one.json()) as { access_token: string }, (await two.json()) as { access_token: string }]
    assert.equal(given[0]?.access_token, given[1]?.access_token)
    assert.deepEqual(cluster.asked, [])
    const other = await cluster.sign({ sub: 'system:serviceaccount:prod:x', aud: fleet.primaryUrl })
    assert.equal((await exchange(other)).status, 403)
    await cluster.close()
    await fleet.api('DELETE', `${RULES}/pods`)
    assert.equal((await exchange(token)).status, 401)
  })

  it('speaks for nobody who is disabled', async () => {
    const given = (await (await exchange(await job())).json()) as { access_token: string }
    await fleet.api('PATCH', '/api/v1/users/ci', { is_disabled: true })
    assert.equal((await exchange(await job())).status, 403)
    assert.equal(await putStatus(given.access_token, 'files/late.txt'), 401)
    await fleet.api('PATCH', '/api/v1/users/ci', { is_disabled: false })
  })

  it('goes on with the keys that it knows while the issuer is away', async () => {
    assert.equal((await exchange(await job())).status, 200)
    issuer.answers.set('/jwks', { status: 500 })
    assert.equal((await exchange(await job())).status, 200)
    assert.equal((await exchange(await job({}, { kid: 'two' }))).status, 401)
    issuer.answers.clear()
  })
})
