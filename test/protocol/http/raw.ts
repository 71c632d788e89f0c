/** A client that sends exactly the bytes it is given, in exactly the segments it is given, and tells what came back. */
import { connect, type Socket } from 'node:net'

export class RawClient {
  readonly socket: Socket
  #received = ''
  #closed = false
  #changed: (() => void) | undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1')
      this.#changed?.()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#closed = true
      this.#changed?.()
    })
  }

  static async open(port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1' })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawClient(socket)
  }

  get received(): string {
    return this.#received
  }

  get closed(): boolean {
    return this.#closed
  }

  async send(bytes: string): Promise<void> {
    await new Promise<void>((resolve) => {
      this.socket.write(Buffer.from(bytes, 'latin1'), () => resolve())
    })
  }

  /** Until what came satisfies `enough`, or the connection is closed. */
  async until(enough: (received: string) => boolean): Promise<string> {
    while (!this.#closed && !enough(this.#received)) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve
      })
    }
    return this.#received
  }

  async untilClosed(): Promise<string> {
    return await this.until(() => false)
  }

  end(): void {
    this.socket.destroy()
  }
}

/** Sends the segments one after the other, each after the server has read the one before, and waits for the close. */
export async function exchange(port: number, segments: string[]): Promise<string> {
  const client = await RawClient.open(port)
  for (const segment of segments) {
    await client.send(segment)
    if (segments.length > 1) await barrier(port)
  }
  const received = await client.untilClosed()
  client.end()
  return received
}

/** Returns when the server has read everything that was sent to it before: it answers in order of arrival. */
export async function barrier(port: number): Promise<void> {
  const other = await RawClient.open(port)
  await other.send('GET /barrier HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  await other.untilClosed()
  other.end()
}

export function statusOf(received: string): number | undefined {
  const match = /^HTTP\/1\.1 (\d{3})/.exec(received)
  return match === null ? undefined : Number(match[1])
}
