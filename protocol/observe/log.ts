/**
 * JSON lines on standard output. One line for each request that changes something, fails, is slow, or was given an id by its
 * client; all requests at level `debug`. Never a credential: headers and queries are not logged.
 */
import { type DestinationStream, type Logger, pino } from 'pino'
import { RegistryError } from '../errors.js'

export type { DestinationStream, Logger }

export interface RequestLine {
  id: string
  /** Did the client choose the id: it wants to find the request in the logs. */
  traced: boolean
  method: string
  path: string
  status: number
  ms: number
  bytes: number
  remote: string
}

const SLOW_MS = 1000

export function logger(part: string, level: string, to?: DestinationStream): Logger {
  const timestamp = () => `,"time":"${new Date().toISOString()}"`
  return pino({ level, base: { part, pid: process.pid }, timestamp }, to ?? pino.destination())
}

export function logRequest(log: Logger, line: RequestLine): void {
  const { id, traced, method, path, status, ms, bytes } = line
  const read = method === 'GET' || method === 'HEAD'
  const notable = !read || traced || status >= 500 || ms >= SLOW_MS
  if (!notable && !log.isLevelEnabled('debug')) return
  // The address is asked of the kernel only here: it costs as much as a small reply.
  const fields = { id, method, path: masked(path), status, ms: Math.round(ms * 10) / 10, bytes, remote: line.remote }
  log[notable ? 'info' : 'debug'](fields, 'request')
}

/** Some clients put a token into a path (`npm logout` does). */
function masked(path: string): string {
  return path.includes('cairn') ? path.replace(/cairn_[A-Za-z0-9_-]{8,}/g, 'cairn_***') : path
}

/** What a log line may say about an error: sentence, kind and the chain of causes with their stacks, for operators only. */
export function errorFields(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: String(error) }
  const cause = error.cause === undefined ? {} : { cause: errorFields(error.cause) }
  return error instanceof RegistryError
    ? { error: error.message, kind: error.kind, ...cause }
    : { error: error.message, stack: error.stack, ...cause }
}
