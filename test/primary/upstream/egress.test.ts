/** How upstreams are reached: through a proxy, with authorities of one's own, and with credentials of every kind. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { UpstreamClient, type UpstreamClientOptions } from '../../../primary/upstream/client.js'
import { guard } from '../../../primary/upstream/guard.js'
import { exceptions } from '../../../primary/upstream/no-proxy.js'
import { collect } from '../../../protocol/chunks.js'
import { type TlsFront, tlsFront } from '../../support/tls-front.js'
import { bytes, type ScriptedUpstream, scriptedUpstream, status } from '../../support/upstream.js'

describe('a proxy', { timeout: 30_000 }, () => {
  let upstream: ScriptedUpstream
  let secure: TlsFront
  let dir: string
  let proxy: Proxy
  let ca: string
  const clients: UpstreamClient[] = []
  const client = (options: Partial<UpstreamClientOptions> = {}) => {
    const made = new UpstreamClient({ guard: guard([]), proxy: proxy.url, ...options })
    clients.push(made)
    return made
  }
  const read = async (from: UpstreamClient, url: string | URL) =>
    String(await collect((await from.get(new URL(url))).body, 1000))

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cairn-egress-'))
    upstream = await scriptedUpstream()
    upstream.answer('/file', bytes(Buffer.from('some bytes')))
    secure = await tlsFront(dir, upstream.url.replace(/\/$/, ''))
    ca = await readFile(secure.certificate, 'utf8')
    proxy = await startProxy({ 'upstream.example': upstream.port, 'secure.example': Number(new URL(secure.url).port) })
  })
  beforeEach(() => void proxy.asked.splice(0))
  after(async () => {
    for (const one of clients) await one.close()
    await proxy.close()
    await secure.close()
    await upstream.close()
    await rm(dir, { recursive: true })
  })

  it('is asked for http in absolute form, and resolves the name itself', async () => {
    const resolve = () => assert.fail('nothing is looked up here')
    assert.equal(await read(client({ resolve }), 'http://upstream.example/file'), 'some bytes')
    assert.deepEqual(proxy.asked, ['GET http://upstream.example/file'])
  })

  it('makes a tunnel for https', async () => {
    const through = client({ ca, guard: guard(['127.0.0.1']) })
    const { port } = new URL(secure.url)
    assert.equal(await read(through, `${secure.url}/file`), 'some bytes')
    assert.deepEqual(proxy.asked, [`CONNECT 127.0.0.1:${port}`])
  })

  it('gets its credentials, which no error shows', async () => {
    const { host } = new URL(proxy.url)
    const through = client({ proxy: `http://ann:p%40ss-canary@${host}` })
    assert.equal(await read(through, 'http://upstream.example/file'), 'some bytes')
    assert.equal(proxy.authorization, `Basic ${Buffer.from('ann:p@ss-canary').toString('base64')}`)
    assert.equal(upstream.asked.at(-1)?.headers['proxy-authorization'], undefined)
    const away = client({ proxy: 'http://ann:p%40ss-canary@127.0.0.1:1' })
    await assert.rejects(away.get(new URL('http://upstream.example/file')), (error: unknown) => {
      assert.doesNotMatch(JSON.stringify(chain(error)), /canary/)
      return true
    })
  })

  for (const url of [
    'http://127.0.0.1:1/',
    'http://169.254.169.254/',
    'http://[::1]/',
    'http://localhost/',
    'https://10.0.0.1/',
  ])
    it(`is not asked for ${url}, which the guard forbids`, async () => {
      await assert.rejects(client().get(new URL(url)), { code: 'upstream_forbidden' })
      assert.deepEqual(proxy.asked, [])
    })

  it('is not asked for what it is redirected to either', async () => {
    upstream.answer('/inside', status(302, { location: 'http://169.254.169.254/' }))
    await assert.rejects(client().get(new URL('http://upstream.example/inside')), { code: 'upstream_forbidden' })
    assert.equal(proxy.asked.length, 1)
  })

  it('is left out for the exceptions, and there the guard looks at addresses again', async () => {
    const here = (_: string, __: object, done: (e: null, a: { address: string; family: number }[]) => void) =>
      done(null, [{ address: '127.0.0.1', family: 4 }])
    const allowed = client({ noProxy: ['.example'], resolve: here, guard: guard(['upstream.example']) })
    assert.equal(await read(allowed, `http://upstream.example:${upstream.port}/file`), 'some bytes')
    const forbidden = client({ noProxy: ['upstream.example'], resolve: here })
    await assert.rejects(forbidden.get(new URL('http://upstream.example/file')), { code: 'upstream_forbidden' })
    assert.deepEqual(proxy.asked, [])
  })
})

describe('exceptions from the proxy', () => {
  const cases: [string, string, boolean][] = [
    ['example.org', 'http://example.org/', true],
    ['example.org', 'http://a.example.org/', true],
    ['.example.org', 'http://a.example.org/', true],
    ['*.example.org', 'http://a.example.org/', true],
    ['example.org', 'http://notexample.org/', false],
    ['10.0.0.0/8', 'http://10.1.2.3/', true],
    ['10.0.0.0/8', 'http://11.1.2.3/', false],
    ['fd00::/8', 'http://[fd00::1]/', true],
    ['*', 'http://anything.example/', true],
  ]
  for (const [entry, url, expected] of cases)
    it(`${entry} ${expected ? 'is' : 'is not'} one for ${url}`, () =>
      assert.equal(exceptions([entry])(new URL(url)), expected))
})

describe('authorities of one’s own', () => {
  it('are trusted besides the built-in ones; without them the upstream is not', async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'cairn-ca-'))
    const upstream = await scriptedUpstream()
    const secure = await tlsFront(dir, upstream.url.replace(/\/$/, ''))
    const ca = await readFile(secure.certificate, 'utf8')
    const options = { guard: guard(['127.0.0.1']) }
    const [trusting, strict] = [new UpstreamClient({ ...options, ca }), new UpstreamClient(options)]
    t.after(async () => {
      await Promise.all([trusting.close(), strict.close()])
      await secure.close()
      await upstream.close()
      await rm(dir, { recursive: true })
    })
    upstream.answer('/file', bytes(Buffer.from('some bytes')))
    const reply = await trusting.get(new URL(`${secure.url}/file`))
    assert.equal(String(await collect(reply.body, 1000)), 'some bytes')
    await assert.rejects(strict.get(new URL(`${secure.url}/file`)), { kind: 'unavailable' })
  })
})

describe('a credential in a header of its own', () => {
  it('goes to the upstream and not where it redirects to', async (t) => {
    const [one, other] = [await scriptedUpstream(), await scriptedUpstream()]
    const asking = new UpstreamClient({ guard: guard(['127.0.0.1']) })
    t.after(async () => {
      await asking.close()
      await one.close()
      await other.close()
    })
    one.answer('/near', status(302, { location: `${other.url}far` }))
    other.answer('/far', bytes(Buffer.from('far')))
    const reply = await asking.get(new URL('near', one.url), { own: { 'X-Api-Key': 'secret' } })
    reply.cancel()
    assert.equal(one.asked[0]?.headers['x-api-key'], 'secret')
    assert.equal(other.asked[0]?.headers['x-api-key'], undefined)
  })
})

interface Proxy {
  url: string
  asked: string[]
  readonly authorization: string | undefined
  close(): Promise<void>
}

/** Knows where some names lead, in place of a resolver. */
async function startProxy(names: Record<string, number>): Promise<Proxy> {
  const asked: string[] = []
  let authorization: string | undefined
  const portOf = (host: string, port: number) => names[host] ?? port
  const server: Server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    authorization = request.headers['proxy-authorization']
    const url = new URL(request.url ?? '')
    const { 'proxy-authorization': _, ...headers } = request.headers
    const init = { headers: headers as Record<string, string>, redirect: 'manual' as const }
    fetch(`http://127.0.0.1:${portOf(url.hostname, Number(url.port))}${url.pathname}`, init).then(
      async (reply) => {
        const location = reply.headers.get('location')
        response.writeHead(reply.status, location === null ? {} : { location })
        response.end(Buffer.from(await reply.arrayBuffer()))
      },
      () => response.writeHead(502).end(),
    )
  })
  server.on('connect', (request, socket, head) => {
    asked.push(`CONNECT ${request.url}`)
    const [host = '', port = '0'] = (request.url ?? '').split(':')
    const onward = connect(portOf(host, Number(port)), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      onward.write(head)
      onward.pipe(socket).pipe(onward)
    })
    for (const end of [onward, socket]) end.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    get authorization() {
      return authorization
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** An error with its causes, as a log shows them. */
function chain(error: unknown): string[] {
  return error instanceof Error ? [String(error.stack), ...chain(error.cause)] : []
}
