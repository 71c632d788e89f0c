/** Roles, denies and projects at a node: the same decisions and the same explanation as at the primary, cut off too. */
import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { type TestFleet, testFleet, until } from './support/fleet.js'

const PASSWORD = 'another password of the tests'
let fleet: TestFleet
let dev: string

before(async () => {
  fleet = await testFleet({ nodes: 1 })
  const { api } = fleet
  await api('POST', '/api/v1/users', { username: 'dev', password: PASSWORD })
  await api('POST', '/api/v1/groups', { name: 'crew' })
  await api('PUT', '/api/v1/groups/crew/members/dev')
  await api('POST', '/api/v1/roles', { name: 'looker', actions: ['read'] })
  await api('POST', '/api/v1/projects', { key: 'shop' })
  await api('PUT', '/api/v1/projects/shop/groups/crew', { role: 'looker' })
  for (const [key, more] of [
    ['shop-files', { project: 'shop' }],
    ['other-files', {}],
  ] as const)
    await api('POST', '/api/v1/repositories', { key, format: 'generic', ...more })
  await api('POST', '/api/v1/grants', {
    group: 'crew',
    repository: '*',
    path: 'sealed/',
    role: 'admin',
    effect: 'deny',
  })
  for (const path of ['open/a', 'sealed/a'])
    await fetch(`${fleet.primaryUrl}/repository/shop-files/${path}`, {
      method: 'PUT',
      headers: { authorization: fleet.admin },
      body: path,
    })
  const basic = `Basic ${Buffer.from(`dev:${PASSWORD}`).toString('base64')}`
  const made = await fetch(`${fleet.primaryUrl}/api/v1/auth/tokens`, {
    method: 'POST',
    headers: { authorization: basic, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'dev', scopes: ['*'] }),
  })
  dev = `Bearer ${((await made.json()) as { value: string }).value}`
  await until(async () => (await get(1, '/repository/shop-files/open/a')).status === 200)
})
after(() => fleet.close())

const get = (side: number, path: string, authorization = dev) =>
  fetch([fleet.primaryUrl, ...fleet.nodeUrls][side] + path, { headers: { authorization } })

async function seen(side: number): Promise<unknown[]> {
  const paths = ['shop-files/open/a', 'shop-files/sealed/a', 'other-files/a'].map((path) => `/repository/${path}`)
  const statuses = await Promise.all(paths.map(async (path) => (await get(side, path)).status))
  const what = (await (await get(side, '/api/v1/users/dev/access')).json()) as { items: unknown[] }
  return [...statuses, what]
}

it('a node decides and explains as the primary does, also when it is cut off', async () => {
  const expected = await seen(0)
  assert.deepEqual(expected.slice(0, 3), [200, 403, 404])
  assert.match(JSON.stringify(expected[3]), /group crew is looker in project shop/)
  assert.deepEqual(await seen(1), expected)
  const who = '/api/v1/repositories/shop-files/access?path=open/a'
  const atPrimary = await (await get(0, who, fleet.admin)).json()
  assert.deepEqual(await (await get(1, who, fleet.admin)).json(), atPrimary)
  assert.equal((await get(1, who)).status, 403)
  await fleet.stopPrimary()
  assert.deepEqual(await seen(1), expected)
})
