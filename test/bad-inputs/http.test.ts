/** Groups A, B, M and O of the bad inputs: framing, paths, what is served and how much, at the assembled primary and node. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { exchange, RawClient, statusOf } from '../protocol/http/raw.js'
import { publishDocument } from '../support/npm-package.js'
import { type Watched, watched } from './watched.js'

const CONTENT = 'what is kept here'
const FILES = '/repository/files'
const NPM = '/repository/packages'
const SECRET = 'swordfish-in-a-header'

describe('bad inputs over HTTP', { timeout: 120_000 }, () => {
  let at: Watched
  let admin: string
  /** They announce a body at the beginning and never send it. */
  const silent: RawClient[] = []
  const port = (url: string): number => Number(new URL(url).port)

  before(async () => {
    at = await watched()
    admin = at.fleet.admin
    for (const [key, format, is_public] of [
      ['files', 'generic', true],
      ['packages', 'npm', true],
      ['hidden', 'generic', false],
    ])
      await at.fleet.api('POST', '/api/v1/repositories', { key, name: key, format, repo_type: 'local', is_public })
    const put = (path: string, body: string): Promise<Response> =>
      fetch(at.primary + path, {
        method: 'PUT',
        body,
        headers: { authorization: admin, 'content-type': 'application/json' },
      })
    for (const path of [
      'kept.txt',
      'kept.html',
      'kept.svg',
      'kept.xhtml',
      'kept.pdf',
      'kept.xml',
      'kept.tgz',
      'kept.js',
    ])
      assert.equal((await put(`${FILES}/folder/${path}`, CONTENT)).status, 201)
    assert.equal((await put('/repository/hidden/kept.txt', CONTENT)).status, 201)
    for (const name of ['one', '@scope/two'])
      assert.equal(
        (await put(`${NPM}/${name.replace('/', '%2f')}`, JSON.stringify(publishDocument({ name, version: '1.0.0' }))))
          .status,
        201,
      )
    await at.begin()
    for (const [, url] of at.sides) {
      const client = await RawClient.open(port(url()))
      await client.send(
        `PUT ${FILES}/silent HTTP/1.1\r\nHost: a\r\nAuthorization: ${admin}\r\nContent-Length: 10\r\n\r\n`,
      )
      silent.push(client)
    }
  })
  after(() => at.close())

  const both = (name: string, row: (url: string) => Promise<void>): void => {
    for (const side of ['primary', 'node'] as const) it(`${side}: ${name}`, () => row(at[side]))
  }
  const raw = (url: string, method: string, target: string, more = ''): Promise<string> =>
    exchange(port(url), [`${method} ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${more}\r\n`])

  describe('A: framing', () => {
    const PUT = `PUT ${FILES}/smuggler HTTP/1.1\r\nHost: a\r\nAuthorization: `
    const inner = (authorization: string): string =>
      `PUT ${FILES}/smuggled HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Length: 1\r\n\r\nx`
    const rows: [id: string, bytes: (authorization: string) => string, statuses: (number | undefined)[]][] = [
      [
        'A01',
        (who) => `${PUT}${who}\r\nContent-Length: 0\r\nContent-Length: 35\r\n\r\n${inner(who)}`,
        [400, undefined],
      ],
      [
        'A02',
        (who) => `${PUT}${who}\r\nContent-Length: 5\r\nContent-Length: 10\r\n\r\nhelloworld`,
        [400, undefined, 505],
      ],
      [
        'A04',
        (who) => `${PUT}${who}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner(who)}`,
        [400, undefined],
      ],
      [
        'A05',
        (who) => `${PUT}${who}\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${inner(who)}`,
        [400, undefined],
      ],
      [
        'A06',
        (who) => `${PUT}${who}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${inner(who)}`,
        [400, 501, undefined],
      ],
      [
        'A07',
        (who) => `${PUT}${who}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${inner(who)}`,
        [400, 501, undefined],
      ],
      ['A16 plus', (who) => `${PUT}${who}\r\nContent-Length: +5\r\n\r\nhello`, [400]],
      ['A16 hex', (who) => `${PUT}${who}\r\nContent-Length: 0x5\r\n\r\nhello`, [400]],
      ['A16 list', (who) => `${PUT}${who}\r\nContent-Length: 5, 5\r\n\r\nhello`, [400]],
      ['A16 wrap', (who) => `${PUT}${who}\r\nContent-Length: 18446744073709551621\r\n\r\nhello`, [400]],
      [
        'A17',
        (who) =>
          `PUT ${FILES}/two HTTP/1.1\r\nHost: a\r\nHost: b\r\nAuthorization: ${who}\r\nContent-Length: 1\r\n\r\nx`,
        [400],
      ],
      ['A19', () => `G@T ${FILES}/folder/kept.txt HTTP/1.1\r\nHost: a\r\n\r\n`, [400, 405]],
    ]
    for (const [id, bytes, statuses] of rows)
      both(id, async (url) => {
        const received = await exchange(port(url), [bytes(admin)])
        assert.ok(statuses.includes(statusOf(received)), received.slice(0, 200))
        assert.ok(received.split('HTTP/1.1 ').length <= 2, 'there is a second reply')
        for (const name of ['smuggler', 'smuggled', 'two'])
          assert.equal((await fetch(`${url}${FILES}/${name}`)).status, 404, name)
      })

    for (const [id, odd] of [
      ['A09', 'Transfer-Encoding : chunked\r\n'],
      ['A10', 'X: a\r\n b\r\n'],
      ['A20', 'X: a\0b\r\n'],
      ['A20 SOH', 'X: a\x01b\r\n'],
    ] as const)
      both(`${id} is not answered with what it asks for`, async (url) => {
        const client = await RawClient.open(port(url))
        await client.send(`GET ${FILES}/folder/kept.txt HTTP/1.1\r\nHost: a\r\n${odd}\r\n`)
        await (await fetch(`${url}/health`)).arrayBuffer()
        assert.ok(!client.received.includes(CONTENT))
        assert.ok([400, undefined].includes(statusOf(client.received)), client.received)
        client.end()
      })

    both('A21 HEAD has no body, and what comes behind it is intact', async (url) => {
      const target = `${FILES}/folder/kept.txt`
      const client = await RawClient.open(port(url))
      await client.send(`HEAD ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
      await client.until((text) => text.includes('\r\n\r\n'))
      await client.send(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
      const received = await client.untilClosed()
      const replies = received.split('HTTP/1.1 200 OK').slice(1)
      assert.deepEqual(
        replies.map((reply) => reply.slice(reply.indexOf('\r\n\r\n') + 4)),
        ['', CONTENT],
      )
      for (const reply of replies) assert.match(reply, new RegExp(`content-length: ${CONTENT.length}\r\n`, 'i'))
    })

    both('A22 long credentials get one answer in one segment and in two', async (url) => {
      const head = `GET ${FILES}/folder/kept.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${SECRET}${'y'.repeat(8192)}`
      const [whole, split] = [
        await exchange(port(url), [`${head}\r\n\r\n`]),
        await exchange(port(url), [head.slice(0, 4000), `${head.slice(4000)}\r\n\r\n`]),
      ]
      assert.equal(statusOf(whole), 401)
      assert.equal(statusOf(split), 401)
    })

    both('A24 a large upload without credentials is refused before its body', async (url) => {
      const client = await RawClient.open(port(url))
      await client.send(
        `PUT ${FILES}/large HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ${5 * 1024 ** 3}\r\n\r\n`,
      )
      const received = await client.until((text) => /HTTP\/1\.1 401/.test(text))
      assert.match(received, /HTTP\/1\.1 401/)
      client.end()
    })

    both('A24 so is one that goes on sending', async (url) => {
      const put = (path: string, headers: Record<string, string>): Promise<number | undefined> =>
        fetch(url + path, { method: 'PUT', body: Buffer.alloc(20_000_000), headers }).then(
          ({ status }) => status,
          () => undefined,
        )
      // Undefined: the connection was closed while the client was still sending.
      assert.ok([401, undefined].includes(await put(`${FILES}/large`, {})))
      assert.ok([400, undefined].includes(await put(`${FILES}/a//b`, { authorization: admin })))
    })
  })

  describe('B: paths', () => {
    const targets: [id: string, target: string, statuses: number[]][] = [
      ['B01', '/%2F%2F%2F%2F..%2F..%2F..%2Fetc%2Fpasswd', [400, 404]],
      ['B02', `${FILES}/../../../../etc/passwd`, [400, 404]],
      ['B02 encoded', `${FILES}/%2e%2e/%2e%2e/%2e%2e/etc/passwd`, [400]],
      ['B02 encoded slash', `${FILES}/..%2f..%2f..%2fetc%2fpasswd`, [400]],
      ['B02 backslash', `${FILES}/..\\..\\etc\\passwd`, [400]],
      ['B02 twice encoded', `${FILES}/%252e%252e/%252e%252e/etc/passwd`, [400, 404]],
      ['B02 overlong UTF-8', `${FILES}/%c0%ae%c0%ae/x`, [400]],
      ['B02 NUL', `${FILES}/folder/kept.txt%00.png`, [400]],
      ['B05', `${NPM}/@scope%2f..%2f..%2fone`, [400]],
      ['B05 tarball', `${NPM}/@scope/two/-/../../one/-/one-1.0.0.tgz`, [400]],
      ['B05 encoded', `${NPM}/@scope/two/-/%2e%2e/%2e%2e/one/-/one-1.0.0.tgz`, [400]],
      ['B15', `${FILES}/${'x'.repeat(4096)}`, [400, 404, 414]],
    ]
    for (const [id, target, statuses] of targets)
      both(`${id} reads nothing`, async (url) => {
        const received = await raw(url, 'GET', target)
        assert.ok(statuses.includes(statusOf(received) ?? 0), received.slice(0, 300))
        assert.ok(!received.includes('root:') && !received.includes('"one"'), received)
      })

    const names = [
      'a/../../b',
      '//abs',
      'C:%5Cx',
      '%5C%5Chost%5Cx',
      'a//b',
      'a/./b',
      'a/%2e/b',
      'a.%20',
      'a.',
      'a%20',
      'CON',
      'aux.txt',
      'a%00b',
      'a%0Ab',
      'a%7Fb',
      '%22%0D%0ASet-Cookie:%20a=b',
      'x'.repeat(4096),
      '%E2%80%AEexe.txt',
      'a%E2%80%8Bb',
      '%C0%AF',
    ]
    for (const name of names)
      both(`B04, B15, B16 nothing is stored as ${name.slice(0, 30)}`, async (url) => {
        const head = `PUT ${FILES}/${name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: ${admin}\r\nContent-Length: 1\r\n\r\n`
        const received = await exchange(port(url), [`${head}x`])
        assert.equal(statusOf(received), 400, received.slice(0, 300))
        assert.ok(!/\r\nset-cookie/i.test(received), received)
      })

    it('B12 every variation of a protected path answers a stranger as the path itself does, or that there is nothing', async () => {
      const base = '/repository/hidden/kept.txt'
      const variations = ['', '/', '//', '/.', ';a=b', '?', '?x=y', '.json', '%2f', '/%2e', '%20', '%00'].map(
        (tail) => base + tail,
      )
      variations.push(
        '/repository/hidden//kept.txt',
        '/repository//hidden/kept.txt',
        '//repository/hidden/kept.txt',
        '/Repository/hidden/kept.txt',
        '/repository/HIDDEN/kept.txt',
        '/repository/hidden%2fkept.txt',
      )
      variations.push(
        '/repository%2fhidden/kept.txt',
        '/generic/hidden/kept.txt',
        '/artifactory/hidden/kept.txt',
        '/artifactory/api/generic/hidden/kept.txt',
        '/repository/./hidden/kept.txt',
        '/repository/files/../hidden/kept.txt',
      )
      for (const [, url] of at.sides)
        for (const target of variations)
          for (const method of ['GET', 'HEAD']) {
            const received = await raw(url(), method, target)
            assert.ok(
              [400, 401, 404].includes(statusOf(received) ?? 0),
              `${method} ${target}: ${received.slice(0, 200)}`,
            )
            assert.ok(!received.includes(CONTENT), target)
          }
    })

    const ranges = [
      `bytes=${Array.from({ length: 1000 }, () => '0-0').join(',')}`,
      'bytes=9-1',
      'bytes=-0',
      'bytes=0-99999999999999999999',
      'bytes=99999999999999999999-',
      'bytes=a-b',
      'bytes=',
      'lines=0-1',
      'bytes=--1',
      'bytes=0-0-0',
    ]
    for (const range of ranges)
      both(`B14 the range ${range.slice(0, 30)}`, async (url) => {
        const reply = await fetch(`${url}${FILES}/folder/kept.txt`, { headers: { range } })
        const body = await reply.text()
        assert.ok([200, 206, 416].includes(reply.status), String(reply.status))
        if (reply.status === 200 || range === 'bytes=0-99999999999999999999') assert.equal(body, CONTENT)
      })

    both('B17 absolute addresses come from the settings, whatever Host and forwarded headers say', async (url) => {
      const headers = `X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nForwarded: host=evil.example\r\nX-Original-Host: evil.example\r\n`
      const received = await exchange(port(url), [
        `GET ${NPM}/one HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n${headers}\r\n`,
      ])
      assert.ok([200, 400, 421].includes(statusOf(received) ?? 0))
      assert.ok(!received.includes('evil.example'), received)
    })
  })

  describe('M: what is served', () => {
    for (const name of ['kept.html', 'kept.svg', 'kept.xhtml', 'kept.pdf', 'kept.xml'])
      both(`M01 ${name} does nothing in a browser`, async (url) => {
        const { headers, status } = await fetch(`${url}${FILES}/folder/${name}`)
        assert.equal(status, 200)
        assert.equal(headers.get('x-content-type-options'), 'nosniff')
        const inert =
          /attachment/.test(headers.get('content-disposition') ?? '') ||
          /sandbox/.test(headers.get('content-security-policy') ?? '')
        assert.ok(inert, JSON.stringify([...headers]))
      })

    both('M02 the type is the format’s, not the uploader’s', async (url) => {
      const { headers } = await fetch(`${url}${FILES}/folder/kept.tgz`)
      assert.doesNotMatch(headers.get('content-type') ?? '', /html|json/)
    })

    both('M04 indexes are asked for again, files never, private ones by nobody else', async (url) => {
      const of = async (path: string): Promise<string> =>
        (await fetch(url + path, { headers: { authorization: admin } })).headers.get('cache-control') ?? ''
      assert.match(await of(`${NPM}/one`), /no-cache/)
      assert.match(await of(`${FILES}/folder/kept.txt`), /immutable/)
      assert.match(await of('/repository/hidden/kept.txt'), /private/)
      const star = await fetch(`${url}${FILES}/folder/kept.txt`, { headers: { 'if-none-match': '*' } })
      assert.equal(star.status, 304)
    })

    both('M05 an error in a browser is data, and reflects nothing that could be markup', async (url) => {
      for (const path of [
        '/api/v1/repositories/%3Cscript%3Ealert(1)%3C%2Fscript%3E',
        `${FILES}/%3Cscript%3E`,
        '/%3Cscript%3E',
        `${NPM}/%3Cscript%3E`,
      ]) {
        const reply = await fetch(url + path, { headers: { accept: 'text/html' } })
        const body = await reply.text()
        assert.ok(reply.status >= 400 && reply.status < 500, `${path}: ${reply.status}`)
        assert.match(reply.headers.get('content-type') ?? '', /json/)
        assert.ok(!body.includes('at ') || !/\.js:\d+/.test(body), 'there is a stack')
      }
    })

    both('M06 no other origin is allowed to read', async (url) => {
      for (const path of [`${NPM}/one`, '/api/v1/repositories', `${FILES}/folder/kept.txt`])
        for (const method of ['GET', 'OPTIONS']) {
          const { headers } = await fetch(url + path, {
            method,
            headers: { origin: 'https://evil.example', authorization: admin, 'access-control-request-method': 'PUT' },
          })
          assert.equal(headers.get('access-control-allow-origin'), null, path)
          assert.equal(headers.get('access-control-allow-credentials'), null, path)
        }
    })

    both('a cross-site write is refused, whoever is signed in', async (url) => {
      for (const headers of [
        { origin: 'https://evil.example' },
        { 'sec-fetch-site': 'cross-site' },
        { origin: 'null' },
      ]) {
        const reply = await fetch(`${url}${FILES}/cross`, {
          method: 'PUT',
          body: 'x',
          headers: { authorization: admin, ...headers },
        })
        assert.equal(reply.status, 403, JSON.stringify(headers))
      }
    })
  })

  describe('O: limits', () => {
    for (const query of [
      'limit=99999999999',
      'limit=-1',
      'limit=1e9',
      'limit=NaN',
      'limit=',
      'limit=0',
      'after=%00',
      'cursor=%00',
      'limit=5&limit=6',
      'page=-1&per_page=1000000000',
    ])
      both(`O01 a page with ${query}`, async (url) => {
        for (const path of [
          '/api/v1/repositories',
          '/api/v1/repositories/files/artifacts',
          '/api/v1/search/artifacts',
          `${FILES}/folder/`,
          `${NPM}/-/v1/search`,
        ]) {
          const reply = await fetch(`${url}${path}?${query}`, {
            headers: { authorization: admin, accept: 'application/json' },
          })
          const body = await reply.text()
          assert.ok([200, 400].includes(reply.status), `${path}: ${reply.status} ${body}`)
          assert.ok(body.length < 1_000_000)
        }
      })

    for (const text of [
      '(a%2B)%2B%24',
      `${'a%3F'.repeat(30)}${'a'.repeat(30)}`,
      '%5B%5B%5B%5B',
      '%5C',
      '%25',
      '_',
      '%27%3B%20DROP%20TABLE%20x%3B--',
      '*'.repeat(2000),
      '%00',
      'a'.repeat(10_000),
    ])
      both(`O06 a search for ${text.slice(0, 20)} is answered within a second`, async (url) => {
        for (const path of [
          `/api/v1/search/artifacts?q=${text}`,
          `/api/v1/search/artifacts?name=${text}`,
          `${NPM}/-/v1/search?text=${text}`,
        ]) {
          const begun = performance.now()
          const reply = await fetch(url + path, { headers: { authorization: admin } })
          await reply.arrayBuffer()
          assert.ok([200, 400, 414, 431].includes(reply.status), `${path}: ${reply.status}`)
          assert.ok(performance.now() - begun < 1000)
        }
      })

    it('O05 two hundred uploads that break off before their end leave nothing', async () => {
      const size = 100_000
      const head = `PUT ${FILES}/broken HTTP/1.1\r\nHost: a\r\nAuthorization: ${admin}\r\nContent-Length: ${size}\r\n\r\n`
      for (const [, url] of at.sides)
        for (let done = 0; done < 100; done += 20)
          await Promise.all(Array.from({ length: 20 }, () => broken(port(url()), head, size - 1000)))
      for (const [, url] of at.sides) assert.equal((await fetch(`${url()}${FILES}/broken`)).status, 404)
    })

    it('O10 a JSON body without end, too deep, too long, or none at all', async () => {
      const bodies = [
        '{',
        '['.repeat(100_000),
        `{"username":${'['.repeat(50_000)}`,
        `{"username":"${'x'.repeat(20_000_000)}"}`,
        '',
        'null',
        '[]',
        '"x"',
        '\ud800',
        '{"username":"admin","username":"bob","password":"x"}',
        '{"__proto__":{"admin":true},"username":"x","password":"y"}',
      ]
      for (const [, url] of at.sides)
        for (const body of bodies) {
          const reply = await fetch(`${url()}/api/v1/auth/login`, {
            method: 'POST',
            body,
            headers: { 'content-type': 'application/json' },
          }).catch(() => undefined)
          if (!reply) continue
          await reply.arrayBuffer()
          assert.ok([400, 401, 413, 422, 429].includes(reply.status), `${body.slice(0, 40)}: ${reply.status}`)
        }
    })
  })

  it('nothing of it makes a node think that it is cut off', async () => {
    const { headers } = await fetch(`${at.node}${FILES}/folder/kept.txt`)
    assert.equal(headers.get('x-cairn-cut-off'), null)
    for (const client of silent) client.end()
  })

  it('after all of it everything is as before', () => at.end([SECRET, admin.slice(7)]))
})

/** Sends a part of what was announced and hangs up. */
function broken(port: number, head: string, bytes: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => {
      socket.write(head)
      socket.write(Buffer.alloc(bytes), () => socket.destroy())
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
  })
}
