/** HTTPS in front of a server of the tests, as an operator's proxy would be, for clients that send credentials over nothing else. */
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { selfSigned } from './certificate.js'

export interface TlsFront {
  url: string
  /** File with the certificate that a client has to trust. */
  certificate: string
  close(): Promise<void>
}

/** `dir`: where its key and certificate go. */
export async function tlsFront(dir: string, behind: string): Promise<TlsFront> {
  const [key, certificate] = [join(dir, 'front.key'), join(dir, 'front.crt')]
  await selfSigned(key, certificate)
  const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (incoming, outgoing) => {
    const { method = 'GET', headers, url = '/' } = incoming
    const passed = request(behind + url, { method, headers }, (reply) => {
      outgoing.writeHead(reply.statusCode ?? 502, reply.headers)
      reply.pipe(outgoing)
    })
    passed.on('error', () => outgoing.destroy())
    incoming.pipe(passed)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    certificate,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
