/** Opening, closing and logging. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { RegistryError } from '../../../protocol/errors.js'
import type { LogEntry } from '../../../protocol/http/dispatcher.js'
import { text } from '../../../protocol/http/reply.js'
import { serve } from '../../../protocol/http/server.js'
import { selfSigned } from '../../support/certificate.js'
import { pattern, patternBytes } from './bytes.js'
import { curl, withCurl } from './curl.js'
import { RawClient } from './raw.js'
import { gate, serving } from './serving.js'

const OPTIONS = { host: '127.0.0.1', publicUrls: [], trustedProxies: [] }

test('a busy port is one clear sentence', async (t) => {
  const { port } = await serving(t, () => text('x'))
  await assert.rejects(
    serve({ ...OPTIONS, port }, () => text('y')),
    (error: unknown) =>
      error instanceof RegistryError &&
      error.kind === 'unavailable' &&
      error.message.startsWith(`Port ${port} is already in use`),
  )
})

test('an address of another machine, a bad proxy range, a bad public URL, a missing key are clear sentences', async () => {
  const refused = async (options: object, message: RegExp) =>
    await assert.rejects(
      serve({ ...OPTIONS, port: 0, ...options }, () => text('')),
      message,
    )
  await refused({ host: '203.0.113.7' }, /203\.0\.113\.7 is not an address of this machine/)
  await refused({ trustedProxies: ['10.0.0.0/33'] }, /10\.0\.0\.0\/33/)
  await refused({ publicUrls: ['registry.example'] }, /public URL.*registry\.example/)
  await refused({ tls: { keyFile: '/nope.key', certFile: '/nope.crt' } }, /TLS key or certificate.*nope\.key/)
})

withCurl('closing lets what runs end, and accepts nothing new', async () => {
  const started = gate()
  const release = gate()
  const listening = await serve({ ...OPTIONS, port: 0 }, async () => {
    started.open(undefined)
    await release.opened
    return text('done')
  })
  const running = curl(`${listening.url}/slow`)
  await started.opened
  assert.equal(listening.running, 1)
  const closed = listening.close({ graceMs: 10_000 })
  await assert.rejects(RawClient.open(listening.port))
  release.open(undefined)
  const reply = await running
  assert.deepEqual([reply.status, reply.body.toString()], [200, 'done'])
  assert.equal(reply.headers.connection, 'close')
  await closed
  assert.equal(listening.running, 0)
})

withCurl('closing cuts what does not end in time, and idle connections', async () => {
  const started = gate<AbortSignal>()
  const listening = await serve({ ...OPTIONS, port: 0 }, async (request) => {
    started.open(request.signal)
    return await new Promise((_, reject) => {
      request.signal.addEventListener('abort', () => reject(request.signal.reason))
    })
  })
  const idle = await RawClient.open(listening.port)
  const running = curl(`${listening.url}/slow`)
  const signal = await started.opened
  await listening.close({ graceMs: 1 })
  assert.equal(signal.aborted, true)
  assert.notEqual((await running).exitCode, 0)
  assert.equal(await idle.untilClosed(), '')
})

withCurl('a log entry says what happened, and no query', async (t) => {
  const entries: LogEntry[] = []
  const { url } = await serving(
    t,
    (request) => {
      if (request.path === '/sync') return text('hello')
      if (request.path === '/fails') return Promise.reject(new Error('inside'))
      if (request.path === '/blob') return { status: 200, headers: {}, body: pattern(100_000) }
      return Promise.resolve(text('hello'))
    },
    { log: (entry) => entries.push({ ...entry, ...facts(entry) }) },
  )
  for (const path of ['/sync?token=secret', '/async', '/blob', '/fails']) await curl(`${url}${path}`)
  await curl('-I', `${url}/sync`)
  assert.deepEqual(
    entries.map(({ method, path, status, bytes, remote }) => [method, path, status, bytes, remote]),
    [
      ['GET', '/sync', 200, 5, '127.0.0.1'],
      ['GET', '/async', 200, 5, '127.0.0.1'],
      ['GET', '/blob', 200, 100_000, '127.0.0.1'],
      ['GET', '/fails', 500, entries[3]?.bytes, '127.0.0.1'],
      ['HEAD', '/sync', 200, 0, '127.0.0.1'],
    ],
  )
  assert.match(String(entries[3]?.error), /inside/)
  assert.doesNotMatch(JSON.stringify(entries), /secret/)
  for (const { ms, id } of entries) assert.ok(ms >= 0 && id !== '')
})

/** What an entry works out when it is asked, as long as it can. */
function facts({ id, traced, method, path, remote }: LogEntry) {
  return { id, traced, method, path, remote }
}

withCurl('a trusted proxy names the client, anyone else only himself', async (t) => {
  const handle = (request: { remote: string; origin: string }) => text(`${request.remote} ${request.origin}`)
  const trusting = await serving(t, handle, {
    trustedProxies: ['127.0.0.0/8'],
    publicUrls: ['https://a.example', 'https://b.example'],
  })
  const distrusting = await serving(t, handle, { trustedProxies: ['10.0.0.1'], publicUrls: ['https://a.example'] })
  const headers = ['-H', 'X-Forwarded-For: 1.1.1.1, 203.0.113.9', '-H', 'X-Forwarded-Host: b.example']
  assert.equal((await curl(...headers, trusting.url)).body.toString(), '203.0.113.9 https://b.example')
  assert.equal((await curl(...headers, distrusting.url)).body.toString(), '127.0.0.1 https://a.example')
})

withCurl('TLS serves the same, bodies in chunks too', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-tls-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  await selfSigned(keyFile, certFile)
  const { url } = await serving(t, async () => ({ status: 200, headers: {}, body: pattern(5_000_000) }), {
    tls: { keyFile, certFile },
  })
  assert.match(url, /^https:/)
  const reply = await curl('-k', url)
  assert.ok(reply.body.equals(patternBytes(0, 5_000_000)))
})
