/**
 * The one file that knows uWebSockets.js. Turns its requests into HttpRequest and a handler's replies into responses; what
 * it lets through and should not (framing.ts) is refused here. A reply that is there at once and small is sent without a
 * detour; everything else becomes an Exchange. HTTP/1.0 is refused by the library; so is pipelining behind a request whose
 * reply takes time: the connection is closed with the second request not executed.
 */
import { randomBytes } from 'node:crypto'
import type { HttpRequest as Raw, HttpResponse, TemplatedApp, us_listen_socket } from 'uWebSockets.js'
import { RegistryError } from '../errors.js'
import { addressList } from './address.js'
import { isWhole } from './body.js'
import { type Ending, Exchange, type Patience } from './exchange.js'
import { type Fault, faultOf, SINGLE } from './framing.js'
import { checkHeaders, writeHead } from './head.js'
import { Incoming, type Surroundings } from './incoming.js'
import { listenFailure } from './listen-failure.js'
import { negotiate } from './negotiate.js'
import { origins } from './origin.js'
import type { Outlet } from './outlet.js'
import type { Reply } from './reply.js'
import type { HttpRequest } from './request.js'
import { problem, refusal } from './status.js'
import { COPY_LIMIT, endWhole } from './writer.js'

export interface LogEntry {
  id: string
  method: string
  /** Without the query, which may hold secrets. */
  path: string
  /** 499: the connection ended before the reply did. */
  status: number
  /** From the request's head to the last byte handed to the kernel. */
  ms: number
  /** Of the reply's body. */
  bytes: number
  remote: string
  /** For status 500 and above and for replies that were cut. */
  error?: unknown
}

export interface ServeOptions {
  host: string
  /** 0: a free one. */
  port: number
  tls?: { keyFile: string; certFile: string }
  publicUrls: readonly string[]
  /** Addresses and CIDR ranges whose X-Forwarded-* and Forwarded headers are believed. */
  trustedProxies: readonly string[]
  /** Default 16384. The largest that the first server of a process names holds for all of them. */
  maxHeaderBytes?: number
  /** Requests whose body is still coming; more are answered 503. Default 512. */
  maxBodies?: number
  patience?: Partial<Patience>
  /** Must not throw. */
  log?: (entry: LogEntry) => void
  /** The reply for what a handler threw. Default: problem+json. */
  failed?: (error: unknown, request: HttpRequest) => Reply
}

export interface Listening {
  readonly port: number
  /** As reached on this machine, without a slash at the end. */
  readonly url: string
  /** Requests being answered now. */
  readonly running: number
  /** Accepts nothing new, waits at most `graceMs` for what runs, then cuts it. Default 10000. */
  close(options?: { graceMs?: number }): Promise<void>
}

export type Handle = (request: HttpRequest) => Reply | Promise<Reply>

const MAX_HEADERS = 16_384
const PATIENCE: Patience = { idleMs: 30_000, lingerMs: 5_000, lingerBytes: 64 * 1024 * 1024 }
const TICK_MS = 2_000
