/** Replies as a real client sees them. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { RegistryError } from '../../../protocol/errors.js'
import type { Reply } from '../../../protocol/http/reply.js'
import { json, text } from '../../../protocol/http/reply.js'
import { pattern, patternBytes } from './bytes.js'
import { curl, withCurl } from './curl.js'
import { exchange, statusOf } from './raw.js'
import { serving } from './serving.js'

const SIZE = 3_000_001
const blob = (): Reply => ({ status: 200, headers: { etag: '"abc"', 'content-type': 'a/b' }, body: pattern(SIZE) })

withCurl('a body of bytes arrives whole, with its length', async (t) => {
  const { url } = await serving(t, async () => blob())
  const reply = await curl(`${url}/blob`)
  assert.equal(reply.status, 200)
  assert.equal(reply.headers['content-length'], String(SIZE))
  assert.equal(reply.headers['accept-ranges'], 'bytes')
  assert.ok(reply.body.equals(patternBytes(0, SIZE)))
})

withCurl('the same when the handler does not wait', async (t) => {
  const { url } = await serving(t, () => blob())
  assert.ok((await curl(`${url}/blob`)).body.equals(patternBytes(0, SIZE)))
})

withCurl('a large body in memory arrives whole', async (t) => {
  const { url } = await serving(t, () => ({ status: 200, headers: {}, body: patternBytes(0, SIZE) }))
  const reply = await curl(`${url}/blob`)
  assert.equal(reply.headers['content-length'], String(SIZE))
  assert.ok(reply.body.equals(patternBytes(0, SIZE)))
})

withCurl('a body whose length is not known is sent chunked', async (t) => {
  const { url } = await serving(t, () => ({ status: 200, headers: {}, body: pattern(SIZE).read() }))
  const reply = await curl(`${url}/stream`)
  assert.equal(reply.headers['transfer-encoding'], 'chunked')
  assert.equal(reply.headers['content-length'], undefined)
  assert.ok(reply.body.equals(patternBytes(0, SIZE)))
})

withCurl('an empty stream and empty bytes are complete replies', async (t) => {
  const { url } = await serving(t, (request) => ({
    status: 200,
    headers: {},
    body: request.path === '/stream' ? pattern(0).read() : pattern(0),
  }))
  for (const path of ['/stream', '/bytes']) {
    const reply = await curl(`${url}${path}`)
    assert.deepEqual([reply.status, reply.body.length, reply.exitCode], [200, 0, 0])
  }
})

withCurl('HEAD says what GET would say, and opens nothing', async (t) => {
  const bytes = pattern(SIZE)
  const { url } = await serving(t, async (request) => {
    if (request.path === '/said') return { status: 200, headers: { 'content-length': '12345' } }
    if (request.path === '/text') return text('hello')
    if (request.path === '/none') return { status: 204, headers: {} }
    return { status: 200, headers: {}, body: bytes }
  })
  const length = async (path: string) => (await curl('-I', `${url}${path}`)).headers['content-length']
  assert.equal(await length('/blob'), String(SIZE))
  assert.equal(await length('/text'), '5')
  assert.equal(await length('/said'), '12345')
  assert.equal(await length('/none'), undefined)
  assert.equal(bytes.asked, 0)
})

for (const [range, start, end] of [
  ['0-0', 0, 1],
  ['100000-2000000', 100_000, 2_000_001],
  ['2999999-', 2_999_999, SIZE],
  ['-5', SIZE - 5, SIZE],
  ['5-99999999999999999999', 5, SIZE],
] as const) {
  withCurl(`curl -r ${range} gets exactly these bytes`, async (t) => {
    const { url } = await serving(t, async () => blob())
    const reply = await curl('-r', range, `${url}/blob`)
    assert.equal(reply.status, 206)
    assert.equal(reply.headers['content-range'], `bytes ${start}-${end - 1}/${SIZE}`)
    assert.ok(reply.body.equals(patternBytes(start, end)))
  })
}

withCurl('B14 a range beyond the end is refused with the size', async (t) => {
  const { url } = await serving(t, async () => blob())
  const reply = await curl('-H', `Range: bytes=${SIZE}-`, `${url}/blob`)
  assert.equal(reply.status, 416)
  assert.equal(reply.headers['content-range'], `bytes */${SIZE}`)
})

withCurl('a client that has the bytes is told so', async (t) => {
  const { url } = await serving(t, async () => blob())
  const reply = await curl('-H', 'If-None-Match: "abc"', `${url}/blob`)
  assert.deepEqual([reply.status, reply.body.length, reply.headers.etag], [304, 0, '"abc"'])
  assert.equal(reply.headers['content-length'], undefined)
})

withCurl('curl uses one connection for several requests of all kinds', async (t) => {
  const { url } = await serving(t, async (request) => (request.path === '/blob' ? blob() : text(request.path)))
  const reply = await curl('-v', `${url}/a`, `${url}/blob`, `${url}/b`, '-d', 'x=1')
  assert.equal(reply.exitCode, 0)
  assert.equal(reply.log.match(/Connected to|Re-using existing/g)?.length, 3)
  assert.equal(reply.log.match(/Re-using existing/g)?.length, 2)
})

withCurl('curl sends a body after 100 Continue, and the handler reads it', async (t) => {
  const { url } = await serving(t, async (request) => {
    let size = 0
    for await (const chunk of request.body) size += chunk.byteLength
    return json({ size, length: request.length })
  })
  const file = join(mkdtempSync(join(tmpdir(), 'cairn-up-')), 'data')
  t.after(() => rmSync(dirname(file), { recursive: true }))
  writeFileSync(file, patternBytes(0, SIZE))
  const reply = await curl('-v', '-H', 'Expect: 100-continue', '-T', file, `${url}/up`)
  assert.match(reply.log, /< HTTP\/1\.1 100 Continue/)
  assert.deepEqual(JSON.parse(reply.body.toString()), { size: SIZE, length: SIZE })
})

withCurl('text is compressed for those who ask, with an ETag of its own', async (t) => {
  const body = JSON.stringify({ versions: Array.from({ length: 500 }, (_, i) => `1.0.${i}`) })
  const { url } = await serving(t, () => ({
    status: 200,
    headers: { 'content-type': 'application/json', etag: '"v1"' },
    body,
  }))
  const plain = await curl(`${url}/index`)
  assert.deepEqual([plain.headers.etag, plain.headers.vary], ['"v1"', 'accept-encoding'])
  const coded = await curl('-H', 'Accept-Encoding: gzip', `${url}/index`)
  assert.deepEqual([coded.headers.etag, coded.headers['content-encoding']], ['"v1-gzip"', 'gzip'])
  assert.equal(gunzipSync(coded.body).toString(), body)
  const again = await curl('-H', 'Accept-Encoding: gzip', '-H', 'If-None-Match: "v1-gzip"', `${url}/index`)
  assert.equal(again.status, 304)
  const silent = await curl('-H', 'If-None-Match: "v1-gzip"', `${url}/index`)
  assert.deepEqual([silent.status, silent.headers.etag], [304, '"v1-gzip"'], 'what codings it takes now was not said')
  const other = await curl('-H', 'Accept-Encoding: identity', '-H', 'If-None-Match: "v1-gzip"', `${url}/index`)
  assert.deepEqual([other.status, other.headers.etag], [200, '"v1"'])
  const head = await curl('-I', '-H', 'Accept-Encoding: gzip', `${url}/index`)
  assert.equal(head.headers['content-length'], String(coded.body.length))
})

withCurl('an error becomes problem+json with its status, a sentence and the request id', async (t) => {
  const { url } = await serving(t, (request) => {
    if (request.path === '/sync') throw new RegistryError('conflict', 'Version 1.0.0 exists')
    throw new RegistryError('throttled', 'Slower, please', { retryAfter: 2.2 })
  })
  const reply = await curl('-H', 'X-Request-Id: req-1', `${url}/sync`)
  assert.equal(reply.headers['content-type'], 'application/problem+json')
  assert.deepEqual(JSON.parse(reply.body.toString()), {
    type: 'about:blank',
    title: 'Conflict',
    status: 409,
    detail: 'Version 1.0.0 exists',
    code: 'conflict',
    request_id: 'req-1',
  })
  assert.equal((await curl(`${url}/x`)).headers['retry-after'], '3')
})

withCurl('an unknown exception becomes 500 without a word of it', async (t) => {
  const { url } = await serving(t, async () => {
    throw new Error('password=hunter2')
  })
  const reply = await curl(`${url}/x`)
  assert.equal(reply.status, 500)
  assert.doesNotMatch(reply.body.toString(), /hunter2|Error:|\.js/)
  assert.match(reply.body.toString(), new RegExp(reply.headers['x-request-id'] ?? 'missing'))
})

for (const [name, value] of [
  ['a line feed', 'a\r\nSet-Cookie: a=b'],
  ['a lone carriage return', 'a\rb'],
  ['a NUL', 'a\0b'],
] as const) {
  for (const wait of [true, false]) {
    test(`B16 a header value with ${name} is never sent (${wait ? 'later' : 'at once'})`, async (t) => {
      const reply: Reply = { status: 200, headers: { 'content-disposition': value }, body: 'x' }
      const { port } = await serving(t, () => (wait ? Promise.resolve(reply) : reply))
      const received = await exchange(port, ['GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'])
      assert.equal(statusOf(received), 500)
      assert.doesNotMatch(received, /set-cookie/i)
    })
  }
}

withCurl('B17 a foreign Host appears nowhere', async (t) => {
  const { url } = await serving(t, (request) => json({ origin: request.origin }, 200, { location: request.origin }))
  const reply = await curl('-H', 'Host: evil.example', '-H', 'X-Forwarded-Host: evil.example', `${url}/x`)
  assert.equal(reply.headers.location, url)
  assert.doesNotMatch(JSON.stringify(reply.headers) + reply.body.toString(), /evil/)
})

withCurl('every reply carries a request id, the given one when it is well formed', async (t) => {
  const { url } = await serving(t, async () => text('x'))
  const id = async (...given: string[]) => (await curl(...given, `${url}/x`)).headers['x-request-id']
  assert.equal(await id('-H', 'X-Request-Id: abc.DEF-1'), 'abc.DEF-1')
  const generated = await id('-H', 'X-Request-Id: "><script>')
  assert.match(generated ?? '', /^[0-9a-f]{10}-\w+$/)
  assert.notEqual(await id(), generated)
})
