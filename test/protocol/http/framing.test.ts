/** Group A of the bad inputs: framings that two readers could understand differently. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { text } from '../../../protocol/http/reply.js'
import type { HttpRequest } from '../../../protocol/http/request.js'
import { barrier, exchange, RawClient, statusOf } from './raw.js'
import { serving } from './serving.js'

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
const POST = 'POST /x HTTP/1.1\r\nHost: a\r\n'

/** What comes back must have one of these statuses, or nothing at all where the library closes by itself. */
const REFUSED: [name: string, segments: string[], statuses: (number | undefined)[]][] = [
  [
    'A01 two lengths, a request behind',
    [`${POST}Content-Length: 0\r\nContent-Length: 35\r\n\r\n${SMUGGLED}`],
    [400, undefined],
  ],
  ['A01 in two segments', [`${POST}Content-Length: 0\r\nContent-Length: 35\r\n\r\n`, SMUGGLED], [400]],
  ['A02 two different lengths', [`${POST}Content-Length: 5\r\nContent-Length: 10\r\n\r\nhelloworld`], [400, 505]],
  ['A03 two equal lengths', [`${POST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`], [400]],
  ['A04 length and chunked', [`${POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`], [400]],
  ['A05 chunked and length', [`${POST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`], [400]],
  ['A06 an unknown coding', [`${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`], [400, 501]],
  ['A07 gzip before chunked', [`${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`], [400, 501]],
  ['A08 two codings', [`${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`], [400, 501]],
  ['A08 identity', [`${POST}Transfer-Encoding: identity\r\n\r\n`], [400, 501]],
  ['A16 plus five', [`${POST}Content-Length: +5\r\n\r\nhello`], [400]],
  ['A16 minus five', [`${POST}Content-Length: -5\r\n\r\nhello`], [400]],
  ['A16 hexadecimal', [`${POST}Content-Length: 0x5\r\n\r\nhello`], [400]],
  ['A16 a list', [`${POST}Content-Length: 5, 5\r\n\r\nhello`], [400]],
  ['A16 beyond 64 bits', [`${POST}Content-Length: 18446744073709551621\r\n\r\nhello`], [400]],
  ['A16 beyond a double', [`${POST}Content-Length: 9007199254740993\r\n\r\nhello`], [400]],
  ['A17 two hosts', ['GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'], [400]],
  ['A17 two equal hosts', ['GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'], [400]],
  ['a host that is markup', ['GET /x HTTP/1.1\r\nHost: <script>\r\n\r\n'], [400]],
  ['a host with a path', ['GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n'], [400]],
  ['an empty host', ['GET /x HTTP/1.1\r\nHost:\r\n\r\n'], [400]],
  [
    'two credentials',
    ['GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YQ==\r\nAuthorization: Basic Yg==\r\n\r\n'],
    [400],
  ],
  ['A19 an invalid method', ['G@T /a HTTP/1.1\r\nHost: a\r\n\r\n'], [400, 405]],
  ['A19 a method in lower case', ['get /a HTTP/1.1\r\nHost: a\r\n\r\n'], [400, 405]],
  ['an unknown expectation', [`${POST}Content-Length: 5\r\nExpect: 200-maybe\r\n\r\nhello`], [417]],
]

for (const [name, segments, statuses] of REFUSED) {
  test(`refused, closed, and nothing dispatched: ${name}`, async (t) => {
    const dispatched: string[] = []
    const { port } = await serving(t, (request) => {
      if (request.path !== '/barrier') dispatched.push(request.path)
      return text('reached')
    })
    const received = await exchange(port, segments)
    assert.ok(statuses.includes(statusOf(received)), `unexpected: ${received}`)
    assert.equal(received.split('HTTP/1.1 ').length <= 2, true, 'more than one reply')
    assert.deepEqual(dispatched, [])
    await barrier(port)
  })
}

for (const [name, body] of [
  ['as it should be', '5\r\nhello\r\n0\r\n\r\n'],
  ['A11 with bare line feeds', '5\nhello\n0\n\n'],
  ['A12 with a bad terminator', '5\r\nhelloXX0\r\n\r\n'],
  ['A14 with a trailer', '5\r\nhello\r\n0\r\nX-T: a\r\n\r\n'],
] as const) {
  for (const reads of [true, false]) {
    test(`nothing behind a chunked request is taken for another one: ${name}, body ${reads ? 'read' : 'ignored'}`, async (t) => {
      const dispatched: string[] = []
      const { port } = await serving(t, async (request) => {
        dispatched.push(request.path)
        if (reads) for await (const _ of request.body);
        return text('done')
      })
      const received = await exchange(port, [`${POST}Transfer-Encoding: chunked\r\n\r\n${body}${SMUGGLED}`])
      assert.ok([200, 400, 505, undefined].includes(statusOf(received)), received)
      assert.ok(!dispatched.includes('/smuggled'))
    })
  }
}

test('a chunked request is answered and its connection closed', async (t) => {
  const { port } = await serving(t, async (request) => text(`got ${await size(request)}`))
  const received = await exchange(port, [`${POST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`])
  assert.equal(statusOf(received), 200)
  assert.match(received, /\r\nConnection: close\r\n/i)
  assert.match(received, /got 5$/)
})

for (const bytes of [3_000, 8_000, 15_000, 16_200, 16_600, 17_600, 30_000, 60_000]) {
  test(`A22 ${bytes} bytes of header get one answer in one segment and in several`, async (t) => {
    const { port } = await serving(t, (request) => text(String(request.headers.get('authorization')?.length)))
    const head = `GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: ${'y'.repeat(bytes)}`
    const whole = await exchange(port, [`${head}\r\n\r\n`])
    const split = await exchange(port, [head.slice(0, bytes / 2), head.slice(bytes / 2), '\r\n\r\n'])
    assert.equal(statusOf(whole), bytes < 16_384 ? 200 : 431)
    assert.equal(statusOf(split), statusOf(whole))
  })
}

test('A21 a HEAD and the GETs behind it in one segment are answered in order, the HEAD without a body', async (t) => {
  const { port } = await serving(t, () => text('0123456789'))
  const requests = ['HEAD', 'GET', 'HEAD', 'GET'].map((method) => `${method} /x HTTP/1.1\r\nHost: a\r\n\r\n`)
  requests.push('GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  const received = await exchange(port, [requests.join('')])
  const replies = received.split('HTTP/1.1 200 OK').slice(1)
  assert.equal(replies.length, 5)
  assert.deepEqual(
    replies.map((reply) => reply.split('\r\n\r\n')[1]),
    ['', '0123456789', '', '0123456789', '0123456789'],
  )
  for (const reply of replies) assert.match(reply, /Content-Length: 10\r\n/i)
})

test('A21 handlers that wait for no more than a promise may be pipelined too', async (t) => {
  const { port } = await serving(t, async (request) => text(request.path))
  const received = await exchange(port, [
    'GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ])
  assert.match(received, /\/aHTTP\/1\.1 200 OK[\s\S]*\/b$/)
})

test('a request pipelined behind a slow one is not executed, and nothing is mixed up', async (t) => {
  const seen: string[] = []
  const { port } = await serving(t, async (request) => {
    seen.push(request.path)
    await new Promise((resolve) => setImmediate(resolve))
    return text(request.path)
  })
  const received = await exchange(port, ['GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n'])
  assert.equal(received, '')
  assert.deepEqual(seen, ['/a'])
})

test('A09, A10, A17, A20: what the library keeps waiting for is never dispatched', async (t) => {
  const seen: string[] = []
  const { port } = await serving(t, (request) => {
    seen.push(request.path)
    return text('')
  })
  const odd = [
    'GET /x HTTP/1.1\r\n\r\n',
    `${POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
    'GET /x HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n',
    'GET /x HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\n\r\n',
    'GET /x HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n',
    'GET /x HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n',
    'GET http://evil.example/x HTTP/1.1\r\nHost: a\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
  ]
  for (const request of odd) {
    const client = await RawClient.open(port)
    await client.send(request)
    await barrier(port)
    assert.deepEqual(seen.splice(0), ['/barrier'], JSON.stringify(request))
    client.end()
  }
})

async function size(request: HttpRequest): Promise<number> {
  let total = 0
  for await (const chunk of request.body) total += chunk.byteLength
  return total
}
