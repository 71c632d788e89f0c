/** SCIM as Entra and Okta document their requests, and what they and others get wrong. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type TestDatabase, testDatabase } from '../support/postgres.js'
import { BASE, filtered, PASSWORD, patch, scimWorld, user } from '../support/scim.js'

const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'
let database: TestDatabase
before(async () => {
  database = await testDatabase()
})
after(() => database.close())

const world = () => scimWorld(database.pool)

describe('Entra', () => {
  it('finds nobody, makes a user, and finds it whatever the case', async () => {
    const { provider, directory } = await world()
    const send = await provider('corp')
    const none = await send('GET', filtered('/Users', 'userName eq "Ann.Smith@corp.test"'))
    assert.deepEqual([none.status, none.json.totalResults, none.json.Resources], [200, 0, []])
    assert.equal(none.headers['content-type'], 'application/scim+json')
    const made = await send('POST', '/Users', entraUser('Ann.Smith@corp.test', 'object-1'))
    assert.equal(made.status, 201)
    assert.equal(made.headers.location, `${BASE}/Users/${made.json.id}`)
    assert.equal(made.json.meta.location, made.headers.location)
    assert.equal(made.headers.etag, made.json.meta.version)
    assert.deepEqual(made.json.emails, [{ primary: true, type: 'work', value: 'ann@corp.test' }])
    assert.equal(made.json[ENTERPRISE].department, 'R&D')
    const account = directory.user('ann.smith@corp.test')
    assert.deepEqual([account?.email, account?.disabled, account?.admin], ['ann@corp.test', false, false])
    for (const filter of [
      'userName eq "ANN.SMITH@corp.test"',
      'USERNAME Eq "ann.smith@corp.test"',
      'externalId eq "object-1"',
      'emails[type eq "work"].value eq "ANN@corp.test"',
      'emails[type eq "work" and value co "@corp"]',
      `${ENTERPRISE}:department eq "r&d"`,
      'urn:ietf:params:scim:schemas:core:2.0:User:userName sw "ann"',
    ]) {
      const found = await send('GET', filtered('/Users', filter))
      assert.deepEqual([found.json.totalResults, found.json.Resources?.[0]?.id], [1, made.json.id], filter)
    }
  })

  it('changes parts: capitals, paths with a filter, keys with dots, and the schema before a name', async () => {
    const { provider } = await world()
    const send = await provider('corp')
    const { id } = (await send('POST', '/Users', entraUser('ann', 'object-1'))).json
    const changed = await send(
      'PATCH',
      `/Users/${id}`,
      patch(
        { op: 'Replace', path: 'emails[type eq "work"].value', value: 'new@corp.test' },
        { op: 'Add', path: 'phoneNumbers[type eq "mobile"].value', value: '555' },
        { op: 'Replace', path: 'name.familyName', value: 'Jones' },
        {
          op: 'replace',
          value: { displayName: 'A. Jones', 'name.givenName': 'Anna', [`${ENTERPRISE}:employeeNumber`]: '7' },
        },
        { op: 'Add', path: `${ENTERPRISE}:manager`, value: 'boss-1' },
        { op: 'Remove', path: 'title' },
      ),
    )
    assert.equal(changed.status, 200)
    assert.deepEqual(changed.json.emails, [{ primary: true, type: 'work', value: 'new@corp.test' }])
    assert.deepEqual(changed.json.phoneNumbers, [{ type: 'mobile', value: '555' }])
    assert.deepEqual(changed.json.name, { formatted: 'Ann Smith', familyName: 'Jones', givenName: 'Anna' })
    assert.deepEqual(changed.json[ENTERPRISE], { department: 'R&D', employeeNumber: '7', manager: { value: 'boss-1' } })
    assert.deepEqual([changed.json.displayName, changed.json.title], ['A. Jones', undefined])
    const none = patch({ op: 'Replace', path: 'emails[type eq "home"].value', value: 'x@corp.test' })
    const refused = await send('PATCH', `/Users/${id}`, none)
    assert.deepEqual([refused.status, refused.json.scimType], [400, 'noTarget'])
  })

  it('says that somebody is not active as the text "False"', async () => {
    const { provider, directory } = await world()
    const send = await provider('corp')
    const { id } = (await send('POST', '/Users', entraUser('ann', 'object-1'))).json
    const off = await send('PATCH', `/Users/${id}`, patch({ op: 'Replace', path: 'active', value: 'False' }))
    assert.deepEqual([off.status, off.json.active, directory.user('ann')?.disabled], [200, false, true])
    assert.equal((await send('GET', `/Users/${id}`)).json.active, false, 'it is still there')
    assert.equal((await send('GET', filtered('/Users', 'active eq false'))).json.totalResults, 1)
    const on = await send('PATCH', `/Users/${id}`, patch({ op: 'Add', path: 'active', value: 'True' }))
    assert.deepEqual([on.json.active, directory.user('ann')?.disabled], [true, false])
  })

  it('fills a group with 204 for each step, asks for it without members, and takes members out by value', async () => {
    const { provider, directory } = await world()
    const send = await provider('corp')
    const ids: string[] = []
    for (const name of ['ann', 'ben', 'cat']) ids.push((await send('POST', '/Users', user(name))).json.id)
    const [ann, ben, cat] = ids
    const made = await send('POST', '/Groups', {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group', 'http://schemas.example/2.0/Group'],
      externalId: 'group-1',
      displayName: 'Devs',
      meta: { resourceType: 'Group' },
    })
    assert.deepEqual([made.status, made.json.members], [201, []])
    const path = `/Groups/${made.json.id}`
    const add = { op: 'Add', path: 'members', value: ids.map((value) => ({ $ref: null, value })) }
    const added = await send('PATCH', path, patch(add))
    assert.deepEqual([added.status, added.json], [204, undefined])
    assert.deepEqual(groups(directory, 'ann', 'ben', 'cat'), [['Devs'], ['Devs'], ['Devs']])
    const query = `?${new URLSearchParams({ excludedAttributes: 'members', filter: 'displayName eq "devs"' })}`
    const found = await send('GET', `/Groups${query}`)
    assert.deepEqual([found.json.totalResults, 'members' in found.json.Resources[0]], [1, false])
    const member = await send('GET', filtered('/Groups', `id eq "${made.json.id}" and members eq "${ann}"`))
    assert.equal(member.json.totalResults, 1)
    await send('PATCH', path, patch({ op: 'Remove', path: 'members', value: [{ $ref: null, value: ann }] }))
    assert.deepEqual(groups(directory, 'ann', 'ben', 'cat'), [[], ['Devs'], ['Devs']])
    await send('PATCH', path, patch({ op: 'remove', path: `members[value eq "${ben}"]` }))
    assert.deepEqual(groups(directory, 'ben', 'cat'), [[], ['Devs']])
    assert.deepEqual((await send('GET', path)).json.members, [
      { value: cat, $ref: `${BASE}/Users/${cat}`, type: 'User' },
    ])
    await send('PATCH', path, patch({ op: 'Replace', path: 'displayName', value: 'Engineers' }))
    assert.deepEqual(groups(directory, 'cat'), [['Engineers']])
    const { json } = await send('GET', `/Users/${cat}`)
    assert.deepEqual(
      json.groups.map(({ value, display }: Record<string, string>) => [value, display]),
      [[made.json.id, 'Engineers']],
    )
    assert.equal((await send('DELETE', path)).status, 204)
    assert.deepEqual(groups(directory, 'cat'), [[]])
  })
})

describe('Okta', () => {
  it('looks first, makes, reads, and puts the whole back; its password is not kept', async () => {
    const { provider, directory } = await world()
    const send = await provider('okta')
    const look = `/Users?${new URLSearchParams({ filter: 'userName eq "test.user@okta.local"', startIndex: '1', count: '100' })}`
    assert.equal((await send('GET', look)).json.totalResults, 0)
    const made = await send('POST', '/Users', oktaUser())
    assert.equal(made.status, 201)
    assert.equal(JSON.stringify(made.json).includes('1mz050nq'), false)
    const { rows } = await database.pool.query('select attributes::text from scim_user')
    assert.equal(JSON.stringify(rows).includes('1mz050nq'), false)
    assert.equal((await send('POST', '/Users', oktaUser())).status, 409)
    const read = await send('GET', `/Users/${made.json.id}`)
    const put = await send('PUT', `/Users/${made.json.id}`, {
      ...read.json,
      name: { givenName: 'Another', middleName: '', familyName: 'User' },
      locale: undefined,
    })
    assert.deepEqual([put.status, put.json.name.givenName, put.json.name.middleName], [200, 'Another', ''])
    assert.equal('locale' in put.json, false)
    assert.equal(put.json.externalId, '00ujl29u0le5T6Aj10h7')
    const off = await send('PATCH', `/Users/${made.json.id}`, patch({ op: 'replace', value: { active: false } }))
    assert.deepEqual([off.json.active, directory.user('test.user@okta.local')?.disabled], [false, true])
    const { active: _, ...silent } = put.json
    assert.equal((await send('PUT', `/Users/${made.json.id}`, silent)).json.active, false, 'nothing was said of it')
    const on = await send('PUT', `/Users/${made.json.id}`, { ...silent, active: true })
    assert.deepEqual([on.json.active, directory.user('test.user@okta.local')?.disabled], [true, false])
  })

  it('renames with an id in the value, changes members in one request, and pushes them all', async () => {
    const { provider, directory } = await world()
    const send = await provider('okta')
    const ids: string[] = []
    for (const name of ['ann', 'ben', 'cat']) ids.push((await send('POST', '/Users', user(name))).json.id)
    const [ann, ben, cat] = ids
    const made = await send('POST', '/Groups', {
      displayName: 'Test SCIMv2',
      members: [{ value: ann, display: 'ann' }],
    })
    const path = `/Groups/${made.json.id}`
    await send('PATCH', path, patch({ op: 'replace', value: { id: made.json.id, displayName: 'Test SCIMv2.0' } }))
    assert.deepEqual(groups(directory, 'ann'), [['Test SCIMv2.0']])
    const both = patch(
      { op: 'remove', path: `members[value eq "${ann}"]` },
      { op: 'add', path: 'members', value: [{ value: ben, display: 'ben' }] },
    )
    assert.equal((await send('PATCH', path, both)).status, 204)
    assert.deepEqual(groups(directory, 'ann', 'ben', 'cat'), [[], ['Test SCIMv2.0'], []])
    const all = [ann, cat].map((value) => ({ value, display: 'x' }))
    await send('PATCH', path, patch({ op: 'replace', path: 'members', value: all }))
    assert.deepEqual(groups(directory, 'ann', 'ben', 'cat'), [['Test SCIMv2.0'], [], ['Test SCIMv2.0']])
    const put = await send('PUT', path, { displayName: 'Test SCIMv2.0', members: [{ value: ben }] })
    assert.deepEqual([put.status, put.json.members.map(({ value }: { value: string }) => value)], [200, [ben]])
    assert.deepEqual(groups(directory, 'ann', 'ben', 'cat'), [[], ['Test SCIMv2.0'], []])
  })
})

describe('SCIM', () => {
  it('lists in pages, in one order, and sorts; a page is never longer than 200', async () => {
    const { provider } = await world()
    const send = await provider('corp')
    await database.pool.query(
      `insert into scim_user (id, provider, user_key, attributes, created_at, modified_at)
       select 'u' || lpad(n::text, 4, '0'), 'corp', 'user' || n, jsonb_build_object('userName', 'User' || n, 'title', 't' || (n % 7)), now(), now()
       from generate_series(1, 450) n`,
    )
    const seen: string[] = []
    for (let start = 1; start <= 450; start += 200) {
      const { json } = await send('GET', `/Users?startIndex=${start}&count=1000`)
      assert.deepEqual(
        [json.totalResults, json.startIndex, json.itemsPerPage],
        [450, start, Math.min(200, 451 - start)],
      )
      seen.push(...json.Resources.map(({ id }: { id: string }) => id))
    }
    assert.equal(new Set(seen).size, 450)
    assert.deepEqual((await send('GET', '/Users?startIndex=-5&count=-1')).json.Resources, [])
    const sorted = await send('GET', '/Users?sortBy=userName&sortOrder=descending&count=2&attributes=userName')
    assert.deepEqual(
      sorted.json.Resources.map((one: object) => Object.entries(one).filter(([name]) => name !== 'schemas')),
      [
        [
          ['id', 'u0099'],
          ['userName', 'User99'],
        ],
        [
          ['id', 'u0098'],
          ['userName', 'User98'],
        ],
      ],
    )
    const search = await send('POST', '/Users/.search', {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:SearchRequest'],
      attributes: ['title'],
      filter: 'title eq "T3" and not (userName ew "0")',
      count: 5,
    })
    assert.deepEqual(
      [search.json.totalResults, search.json.itemsPerPage, search.json.Resources[0].title],
      [57, 5, 't3'],
    )
    for (const wrong of ['startIndex=x', 'count=1e99', 'sortOrder=up', 'sortBy=emails', 'startIndex=1&startIndex=2'])
      assert.equal((await send('GET', `/Users?${wrong}`)).status, 400, wrong)
  })

  it('knows what each operator means, and what is not there', async () => {
    const { provider } = await world()
    const send = await provider('corp')
    await send(
      'POST',
      '/Users',
      user('ann', { title: 'Engineer', emails: [{ type: 'work', value: 'a@x.test' }], name: { familyName: 'Ä%_' } }),
    )
    await send('POST', '/Users', user('ben', { active: false, nickName: '' }))
    const names = async (filter: string) => {
      const { json } = await send('GET', filtered('/Users', filter))
      return (json.Resources ?? []).map(({ userName }: { userName: string }) => userName).join(' ')
    }
    for (const [filter, expected] of [
      ['title pr', 'ann'],
      ['not (title pr)', 'ben'],
      ['nickName pr', ''],
      ['emails pr', 'ann'],
      ['name pr', 'ann'],
      ['title eq null', 'ben'],
      ['title ne "engineer"', 'ben'],
      ['not (title eq "x")', 'ann ben'],
      ['title co "GIN"', 'ann'],
      ['title sw "eng" and title ew "EER"', 'ann'],
      ['title gt "a" and title lt "f"', 'ann'],
      ['title ge "engineer" and title le "engineer"', 'ann'],
      ['active eq true', 'ann'],
      ['active ne "True"', 'ben'],
      ['emails.type eq "work"', 'ann'],
      ['emails eq "A@X.test"', 'ann'],
      ['emails[type eq "home"]', ''],
      ['not (emails[type eq "home"])', 'ann ben'],
      ['name.familyName co "%_"', 'ann'],
      ['name.familyName eq "%"', ''],
      ['userName eq "ann" or userName eq "ben" and title pr', 'ann'],
      ['(userName eq "ann" or userName eq "ben") and not (title pr)', 'ben'],
      ['meta.created gt "2020-01-01T00:00:00Z"', 'ann ben'],
      ['meta.lastModified lt "2020-01-01T00:00:00Z"', ''],
      ['meta.resourceType eq "User"', 'ann ben'],
      ['groups pr', ''],
    ])
      assert.equal(await names(filter ?? ''), expected, filter)
  })

  it('refuses filters that are none, too long, too deep or too many, and takes none for SQL', async () => {
    const { provider } = await world()
    const send = await provider('corp')
    await send('POST', '/Users', user('ann'))
    const deep = `${'('.repeat(17)}userName pr${')'.repeat(17)}`
    const many = Array.from({ length: 51 }, () => 'userName pr').join(' or ')
    for (const filter of [
      'userName',
      'userName eq',
      'userName eq ann',
      'userName xx "ann"',
      'userName eq "ann" and',
      'userName eq "ann" or or title pr',
      '(userName eq "ann"',
      'userName eq "ann")',
      'nothing eq "x"',
      'userName.value eq "x"',
      'emails[type eq "work"',
      'emails[nothing eq "work"]',
      'userName[value eq "x"]',
      'active gt true',
      'active eq "maybe"',
      'title eq 7',
      'title gt null',
      'name eq "x"',
      'meta.created gt "yesterday"',
      'title eq "\\x"',
      "userName eq 'ann'",
      deep,
      many,
      'x'.repeat(5000),
      `userName eq "${'x'.repeat(5000)}"`,
    ]) {
      const { status, json } = await send('GET', filtered('/Users', filter))
      assert.deepEqual([status, json.scimType, json.status], [400, 'invalidFilter', '400'], filter.slice(0, 60))
    }
    for (const value of [`x' or '1'='1`, `x\\" or true --`, `'; drop table scim_user; --`, '%', '_', '$1', '\\u2028']) {
      const { status, json } = await send('GET', filtered('/Users', `title eq "${value}" or externalId sw "${value}"`))
      assert.deepEqual([status, json.totalResults], [200, 0], value)
    }
    assert.equal((await send('GET', filtered('/Users', 'userName eq "a\\u0000"'))).status, 400)
    assert.equal((await send('GET', '/Users')).json.totalResults, 1)
  })

  it('goes by versions: 304 where nothing changed, 412 where something did', async () => {
    const { provider } = await world()
    const send = await provider('corp')
    const made = await send('POST', '/Users', user('ann'))
    const path = `/Users/${made.json.id}`
    const { etag = '' } = made.headers
    assert.equal((await send('GET', path, undefined, { 'if-none-match': etag })).status, 304)
    assert.equal((await send('PUT', path, user('ann'), { 'if-match': etag })).headers.etag, etag, 'nothing changed')
    const next = await send('PUT', path, user('ann', { title: 'x' }), { 'if-match': etag })
    assert.notEqual(next.headers.etag, etag)
    assert.equal((await send('GET', path, undefined, { 'if-none-match': etag })).status, 200)
    for (const [method, body] of [
      ['PUT', user('ann')],
      ['PATCH', patch({ op: 'add', path: 'title', value: 'y' })],
      ['DELETE', undefined],
    ] as const)
      assert.equal((await send(method, path, body, { 'if-match': etag })).status, 412, method)
    const group = await send('POST', '/Groups', { displayName: 'devs', members: [{ value: made.json.id }] })
    assert.equal(
      (await send('GET', path, undefined, { 'if-none-match': next.headers.etag ?? '' })).status,
      200,
      'its groups changed',
    )
    const stale = { 'if-match': 'W/"17"' }
    assert.equal(
      (await send('PATCH', `/Groups/${group.json.id}`, patch({ op: 'remove', path: 'members' }), stale)).status,
      412,
    )
    assert.equal((await send('DELETE', `/Groups/${group.json.id}`, undefined, { 'if-match': '*' })).status, 204)
  })

  it('refuses what is wrong in its own words', async () => {
    const { provider, errors } = await world()
    const send = await provider('corp')
    const { id } = (await send('POST', '/Users', user('ann', { externalId: 'e1' }))).json
    const { id: group } = (await send('POST', '/Groups', { displayName: 'devs' })).json
    const huge = 'x'.repeat(9 * 1024 * 1024)
    const rows: [string, string, unknown, number, string?][] = [
      ['POST', '/Users', user('ANN'), 409, 'uniqueness'],
      ['POST', '/Users', user('ａｎｎ'), 409, 'uniqueness'],
      ['POST', '/Users', user('änn'), 409, 'uniqueness'],
      ['POST', '/Users', user('other', { externalId: 'e1' }), 409, 'uniqueness'],
      ['POST', '/Users', user('admin'), 409, 'uniqueness'],
      ['POST', '/Users', user('Ａdmin '), 409, 'uniqueness'],
      ['POST', '/Users', user('anonymous'), 400, 'invalidValue'],
      ['POST', '/Users', user(''), 400, 'invalidValue'],
      ['POST', '/Users', user(' '), 400, 'invalidValue'],
      ['POST', '/Users', user('a\0b'), 400, 'invalidValue'],
      ['POST', '/Users', user('a\ud800'), 400, 'invalidValue'],
      ['POST', '/Users', user('x'.repeat(300)), 400, 'invalidValue'],
      ['POST', '/Users', { active: true }, 400, 'invalidValue'],
      ['POST', '/Users', user('ben', { active: 'maybe' }), 400, 'invalidValue'],
      ['POST', '/Users', user('ben', { emails: [7] }), 400, 'invalidValue'],
      [
        'POST',
        '/Users',
        user('ben', { emails: Array.from({ length: 300 }, (_, i) => ({ value: `${i}` })) }),
        400,
        'invalidValue',
      ],
      ['POST', '/Users', user('ben', { title: huge }), 413],
      ['POST', '/Users', [user('ben')], 400, 'invalidSyntax'],
      ['PUT', '/Users/none', user('ben'), 404],
      ['PATCH', '/Users/none', patch({ op: 'add', path: 'title', value: 'x' }), 404],
      ['DELETE', '/Users/none', undefined, 404],
      ['GET', '/Users/%00', undefined, 400],
      ['GET', '/Users/a%2Fb', undefined, 404],
      ['PATCH', `/Users/${id}`, {}, 400, 'invalidSyntax'],
      ['PATCH', `/Users/${id}`, patch(), 400, 'invalidSyntax'],
      ['PATCH', `/Users/${id}`, patch({ op: 'move', path: 'title' }), 400, 'invalidSyntax'],
      ['PATCH', `/Users/${id}`, patch({ op: 'remove' }), 400, 'noTarget'],
      ['PATCH', `/Users/${id}`, patch({ op: 'add', path: 'nothing', value: 'x' }), 400, 'invalidPath'],
      ['PATCH', `/Users/${id}`, patch({ op: 'add', path: 'title[x eq "y"]', value: 'x' }), 400, 'invalidPath'],
      ['PATCH', `/Users/${id}`, patch({ op: 'replace', path: 'id', value: 'x' }), 400, 'mutability'],
      ['PATCH', `/Users/${id}`, patch({ op: 'replace', path: 'groups', value: [] }), 400, 'mutability'],
      ['PATCH', `/Users/${id}`, patch({ op: 'replace', path: 'meta.created', value: 'x' }), 400, 'mutability'],
      ['PATCH', `/Users/${id}`, patch({ op: 'remove', path: 'userName' }), 400, 'invalidValue'],
      ['PATCH', `/Users/${id}`, patch({ op: 'replace', path: 'emails', value: 'x'.repeat(5000) }), 400, 'invalidValue'],
      [
        'PATCH',
        `/Users/${id}`,
        patch(...Array.from({ length: 1001 }, () => ({ op: 'remove', path: 'title' }))),
        400,
        'tooMany',
      ],
      ['PATCH', `/Users/${id}`, patch({ op: 'add', value: { __proto__: null, constructor: { a: 1 } } }), 200],
      ['POST', '/Groups', { displayName: 'DEVS' }, 409, 'uniqueness'],
      ['POST', '/Groups', { displayName: '' }, 400, 'invalidValue'],
      ['POST', '/Groups', { displayName: 'a\nb' }, 400, 'invalidValue'],
      ['POST', '/Groups', { displayName: 'more', members: [{ value: 'nobody' }] }, 400, 'invalidValue'],
      [
        'PATCH',
        `/Groups/${group}`,
        patch({ op: 'add', path: 'members', value: [{ value: group }] }),
        400,
        'invalidValue',
      ],
      [
        'PATCH',
        `/Groups/${group}`,
        patch({ op: 'add', path: 'members[value eq "x"]', value: 'x' }),
        400,
        'invalidPath',
      ],
      ['PATCH', `/Groups/${group}`, patch({ op: 'remove', path: 'members[nothing eq "x"]' }), 400, 'invalidFilter'],
      ['POST', '/Bulk', { Operations: [] }, 501],
      ['GET', '/Me', undefined, 501],
      ['POST', '/.search', {}, 501],
      ['GET', '/nothing', undefined, 404],
      ['PUT', '/Users', user('ben'), 405],
      ['DELETE', '/Schemas', undefined, 405],
    ]
    for (const [method, path, body, status, scimType] of rows) {
      const answer = await send(method, path, body)
      const what = `${method} ${path} ${JSON.stringify(body)?.slice(0, 100)}`
      assert.equal(answer.status, status, `${what}: ${JSON.stringify(answer.json)?.slice(0, 300)}`)
      if (status < 400) continue
      assert.deepEqual(answer.json.schemas, ['urn:ietf:params:scim:api:messages:2.0:Error'], what)
      assert.deepEqual([answer.json.status, answer.json.scimType], [String(status), scimType], what)
    }
    assert.equal((await send('POST', '/Users', 'not json' as never, { 'content-type': 'text/plain' })).status, 400)
    assert.deepEqual(errors, [])
    assert.equal((await send('GET', '/Users')).json.totalResults, 1)
    assert.equal((await send('GET', '/Groups')).json.totalResults, 1)
  })

  it('tells what it can', async () => {
    const { provider } = await world()
    const send = await provider('corp')
    const config = (await send('GET', '/ServiceProviderConfig')).json
    assert.deepEqual([config.patch.supported, config.bulk.supported, config.filter.maxResults], [true, false, 200])
    const types = (await send('GET', '/ResourceTypes')).json
    assert.deepEqual(
      types.Resources.map(({ id }: { id: string }) => id),
      ['User', 'Group'],
    )
    const schemas = (await send('GET', '/Schemas')).json
    assert.equal(schemas.totalResults, 3)
    for (const { id, meta } of schemas.Resources) {
      assert.equal((await send('GET', `/Schemas/${id}`)).json.id, id)
      assert.equal(meta.location, `${BASE}/Schemas/${id}`)
    }
    assert.equal((await send('GET', '/ResourceTypes/Nothing')).status, 404)
  })

  it("lets the provider's own token in, and administrators, and nobody else", async () => {
    const { provider, as, accounts, by, gate, audited, directory, tokenOf, providers } = await world()
    const send = await provider('corp')
    assert.equal((await send('GET', '/Users')).status, 200)
    assert.equal((await as(undefined)('GET', '/Users')).status, 401)
    const wrong = await as('Bearer cairn_wrong')('GET', '/Users')
    assert.deepEqual([wrong.status, wrong.json.schemas.length, 'www-authenticate' in wrong.headers], [401, 1, true])
    await accounts.users.create({ name: 'ann', password: PASSWORD }, 'admin')
    const ann = directory.user('ann')
    const made = await accounts.createToken(
      { name: 'ann', user: ann, token: undefined },
      { name: 't', scopes: ['scim', '*'] },
    )
    const stranger = as(`Bearer ${made.value}`)
    for (const [method, path] of [
      ['GET', '/Users'],
      ['POST', '/Users'],
      ['GET', '/Schemas'],
      ['POST', '/Bulk'],
    ] as const)
      assert.equal((await stranger(method, path, method === 'POST' ? user('x') : undefined)).status, 403, path)
    const boss = as(`Bearer ${(await accounts.createToken(by, { name: 't', scopes: ['*'] })).value}`)
    assert.equal((await boss('GET', '/Users')).status, 200)
    const narrow = as(`Bearer ${(await accounts.createToken(by, { name: 't', scopes: ['read'] })).value}`)
    assert.equal((await narrow('GET', '/Users')).status, 403)
    await provider('corp2')
    assert.equal((await boss('GET', '/Users')).status, 400, 'which one')
    assert.equal((await boss('GET', '/Users?provider=corp2')).status, 200)
    const token = await tokenOf('corp')
    const principal = await gate.authenticate(token)
    assert.deepEqual(
      [principal.name, gate.mayAdminister(principal), gate.mayAudit(principal)],
      ['provider:corp', false, false],
    )
    await send('POST', '/Users', user('zoe'))
    const last = audited.at(-1)
    assert.deepEqual(
      [last?.who, last?.action, last?.outcome, last?.detail.provider],
      ['provider:corp', 'scim_users.create', 'ok', 'corp'],
    )
    await assert.rejects(accounts.users.setPassword('provider:corp', PASSWORD, 'admin'), { code: 'service_account' })
    await assert.rejects(accounts.users.update('provider:corp', { admin: true }, 'admin'), { code: 'service_account' })
    await providers.update('corp', { enabled: false })
    assert.equal((await send('GET', '/Users')).status, 403)
    await providers.remove('corp', 'admin')
    assert.equal((await send('GET', '/Users')).status, 401)
    assert.equal(directory.user('provider:corp'), undefined)
  })
})

function groups(directory: { user(name: string): { groups: string[] } | undefined }, ...names: string[]) {
  return names.map((name) => directory.user(name)?.groups)
}

function entraUser(userName: string, externalId: string): object {
  return {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:User', ENTERPRISE],
    externalId,
    userName,
    active: true,
    title: 'Engineer',
    emails: [{ primary: true, type: 'work', value: 'ann@corp.test' }],
    meta: { resourceType: 'User' },
    name: { formatted: 'Ann Smith', familyName: 'Smith', givenName: 'Ann' },
    roles: [],
    [ENTERPRISE]: { department: 'R&D' },
  }
}

function oktaUser(): object {
  return {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
    userName: 'test.user@okta.local',
    name: { givenName: 'Test', familyName: 'User' },
    emails: [{ primary: true, value: 'test.user@okta.local', type: 'work' }],
    displayName: 'Test User',
    locale: 'en-US',
    externalId: '00ujl29u0le5T6Aj10h7',
    groups: [],
    password: '1mz050nq',
    active: true,
  }
}
