import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Gate } from '../../../protocol/access/gate.js'
import { newToken } from '../../../protocol/access/token.js'
import { openApi, openApiEndpoint } from '../../../protocol/api/openapi.js'
import { type Reads, readEndpoints } from '../../../protocol/api/reads.js'
import { serveApi } from '../../../protocol/api/serve.js'
import { MemoryBlobs } from '../../../protocol/blobs/memory.js'
import type { RegistryError } from '../../../protocol/errors.js'
import type { Format } from '../../../protocol/format.js'
import { Recorded } from '../../../protocol/kinds/recorded.js'
import { Virtual } from '../../../protocol/kinds/virtual.js'
import { MemoryLedger } from '../../../protocol/metadata/memory.js'
import type { Principal } from '../../../protocol/ports.js'
import { FLEET, type RepositoryRecord, type Step } from '../../../protocol/records.js'
import type { Repository } from '../../../protocol/repository.js'
import { digestOf, publish, repositoryRecord } from '../../contracts/metadata.js'
import { bodyOf, requestOf } from '../../support/request.js'

const R = '/api/v1/repositories'

describe('repositories', () => {
  it('are listed to those who may see them, in pages', async () => {
    const { get } = await world()
    assert.deepEqual(keys(await get('anonymous', R)), ['all', 'open'])
    assert.deepEqual(keys(await get('ann', R)), ['all', 'closed', 'open'])
    assert.deepEqual(keys(await get('bob', R)), ['all', 'open', 'pathed'])
    const first = await get('root', `${R}?limit=2`)
    assert.deepEqual([keys(first), first.next], [['all', 'closed'], 'closed'])
    const second = await get('root', `${R}?limit=2&after=closed`)
    assert.deepEqual([keys(second), second.next], [['open', 'pathed'], null])
    assert.deepEqual(keys(await get('root', `${R}?repo_type=virtual`)), ['all'])
  })

  it('have the fields of the interface, and an upstream only for those who administer them', async () => {
    const { get } = await world()
    assert.deepEqual(await get('anonymous', `${R}/open`), {
      key: 'open',
      name: 'open',
      format: 'generic',
      repo_type: 'local',
      is_public: true,
      allow_redeploy: false,
      quota_bytes: 5000,
      used_bytes: null,
      upstream_url: null,
      max_staleness_seconds: null,
      description: '',
      members: [],
      url: 'http://registry.test/repository/open',
      created_at: '2026-01-01T00:00:00.000Z',
    })
    assert.equal((await get('root', `${R}/open`)).upstream_url, 'https://up.example/')
    await assert.rejects(get('anonymous', `${R}/closed`), { kind: 'missing' })
  })

  it('show members that the asker may see, with their priorities', async () => {
    const { get } = await world()
    assert.deepEqual((await get('ann', `${R}/all/members`)).items, [
      { member_key: 'closed', priority: 5 },
      { member_key: 'open', priority: 10 },
    ])
    assert.deepEqual((await get('anonymous', `${R}/all/members`)).items, [{ member_key: 'open', priority: 10 }])
  })
})

describe('artifacts', () => {
  it('are listed in byte order, by prefix and in pages', async () => {
    const { get } = await world()
    assert.deepEqual(paths(await get('anonymous', `${R}/open/artifacts`)), ['a/1', 'a/2', 'a b/ü#?', 'b'].sort())
    assert.deepEqual(paths(await get('anonymous', `${R}/open/artifacts?prefix=a/`)), ['a/1', 'a/2'])
    const first = await get('anonymous', `${R}/open/artifacts?limit=3`)
    assert.equal(paths(first).length, 3)
    const rest = await get('anonymous', `${R}/open/artifacts?limit=3&after=${encodeURIComponent(first.next)}`)
    assert.deepEqual([paths(rest), rest.next], [['b'], null])
  })

  it('outside the paths that somebody was granted do not show', async () => {
    const { get } = await world()
    assert.deepEqual(paths(await get('bob', `${R}/pathed/artifacts`)), ['team/x'])
    assert.equal((await get('bob', `${R}/pathed/artifacts/team/x`)).size, 100)
    await assert.rejects(get('bob', `${R}/pathed/artifacts/other/x`), { kind: 'forbidden' })
    assert.deepEqual(paths(await get('bob', '/api/v1/search/artifacts?path=*x')), ['team/x'])
  })

  it('tell what is known about them', async () => {
    const { get } = await world()
    const found = await get('anonymous', `${R}/open/artifacts/a%20b/%C3%BC%23%3F`)
    assert.deepEqual(found, {
      repository: 'open',
      path: 'a b/ü#?',
      size: 100,
      digest: digestOf('x:a b/ü#?'),
      checksums: { sha256: digestOf('x:a b/ü#?') },
      package: 'p',
      version: '2',
      published_at: '2026-01-01T00:00:00.000Z',
      download_url: 'http://registry.test/api/v1/repositories/open/download/a%20b/%C3%BC%23%3F',
      properties: { stage: 'qa' },
      download_count: null,
    })
    await assert.rejects(get('anonymous', `${R}/open/artifacts/nothing`), { kind: 'missing', code: 'artifact_missing' })
  })

  it('are downloaded by the same reply as on the format route', async () => {
    const { get } = await world()
    assert.deepEqual(await get('anonymous', `${R}/open/download/a/1`), { served: 'a/1' })
    await assert.rejects(get('anonymous', `${R}/closed/download/c`), { kind: 'missing' })
  })

  it('through a virtual repository come from members that the asker may read', async () => {
    const { get } = await world()
    assert.ok(paths(await get('ann', `${R}/all/artifacts`)).includes('c'))
    assert.ok(!paths(await get('anonymous', `${R}/all/artifacts`)).includes('c'))
    await assert.rejects(get('anonymous', `${R}/all/artifacts/c`), { kind: 'missing' })
  })
})

describe('search', () => {
  const rows: [string, string, string[]][] = [
    ['ann', 'name=P', ['open:a b/ü#?', 'open:a/1', 'open:a/2', 'open:b']],
    ['ann', 'name=q', ['closed:c']],
    ['anonymous', 'name=q', []],
    ['ann', 'name=p*&version=1', ['open:a/1', 'open:a/2']],
    ['ann', 'version=1', ['closed:c', 'open:a/1', 'open:a/2']],
    ['ann', 'path=a/', ['open:a/1', 'open:a/2']],
    ['ann', 'path=*/2', ['open:a/2']],
    ['ann', `checksum=${digestOf('x:a/1')}`, ['open:a/1']],
    ['ann', `checksum=sha256:${digestOf('x:c').toUpperCase()}`, ['closed:c']],
    ['anonymous', `checksum=${digestOf('x:c')}`, []],
    ['ann', 'version=1&repository=closed', ['closed:c']],
    ['anonymous', 'version=1&repository=closed', []],
  ]
  for (const withIndex of [false, true])
    for (const [who, query, expected] of rows)
      it(`of ${who} for ${query.slice(0, 40)} finds what it should${withIndex ? ' by the index of digests' : ''}`, async () => {
        const { get } = await world({ withIndex })
        const { items } = await get(who, `/api/v1/search/artifacts?${query}`)
        assert.deepEqual(
          items.map((item: { repository: string; path: string }) => `${item.repository}:${item.path}`),
          expected,
        )
      })

  it('goes on from page to page until everything was found once', async () => {
    const { get } = await world()
    const found: string[] = []
    let next: string | null = ''
    for (let pages = 0; next !== null && pages < 20; pages++) {
      const page: { items: { path: string }[]; next: string | null } = await get(
        'ann',
        `/api/v1/search/artifacts?path=*&limit=1${next ? `&after=${next}` : ''}`,
      )
      found.push(...page.items.map((item) => item.path))
      next = page.next
    }
    assert.deepEqual(found, ['c', 'a b/ü#?', 'a/1', 'a/2', 'b'])
  })

  it('refuses nonsense', async () => {
    const { get } = await world()
    for (const query of [
      '',
      'checksum=zz',
      'name=',
      'name=x&after=%00',
      'name=x&after=bm9uc2Vuc2U',
      'name=x&limit=abc',
    ])
      await assert.rejects(get('ann', `/api/v1/search/artifacts?${query}`), { kind: 'invalid' }, query)
  })

  it('stays fast for patterns made to be slow', async () => {
    const { get } = await world()
    const before = performance.now()
    await get('ann', `/api/v1/search/artifacts?name=${'*a'.repeat(400)}&path=${'*a*'.repeat(300)}`)
    assert.ok(performance.now() - before < 200)
  })
})

describe('who one is', () => {
  it('is told to everybody', async () => {
    const { get } = await world()
    const nobody = await get('anonymous', '/api/v1/auth/me')
    assert.deepEqual(
      [nobody.username, nobody.is_anonymous, nobody.is_admin, nobody.token],
      ['anonymous', true, false, null],
    )
    const ann = await get('ann', '/api/v1/auth/me')
    assert.deepEqual([ann.username, ann.is_anonymous, ann.groups, ann.token.scopes], ['ann', false, ['devs'], ['*']])
    assert.ok(!('hash' in ann.token))
  })
})

describe('access', () => {
  it('tells who may, and through which group, project or grant', async () => {
    const { get } = await world()
    const who = async (query: string) => (await get('root', `/api/v1/repositories/${query}`)).items
    const names = async (query: string) => (await who(query)).map(({ username }: { username: string }) => username)
    assert.deepEqual(await names('open/access'), ['ann', 'anonymous', 'bob', 'root'])
    assert.deepEqual(await names('closed/access'), ['ann', 'root'])
    assert.deepEqual(await names('pathed/access'), ['root'])
    assert.deepEqual(await names('pathed/access?path=team/x'), ['bob', 'root'])
    assert.deepEqual(await names('closed/access?action=admin'), ['root'])
    const [ann] = await who('closed/access')
    assert.deepEqual(ann.sources, [
      {
        effect: 'allow',
        actions: ['read'],
        path: '',
        grant: 'g1',
        project: null,
        role: null,
        group: 'devs',
        reason: 'Grant g1 lets group devs: read.',
      },
    ])
  })

  it('tells what somebody may, to administrators, auditors and themselves', async () => {
    const { get } = await world()
    const what = async (who: string, user: string) => {
      const { items } = await get(who, `/api/v1/users/${user}/access`)
      return items.map((one: { repository: string; actions: string[]; partly: string[] }) => [
        one.repository,
        one.actions.join(' '),
        one.partly.join(' '),
      ])
    }
    assert.deepEqual(await what('root', 'bob'), [
      ['all', 'read', ''],
      ['open', 'read', ''],
      ['pathed', '', 'read'],
    ])
    assert.deepEqual(await what('bob', 'bob'), await what('root', 'bob'))
    const path = await get('bob', '/api/v1/users/bob/access?repository=pathed&path=team/x')
    assert.deepEqual(path.items[0].actions, ['read'])
    const messages: string[] = []
    for (const user of ['ann', 'nobody'])
      await assert.rejects(get('bob', `/api/v1/users/${user}/access`), (error: RegistryError) => {
        assert.equal(error.kind, 'missing')
        return messages.push(error.message.replace(user, '')) > 0
      })
    assert.equal(new Set(messages).size, 1)
    await assert.rejects(get('bob', '/api/v1/repositories/open/access'), { kind: 'forbidden' })
    await assert.rejects(get('bob', '/api/v1/repositories/closed/access'), { kind: 'missing' })
  })
})

describe('snippets', () => {
  it('are for the repositories that the asker may see', async () => {
    const { get } = await world()
    const { items } = await get('anonymous', '/api/v1/snippets')
    assert.deepEqual(
      items.map((item: { snippet: string }) => item.snippet),
      ['use http://registry.test/repository/all', 'use http://registry.test/repository/open'],
    )
  })
})

describe('the OpenAPI document', () => {
  it('describes each endpoint once, with parameters that its path has and components that exist', async () => {
    const { endpoints } = await world()
    const document = openApi({ version: '1', endpoints })
    assert.equal(document.openapi, '3.1.0')
    const paths = document.paths as Record<
      string,
      Record<
        string,
        { operationId: string; parameters: { in: string; name: string }[]; responses: Record<string, unknown> }
      >
    >
    const operations = Object.entries(paths).flatMap(([path, item]) =>
      Object.values(item).map((operation) => ({ path, operation })),
    )
    assert.equal(operations.length, endpoints.length)
    assert.equal(new Set(operations.map(({ operation }) => operation.operationId)).size, endpoints.length)
    for (const { path, operation } of operations) {
      const named = operation.parameters
        .filter((parameter) => parameter.in === 'path')
        .map((parameter) => parameter.name)
      assert.deepEqual(
        named,
        [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]),
      )
      assert.ok(operation.responses.default)
    }
    const schemas = (document.components as { schemas: Record<string, unknown> }).schemas
    const text = JSON.stringify(document)
    for (const [, id] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) assert.ok(schemas[id ?? ''], id)
    assert.ok(!text.includes('$defs') && !text.includes('"$schema"'))
    assert.ok(schemas.Repository && schemas.Artifact && schemas.Problem)
  })

  it('is served, and lists itself', async () => {
    const { get } = await world()
    const document = await get('anonymous', '/api/v1/openapi.json')
    assert.ok(document.paths['/api/v1/openapi.json'].get)
    assert.equal(document.paths['/api/v1/repositories/{key}/artifacts/{path}'].get.operationId, 'artifacts.get')
  })
})

async function world({ withIndex = false } = {}) {
  const ledger = await MemoryLedger.open()
  const { state } = ledger
  const steps: Step[] = [
    {
      kind: 'repository',
      key: 'open',
      record: repositoryRecord('open', { quota: 5000, upstream: 'https://up.example/' }),
    },
    { kind: 'repository', key: 'closed', record: repositoryRecord('closed', { public: false }) },
    { kind: 'repository', key: 'pathed', record: repositoryRecord('pathed', { public: false }) },
    {
      kind: 'repository',
      key: 'all',
      record: repositoryRecord('all', { type: 'virtual', members: ['closed', 'open'], priorities: [5, 10] }),
    },
    grant('g1', 'group', 'devs', 'closed', ''),
    grant('g2', 'user', 'bob', 'pathed', 'team/'),
  ]
  const headers = new Map<string, string>()
  for (const name of ['root', 'ann', 'bob']) {
    const { value, id, hash } = newToken()
    const user = {
      id: name,
      name,
      email: '',
      admin: name === 'root',
      disabled: false,
      groups: name === 'ann' ? ['devs'] : [],
      createdAt: '',
    }
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
  const put = (key: string, ...published: Step[]) =>
    ledger.commit({ scope: `${key}~test`, steps: published, by: 'test' })
  const meta = JSON.stringify({ name: 'p', _cairn: { properties: { stage: 'qa' } } })
  await put('open', publish('p', '1', ['a/2', 'a/1']), publish('p', '2', ['b', 'a b/ü#?']), {
    kind: 'amend',
    package: 'p',
    version: '2',
    meta,
  })
  await put('closed', publish('q', '1', ['c']))
  await put('pathed', publish('r', '3', ['team/x', 'other/x']))
  const gate = new Gate(state, { verify: async () => false })
  const blobs = new MemoryBlobs()
  const single = (record: RepositoryRecord) => new Recorded(record, state, blobs)
  const open = (record: RepositoryRecord, principal: Principal): Repository => {
    if (record.type !== 'virtual') return single(record)
    const members = record.members
      .map((key) => state.repository(key) ?? assert.fail(key))
      .filter((member) => gate.decide(principal, 'read', member).allowed)
    return new Virtual(record, { members: members.map(single), hidden: [], merges: () => false })
  }
  const reads: Reads = {
    metadata: state,
    gate,
    formats: [format],
    open,
    members: (record) => [{ record, repository: single(record) }],
    merges: () => false,
    blobs,
    file: async (_, file) => ({ status: 200, headers: {}, body: JSON.stringify({ served: file.path }) }),
    ...(withIndex
      ? {
          holders: async (digest) => {
            const found: { scope: string; path: string }[] = []
            for (const { scope } of state.repositories())
              for (const file of await state.files(scope, { limit: 100 }))
                if (file.digest === digest) found.push({ scope, path: file.path })
            return found
          },
        }
      : {}),
  }
  const described = readEndpoints(reads)
  const document = openApiEndpoint(() => ({ version: '1', endpoints: [...described, document] }))
  const endpoints = [...described, document]
  const api = serveApi(endpoints, { metadata: state, gate })
  return {
    endpoints,
    async get(who: string, target: string) {
      const principal = who === 'anonymous' ? gate.anonymous : await gate.authenticate(headers.get(who) ?? '')
      const reply = await api(requestOf('GET', target), principal)
      assert.ok(reply, `${target} is no endpoint`)
      return JSON.parse((await bodyOf(reply)).toString())
    },
  }
}

const format: Format = { name: 'generic', routes: [], hashes: [], snippet: ({ base }) => `use ${base}` }

function grant(id: string, kind: 'user' | 'group', name: string, repository: string, path: string): Step {
  return {
    kind: 'access',
    subject: 'grant',
    id,
    record: { id, subject: { kind, name }, repository, path, actions: ['read'] },
  }
}

function keys(page: { items: { key: string }[] }): string[] {
  return page.items.map((item) => item.key)
}

function paths(page: { items: { path: string }[] }): string[] {
  return page.items.map((item) => item.path)
}
