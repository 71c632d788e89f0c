/** Something on a port that answers LDAP messages as it is told to, also as no directory server would. */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { BerReader, BerWriter } from 'ldapts'
import { messageEnd } from '../../primary/identity/ldap/messages.js'

export interface Asked {
  id: number
  /** Tag of the operation: 0x60 bind, 0x63 search, 0x77 extended. */
  operation: number
  /** The whole message. */
  bytes: Buffer
}

export interface ScriptedLdap {
  url: string
  asked: Asked[]
  close(): Promise<void>
}

/** undefined: it says nothing; null: it hangs up. `lateMs`: by operation, how long it thinks. */
export async function scriptedLdap(
  answer: (asked: Asked) => Buffer | undefined | null,
  lateMs: Record<number, number> = {},
): Promise<ScriptedLdap> {
  const asked: Asked[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let held = Buffer.alloc(0)
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => {
      held = Buffer.concat([held, bytes])
      try {
        for (let end = messageEnd(held); end !== undefined; end = messageEnd(held)) {
          const one = read(held.subarray(0, end))
          held = held.subarray(end)
          asked.push(one)
          const said = answer(one)
          if (said === null) socket.destroy()
          else if (said !== undefined) setTimeout(() => socket.write(said), lateMs[one.operation] ?? 0)
        }
      } catch {
        // TLS, which it does not speak.
        socket.destroy()
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `ldap://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function read(bytes: Buffer): Asked {
  const reader = new BerReader(bytes)
  reader.readSequence()
  const id = reader.readInt() ?? 0
  return { id, operation: reader.readSequence() ?? 0, bytes: Buffer.from(bytes) }
}

/** The answer to a bind, a search, or an extended request. */
export function result(asked: Asked, code = 0, controls?: Buffer): Buffer {
  return message(
    asked,
    asked.operation === 0x63 ? 0x65 : asked.operation + 1,
    (writer) => {
      writer.writeEnumeration(code)
      writer.writeString('')
      writer.writeString('')
    },
    controls,
  )
}

export function entry(asked: Asked, dn: string, attributes: Record<string, string[]>): Buffer {
  return message(asked, 0x64, (writer) => {
    writer.writeString(dn)
    writer.startSequence()
    for (const [name, values] of Object.entries(attributes)) {
      writer.startSequence()
      writer.writeString(name)
      writer.startSequence(0x31)
      for (const value of values) writer.writeString(value)
      writer.endSequence()
      writer.endSequence()
    }
    writer.endSequence()
  })
}

export function reference(asked: Asked, address: string): Buffer {
  return message(asked, 0x73, (writer) => writer.writeString(address))
}

/** RFC 2696: there is another page. */
export function nextPage(cookie: string): Buffer {
  const value = new BerWriter()
  value.startSequence()
  value.writeInt(0)
  value.writeString(cookie)
  value.endSequence()
  const writer = new BerWriter()
  writer.startSequence(0xa0)
  writer.startSequence()
  writer.writeString('1.2.840.113556.1.4.319')
  writer.writeBuffer(value.buffer, 0x04)
  writer.endSequence()
  writer.endSequence()
  return writer.buffer
}

export function message({ id }: Asked, tag: number, write: (writer: BerWriter) => void, controls?: Buffer): Buffer {
  const inner = new BerWriter()
  inner.startSequence(tag)
  write(inner)
  inner.endSequence()
  const number = new BerWriter()
  number.writeInt(id)
  const body = Buffer.concat([number.buffer, inner.buffer, controls ?? Buffer.alloc(0)])
  const length = body.length < 0x80 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff]
  return Buffer.concat([Buffer.from([0x30, ...length]), body])
}
