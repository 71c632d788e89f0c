/** What an exchange that fails says about whether the primary can be reached. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Link } from '../../../node/link/link.js'
import { loadKeys } from '../../../primary/keys.js'
import { RegistryError } from '../../../protocol/errors.js'
import { problem } from '../../../protocol/http/status.js'

describe('the link to the primary', () => {
  let dir: string
  let server: Server
  let link: Link
  let url: string
  let pin: string
  let said: RegistryError

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cairn-link-'))
    const { tls } = await loadKeys(dir, new Date())
    pin = tls.pin
    server = createServer(
      { key: await readFile(tls.keyFile), cert: await readFile(tls.certFile) },
      (request, reply) => {
        if (request.url === '/cuts') request.once('data', () => request.socket.destroy())
        else if (request.url === '/refuses') reply.writeHead(401).end()
        else if (request.url?.startsWith('/says/')) {
          const { status, headers, body } = problem(said, { id: 'x' })
          reply.writeHead(status, headers).end(body)
        } else reply.end('fine')
      },
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    url = `https://127.0.0.1:${address.port}`
    link = new Link({ url, pin, identity: undefined, now: Date.now })
  })
  after(async () => {
    await link.close()
    server.close()
    await rm(dir, { recursive: true })
  })

  it('is up once the primary has answered, whatever it answered', async () => {
    assert.equal(link.reachable, false)
    assert.equal((await link.request('GET', '/refuses')).status, 401)
    assert.equal(link.reachable, true)
  })

  it('stays up when an exchange breaks while a body is sent', async () => {
    await assert.rejects(link.request('PUT', '/cuts', { body: endless() }), { kind: 'unavailable', code: 'broken_off' })
    assert.equal(link.reachable, true)
  })

  it('stays up when the body itself fails, and says what the body said', async () => {
    const failure = new RegistryError('too_large', 'It is too large')
    await assert.rejects(link.request('PUT', '/fine', { body: failing(failure) }), failure)
    assert.equal(link.reachable, true)
  })

  it('is not made with a server that holds another key', async () => {
    const other = new Link({ url, pin: 'A'.repeat(43), identity: undefined, now: Date.now })
    await assert.rejects(other.request('GET', '/fine'), { kind: 'unavailable', code: 'cut_off' })
    assert.equal(other.reachable, false)
    await other.close()
  })

  it('repeats what the primary refused, in its kind and with the time to wait', async () => {
    for (const kind of ['unauthenticated', 'forbidden', 'conflict', 'too_large', 'over_quota', 'throttled'] as const) {
      said = new RegistryError(kind, `It is ${kind}`, { retryAfter: 7 })
      await assert.rejects(link.json('GET', '/says/so'), { kind, message: `It is ${kind}`, retryAfter: 7 })
    }
  })

  it('is down when nobody is there', async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await assert.rejects(link.request('GET', '/fine'), { kind: 'unavailable', code: 'cut_off' })
    assert.equal(link.reachable, false)
  })
})

async function* endless(): AsyncGenerator<Uint8Array> {
  for (;;) yield Buffer.alloc(65_536)
}

async function* failing(error: Error): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(10)
  throw error
}
