import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { Gate } from '../../../protocol/access/gate.js'
import { newToken } from '../../../protocol/access/token.js'
import { endpoint } from '../../../protocol/api/endpoint.js'
import { type AuditedRequest, serveApi } from '../../../protocol/api/serve.js'
import type { RegistryError } from '../../../protocol/errors.js'
import { MemoryLedger } from '../../../protocol/metadata/memory.js'
import type { Principal } from '../../../protocol/ports.js'
import { FLEET, type Step } from '../../../protocol/records.js'
import { repositoryRecord } from '../../contracts/metadata.js'
import { bodyOf, ORIGIN, requestOf, type Sent } from '../../support/request.js'

const thing = z.strictObject({ name: z.string().max(5), size: z.number().int().optional() })

describe('an endpoint', () => {
  it('gets what its path, query and body say, and its reply is JSON that no cache keeps', async () => {
    const { call } = await world()
    const { status, headers, json } = await call('root', 'POST', '/api/v1/things/a%20b/deep/x/y?limit=7', {
      body: { name: 'n' },
    })
    assert.equal(status, 201)
    assert.deepEqual(json, { id: 'a b', path: 'x/y', limit: 7, name: 'n' })
    assert.equal(headers['cache-control'], 'no-store')
    assert.match(headers['x-cairn-position'] ?? '', /^1\.\d+$/)
  })

  const bad: [string, Sent, string][] = [
    ['an unknown field', { body: { name: 'n', nmae: 1 } }, 'body_invalid'],
    ['a wrong type', { body: { name: 3 } }, 'body_invalid'],
    ['__proto__', { body: '{"name":"n","__proto__":{"admin":true}}' }, 'body_invalid'],
    ['what is no JSON', { body: '{"name":' }, 'body_invalid'],
    ['an array', { body: '[]' }, 'body_invalid'],
    ['what is not UTF-8', { headers: { 'content-encoding': 'gzip' }, body: '{}' }, 'content_encoding'],
    ['a form', { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'name=n' }, 'content_type'],
    ['no body', {}, 'body_invalid'],
  ]
  for (const [what, sent, code] of bad) {
    it(`refuses ${what} with a sentence`, async () => {
      const { call } = await world()
      await assert.rejects(call('root', 'POST', '/api/v1/things/a/deep/x', sent), { kind: 'invalid', code })
    })
  }

  it('refuses a body of more than 1 MiB, announced or not', async () => {
    const { call } = await world()
    const body = `{"name":"${'n'.repeat(1024 * 1024)}"}`
    await assert.rejects(call('root', 'POST', '/api/v1/things/a/deep/x', { body }), { kind: 'too_large' })
  })

  it('refuses query parameters that are unknown or given twice', async () => {
    const { call } = await world()
    for (const query of ['limit=1&limit=2', 'lim=1', 'limit=-1', 'limit=', '__proto__=1'])
      await assert.rejects(
        call('root', 'POST', `/api/v1/things/a/deep/x?${query}`, { body: { name: 'n' } }),
        { kind: 'invalid' },
        query,
      )
  })

  it('says nothing about the body to those who may not call it', async () => {
    const { call } = await world()
    await assert.rejects(call('ann', 'POST', '/api/v1/things/a/deep/x', { body: 'rubbish' }), { kind: 'forbidden' })
    await assert.rejects(call('anonymous', 'POST', '/api/v1/things/a/deep/x', { body: 'rubbish' }), {
      kind: 'unauthenticated',
    })
  })

  it('of a repository answers 404 for one that may not be seen, as for one that is not there', async () => {
    const { call } = await world()
    const messages: string[] = []
    for (const who of ['ann', 'anonymous'])
      for (const key of ['closed', 'absent'])
        for (const method of ['GET', 'DELETE'])
          await assert.rejects(call(who, method, `/api/v1/repositories/${key}`), (error: RegistryError) => {
            assert.equal(error.kind, 'missing')
            return messages.push(error.message.replace(key, '')) > 0
          })
    assert.equal(new Set(messages).size, 1)
  })

  it('of a repository that may be seen answers 401 to strangers and 403 to others', async () => {
    const { call } = await world()
    await assert.rejects(call('anonymous', 'DELETE', '/api/v1/repositories/open'), { kind: 'unauthenticated' })
    await assert.rejects(call('ann', 'DELETE', '/api/v1/repositories/open'), { kind: 'forbidden' })
    assert.equal((await call('root', 'DELETE', '/api/v1/repositories/open')).status, 204)
  })

  it('is told apart by method: 405 names the others, HEAD is a GET, an unknown path is not ours', async () => {
    const { call, api, gate } = await world()
    const { status, headers } = await call('anonymous', 'PATCH', '/api/v1/repositories/open')
    assert.equal(status, 405)
    assert.equal(headers.allow, 'DELETE, GET, HEAD')
    assert.equal((await call('anonymous', 'HEAD', '/api/v1/repositories/open')).status, 200)
    for (const path of [
      '/api/v1/repositories/open/',
      '/api/v1/Repositories/open',
      '/api/v1',
      '/',
      '/api/v1/repositories/open;a=b/c',
    ])
      assert.equal(api(requestOf('GET', path), gate.anonymous), undefined, path)
    for (const path of [
      '/api/v1/repositories//open',
      '/api/v1/things/a/deep/../x',
      '/api/v1/things/%2e%2e/deep/x',
      '/api/v1/things/a%00/deep/x',
    ])
      assert.throws(() => api(requestOf('GET', path), gate.anonymous), { kind: 'invalid' }, path)
  })

  it('with the more literal path wins', async () => {
    const { call } = await world()
    assert.deepEqual((await call('anonymous', 'GET', '/api/v1/words/special')).json, { which: 'literal' })
    assert.deepEqual((await call('anonymous', 'GET', '/api/v1/words/a/b/end')).json, { which: 'a/b then end' })
    assert.deepEqual((await call('anonymous', 'GET', '/api/v1/words/a/b')).json, { which: 'a/b' })
  })
})

describe('what changes something', () => {
  it('is refused to pages of other origins and open to programs and to our own pages', async () => {
    const { call } = await world()
    const foreign: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: ORIGIN, 'sec-fetch-site': 'cross-site' },
    ]
    for (const headers of foreign)
      await assert.rejects(call('root', 'DELETE', '/api/v1/repositories/open', { headers }), { code: 'cross_site' })
    const own: Record<string, string>[] = [
      {},
      { origin: ORIGIN },
      { origin: ORIGIN, 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
    ]
    for (const headers of own)
      assert.equal((await call('root', 'DELETE', '/api/v1/repositories/open', { headers })).status, 204)
    assert.equal(
      (await call('anonymous', 'GET', '/api/v1/repositories/open', { headers: { 'sec-fetch-site': 'cross-site' } }))
        .status,
      200,
    )
  })

  it('is audited with its outcome, refusals of users included, without what was sent', async () => {
    const { call, trail } = await world()
    await call('root', 'POST', '/api/v1/things/a/deep/x', { body: { name: 'n' } })
    await assert.rejects(call('root', 'POST', '/api/v1/things/a/deep/x', { body: { name: 'secret' } }))
    await assert.rejects(call('ann', 'DELETE', '/api/v1/repositories/open'))
    await call('ann', 'GET', '/api/v1/repositories/open')
    assert.deepEqual(
      trail.map(({ who, action, subject, outcome }) => [who, action, subject, outcome]),
      [
        ['root', 'things.make', '/api/v1/things/a/deep/x', 'begun'],
        ['root', 'things.make', '/api/v1/things/a/deep/x', 'ok'],
        ['root', 'things.make', '/api/v1/things/a/deep/x', 'begun'],
        ['root', 'things.make', '/api/v1/things/a/deep/x', 'body_invalid'],
        ['ann', 'repositories.delete', '/api/v1/repositories/open', 'forbidden'],
      ],
    )
    assert.ok(!JSON.stringify(trail).includes('secret'))
  })

  it('leaves no rows of strangers, who could fill the trail', async () => {
    const { call, trail } = await world()
    await assert.rejects(call('anonymous', 'DELETE', '/api/v1/repositories/open'))
    assert.equal(trail.length, 0)
  })
})

async function world() {
  const ledger = await MemoryLedger.open()
  const steps: Step[] = [
    { kind: 'repository', key: 'open', record: repositoryRecord('open') },
    { kind: 'repository', key: 'closed', record: repositoryRecord('closed', { public: false }) },
  ]
  const headers = new Map<string, string>()
  for (const name of ['root', 'ann']) {
    const { value, id, hash } = newToken()
    const user = { id: name, name, email: '', admin: name === 'root', disabled: false, groups: [], createdAt: '' }
    steps.push({ kind: 'access', subject: 'user', id: name, record: user })
    steps.push({
      kind: 'access',
      subject: 'token',
      id,
      record: { id, hash, name: 't', user: name, scopes: ['*'], createdAt: '', use: 'api' },
    })
    headers.set(name, `Bearer ${value}`)
  }
  await ledger.commit({ scope: FLEET, steps, by: 'test' })
  const gate = new Gate(ledger.state, { verify: async () => false })
  const trail: AuditedRequest[] = []
  const api = serveApi(endpoints, { metadata: ledger.state, gate, audit: async (entry) => void trail.push(entry) })
  const principalOf = async (who: string): Promise<Principal> =>
    who === 'anonymous' ? gate.anonymous : gate.authenticate(headers.get(who) ?? '')
  return {
    api,
    gate,
    trail,
    async call(who: string, method: string, target: string, sent?: Sent) {
      const reply = await api(requestOf(method, target, sent), await principalOf(who))
      assert.ok(reply, `${target} is no endpoint`)
      const text = (await bodyOf(reply)).toString()
      return { ...reply, json: text === '' ? undefined : JSON.parse(text) }
    },
  }
}

const endpoints = [
  endpoint({
    name: 'things.make',
    method: 'POST',
    path: '/api/v1/things/{id}/deep/{path*}',
    summary: 'For tests',
    access: 'administrator',
    query: z.strictObject({ limit: z.string().regex(/^\d+$/).transform(Number).default(1) }),
    body: thing,
    reply: z.object({ id: z.string(), path: z.string(), limit: z.number(), name: z.string() }),
    status: 201,
    handle: async ({ params, query, body }) => ({
      id: params.id,
      path: params.path,
      limit: query.limit,
      name: body.name,
    }),
  }),
  endpoint({
    name: 'repositories.get',
    method: 'GET',
    path: '/api/v1/repositories/{key}',
    summary: 'For tests',
    access: { repository: 'see' },
    reply: z.object({ key: z.string() }),
    handle: async ({ repository }) => ({ key: repository.key }),
  }),
  endpoint({
    name: 'repositories.delete',
    method: 'DELETE',
    path: '/api/v1/repositories/{key}',
    summary: 'For tests',
    access: { repository: 'delete' },
    reply: 'empty',
    handle: async () => undefined,
  }),
  ...(['/api/v1/words/{path*}', '/api/v1/words/{path*}/end', '/api/v1/words/special'] as const).map((path) =>
    endpoint({
      name: 'words.get',
      method: 'GET',
      path,
      summary: 'For tests',
      access: 'anyone',
      reply: z.object({ which: z.string() }),
      handle: async ({ params }) => {
        const rest = Object.values(Object(params)).join()
        return { which: rest === '' ? 'literal' : `${rest}${path.endsWith('end') ? ' then end' : ''}` }
      },
    }),
  ),
]
