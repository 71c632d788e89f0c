/** What a publish is refused for, and that nothing of it is left; who may do what. */
import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { type CrateDraft, crateOf, framed, manifestOf, publishBody } from '../../support/crate.js'
import { grant, MemoryFleet, type Send } from '../../support/memory-fleet.js'
import { ORIGIN } from '../../support/request.js'
import { type Entry, tgz } from '../../support/tar-writer.js'

const BASE = `${ORIGIN}/repository/hosted`
const a1: CrateDraft = { name: 'abcd', vers: '1.0.0' }

let fleet: MemoryFleet
let ann: Send

beforeEach(async () => {
  fleet = await MemoryFleet.open()
  await fleet.repository('hosted', 'cargo')
  ann = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
})

function put(body: Buffer, send = ann, base = BASE): Promise<Response> {
  return send(`${base}/api/v1/crates/new`, { method: 'PUT', body })
}

function publish(draft: CrateDraft, crate?: Buffer, send = ann, base = BASE): Promise<Response> {
  return put(publishBody(draft, crate), send, base)
}

async function refused(reply: Response, status: number, sentence: RegExp): Promise<void> {
  const { errors } = (await reply.json()) as { errors: { detail: string }[] }
  assert.match(errors[0]?.detail ?? '', sentence)
  assert.equal(reply.status, status)
}

async function accepted(reply: Response): Promise<void> {
  assert.equal(reply.status, 200, await reply.text())
}

describe('a publish is refused, and nothing is stored', () => {
  const top = (entries: Entry[]) =>
    tgz([{ name: 'abcd-1.0.0/Cargo.toml', content: manifestOf('abcd', '1.0.0') }, ...entries])
  const withManifest = (content: string) => crateOf(a1, [], content)
  const crates: [what: string, crate: Buffer, sentence: RegExp][] = [
    ['that is no archive', Buffer.from('nonsense'), /not whole gzip/],
    ['that is cut off', crateOf(a1).subarray(0, -20), /not whole gzip/],
    ['without a Cargo.toml', tgz([{ name: 'abcd-1.0.0/x', content: 'x' }]), /has no abcd-1\.0\.0\/Cargo\.toml/],
    ['in the folder of another version', crateOf({ ...a1, vers: '1.0.1' }), /outside of abcd-1\.0\.0\//],
    ['with a file outside of its folder', top([{ name: 'other/x', content: 'x' }]), /outside of/],
    ['that climbs', top([{ name: 'abcd-1.0.0/../../x', content: 'x' }]), /unpacked elsewhere/],
    ['with a symbolic link', top([{ name: 'abcd-1.0.0/l', type: '2', target: 'Cargo.toml' }]), /holds a link/],
    ['with a hard link', top([{ name: 'abcd-1.0.0/l', type: '1', target: 'abcd-1.0.0/Cargo.toml' }]), /holds a link/],
    [
      'that unpacks to a thousand times its size',
      top([{ name: 'abcd-1.0.0/x', content: Buffer.alloc(50 * 1024 * 1024) }]),
      /100 times its size/,
    ],
    ['with two manifests', top([{ name: 'abcd-1.0.0/./Cargo.toml', content: 'x' }]), /more than one Cargo\.toml/],
    ['with manifests that differ by case', top([{ name: 'abcd-1.0.0/cargo.toml', content: 'x' }]), /more than one/],
    ['of another name', withManifest(manifestOf('abce', '1.0.0')), /contradicts itself: name is "abce"/],
    ['of a name in another case', withManifest(manifestOf('Abcd', '1.0.0')), /contradicts itself: name/],
    ['of another version', withManifest(manifestOf('abcd', '1.0.1')), /contradicts itself: version is "1\.0\.1"/],
    ['without a name', withManifest('[package]\nversion = "1.0.0"\n'), /no name and version/],
    [
      'whose name is in a text only',
      withManifest('a = """\n[package]\nname = "abcd"\nversion = "1.0.0"\n"""'),
      /no name/,
    ],
    [
      'that says its name twice',
      withManifest('[package]\nname = "abcd"\nname = "abcd"\nversion = "1.0.0"'),
      /name is given twice/,
    ],
    ['whose manifest is not TOML', withManifest('[package\n'), /Cargo\.toml is not TOML: in line 1/],
  ]
  for (const [what, crate, sentence] of crates)
    it(`a crate ${what}`, async () => {
      await refused(await publish(a1, crate), 400, sentence)
      await nothing()
    })

  const dep = { name: 'helper', version_req: '^1', kind: 'normal' }
  const drafts: [what: string, draft: Record<string, unknown>, sentence: RegExp][] = [
    ['without a name', { name: '' }, /needs "name" and "vers"/],
    ['whose name begins with a digit', { name: '1abc' }, /not a crate name/],
    ['whose name climbs', { name: '../x' }, /not a crate name/],
    ['whose name is not ASCII', { name: 'naïve' }, /not a crate name/],
    ['whose name is too long', { name: 'a'.repeat(65) }, /not a crate name/],
    ['whose name is a number', { name: 5 }, /"name" is a text/],
    ['whose name is a device of Windows', { name: 'NUL' }, /reserved/],
    ['whose name comes with the compiler', { name: 'proc_macro' }, /reserved/],
    ['without a version', { vers: null }, /needs "name" and "vers"/],
    ['whose version has two parts', { vers: '1.0' }, /not a semantic version/],
    ['whose version begins with v', { vers: 'v1.0.0' }, /not a semantic version/],
    ['whose version has a blank', { vers: '1.0.0 ' }, /not a semantic version/],
    ['whose version has a leading zero', { vers: '1.0.01' }, /not a semantic version/],
    ['whose dependencies are no list', { deps: {} }, /"deps" is a list/],
    ['with a dependency that is none', { deps: [5] }, /dependency is an object/],
    ['with a dependency without a name', { deps: [{ ...dep, name: '' }] }, /needs a name/],
    ['with a dependency of an impossible name', { deps: [{ ...dep, name: 'a/b' }] }, /not a crate name/],
    ['with a dependency of an unknown kind', { deps: [{ ...dep, kind: 'proc' }] }, /one of normal, build, dev/],
    ['with a requirement that is none', { deps: [{ ...dep, version_req: '1 || 2' }] }, /not a version requirement/],
    ['with a requirement of npm', { deps: [{ ...dep, version_req: '1.0 - 2.0' }] }, /not a version requirement/],
    ['with an optional dependency that is "yes"', { deps: [{ ...dep, optional: 'yes' }] }, /true or false/],
    [
      'with a feature of a dependency that is none',
      { deps: [{ ...dep, features: ['a b'] }] },
      /not the name of a feature/,
    ],
    ['whose features are a list', { features: [] }, /"features" is an object/],
    ['with a feature of an impossible name', { features: { 'a/b': [] } }, /not the name of a feature/],
    ['with a feature of impossible parts', { features: { a: ['b/c/d'] } }, /not the name of a feature/],
    [
      'with too many features',
      { features: Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`f${i}`, []])) },
      /at most 10000 features/,
    ],
    ['whose keywords are no list', { keywords: 'a' }, /"keywords" is a list/],
    ['whose description is too long', { description: 'a'.repeat(10_001) }, /at most 10000/],
  ]
  for (const [what, change, sentence] of drafts)
    it(`metadata ${what}`, async () => {
      await refused(await publish({ ...a1, ...change } as CrateDraft, crateOf(a1)), 400, sentence)
      await nothing()
    })

  const bodies: [what: string, body: Buffer, status: number, sentence: RegExp][] = [
    ['that is empty', Buffer.alloc(0), 400, /ends before it is complete/],
    ['that ends inside the crate', publishBody(a1).subarray(0, -1), 400, /ends before it is complete/],
    ['that goes on', Buffer.concat([publishBody(a1), Buffer.alloc(1)]), 400, /goes on behind the crate/],
    ['whose metadata is not JSON', framed(Buffer.from('{'), crateOf(a1)), 400, /not JSON/],
    ['whose metadata is a list', framed(Buffer.from('[]'), crateOf(a1)), 400, /is an object/],
    ['whose metadata says to be endless', Buffer.from([0xff, 0xff, 0xff, 0xff, 0x7b]), 400, /4294967295 bytes follow/],
    ['whose crate says to be endless', endless(publishBody(a1)), 400, /4294967295 bytes follow/],
    ['whose metadata is too long', framed(Buffer.alloc(16 * 1024 * 1024 + 1, 0x20), crateOf(a1)), 413, /at most/],
  ]
  for (const [what, body, status, sentence] of bodies)
    it(`a body ${what}`, async () => {
      await refused(await put(body), status, sentence)
      await nothing()
    })

  it('a body of unannounced length whose metadata says to be endless', async () => {
    const body = (async function* () {
      for (;;) yield Buffer.alloc(1024, 0xff)
    })()
    await refused(await ann(`${BASE}/api/v1/crates/new`, { method: 'PUT', body }), 413, /at most/)
    await nothing()
  })

  /** With the length of the crate, which is all behind it, made as large as it can be. */
  function endless(body: Buffer): Buffer {
    body.writeUInt32LE(0xffffffff, 4 + body.readUInt32LE())
    return body
  }

  async function nothing(): Promise<void> {
    assert.equal((await ann(`${BASE}/ab/cd/abcd`)).status, 404)
    assert.equal((await ann(`${BASE}/abcd/abcd-1.0.0.crate`)).status, 404)
    assert.deepEqual(((await (await ann(`${BASE}/api/v1/crates`)).json()) as { crates: unknown[] }).crates, [])
    assert.deepEqual(fleet.failures, [])
  }
})

describe('requirements of cargo are accepted', () => {
  for (const version_req of [
    '*',
    '1',
    '1.2',
    '^1.2.3',
    '~1',
    '=1.0.0-rc.1',
    '>=1.2, <3',
    '> 1',
    '1.*',
    '1.2.x',
    '0.0.0+a',
    '<=2',
  ])
    it(version_req, async () => accepted(await publish({ ...a1, deps: [{ name: 'x', version_req }] })))
})

describe('a crate', () => {
  it('gets what its Cargo.toml says of compilers and libraries, when an old client does not say it', async () => {
    const manifest = manifestOf('abcd', '1.0.0', 'rust-version = "1.60"\nlinks = "z"\n')
    await accepted(await publish(a1, crateOf(a1, [], manifest)))
    const line = (await (await ann(`${BASE}/ab/cd/abcd`)).json()) as Record<string, unknown>
    assert.equal(line.rust_version, '1.60')
    assert.equal(line.links, 'z')
  })

  it('published twice at once is published once, and two versions at once are both there', async () => {
    const replies = await Promise.all([
      publish(a1),
      publish(a1, crateOf(a1, [{ name: 'abcd-1.0.0/x', content: 'x' }])),
      publish({ ...a1, vers: '1.1.0' }),
      publish({ ...a1, vers: '1.2.0' }),
    ])
    assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 200, 200, 409])
    const text = await (await ann(`${BASE}/ab/cd/abcd`)).text()
    assert.equal(text.trimEnd().split('\n').length, 3)
  })

  it('published twice at once under two spellings has one of them', async () => {
    const replies = await Promise.all(
      ['two_names', 'two-names', 'Two_Names'].map((name) => publish({ name, vers: '1.0.0' })),
    )
    assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 409, 409])
  })

  it('that was removed keeps its name and its version burned', async () => {
    await accepted(await publish(a1))
    await fleet.ledger.commit({
      scope: 'scope-of-hosted',
      steps: [{ kind: 'remove', package: 'abcd', version: '1.0.0' }],
      by: 'ann',
    })
    assert.equal((await ann(`${BASE}/ab/cd/abcd`)).status, 404)
    await refused(await publish(a1, crateOf(a1, [{ name: 'abcd-1.0.0/x' }])), 409, /removed/)
    await refused(await publish({ name: 'ABCD', vers: '2.0.0' }), 409, /called abcd/)
  })

  it('may get other bytes where the repository allows it', async () => {
    await fleet.repository('loose', 'cargo', { redeploy: true })
    const loose = `${ORIGIN}/repository/loose`
    await accepted(await publish({ ...a1, vers: '1.0.0+a' }, undefined, ann, loose))
    await accepted(await publish({ ...a1, vers: '1.0.0+b' }, undefined, ann, loose))
    const line = (await (await ann(`${loose}/ab/cd/abcd`)).json()) as Record<string, unknown>
    assert.equal(line.vers, '1.0.0+b')
    assert.equal((await ann(`${loose}/api/v1/crates/abcd/1.0.0+a/download`)).status, 404)
  })

  it('of one, two and three letters is where cargo looks for it', async () => {
    for (const [name, path] of [
      ['q', '1/q'],
      ['Qq', '2/qq'],
      ['q_q', '3/q/q_q'],
    ] as const) {
      await accepted(await publish({ name, vers: '1.0.0' }))
      assert.equal((await ann(`${BASE}/${path}`)).status, 200)
    }
  })

  it('goes to no virtual repository', async () => {
    await fleet.repository('all', 'cargo', { type: 'virtual', members: ['hosted'] })
    await refused(await publish(a1, undefined, ann, `${ORIGIN}/repository/all`), 405, /publish to a local one/)
  })
})

describe('access', () => {
  it('for one crate is for that crate, whatever the body says', async () => {
    await fleet.configure([grant('bob', 'hosted', { path: 'abcd' })])
    const bob = fleet.client('primary', await fleet.token('bob'))
    await accepted(await publish(a1, undefined, bob))
    await refused(await publish({ name: 'other', vers: '1.0.0' }, undefined, bob), 403, /No grant/)
    await accepted(await bob(`${BASE}/api/v1/crates/ABCD/1.0.0/yank`, { method: 'DELETE' }))
    await accepted(await publish({ name: 'other', vers: '1.0.0' }))
    await refused(await bob(`${BASE}/api/v1/crates/other/1.0.0/yank`, { method: 'DELETE' }), 403, /No grant/)
    await refused(
      await bob(`${BASE}/api/v1/crates/other/owners`, { method: 'PUT', body: '{"users":["bob"]}' }),
      403,
      /No/,
    )
  })

  it('to a private repository needs a token for everything, and config.json says so', async () => {
    await fleet.repository('closed', 'cargo', { public: false })
    const closed = `${ORIGIN}/repository/closed`
    await accepted(await publish(a1, undefined, ann, closed))
    for (const side of ['primary', 'node'] as const) {
      const nobody = fleet.client(side)
      for (const path of [
        '/config.json',
        '/ab/cd/abcd',
        '/api/v1/crates/abcd/1.0.0/download',
        '/api/v1/crates',
        '/me',
      ]) {
        const reply = await nobody(`${ORIGIN}/cargo/closed${path}`)
        assert.match(reply.headers.get('www-authenticate') ?? '', /^Cargo login_url="http:[^"]*\/me", Basic/)
        await refused(reply, 401, /credentials/)
        // Where the address names no format, nobody is told that there is one.
        assert.match((await nobody(closed + path)).headers.get('www-authenticate') ?? '', /^Basic/)
      }
      const bare = fleet.client(side, await fleet.token('ann'))
      const config = (await (await bare(`${closed}/config.json`)).json()) as Record<string, unknown>
      assert.equal(config['auth-required'], true)
      for (const time of ['first', 'again']) assert.equal((await bare(`${closed}/ab/cd/abcd`)).status, 200, time)
      const stranger = fleet.client(side, `Bearer ${await fleet.token('bob')}`)
      for (const reply of [
        await stranger(`${closed}/ab/cd/abcd`),
        await publish(a1, undefined, stranger, closed),
        await stranger(`${ORIGIN}/repository/nowhere/ab/cd/abcd`),
      ]) {
        assert.equal(reply.status, 404)
        assert.match(((await reply.json()) as { detail: string }).detail, /There is no repository (closed|nowhere)/)
      }
    }
  })

  it('to one crate of a private repository is not widened by an index that is remembered', async () => {
    await fleet.repository('closed', 'cargo', { public: false })
    const closed = `${ORIGIN}/repository/closed`
    for (const name of ['abcd', 'ab-other'])
      await accepted(await publish({ name, vers: '1.0.0' }, undefined, ann, closed))
    await fleet.configure([
      grant('bob', 'closed', { path: 'abcd', actions: ['read'] }),
      grant('bob', 'closed', { path: 'ab/-o', actions: ['read'] }),
    ])
    const bob = fleet.client('primary', await fleet.token('bob'))
    for (const time of ['first', 'again']) {
      for (const path of ['ab/cd/abcd', 'ab/-o/ab-other'])
        assert.equal((await ann(`${closed}/${path}`)).status, 200, time)
      assert.equal((await bob(`${closed}/ab/cd/abcd`)).status, 200, time)
      assert.equal((await bob(`${closed}/ab/-o/ab-other`)).status, 403, time)
    }
  })
})

describe('a virtual repository', () => {
  it('has the first member for each version, build metadata aside', async () => {
    await fleet.repository('second', 'cargo')
    await fleet.repository('all', 'cargo', { type: 'virtual', members: ['hosted', 'second'] })
    const all = `${ORIGIN}/repository/all`
    await accepted(await publish({ ...a1, vers: '1.0.0+a' }))
    for (const vers of ['1.0.0+b', '1.1.0'])
      await accepted(await publish({ ...a1, vers }, undefined, ann, `${ORIGIN}/repository/second`))
    const lines = (await (await ann(`${all}/ab/cd/abcd`)).text()).trimEnd().split('\n')
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as CrateDraft).vers),
      ['1.0.0+a', '1.1.0'],
    )
    for (const vers of ['1.0.0+a', '1.1.0'])
      assert.equal((await ann(`${all}/api/v1/crates/abcd/${vers}/download`)).status, 200)
  })

  it('keeps two spellings of a crate apart, as cargo does', async () => {
    await fleet.repository('second', 'cargo')
    await fleet.repository('all', 'cargo', { type: 'virtual', members: ['hosted', 'second'] })
    await accepted(await publish({ name: 'a_bcd', vers: '1.0.0' }))
    await accepted(await publish({ name: 'a-bcd', vers: '2.0.0' }, undefined, ann, `${ORIGIN}/repository/second`))
    for (const [path, vers] of [
      ['a_/bc/a_bcd', '1.0.0'],
      ['a-/bc/a-bcd', '2.0.0'],
    ] as const) {
      const line = (await (await ann(`${ORIGIN}/repository/all/${path}`)).json()) as CrateDraft
      assert.equal(line.vers, vers)
    }
  })
})
