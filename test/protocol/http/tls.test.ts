/** https with certificates from files, which are renewed while clients are connected. */
import assert from 'node:assert/strict'
import { copyFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { Agent, type RequestOptions, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { TLSSocket } from 'node:tls'
import type { TlsFiles } from '../../../protocol/http/tls-files.js'
import { selfSigned } from '../../support/certificate.js'
import { freePort, until } from '../../support/fleet.js'
import { gate, serving } from './serving.js'

describe('https', () => {
  let dir: string
  let files: TlsFiles

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cairn-tls-'))
    files = { keyFile: join(dir, 'key.pem'), certFile: join(dir, 'cert.pem') }
    for (const name of ['one', 'two']) await selfSigned(join(dir, `${name}.key`), join(dir, `${name}.crt`), name)
  })
  after(() => rm(dir, { recursive: true }))

  const use = async (name: string) => {
    // As tools that renew do: beside, then renamed.
    for (const [from, to] of [
      [`${name}.key`, files.keyFile],
      [`${name}.crt`, files.certFile],
    ] as const) {
      await copyFile(join(dir, from), `${to}.new`)
      await rename(`${to}.new`, to)
    }
  }

  it('a renewed certificate is used for new connections, and what is under way goes on', async (t) => {
    await use('one')
    const held = gate()
    const failures: unknown[] = []
    const listening = await serving(
      t,
      async (asked) => {
        if (asked.path === '/slow') await held.opened
        return { status: 200, headers: {}, body: asked.origin }
      },
      { port: await freePort(), tls: files, tlsLookMs: 20, onTlsFault: (error) => failures.push(error) },
    )
    const slow = read(listening.port, '/slow')
    assert.equal((await read(listening.port, '/')).name, 'one')
    await use('two')
    await until(async () => (await read(listening.port, '/')).name === 'two')
    held.open(undefined)
    assert.deepEqual(await slow, { name: 'one', body: `https://127.0.0.1:${listening.port}` })
    assert.deepEqual(failures, [])
  })

  it('files that cannot be used are said once, and the certificate stays', async (t) => {
    await use('one')
    const failures: unknown[] = []
    const listening = await serving(t, async () => ({ status: 200, headers: {}, body: '' }), {
      port: await freePort(),
      tls: files,
      tlsLookMs: 20,
      onTlsFault: (error) => failures.push(error),
    })
    await read(listening.port, '/')
    await writeFile(files.certFile, 'not a certificate')
    await until(async () => failures.length > 0)
    await new Promise((resolve) => setTimeout(resolve, 100))
    assert.equal(failures.length, 1)
    assert.match(String(failures[0]), /cert\.pem/)
    assert.equal((await read(listening.port, '/')).name, 'one')
  })
})

/** Over a connection of its own: the name in the certificate, and the body. */
function read(port: number, path: string): Promise<{ name: string; body: string }> {
  const options: RequestOptions = { host: '127.0.0.1', port, path, agent: new Agent({ rejectUnauthorized: false }) }
  return new Promise((resolve, reject) => {
    request(options, (reply) => {
      const name = String((reply.socket as TLSSocket).getPeerCertificate().subject.CN)
      let body = ''
      reply.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      reply.on('end', () => resolve({ name, body }))
      reply.on('error', reject)
    })
      .on('error', reject)
      .end()
  })
}
