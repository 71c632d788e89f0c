/** Bytes in both directions at the speed of the slower side; connections that break in the middle. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { request as nodeRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { RegistryError } from '../../../protocol/errors.js'
import { json, text } from '../../../protocol/http/reply.js'
import { pattern, patternBytes } from './bytes.js'
import { curl, withCurl } from './curl.js'
import { barrier, RawClient, statusOf } from './raw.js'
import { gate, serving } from './serving.js'

const MIB = 1024 * 1024
const GET = 'GET /blob HTTP/1.1\r\nHost: a\r\n\r\n'

test('200 clients that do not read cost next to nothing, and each gets its bytes when it does', async (t) => {
  const bytes = pattern(64 * MIB, 256 * 1024)
  const { port } = await serving(t, async (request) =>
    request.path === '/barrier' ? text('') : { status: 200, headers: {}, body: bytes },
  )
  const before = process.memoryUsage().rss
  const clients = await Promise.all(Array.from({ length: 200 }, () => RawClient.open(port)))
  for (const client of clients) {
    client.socket.pause()
    await client.send(GET)
  }
  let asked = -1
  while (asked !== bytes.asked) {
    asked = bytes.asked
    await barrier(port)
  }
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < 192 * MIB, `grew by ${grown} bytes`)
  assert.ok(bytes.asked < (200 * 64 * MIB) / (256 * 1024) / 2, `${bytes.asked} chunks were asked for`)
  const [first, ...others] = clients
  for (const client of others) client.end()
  assert.ok(first)
  assert.equal(await digestOfBody(first, 64 * MIB), sha256(patternBytes(0, 64 * MIB)))
  first.end()
  while (bytes.ended < 200) await barrier(port)
})

test('100 clients that do not read share one large body in memory', async (t) => {
  const body = patternBytes(0, 32 * MIB)
  const { port } = await serving(t, (request) =>
    request.path === '/barrier' ? text('') : { status: 200, headers: {}, body },
  )
  const before = process.memoryUsage().rss
  const clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.open(port)))
  for (const client of clients) {
    client.socket.pause()
    await client.send(GET)
  }
  await barrier(port)
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < 128 * MIB, `grew by ${grown} bytes`)
  for (const client of clients) client.end()
})

test('an upload that the handler does not read is held back, and arrives whole when it does', async (t) => {
  const release = gate()
  const { port } = await serving(t, async (request) => {
    if (request.path === '/barrier') return text('')
    await release.opened
    const hash = createHash('sha256')
    for await (const chunk of request.body) hash.update(chunk)
    return text(hash.digest('hex'))
  })
  const body = patternBytes(0, 64 * MIB)
  const client = await RawClient.open(port)
  await client.send(`PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`)
  const before = process.memoryUsage().rss
  client.socket.write(body)
  let left = -1
  while (left !== client.socket.writableLength) {
    left = client.socket.writableLength
    for (let i = 0; i < 5; i++) await barrier(port)
  }
  const grown = process.memoryUsage().rss - before
  assert.ok(left > 32 * MIB || grown < 16 * MIB, `${body.length - left} bytes were taken, grew by ${grown}`)
  release.open(undefined)
  const received = await client.until((all) => all.includes(sha256(body)))
  assert.equal(statusOf(received), 200)
  client.end()
})

test('a client that goes away in the middle of an upload ends the body with an error and aborts the signal', async (t) => {
  const outcome = gate<{ error: unknown; aborted: boolean; size: number }>()
  const started = gate()
  const { port } = await serving(t, async (request) => {
    if (request.path === '/barrier') return text('')
    let size = 0
    const signal = request.signal
    try {
      for await (const chunk of request.body) {
        size += chunk.byteLength
        started.open(undefined)
      }
    } catch (error) {
      outcome.open({ error, aborted: signal.aborted, size })
    }
    return text('late')
  })
  const client = await RawClient.open(port)
  await client.send('PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhello')
  await started.opened
  client.end()
  const { error, aborted, size } = await outcome.opened
  assert.ok(error instanceof RegistryError && error.code === 'client_gone')
  assert.deepEqual([aborted, size], [true, 5])
  await barrier(port)
})

test('a client that goes away in the middle of a download ends the reading of the bytes', async (t) => {
  const bytes = pattern(256 * MIB)
  const { port } = await serving(t, async (request) =>
    request.path === '/barrier' ? text('') : { status: 200, headers: {}, body: bytes },
  )
  const client = await RawClient.open(port)
  await client.send(GET)
  await client.until((received) => received.length > 100_000)
  client.end()
  while (bytes.ended === 0) await barrier(port)
  assert.ok(bytes.asked < 256 * 16)
})

for (const sized of [true, false]) {
  const kind = sized ? 'with a length' : 'chunked'
  withCurl(`a body that fails in the middle is never complete: ${kind}`, async (t) => {
    const errors: unknown[] = []
    const { url } = await serving(
      t,
      async () => {
        const stream = failing(pattern(10 * MIB).read(), 20)
        return { status: 200, headers: {}, body: sized ? { ...pattern(10 * MIB), read: () => stream } : stream }
      },
      { log: ({ status, error }) => errors.push(status, error) },
    )
    const reply = await curl(`${url}/x`)
    assert.equal(reply.status, 200)
    assert.ok([18, 56].includes(reply.exitCode), `curl took it for complete: ${reply.exitCode}`)
    assert.equal(errors[0], 499)
    assert.match(String(errors[1]), /disk/)
  })
}

for (const [name, says, has] of [
  ['fewer', 10 * MIB, 9 * MIB],
  ['more', 9 * MIB, 10 * MIB],
  ['one less', 10 * MIB, 10 * MIB - 1],
] as const) {
  withCurl(`bytes that are ${name} than announced are never a complete body`, async (t) => {
    const { url } = await serving(t, async () => ({
      status: 200,
      headers: {},
      body: { ...pattern(says), read: () => pattern(has).read() },
    }))
    const reply = await curl(`${url}/x`)
    assert.notEqual(reply.exitCode, 0)
    assert.ok(reply.body.length < says)
  })
}

withCurl('a body that cannot even begin is an error reply', async (t) => {
  const { url } = await serving(t, async () => ({
    status: 200,
    headers: { etag: '"x"' },
    body: { ...pattern(MIB), read: () => failing(pattern(MIB).read(), 0) },
  }))
  const reply = await curl(`${url}/x`)
  assert.deepEqual([reply.status, reply.headers.etag, reply.exitCode], [503, undefined, 0])
})

for (const client of ['curl', 'curl chunked', 'node'] as const) {
  withCurl(`A24 a client in the middle of a large upload sees the refusal: ${client}`, async (t) => {
    const { url, port } = await serving(t, async (request) => {
      if (request.path === '/barrier') return text('')
      throw new RegistryError('unauthenticated', 'Who are you?')
    })
    const { status, detail } =
      client === 'node' ? await putByNode(url) : await putByCurl(url, client === 'curl chunked')
    assert.deepEqual([status, detail], [401, 'Who are you?'])
    await barrier(port)
  })
}

test('a connection whose small body was ignored can be used again', async (t) => {
  const { port } = await serving(t, async (request) =>
    request.method === 'PUT' ? json({ error: 'exists' }, 409) : text('next'),
  )
  const client = await RawClient.open(port)
  await client.send(`PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n`)
  await client.until((received) => received.includes('exists'))
  await client.send('x'.repeat(300_000))
  await client.send('GET /next HTTP/1.1\r\nHost: a\r\n\r\n')
  const received = await client.until((all) => all.endsWith('next'))
  assert.match(received, /409 Conflict[\s\S]*200 OK[\s\S]*next$/)
  client.end()
})

test('a client that stops reading, and one that stops sending, are cut', async (t) => {
  const statuses: number[] = []
  const { port } = await serving(
    t,
    async (request) => {
      if (request.method === 'GET') return { status: 200, headers: {}, body: pattern(64 * MIB) }
      for await (const _ of request.body);
      return text('done')
    },
    { patience: { idleMs: 200 }, log: ({ status }) => statuses.push(status) },
  )
  const reader = await RawClient.open(port)
  reader.socket.pause()
  await reader.send(GET)
  const sender = await RawClient.open(port)
  await sender.send('PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhello')
  assert.equal(await sender.untilClosed(), '')
  reader.socket.resume()
  assert.ok((await reader.untilClosed()).length < 64 * MIB)
  assert.deepEqual(statuses, [499, 499])
})

withCurl('more uploads at a time than allowed are turned away with 503', async (t) => {
  const release = gate()
  const started = gate()
  const { url } = await serving(
    t,
    async (request) => {
      started.open(undefined)
      await release.opened
      for await (const _ of request.body);
      return text('done')
    },
    { maxBodies: 1 },
  )
  const first = curl('-d', 'x=1', url)
  await started.opened
  const second = await curl('-d', 'x=1', url)
  assert.deepEqual([second.status, second.headers['retry-after']], [503, '1'])
  release.open(undefined)
  assert.equal((await first).status, 200)
})

withCurl('a body can be read once only', async (t) => {
  const { url } = await serving(t, async (request) => {
    for await (const _ of request.body);
    for await (const _ of request.body);
    return text('twice')
  })
  assert.equal((await curl('-d', 'x=1', url)).status, 500)
})

async function* failing(chunks: AsyncIterable<Uint8Array>, after: number): AsyncGenerator<Uint8Array> {
  let count = 0
  for await (const chunk of chunks) {
    if (count++ === after) throw new RegistryError('unavailable', 'The disk is gone')
    yield chunk
  }
}

async function digestOfBody(client: RawClient, size: number): Promise<string> {
  const hash = createHash('sha256')
  let headers = Buffer.alloc(0)
  let left = size
  let inBody = false
  client.socket.removeAllListeners('data')
  for await (const chunk of client.socket as AsyncIterable<Buffer>) {
    let part = chunk
    if (!inBody) {
      headers = Buffer.concat([headers, chunk])
      const end = headers.indexOf('\r\n\r\n')
      if (end < 0) continue
      inBody = true
      part = headers.subarray(end + 4)
    }
    hash.update(part)
    left -= part.length
    if (left <= 0) break
  }
  return hash.digest('hex')
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function putByCurl(url: string, chunked: boolean): Promise<{ status: number; detail: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-curl-'))
  const file = join(dir, 'large')
  await writeFile(file, '')
  // Sparse: its length is real, its bytes take no room.
  await truncate(file, 5 * 1024 ** 3)
  const source = chunked ? ['-T', '/dev/zero'] : ['-T', file]
  const reply = await curl('-H', 'Expect:', ...source, `${url}/up`)
  await rm(dir, { recursive: true })
  return { status: reply.status, detail: JSON.parse(reply.body.toString()).detail }
}

async function putByNode(url: string): Promise<{ status: number | undefined; detail: string }> {
  return await new Promise((resolve, reject) => {
    const body = Buffer.alloc(48 * MIB)
    const request = nodeRequest(
      `${url}/up`,
      { method: 'PUT', headers: { 'content-length': body.length } },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({ status: response.statusCode, detail: JSON.parse(Buffer.concat(chunks).toString()).detail }),
        )
        response.on('error', reject)
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}
