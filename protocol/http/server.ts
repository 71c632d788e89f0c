/**
 * The one file that knows uWebSockets.js: turns its requests into Incoming ones and refuses what it lets through and should
 * not (framing.ts). It refuses HTTP/1.0 itself. Requests that are pipelined behind one whose reply takes time are not
 * executed: it closes the connection.
 */

import type { HttpRequest as Raw, TemplatedApp } from 'uWebSockets.js'
import { randomBytes } from 'node:crypto'
import { RegistryError } from '../errors.js'
import { addressList } from './address.js'
import { Dispatcher, type Handle, type LogEntry } from './dispatcher.js'
import type { Patience } from './exchange.js'
import { type Fault, faultOf, SINGLE } from './framing.js'
import { Incoming, type Surroundings } from './incoming.js'
import { listenFailure } from './listen-failure.js'
import { origins } from './origin.js'
import type { Outlet } from './outlet.js'
import type { Reply } from './reply.js'
import type { HttpRequest } from './request.js'
import { type TlsFiles, TlsRenewal } from './tls-files.js'

export interface ServeOptions {
  host: string
  /** 0: a free one. */
  port: number
  /** Read again when they change, unless `port` is 0: new connections get the new certificate, those that are open go on. */
  tls?: TlsFiles | undefined
  /** Told of files that cannot be used; the certificate stays as it was. */
  onTlsFault?: (error: unknown) => void
  /** Between two looks at the files. */
  tlsLookMs?: number
  publicUrls: readonly string[]
  /** Addresses and CIDR ranges whose X-Forwarded-* and Forwarded headers are believed. */
  trustedProxies: readonly string[]
  /** Default 16384; no more than the first server of the process asked for. */
  maxHeaderBytes?: number
  /** Requests with a body that are answered at a time; others get 503. Default 512. */
  maxBodies?: number
  patience?: Partial<Patience>
  /** Called once per request when its reply is out. Must not throw. */
  log?: (entry: LogEntry) => void
  /** The reply for what a handler threw. Default: problem+json. */
  failed?: (error: unknown, request: HttpRequest) => Reply
}

export interface Listening {
  readonly port: number
  /** As reached on this machine, without a slash at the end. */
  readonly url: string
  /** Requests that are being answered now. */
  readonly running: number
  /** Accepts nothing new, waits for what runs, at most `graceMs` (default 10,000), then cuts it. */
  close(options?: { graceMs?: number }): Promise<void>
}

const MAX_HEADER_BYTES = 16_384
const PATIENCE: Patience = { idleMs: 30_000, lingerMs: 5_000, lingerBytes: 64 * 1024 * 1024 }

/** Throws `unavailable` when the port cannot be had, `invalid` for options that make no sense. */
export async function serve(options: ServeOptions, handle: Handle): Promise<Listening> {
  const maxHeaderBytes = options.maxHeaderBytes ?? MAX_HEADER_BYTES
  const library = await load(maxHeaderBytes)
  const dispatcher = new Dispatcher(handle, {
    patience: { ...PATIENCE, ...options.patience },
    maxBodies: options.maxBodies ?? 512,
    log: options.log,
    failed: options.failed,
  })
  const scheme = options.tls === undefined ? 'http' : 'https'
  const around = { trusted: addressList(options.trustedProxies), nextId: ids() }
  // Known once the port is.
  let surroundings: Surroundings = { ...around, origins: origins({ ...options, scheme }) }
  const answering = () =>
    create(library, options).any('/*', (out, raw) => {
      // Undefined where there is no '?', whatever the published types say.
      const line = { method: raw.getCaseSensitiveMethod(), path: raw.getUrl(), query: raw.getQuery() ?? '' }
      const { headers, fault } = readHeaders(raw, maxHeaderBytes - line.path.length - line.query.length)
      const incoming = new Incoming(line, headers, out, surroundings)
      try {
        dispatcher.accept(out, incoming, fault ?? faultOf(line.method, headers))
      } catch (error) {
        rescue(out)
        throw error
      }
    })
  // A port that the system picked cannot be listened to anew while it has connections.
  const renewal = await (options.tls && options.port !== 0 ? TlsRenewal.of(options.tls) : undefined)
  let app = answering()
  let socket = await listen(app, options)
  const port = library.us_socket_local_port(socket)
  /** Their connections have the certificate of before. */
  const retired: TemplatedApp[] = []
  surroundings = { ...around, origins: origins({ ...options, scheme, port }) }
  const reload = async () => {
    if (dispatcher.closing) return
    const next = answering()
    library.us_listen_socket_close(socket)
    socket = await listen(next, { ...options, port })
    retired.push(app)
    app = next
  }
  const watching = renewal?.watch(reload, options.onTlsFault ?? (() => undefined), options.tlsLookMs)
  return {
    port,
    url: origins({ publicUrls: [], scheme, host: options.host, port })(''),
    get running() {
      return dispatcher.running
    },
    async close({ graceMs = 10_000 } = {}) {
      if (dispatcher.closing) return
      const closed = watching?.close()
      library.us_listen_socket_close(socket)
      await closed
      await dispatcher.close(graceMs, () => {
        for (const one of [app, ...retired]) one.close()
      })
    },
  }
}

type Library = typeof import('uWebSockets.js')
type Socket = Parameters<Library['us_listen_socket_close']>[0]

async function load(maxHeaderBytes: number): Promise<Library> {
  // Read when the native module is loaded. A little more than our own limit, so that it is ours that answers.
  process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= String(maxHeaderBytes + 1024)
  const { default: library } = (await import('uWebSockets.js')) as unknown as { default: Library }
  return library
}

function create(library: Library, { tls }: ServeOptions): TemplatedApp {
  if (tls === undefined) return library.App()
  try {
    return library.SSLApp({ key_file_name: tls.keyFile, cert_file_name: tls.certFile })
  } catch (cause) {
    const message = `The TLS key or certificate cannot be used: ${tls.keyFile}, ${tls.certFile}`
    throw new RegistryError('invalid', message, { cause })
  }
}

async function listen(app: TemplatedApp, { host, port }: ServeOptions): Promise<Socket> {
  const socket = await new Promise<Socket | false>((resolve) => {
    listenExclusively(app, host, port, resolve)
  })
  if (socket === false) {
    app.close()
    throw await listenFailure(host, port)
  }
  return socket
}

/** Without the option two processes could share a port, and each would get some of the requests. */
function listenExclusively(
  app: TemplatedApp,
  host: string,
  port: number,
  done: (socket: Socket | false) => void,
): void {
  const EXCLUSIVE_PORT = 1
  // The published types lack this overload, which the library has.
  const listener = app as unknown as { listen(h: string, p: number, o: number, d: typeof done): unknown }
  listener.listen(host, port, EXCLUSIVE_PORT, done)
}

/** The library ends the process when it comes back to a request that nobody took care of. The error is not hidden by it. */
function rescue(out: Outlet): void {
  try {
    out.close()
  } catch {
    // Answered already.
  }
}

/** `limit`: bytes that are left for the headers. */
function readHeaders(raw: Raw, limit: number): { headers: Map<string, string>; fault: Fault | undefined } {
  const headers = new Map<string, string>()
  let bytes = 0
  let repeated: string | undefined
  raw.forEach((name, value) => {
    bytes += name.length + value.length + 4
    const before = headers.get(name)
    if (before !== undefined && SINGLE.has(name)) repeated = name
    headers.set(name, before === undefined ? value : `${before}, ${value}`)
  })
  if (bytes > limit) return { headers, fault: { status: 431, detail: 'The request line and headers are too long' } }
  if (repeated === undefined) return { headers, fault: undefined }
  return { headers, fault: { status: 400, detail: `There is more than one ${repeated} header` } }
}

/** A prefix that differs between processes and a counter: unique enough to find a log line, and nearly free. */
function ids(): () => string {
  const prefix = randomBytes(5).toString('hex')
  let count = 0
  return () => `${prefix}-${(count++).toString(36)}`
}
