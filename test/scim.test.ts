/** SCIM at a whole fleet: whoever is deactivated is refused at the primary and at nodes, by token and session alike. */
import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { type TestFleet, testFleet, until } from './support/fleet.js'

const PASSWORD = 'a password of somebody, 2026'
let fleet: TestFleet
let provisioning: string
before(async () => {
  fleet = await testFleet({ nodes: 1 })
  await fleet.api('POST', '/api/v1/identity-providers', { key: 'corp', kind: 'scim', settings: {} })
  const draft = { name: 'corp', expires_in_days: 30 }
  const made = (await fleet.api('POST', '/api/v1/identity-providers/corp/tokens', draft)) as Record<string, string>
  assert.deepEqual(made.scopes, ['scim'])
  provisioning = `Bearer ${made.value}`
})
after(() => fleet.close())

it('a user deactivated by SCIM is refused everywhere, whichever machine heard of it', async () => {
  const [node = ''] = fleet.nodeUrls
  await fleet.api('POST', '/api/v1/repositories', {
    key: 'closed',
    format: 'generic',
    repo_type: 'local',
    is_public: false,
  })
  await fleet.api('POST', '/api/v1/grants', { group: 'devs', repository: 'closed', actions: ['read', 'write'] })
  const made = await scim(node, 'POST', '/Users', { userName: 'ann', active: true })
  assert.equal(made.status, 201)
  assert.equal(made.headers.get('location'), `${node}/scim/v2/Users/${made.json.id}`)
  const path = `/Users/${made.json.id}`
  await scim(fleet.primaryUrl, 'POST', '/Groups', { displayName: 'devs', members: [{ value: made.json.id }] })
  await fleet.api('PUT', '/api/v1/users/ann/password', { password: PASSWORD })
  for (const at of [fleet.primaryUrl, node]) {
    const session = await signIn()
    const token = await apiToken(session)
    const put = await fetch(`${fleet.primaryUrl}/repository/closed/file`, {
      method: 'PUT',
      headers: { authorization: token },
      body: 'x',
    })
    assert.ok(put.ok, await put.text())
    for (const url of [fleet.primaryUrl, node])
      for (const credential of [session, token]) await until(async () => (await read(url, credential)) === 200)
    const off = { Operations: [{ op: 'Replace', path: 'active', value: 'False' }] }
    assert.equal((await scim(at, 'PATCH', path, off)).status, 200)
    for (const credential of [session, token]) {
      assert.equal(await read(fleet.primaryUrl, credential), 401)
      await until(async () => (await read(node, credential)) === 401)
    }
    await assert.rejects(signIn(), /401/)
    const on = { Operations: [{ op: 'Replace', path: 'active', value: 'True' }] }
    assert.equal((await scim(at, 'PATCH', path, on)).status, 200)
    for (const url of [fleet.primaryUrl, node]) assert.equal(await read(url, token), 401, 'what was ended stays so')
  }
})

it('a token for provisioning does nothing else, and ends like any other', async () => {
  const [node = ''] = fleet.nodeUrls
  for (const url of [fleet.primaryUrl, node]) {
    assert.equal(await read(url, provisioning), 404)
    const users = await fetch(`${url}/api/v1/users`, { headers: { authorization: provisioning } })
    assert.equal(users.status, 403)
    assert.equal((await scim(url, 'GET', '/Users')).json.totalResults, 1)
  }
  const { items } = (await fleet.api('GET', '/api/v1/identity-providers/corp/tokens')) as {
    items: Record<string, string>[]
  }
  assert.equal(items.length, 1)
  await fleet.api('DELETE', `/api/v1/identity-providers/corp/tokens/${items[0]?.id}`)
  assert.equal((await scim(fleet.primaryUrl, 'GET', '/Users')).status, 401)
  assert.equal((await scim(node, 'GET', '/Users')).status, 401)
})

async function scim(url: string, method: string, path: string, body?: unknown) {
  const reply = await fetch(`${url}/scim/v2${path}`, {
    method,
    headers: { authorization: provisioning, 'content-type': 'application/scim+json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await reply.text()
  return { status: reply.status, headers: reply.headers, json: text === '' ? undefined : JSON.parse(text) }
}

async function read(url: string, authorization: string): Promise<number> {
  const reply = await fetch(`${url}/repository/closed/file`, { headers: { authorization } })
  await reply.arrayBuffer()
  return reply.status
}

async function signIn(): Promise<string> {
  const reply = await fetch(`${fleet.primaryUrl}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'ann', password: PASSWORD }),
  })
  if (!reply.ok) throw new Error(`log-in failed: ${reply.status}`)
  return `Bearer ${((await reply.json()) as { access_token: string }).access_token}`
}

async function apiToken(authorization: string): Promise<string> {
  const reply = await fetch(`${fleet.primaryUrl}/api/v1/auth/tokens`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'ci' }),
  })
  return `Bearer ${((await reply.json()) as { value: string }).value}`
}
