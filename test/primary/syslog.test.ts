import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { Syslog } from '../../primary/accounts/syslog.js'
import { until } from '../support/fleet.js'

const row = (id: number, outcome = 'ok') => ({
  ...{ id, at: '2026-01-01T00:00:00.000Z', who: 'ann', action: 'users.create', subject: '/ü', outcome },
  ...{ requestId: 'r', remote: '192.0.2.1', detail: { n: 1 }, hash: 'ab' },
})
const HEAD = /^<(\d+)>1 2026-01-01T00:00:00\.000Z \S+ cairn \d+ users\.create - (\{.*\})$/

describe('the audit trail at a syslog server', () => {
  it('arrives as RFC 5424 messages over UDP', async () => {
    const server = createSocket('udp4').bind(0, '127.0.0.1')
    await once(server, 'listening')
    const syslog = new Syslog({ url: new URL(`udp://127.0.0.1:${server.address().port}`), onFault: assert.fail })
    const heard = once(server, 'message')
    syslog.send(row(1, 'login_failed'))
    const [message] = (await heard) as [Buffer]
    const [, priority, document = ''] = HEAD.exec(message.toString()) ?? []
    assert.equal(priority, '108')
    assert.deepEqual((JSON.parse(document) as { id: number; subject: string }).subject, '/ü')
    await syslog.close()
    server.close()
  })

  it('arrives over TCP in counted octets, waits while the server is away, and drops what does not fit', async () => {
    const first = await receiver()
    const faults: string[] = []
    const syslog = new Syslog({
      url: new URL(`tcp://127.0.0.1:${first.port}`),
      onFault: (sentence) => faults.push(sentence),
      limit: 3,
      retryMs: 20,
    })
    syslog.send(row(1))
    await until(async () => first.ids().length === 1)
    await first.close()
    await until(async () => {
      syslog.send(row(2))
      return syslog.dropped > 0
    })
    assert.ok(faults.some((sentence) => /not sent/.test(sentence)))
    const second = await receiver(first.port)
    await until(async () => second.ids().length === 3)
    assert.deepEqual(second.ids(), [2, 2, 2])
    syslog.send(row(9))
    await until(async () => second.ids().includes(9))
    await syslog.close()
    await second.close()
  })
})

async function receiver(port = 0): Promise<{ port: number; ids(): number[]; close(): Promise<void> }> {
  let bytes = Buffer.alloc(0)
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk])
    })
    socket.on('error', () => undefined)
  }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    ids: () => {
      const ids: number[] = []
      for (let at = 0; at < bytes.length; ) {
        const space = bytes.indexOf(' ', at)
        const end = space + 1 + Number(bytes.toString('utf8', at, space))
        const [, , document = '{}'] = HEAD.exec(bytes.toString('utf8', space + 1, end)) ?? []
        ids.push((JSON.parse(document) as { id: number }).id)
        at = end
      }
      return ids
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
