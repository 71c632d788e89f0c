/** Which sockets may be opened: group G of the bad inputs, as tables. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { UpstreamClient } from '../../../primary/upstream/client.js'
import { guard } from '../../../primary/upstream/guard.js'
import { bytes, scriptedUpstream, status } from '../../support/upstream.js'

const FORBIDDEN = [
  '127.0.0.1',
  '10.1.2.3',
  '172.31.0.1',
  '192.168.1.1',
  '169.254.169.254',
  '100.64.0.1',
  '198.18.0.1',
  '192.0.0.192',
  '240.0.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '0.0.0.0',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:a9fe:a9fe',
  '64:ff9b::7f00:1',
  '2002:7f00:1::',
  '100::1',
  '5f00::1',
  'fe80::1',
  'fd00:ec2::254',
  'ff02::1',
  '2001:db8::1',
  '2001::1',
  'not an address',
]

describe('the guard', () => {
  for (const address of FORBIDDEN)
    it(`forbids ${address}`, () => assert.equal(guard([]).allows(address, 'some.example'), false))

  for (const address of ['8.8.8.8', '1.1.1.1', '2606:4700::1111', '2a00:1450::1'])
    it(`allows ${address}`, () => assert.equal(guard([]).allows(address, 'some.example'), true))

  it('allows what the operator names: ranges, hosts, and hosts below a name', () => {
    const { allows } = guard(['10.0.0.0/8', 'mirror.corp', '*.inside.corp', 'fd00::/8'])
    assert.equal(allows('10.9.9.9', 'x'), true)
    assert.equal(allows('fd00::1', 'x'), true)
    assert.equal(allows('192.168.0.1', 'Mirror.Corp.'), true)
    assert.equal(allows('192.168.0.1', 'a.inside.corp'), true)
    assert.equal(allows('192.168.0.1', 'inside.corp'), false)
    assert.equal(allows('192.168.0.1', 'evilmirror.corp'), false)
  })

  for (const entry of ['10.0.0.0/33', 'a b', '', '*', 'http://x'])
    it(`takes no ${JSON.stringify(entry)}`, () => assert.throws(() => guard([entry]), { kind: 'invalid' }))
})

describe('an upstream', () => {
  const urls = [
    'http://127.0.0.1:1/',
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0177.0.0.1/',
    'http://127.1/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::1]/',
    'http://169.254.169.254/latest/meta-data/',
    'http://LOCALHOST:1/',
  ]
  for (const url of urls)
    it(`is not asked at ${url}`, async (t) => {
      const client = new UpstreamClient({ guard: guard([]) })
      t.after(() => client.close())
      await assert.rejects(client.get(new URL(url)), { code: 'upstream_forbidden' })
    })

  it('with a public and a private address is not asked, and what was looked up is what is connected to', async (t) => {
    let asked = 0
    const client = new UpstreamClient({
      guard: guard([]),
      resolve: (_host, _options, done) => {
        asked++
        done(null, [
          { address: '8.8.8.8', family: 4 },
          { address: '10.0.0.1', family: 4 },
        ])
      },
    })
    t.after(() => client.close())
    await assert.rejects(client.get(new URL('http://rebinding.example/')), { code: 'upstream_forbidden' })
    assert.equal(asked, 1)
  })

  it('that redirects to a private address leads nowhere', async (t) => {
    const [allowed, inside] = [await scriptedUpstream(), await scriptedUpstream()]
    const client = new UpstreamClient({
      guard: guard(['allowed.example']),
      resolve: (_host, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
    })
    t.after(async () => {
      await client.close()
      await allowed.close()
      await inside.close()
    })
    inside.answer('/secret', bytes(Buffer.from('secret')))
    for (const [path, location] of [
      ['/ip', `${inside.url}secret`],
      ['/name', `http://other.example:${inside.port}/secret`],
    ] as const) {
      allowed.answer(path, status(302, { location }))
      const url = new URL(path, `http://allowed.example:${allowed.port}`)
      await assert.rejects(client.get(url), { code: 'upstream_forbidden' })
    }
    assert.equal(inside.asked.length, 0)
  })

  it('gets its credentials, and the host that it redirects to does not', async (t) => {
    const [one, other] = [await scriptedUpstream(), await scriptedUpstream()]
    const client = new UpstreamClient({ guard: guard(['127.0.0.1']) })
    t.after(async () => {
      await client.close()
      await one.close()
      await other.close()
    })
    one.answer('/near', status(302, { location: '/far' }))
    one.answer('/far', status(307, { location: `${other.url}end` }))
    other.answer('/end', bytes(Buffer.from('end')))
    const reply = await client.get(new URL('near', one.url), { authorization: 'Basic secret' })
    reply.cancel()
    assert.deepEqual(
      one.asked.map(({ headers }) => headers.authorization),
      ['Basic secret', 'Basic secret'],
    )
    assert.equal(other.asked[0]?.headers.authorization, undefined)
  })

  for (const location of ['file:///etc/passwd', 'gopher://x/', 'http://user:pw@127.0.0.1/', undefined])
    it(`that redirects to ${location} is refused`, async (t) => {
      const upstream = await scriptedUpstream()
      const client = new UpstreamClient({ guard: guard(['127.0.0.1']) })
      t.after(async () => {
        await client.close()
        await upstream.close()
      })
      upstream.answer('/', status(302, location === undefined ? {} : { location }))
      await assert.rejects(client.get(new URL(upstream.url)), { kind: 'upstream' })
    })

  it('that redirects in a circle is left', async (t) => {
    const upstream = await scriptedUpstream()
    const client = new UpstreamClient({ guard: guard(['127.0.0.1']) })
    t.after(async () => {
      await client.close()
      await upstream.close()
    })
    upstream.answer('/', status(302, { location: '/' }))
    await assert.rejects(client.get(new URL(upstream.url)), { kind: 'upstream' })
    assert.equal(upstream.asked.length, 6)
  })
})
