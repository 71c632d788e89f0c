/**
 * The audit trail to a syslog server: RFC 5424 messages, each with the row as JSON, over UDP (RFC 5426), or TCP (RFC 6587) or TLS
 * (RFC 5425) with octet counting. Rows wait in a bounded queue while the server is away; what does not fit is counted and dropped:
 * the trail itself has it, and `cairn audit export` brings it.
 */
import { createSocket, type Socket as Datagrams } from 'node:dgram'
import { connect, type Socket } from 'node:net'
import { hostname } from 'node:os'
import { connect as connectTls } from 'node:tls'
import type { Recorded } from './audit.js'

export interface SyslogOptions {
  /** `udp://host:514`, `tcp://host:601` or `tls://host:6514`. */
  url: URL
  /** Said once each time that the server goes away, and that rows were dropped. */
  onFault: (sentence: string, error?: unknown) => void
  /** Rows that wait at most. Default 10,000. */
  limit?: number
  /** Between two attempts to connect. Default 5,000. */
  retryMs?: number
}

const PORTS: Readonly<Record<string, number>> = { 'udp:': 514, 'tcp:': 601, 'tls:': 6514 }
const LIMIT = 10_000
const RETRY_MS = 5_000
const CONNECT_MS = 10_000
const LAST_MS = 1_000
/** Facility 13, log audit; severity 5, notice, or 4, warning. */
const DONE = 13 * 8 + 5
const REFUSED = 13 * 8 + 4

export class Syslog {
  readonly #options: SyslogOptions
  readonly #queue: string[] = []
  readonly #host = hostname().slice(0, 255) || '-'
  #wire: Socket | undefined
  #datagrams: Datagrams | undefined
  #connecting = false
  #retry: NodeJS.Timeout | undefined
  #dropped = 0
  #closed = false

  constructor(options: SyslogOptions) {
    this.#options = options
    if (options.url.protocol === 'udp:')
      this.#datagrams = createSocket('udp4').on('error', (error) => this.#fault(error))
    this.#datagrams?.unref()
  }

  /** Does not wait and does not throw. */
  send(row: Recorded): void {
    if (this.#closed) return
    const message = format(row, this.#host)
    if (this.#datagrams) {
      const { hostname: host, port, protocol } = this.#options.url
      this.#datagrams.send(
        message,
        Number(port) || (PORTS[protocol] ?? 0),
        host,
        (error) => error && this.#fault(error),
      )
      return
    }
    if (this.#queue.length >= (this.#options.limit ?? LIMIT)) {
      if (this.#dropped++ === 0)
        this.#options.onFault('rows of the audit trail are not sent: the syslog server is away')
      return
    }
    this.#queue.push(`${Buffer.byteLength(message)} ${message}`)
    this.#flush()
  }

  /** How many were dropped so far. */
  get dropped(): number {
    return this.#dropped
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    this.#datagrams?.close()
    const wire = this.#wire
    if (!wire) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LAST_MS)
      wire.end(() => {
        clearTimeout(timer)
        resolve()
      })
    })
    wire.destroy()
  }

  /** What was handed to a connection that breaks may be lost; what was not is sent over the next. */
  #flush(): void {
    const wire = this.#wire
    if (!wire) this.#connect()
    else while (this.#queue.length > 0 && !wire.writableNeedDrain) wire.write(this.#queue.shift() ?? '')
  }

  #connect(): void {
    if (this.#connecting || this.#closed || this.#retry) return
    this.#connecting = true
    const { hostname: host, port: given, protocol } = this.#options.url
    const port = Number(given) || (PORTS[protocol] ?? 0)
    const name = host.replace(/^\[(.*)\]$/, '$1')
    const wire =
      protocol === 'tls:' ? connectTls({ host: name, port, servername: name }) : connect({ host: name, port })
    wire.setTimeout(CONNECT_MS, () => wire.destroy(new Error('the syslog server does not answer')))
    wire.once(protocol === 'tls:' ? 'secureConnect' : 'connect', () => {
      wire.setTimeout(0)
      this.#connecting = false
      this.#dropped = 0
      this.#wire = wire
      this.#flush()
    })
    wire.on('drain', () => this.#flush())
    // Nothing is expected from it; reading is how its end is noticed.
    wire.on('data', () => undefined)
    wire.on('error', (error) => this.#fault(error))
    wire.on('close', () => this.#lost())
    wire.unref()
  }

  #lost(): void {
    this.#connecting = false
    this.#wire = undefined
    if (this.#closed) return
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      if (this.#queue.length > 0) this.#connect()
    }, this.#options.retryMs ?? RETRY_MS).unref()
  }

  #fault(error: unknown): void {
    this.#options.onFault('the syslog server cannot be reached', error)
  }
}

/** `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG` */
function format(row: Recorded, host: string): string {
  const { id, at, who, action, subject, outcome, requestId, remote, detail, hash } = row
  const priority = outcome === 'ok' || outcome === 'begun' ? DONE : REFUSED
  const name = action.replace(/[^\x21-\x7e]/g, '').slice(0, 32) || '-'
  const document = { id, at, username: who, action, subject, outcome, request_id: requestId, remote, detail, hash }
  return `<${priority}>1 ${at} ${host} cairn ${process.pid} ${name} - ${JSON.stringify(document)}`
}
